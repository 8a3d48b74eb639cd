/** What an outgoing URL must be before a connection is thought of. Pure: nothing is resolved here. */
import { isIP } from 'node:net';
import { permanent, withHint } from '../plugin.ts';
import type { AddressJudge } from './addresses.ts';

export interface Target {
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
}

/** Services that speak something else, where a request's bytes could be taken for commands. */
const blockedPorts = new Set([
  1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111,
  113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540,
  548, 554, 556, 563, 587, 601, 636, 873, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2375, 2379, 2380,
  3306, 3389, 3659, 4045, 5060, 5061, 5432, 5672, 5900, 6000, 6379, 6380, 6443, 6566, 6665, 6666, 6667, 6668, 6669,
  6697, 10080, 10250, 11211, 26379, 27017,
]);

const refused = (code: string, message: string): Error => permanent(withHint(new Error(message), { code }));

export const blockedAddress = (host: string, why: string): Error =>
  refused(
    'blocked_address',
    `expected a public address, got ${host}: ${why}. To allow it, name it in the engine's setting http.egress.allow`,
  );

function parse(url: string): URL {
  try {
    return new URL(url);
  } catch {
    throw refused('bad_url', 'expected an absolute http or https URL, got one that cannot be parsed');
  }
}

/** `[::1]` without its brackets; names in lower case without the root's dot. */
export const bareHost = (hostname: string): string => hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');

const isLocalName = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost');

function verdictOnHost(host: string, judge: AddressJudge): string | undefined {
  if (isIP(host) !== 0) return judge.verdict(host, host);
  if (!isLocalName(host)) return undefined;
  return judge.verdict('127.0.0.1', host) === undefined ? undefined : 'it is this machine';
}

/** Throws a permanent error with a code of its own. Messages name the origin only: a path or query can hold a secret. */
export function parseTarget(url: string, judge: AddressJudge): Target {
  const parsed = parse(url);
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw refused('bad_scheme', `expected an http or https URL, got ${parsed.protocol}`);
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw refused('credentials_in_url', `expected no user name or password in the URL of ${parsed.host}: use auth`);
  }
  const host = bareHost(parsed.hostname);
  if (host === '' || host.length > 253)
    throw refused('bad_url', `expected a host of 1 to 253 characters, got ${host.length}`);
  const port = parsed.port === '' ? undefined : Number(parsed.port);
  if (port !== undefined && (port === 0 || blockedPorts.has(port))) {
    throw refused('blocked_port', `expected a port where HTTP is spoken, got ${parsed.port} of ${parsed.hostname}`);
  }
  const why = verdictOnHost(host, judge);
  if (why !== undefined) throw blockedAddress(parsed.hostname, why);
  return { origin: parsed.origin, path: parsed.pathname + parsed.search };
}
