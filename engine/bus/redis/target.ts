/** A bus URL as what the client takes, and as a label without credentials. */
import { isIP } from 'node:net';
import type { ClusterOptions, RedisOptions } from 'ioredis';
import { tlsOptions } from './tls.ts';
import { type BusUrl, type HostAndPort, readBusUrl, readHost, refuse } from './url.ts';

export type Target = SingleTarget | SentinelTarget | ClusterTarget;

export interface SingleTarget {
  readonly kind: 'single';
  /** Without credentials and query: for people and logs. */
  readonly label: string;
  readonly options: RedisOptions;
}

/** The client asks the sentinels for the master, at each connect anew. */
export interface SentinelTarget {
  readonly kind: 'sentinel';
  readonly label: string;
  readonly options: RedisOptions;
  readonly sentinels: readonly HostAndPort[];
  readonly master: string;
  readonly natMap: NatMap | undefined;
}

/** Where an address that is given out (`HOST:PORT`) is reached from here. */
type NatMap = Record<string, HostAndPort>;

export interface ClusterTarget {
  readonly kind: 'cluster';
  readonly label: string;
  /** Any of them is enough to find the others. */
  readonly nodes: readonly HostAndPort[];
  readonly options: ClusterOptions;
}

/** A sentinel that hangs must not hold up the search for the master. */
const sentinelAnswerMs = 2_000;

/**
 * Takes, each also with `rediss` in place of `redis` for TLS:
 *
 * - `redis://[user[:password]@]host[:port][/db]`
 * - `redis+sentinel://[user[:password]@]host[:port],…/master[/db][?sentinelUsername=…&sentinelPassword=…&natMap=…]`
 * - `redis+cluster://[user[:password]@]host[:port],…[?natMap=…]`
 *
 * What is in the query of a TLS URL: {@link tlsOptions}. `natMap=10.0.0.5:6379=203.0.113.7:7001,…` says where an address
 * that sentinels or nodes give out is reached from here. Throws EF5003 for anything else; no error shows a credential.
 */
export function parseTarget(text: string): Target {
  const url = readBusUrl(text);
  switch (url.kind) {
    case 'single':
      return singleTarget(url);
    case 'sentinel':
      return sentinelTarget(url);
    case 'cluster':
      return clusterTarget(url);
  }
}

/** False only where the URL says so. */
export function isVerified({ kind, options }: Target): boolean {
  const tls = kind === 'cluster' ? options.redisOptions?.tls : options.tls;
  return tls?.rejectUnauthorized !== false;
}

function singleTarget(url: BusUrl): SingleTarget {
  const [host, ...more] = url.hosts(6379);
  if (host === undefined || more.length > 0) {
    throw refuse('one host, or redis+sentinel:// or redis+cluster:// for several', `${more.length + 1} hosts`);
  }
  const [dbText = '', ...rest] = url.path;
  if (rest.length > 0) throw refuse('nothing after the database number', JSON.stringify(`/${rest.join('/')}`));
  const db = databaseNumber(dbText);
  const tls = url.tls ? tlsOptions(url.query, isIP(host.host) === 0 ? host.host : undefined) : undefined;
  url.query.end();
  return {
    kind: 'single',
    label: `${url.scheme}://${show(host)}/${db}`,
    options: { ...host, db, ...url.credentials, ...(tls === undefined ? {} : { tls }) },
  };
}

function sentinelTarget(url: BusUrl): SentinelTarget {
  const sentinels = url.hosts(26379);
  const [master = '', dbText = '', ...rest] = url.path;
  if (master === '') throw refuse("the master's name after the sentinels, as in /mymaster/0", 'none');
  if (rest.length > 0) throw refuse('nothing after the database number', JSON.stringify(`/${rest.join('/')}`));
  const db = databaseNumber(dbText);
  const tls = url.tls ? tlsOptions(url.query, undefined) : undefined;
  const [sentinelUsername, sentinelPassword] = ['sentinelUsername', 'sentinelPassword'].map((name) =>
    url.query.take(name),
  );
  const natMap = natMapOf(url.query.take('natMap'));
  url.query.end();
  return {
    kind: 'sentinel',
    label: `${url.scheme}://${sentinels.map(show).join(',')}/${encodeURIComponent(master)}/${db}`,
    sentinels,
    master,
    natMap,
    options: {
      sentinels: sentinels.map((sentinel) => ({ ...sentinel })),
      name: master,
      db,
      ...url.credentials,
      ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
      ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
      ...(tls === undefined ? {} : { tls, sentinelTLS: tls, enableTLSForSentinelMode: true }),
      ...(natMap === undefined ? {} : { natMap }),
      sentinelCommandTimeout: sentinelAnswerMs,
      // Without one a client that finds no sentinel is dead for good.
      sentinelRetryStrategy: () => 1_000,
    },
  };
}

function clusterTarget(url: BusUrl): ClusterTarget {
  const nodes = url.hosts(6379);
  if (!/^0?$/.test(url.path.join('/')))
    throw refuse('no database: a cluster has database 0 only', JSON.stringify(`/${url.path.join('/')}`));
  const tls = url.tls ? tlsOptions(url.query, undefined) : undefined;
  const natMap = natMapOf(url.query.take('natMap'));
  url.query.end();
  return {
    kind: 'cluster',
    label: `${url.scheme}://${nodes.map(show).join(',')}`,
    nodes,
    options: {
      redisOptions: { ...url.credentials, ...(tls === undefined ? {} : { tls }) },
      ...(natMap === undefined ? {} : { natMap }),
      // Certificates name hosts, and ioredis would look their addresses up first.
      ...(tls === undefined ? {} : { dnsLookup: (host, done) => done(null, host) }),
    },
  };
}

function databaseNumber(text: string): number {
  if (!/^\d{0,9}$/.test(text)) throw refuse('the number of a database after the last /', JSON.stringify(text));
  return Number(text);
}

const show = ({ host, port }: HostAndPort): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

function natMapOf(text: string | undefined): NatMap | undefined {
  if (text === undefined) return undefined;
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const [inside = '', outside, ...more] = pair.split('=');
      if (outside === undefined || more.length > 0)
        throw refuse('natMap=ANNOUNCED_HOST:PORT=HOST:PORT,…', JSON.stringify(pair));
      readHost(inside);
      return [inside, readHost(outside)];
    }),
  );
}
