/**
 * Which addresses may be dialled. An allow-list by shape, since deny-lists forget: IPv4 must be unicast and public, IPv6
 * must be inside 2000::/3 and must not carry an IPv4 address inside.
 */
import { BlockList, isIP } from 'node:net';

/**
 * `private` can be opened by `allowPrivateNetworks`; `reserved` (multicast, documentation, embeddings, …) only by naming
 * the range; `metadata` by nothing, since what answers there gives out the machine's own credentials.
 */
export type AddressKind = 'public' | 'private' | 'reserved' | 'metadata';

type Range = readonly [network: string, prefix: number];

const metadata: readonly string[] = [
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
  'fd00:ec2::254',
  'fd00:ec2::23',
  'fd20:ce::254',
];

const privateRanges: readonly Range[] = [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
  ['::1', 128],
  ['fc00::', 7],
  ['fe80::', 10],
];

const reservedRanges: readonly Range[] = [
  ['0.0.0.0', 8],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6');

function listOf(ranges: readonly Range[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of ranges) list.addSubnet(network, prefix, familyOf(network));
  return list;
}

const metadataList = listOf(metadata.map((address) => [address, isIP(address) === 4 ? 32 : 128]));
const privateList = listOf(privateRanges);
const reservedList = listOf(reservedRanges);
const globalUnicast = listOf([['2000::', 3]]);

/** `::ffff:7f00:1` and `::ffff:127.0.0.1` are one address, dialled as IPv4: judge that. */
function unmapped(address: string): string {
  if (!/^[0:]*:ffff:/i.test(address)) return address;
  const tail = address.slice(address.toLowerCase().lastIndexOf('ffff:') + 5);
  if (isIP(tail) === 4) return tail;
  const [high = '0', low = '0'] = tail.includes(':') ? tail.split(':') : ['0', tail];
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`;
}

/** The kind of an IP literal without brackets; a zone (`%eth0`) does not matter. Anything that is no IP is `reserved`. */
export function kindOfAddress(literal: string): AddressKind {
  const address = unmapped(literal.replace(/%.*$/, ''));
  if (isIP(address) === 0) return 'reserved';
  const family = familyOf(address);
  if (metadataList.check(address, family)) return 'metadata';
  if (privateList.check(address, family)) return 'private';
  if (reservedList.check(address, family)) return 'reserved';
  if (family === 'ipv6' && !globalUnicast.check(address, family)) return 'reserved';
  return 'public';
}

export interface AddressRules {
  /** Opens loopback, private, carrier and link-local networks. */
  readonly allowPrivateNetworks: boolean;
  /** Hosts (`crm.internal`, `*.svc.cluster.local`), addresses or CIDR ranges that are allowed besides. */
  readonly allow: readonly string[];
}

export interface AddressJudge {
  /** Undefined: may be dialled; else why not. `host` is the name that led there. */
  verdict(address: string, host: string): string | undefined;
  /** Was this host named in `allow`? */
  names(host: string): boolean;
}

function parseRange(entry: string): Range | undefined {
  const [network = '', prefix] = entry.split('/');
  const family = isIP(network);
  if (family === 0) return undefined;
  const bits = prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix);
  if (!Number.isInteger(bits) || bits < 0 || bits > (family === 4 ? 32 : 128)) {
    throw new Error(`expected a range such as 10.0.0.0/8 in the allow list, got ${entry}`);
  }
  return [network, bits];
}

const namePattern = /^(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/;

/** Throws on an entry that is no host, address or range. */
export function createAddressJudge({ allowPrivateNetworks, allow }: AddressRules): AddressJudge {
  const ranges: Range[] = [];
  const hosts: string[] = [];
  for (const entry of allow) {
    const range = parseRange(entry);
    const host = entry.toLowerCase().replace(/\.$/, '');
    if (range !== undefined) ranges.push(range);
    else if (namePattern.test(host)) hosts.push(host);
    else throw new Error(`expected a host, an address or a range in the allow list, got ${JSON.stringify(entry)}`);
  }
  const allowed = listOf(ranges);
  const names = (host: string): boolean =>
    hosts.some((entry) => (entry.startsWith('*.') ? host.endsWith(entry.slice(1)) : host === entry));
  return {
    names,
    verdict(literal, host) {
      const kind = kindOfAddress(literal);
      if (kind === 'public') return undefined;
      const address = unmapped(literal.replace(/%.*$/, ''));
      if (kind !== 'metadata' && isIP(address) !== 0 && allowed.check(address, familyOf(address))) return undefined;
      if (kind === 'private' && (allowPrivateNetworks || names(host))) return undefined;
      return `${literal} is a ${kind} address`;
    },
  };
}
