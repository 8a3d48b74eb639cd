/* Generated from schemas/settings.schema.json by test/repo/generate-types.ts; do not edit. */

export type Listener = string;
export type Duration = string;

/**
 * The settings of an EventFlow engine (`eventflow.yaml`). Every field has a default and an EVENTFLOW_* variable, which wins over the file.
 */
export interface SettingsFile {
  /**
   * Where events, retries and dead letters live: SQLite, one Redis, the master that Redis Sentinel names, or a Redis cluster; rediss, rediss+sentinel and rediss+cluster for TLS. Variable: EVENTFLOW_BUS.
   */
  bus?: string;
  /**
   * With Redis: what every key starts with. Engines with different prefixes share a server and nothing else. Variable: EVENTFLOW_PREFIX.
   */
  prefix?: string;
  /**
   * Streams that hold several event types, where order across types matters. Every other type has a stream of its own. Variable: EVENTFLOW_STREAMS, the list as JSON.
   */
  streams?: Stream[];
  /**
   * Pipeline files, folders of them, or globs; relative to this file. Variable: EVENTFLOW_PIPELINES, separated by commas.
   *
   * @minItems 1
   *
   * Items: A file, a folder or a glob.
   */
  pipelines?: [string, ...string[]];
  /**
   * The plugins that may be loaded, and no others: package names, or folders that start with `./`. Without it: those of the first-party plugins that are installed. Variable: EVENTFLOW_PLUGINS, separated by commas.
   *
   * Items: A package name, or a folder that starts with `./`.
   */
  plugins?: string[];
  http?: Http;
  journal?: Journal;
  delivery?: Delivery;
  durability?: Durability;
  overload?: Overload;
  log?: Log;
}
/**
 * A stream and the types that rest in it.
 */
export interface Stream {
  /**
   * The stream's name.
   */
  name: string;
  /**
   * Event types; `*` stands for one segment, `**` for any number.
   *
   * @minItems 1
   *
   * Items: One type or pattern.
   */
  types: [string, ...string[]];
}
/**
 * The listeners, and what handlers may call.
 */
export interface Http {
  listen?: Listener;
  adminListen?: Listener;
  egress?: Egress;
}
/**
 * Which addresses handlers may call over HTTP.
 */
export interface Egress {
  /**
   * Let handlers call private and loopback addresses. Metadata addresses of clouds stay blocked. Variable: EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS.
   */
  allowPrivateNetworks?: boolean;
  /**
   * Private networks (CIDR), addresses or host names that handlers may call all the same. Variable: EVENTFLOW_HTTP_EGRESS_ALLOW, separated by commas.
   *
   * Items: A network such as 10.1.0.0/16, an address or a host name.
   */
  allow?: string[];
}
/**
 * The record of every delivery and attempt.
 */
export interface Journal {
  /**
   * What is kept: `all`, only attempts that failed (`failures`), or nothing (`off`). Variable: EVENTFLOW_JOURNAL_KEEP.
   */
  keep?: 'all' | 'failures' | 'off';
  retention?: Duration;
  /**
   * How many entries are kept at most. Variable: EVENTFLOW_JOURNAL_MAX_ENTRIES.
   */
  maxEntries?: number;
}
/**
 * How long work may be silent, and how long it may take to end.
 */
export interface Delivery {
  lease?: Duration;
  drain?: Duration;
  removedGrace?: Duration;
  /**
   * A handler that keeps the event loop from turning for this long ends its process with SIGKILL, so that a supervisor starts it again and other engines take over. `auto`: twice the lease. `off`: never. In `eventflow run` only. Variable: EVENTFLOW_DELIVERY_WATCHDOG.
   */
  watchdog?: string;
}
/**
 * When an event counts as accepted.
 */
export interface Durability {
  /**
   * `fsync`: on disk. `replicated`: on so many `replicas` too. `none`: in the memory of the bus. Variable: EVENTFLOW_DURABILITY_MODE.
   */
  mode?: 'fsync' | 'replicated' | 'none';
  /**
   * With `mode: replicated`: how many replicas have to confirm. Variable: EVENTFLOW_DURABILITY_REPLICAS.
   */
  replicas?: number;
}
/**
 * When new events are refused, with 503 and Retry-After. Deliveries, retries and dead letters go on.
 */
export interface Overload {
  /**
   * Per cent of the store's memory limit (`maxmemory` of Redis) from which on new events are refused. Without a limit nothing is refused. Variable: EVENTFLOW_OVERLOAD_REFUSE_FROM.
   */
  refuseFrom?: number;
  /**
   * Per cent below which new events are accepted again: of the memory limit, and of `maxLag`. Above `refuseFrom` it counts as that. Variable: EVENTFLOW_OVERLOAD_ACCEPT_BELOW.
   */
  acceptBelow?: number;
  /**
   * Events that may wait for any one route; from then on new ones are refused. 0: any number. Variable: EVENTFLOW_OVERLOAD_MAX_LAG.
   */
  maxLag?: number;
}
/**
 * What the engine writes to its log.
 */
export interface Log {
  /**
   * The least important lines that are written. Variable: EVENTFLOW_LOG_LEVEL.
   */
  level?: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}
