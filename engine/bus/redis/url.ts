/**
 * Takes a bus URL apart. WHATWG's parser knows no list of hosts, and repeats what it refuses; here every part is either
 * checked and named in the error, or, where a credential may be in it, left out.
 */
import { isIPv6 } from 'node:net';
import { EventFlowError } from '../../errors.ts';

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

export interface BusUrl {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  /** Without `://`. */
  readonly scheme: string;
  readonly credentials: { readonly username?: string; readonly password?: string };
  /** At least one, each with the port it names or this one. */
  hosts(defaultPort: number): readonly HostAndPort[];
  /** What stands between the slashes, decoded; empty parts at the end left out. */
  readonly path: readonly string[];
  readonly query: Query;
}

export const refuse = (expected: string, got: string): EventFlowError =>
  new EventFlowError('EF5003', `expected ${expected}, got ${got}`);

const form = /^(rediss?)(\+sentinel|\+cluster)?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#@]*))?(?:\?([^#@]*))?$/i;
const kinds = { '': 'single', '+sentinel': 'sentinel', '+cluster': 'cluster' } as const;

/** Throws EF5003. Of a URL whose parts cannot be told apart the error repeats nothing: a credential may be in any. */
export function readBusUrl(text: string): BusUrl {
  const found = form.exec(text);
  if (found === null || /\s/.test(text)) throw refuse(formOf(text), 'something else');
  const [, base = '', variant = '', userinfo, hosts = '', path = '', query = ''] = found;
  return {
    kind: kinds[variant.toLowerCase() as keyof typeof kinds],
    tls: base.toLowerCase() === 'rediss',
    scheme: (base + variant).toLowerCase(),
    credentials: readCredentials(userinfo),
    hosts: (defaultPort) => readHosts(hosts, defaultPort),
    path:
      path === ''
        ? []
        : path
            .replace(/\/$/, '')
            .split('/')
            .map((part) => decode(part, 'the path')),
    query: new Query(query),
  };
}

function formOf(text: string): string {
  if (/\s/.test(text)) return 'a bus URL without white space (%20 in a password)';
  if (/^rediss?(\+sentinel|\+cluster)?:\/\//i.test(text)) {
    return 'a bus URL whose credentials, path and query have /, ?, # and @ written as %2F, %3F, %23 and %40';
  }
  return 'a URL that begins with redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://';
}

function readCredentials(userinfo: string | undefined): BusUrl['credentials'] {
  if (userinfo === undefined) return {};
  const colon = userinfo.indexOf(':');
  const [username, password] = (colon < 0 ? [userinfo, ''] : [userinfo.slice(0, colon), userinfo.slice(colon + 1)]).map(
    (part) => decode(part, 'the user and password'),
  );
  return { ...(username ? { username } : {}), ...(password ? { password } : {}) };
}

function readHosts(text: string, defaultPort: number): readonly HostAndPort[] {
  return text.split(',').map((item) => readHost(item, defaultPort));
}

/** `host`, `host:port`, `[::1]` or `[::1]:port`. Without a default the port must be there. Throws EF5003. */
export function readHost(text: string, defaultPort?: number): HostAndPort {
  const [, six, name, portText] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(text) ?? [];
  const host = six ?? name ?? '';
  const valid = six === undefined ? /^[\w.-]+$/.test(host) : isIPv6(host);
  if (!valid) throw refuse('a host: a name, an IPv4 address, or an IPv6 address in [ ]', JSON.stringify(text));
  const port = portText === undefined ? defaultPort : Number(portText);
  if (port === undefined || !/^\d+$/.test(portText ?? '1') || port < 1 || port > 65_535) {
    throw refuse(`a port from 1 to 65535 after ${host}:`, JSON.stringify(portText ?? ''));
  }
  return { host, port };
}

const ofTls: ReadonlySet<string> = new Set(['ca', 'cert', 'key', 'servername', 'insecure', 'rejectUnauthorized']);

/** The parameters of a URL. Each is taken by name; what is left at the end is refused, by name, without its value. */
export class Query {
  readonly #values = new Map<string, string>();
  readonly #taken: string[] = [];

  constructor(text: string) {
    for (const part of text === '' ? [] : text.split('&')) {
      const [name = '', ...value] = part.split('=');
      if (this.#values.has(name)) throw refuse(`the parameter ${name} once`, 'it twice');
      this.#values.set(name, decode(value.join('='), `the parameter ${name}`));
    }
  }

  /** Throws EF5003 when it is there without a value. */
  take(name: string): string | undefined {
    this.#taken.push(name);
    const value = this.#values.get(name);
    this.#values.delete(name);
    if (value === '') throw refuse(`a value for the parameter ${name}`, 'none');
    return value;
  }

  /** Throws EF5003 when there are parameters that nobody took. */
  end(): void {
    const [left] = this.#values.keys();
    if (left === undefined) return;
    if (ofTls.has(left)) throw refuse(`rediss in place of redis for the parameter ${left}`, 'a URL without TLS');
    const known = this.#taken.length === 0 ? 'no parameters here' : `no parameters here but ${this.#taken.join(', ')}`;
    throw refuse(known, JSON.stringify(left));
  }
}

function decode(text: string, where: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse(`${where} to be percent-encoded UTF-8 (% itself is %25)`, 'something else');
  }
}
