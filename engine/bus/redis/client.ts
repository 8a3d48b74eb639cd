/**
 * Clients as all parts of the bus use them: of one server (which Sentinel may have named), or of a cluster.
 *
 * A cluster's client keeps one link per node, and follows what nodes say about slots: MOVED and ASK at once, TRYAGAIN
 * (a slot of which some keys have moved already) and CLUSTERDOWN (nobody answers for it, or too few nodes are there to
 * decide) after a pause, until the caller's deadline. What was under way on a link that broke goes to whoever answers for
 * the slot then, so everything sent must bear repetition, as it must for one server.
 */
import { Cluster, Command, type CommonRedisOptions, Redis, type RedisOptions } from 'ioredis';
import type { FailoverWatch } from './failover.ts';
import { type FaultLog, faultKind } from './faults.ts';
import type { ClusterTarget, Target } from './target.ts';
import type { HostAndPort } from './url.ts';

export interface ClientSpec {
  readonly target: Target;
  readonly name: string;
  readonly faults: FaultLog;
  /** Longest silence of the server while an answer is due, ms. */
  readonly silenceMs: number;
  /** Where Sentinel names the master. */
  readonly failover?: FailoverWatch | undefined;
}

type Queueing = Required<Pick<CommonRedisOptions, 'enableOfflineQueue' | 'maxRetriesPerRequest'>>;

/** A node that does not answer for a slot yet, or not any more, is asked again after so long, ms. */
export const redirectPauseMs = 100;
/** A slot moves for some tenths of a second: soon again, ms. */
export const movePauseMs = 10;
/** After so long the map of slots is asked for even when no node has objected to it, ms. */
const mapAgeMs = 10_000;

const comeBack = (times: number): number => Math.min(20 * 2 ** Math.min(times, 8), 1_000) * (0.75 + Math.random() / 2);

const common = (spec: ClientSpec) =>
  ({
    // Version 3 of the protocol changes the shape of replies.
    protocol: 2,
    connectionName: spec.name,
    disableClientInfo: true,
    socketTimeout: spec.silenceMs,
    connectTimeout: 5_000,
    keepAlive: 10_000,
  }) as const;

/** Of one server; `node` says which one of a cluster. Its faults are reported under `connection`. */
export function newClient(spec: ClientSpec, more: Queueing, node?: HostAndPort): Redis {
  const options: RedisOptions = {
    ...serverOf(spec.target, node),
    ...common(spec),
    lazyConnect: true,
    retryStrategy: comeBack,
    // A demoted master answers READONLY for ever: find the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...more,
  };
  const client = new Redis({ ...options, replyMapping: 'legacy' });
  client.on('error', () => bearErrors(client));
  client.on('error', (error: Error) => spec.faults.report('connection', faultKind(error), error.message));
  client.on('ready', () => spec.faults.clear('connection'));
  spec.failover?.watch(client);
  return client;
}

/**
 * The first connect, which rejects when nobody is there now. A client whose sentinels name no master goes on asking, and
 * by itself would neither resolve nor reject.
 */
export function connectOnce(client: Redis | Cluster): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = ({ message }: Error): void => {
      if (!message.startsWith('All sentinels')) return;
      const last = /Last error: (.*)$/s.exec(message)?.[1] ?? 'they know none of this name';
      reject(new Error(`no sentinel names a master: ${last}`));
    };
    client.on('error', onError);
    const connected = client.connect().finally(() => client.off('error', onError));
    connected.then(() => resolve(), reject);
  });
}

function serverOf(target: Target, node: HostAndPort | undefined): RedisOptions {
  if (target.kind !== 'cluster') return target.options;
  return { ...target.options.redisOptions, ...(node ?? target.nodes[0]) };
}

/** Faults of a node are reported under `node HOST:PORT`. `patienceMs`: how long a command looks for its node. */
export function newCluster(spec: ClientSpec & { readonly target: ClusterTarget }, patienceMs: number): Cluster {
  const { nodes, options } = spec.target;
  const { faults } = spec;
  const client = new Cluster(
    nodes.map((node) => ({ ...node })),
    {
      ...options,
      lazyConnect: true,
      clusterRetryStrategy: comeBack,
      // The caller's deadline ends the search, not a number of tries: during a move each takes three of them.
      maxRedirections: Math.ceil(patienceMs / movePauseMs),
      retryDelayOnFailover: redirectPauseMs,
      retryDelayOnClusterDown: redirectPauseMs,
      retryDelayOnTryAgain: 2 * movePauseMs,
      // While the nodes do not agree yet, two of them may point at each other.
      retryDelayOnMoved: movePauseMs,
      slotsRefreshInterval: mapAgeMs,
      slotsRefreshTimeout: 2_000,
      redisOptions: { ...options.redisOptions, ...common(spec), replyMapping: 'legacy' },
    },
  );
  client.on('error', (error: Error) => faults.report('connection', faultKind(error), error.message));
  client.on('ready', () => faults.clear('connection'));
  client.on('node error', (error: Error, node: string) =>
    faults.report(`node ${node}`, faultKind(error), `${node}: ${error.message}`),
  );
  client.on('+node', (node: Redis) => {
    node.on('error', () => bearErrors(node));
    node.once('ready', () => faults.clear(`node ${nameOf(node)}`));
  });
  return client;
}

const nameOf = ({ options: { host, port } }: Redis): string => `${host}:${port}`;

/** ioredis hears one error of a socket. One of TLS can have a second one, which would end the process. */
export function bearErrors(client: Redis): void {
  // There is none before the first connect, whatever its type says.
  (client.stream as Redis['stream'] | undefined)?.on('error', () => undefined);
}

/**
 * Drops a client for good, in whatever state it is. Nobody may wait for it any more: while it reconnects, ioredis
 * leaves its commands unsettled.
 */
export function abandon(client: Redis | Cluster): void {
  if (client instanceof Redis) {
    bearErrors(client);
    client.removeAllListeners();
    client.on('connect', () => client.disconnect());
  } else {
    // It listens to itself as well.
    for (const event of ['error', 'node error', 'ready', 'refresh']) client.removeAllListeners(event);
  }
  client.on('error', () => undefined);
  client.disconnect();
}

/** `HOST:PORT` of the master that answers for the slot of `key`, as far as is known. */
export const ownerOf = (cluster: Cluster, key: string): string | undefined =>
  cluster.slots[new Command('GET', [key]).getSlot()]?.[0];

/** The link to a node. Undefined: there is none just now. */
export const linkTo = (cluster: Cluster, node: string): Redis | undefined =>
  cluster.nodes('all').find((client) => nameOf(client) === node);

export const hostAndPort = (node: string): HostAndPort => {
  const colon = node.lastIndexOf(':');
  return { host: node.slice(0, colon), port: Number(node.slice(colon + 1)) };
};

/** Every node that answers for slots, as `HOST:PORT`. */
export function mastersOf(cluster: Cluster): ReadonlySet<string> {
  const masters = new Set<string>();
  let last: readonly string[] | undefined;
  for (const nodes of cluster.slots) {
    if (nodes === last || nodes?.[0] === undefined) continue;
    masters.add(nodes[0]);
    last = nodes;
  }
  return masters;
}
