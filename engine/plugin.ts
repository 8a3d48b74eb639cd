/**
 * The contract for handler authors, published as `eventflow/plugin`. First-party handlers use this door and no other.
 *
 * The life of a handler:
 *   1. `create(options, context)` runs once per route and generation. `options` have passed the JSON Schema that the
 *      package's manifest names. Throw, and the reload is refused; what ran before goes on.
 *   2. `check()`, if there is one, runs after `create` and on request. It tells whether the target can be reached; a
 *      failure is reported but does not stop the reload, since targets come and go.
 *   3. `handle(event, delivery)` runs once per attempt, up to the route's `concurrency` at a time.
 *      It resolves: delivered. It throws: the attempt failed and is retried by the route's policy, unless the error was
 *      made by `permanent`, `retryAfter` or `unavailable`. It returns `skip(reason)`: there was nothing to do.
 *      On a route with `batch` its `handleBatch(events, batch)` runs in the place of `handle`, and answers for each event.
 *   4. `close()` runs after the last `handle` has ended, when the route is changed, removed or the engine stops.
 *
 * At least once: after a crash the same delivery can come again, with the same `idempotencyKey`.
 */
import type { EventEnvelope } from './event.ts';

export type { EventEnvelope } from './event.ts';

/** The plugin API that this engine speaks. The engine takes this number and the one before. */
export const apiVersion = 1;

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Delivery {
  /** `<pipeline>.<route>`. */
  readonly route: string;
  /** From 1. */
  readonly attempt: number;
  /** The same in every attempt of this delivery and in no other: send it along, so that the target can tell a repeat. */
  readonly idempotencyKey: string;
  /** Aborts at the route's timeout, when the lease is lost, and at the end of a shutdown. Give it to what waits. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly traceparent: string | undefined;
  /** ms since the epoch. */
  readonly publishedAt: number;
  /**
   * The event as it was published, byte for byte; undefined when the publisher sent less than a whole envelope, and when
   * the route has a `transform`: what the handler passes on is the event that it was given.
   */
  readonly original: string | undefined;
  /**
   * Adds to a counter in the bus, in the same atomic step that settles this delivery as delivered, so that a repeat is
   * never counted twice. `name` matches `[a-z0-9_]{1,64}`; `bucket` is ms since the epoch; `key` is at most 400 characters.
   */
  tally(name: string, bucket: number, key: string, by: number): void;
}

export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** From connect to the last byte of the answer, ms. */
  readonly timeout?: number;
  /** More than this of the answer is thrown away [64 KiB]. */
  readonly maxResponseBytes?: number;
  readonly signal?: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/**
 * Outgoing HTTP, pooled per origin, behind the engine's guard: no redirects, no private, loopback or metadata addresses
 * unless the engine's settings allow them, judged on the address that is dialled. Rejects with errors that already carry
 * their fault (connection, dns, timeout, blocked address: permanent).
 */
export interface HttpClient {
  request(url: string, request: HttpRequest): Promise<HttpResponse>;
  /** Throws a permanent error when `url` is one that a request would be refused for; does not resolve names. */
  assertAllowed(url: string): void;
}

/** A template in Liquid over `{ event, delivery }`. Unknown variables are errors. */
export interface Template {
  /** Throws when a variable is missing: a permanent error that names it. */
  render(scope: Readonly<Record<string, unknown>>): string;
}

export interface Templates {
  /** Escapes every output: `html` for markup, `url` percent-encodes [none]. Throws at once on a syntax error. */
  compile(source: string, options?: { readonly escape?: 'html' | 'url' | 'none' }): Template;
}

/** A number that the handler counts up, exported as `eventflow_plugin_<name>_total{pipeline,route}`. */
export interface Counter {
  inc(by?: number): void;
}

export interface HandlerContext {
  /** `<pipeline>.<route>`. */
  readonly route: string;
  /** The route's `timeout`, ms. */
  readonly timeout: number;
  readonly concurrency: number;
  readonly http: HttpClient;
  readonly templates: Templates;
  /** Bounded: at most 20 names a handler, no labels of its own. */
  readonly metrics: { counter(name: string, help: string): Counter };
  readonly log: Log;
  /** ms since the epoch. */
  readonly clock: () => number;
  /** The folder of the pipeline file: relative paths in options start there. */
  readonly folder: string;
}

declare const skipped: unique symbol;
/** What `skip` returns. */
export interface Skip {
  readonly [skipped]: true;
}

/** Deliveries that go to a handler together. */
export interface Batch {
  /** `<pipeline>.<route>`. */
  readonly route: string;
  /** Of the event at the same index: its attempt, its `idempotencyKey`, its `tally`. */
  readonly deliveries: readonly Delivery[];
  /**
   * Aborts at the route's timeout, which begins with the call, and at the end of a shutdown; also when the leases of all
   * deliveries are lost. Give it to what waits.
   */
  readonly signal: AbortSignal;
  readonly log: Log;
}

/**
 * What became of one event of a batch: delivered; `skip(reason)`; or an Error: this attempt failed, and what `permanent`,
 * `retryAfter`, `badStatus` or `unavailable` say about it counts as if `handle` had thrown it.
 */
export type BatchResult = 'delivered' | Skip | Error;

export interface Handler {
  // biome-ignore lint/suspicious/noConfusingVoidType: a handler that returns nothing is the normal case
  handle(event: EventEnvelope, delivery: Delivery): Promise<void | Skip> | void | Skip;
  /**
   * Several events at once, in the place of `handle`, on a route with `batch`. A handler with it says `"batch": true` among
   * the capabilities of its manifest. `handle` is there all the same: routes without `batch` use it.
   *
   * Resolves to one result for each event, at the index of the event. Throws: the attempt failed for all of them. Anything
   * else is no answer, and what has none is tried again: an array of another length answers for none of its events, since
   * nobody knows whose results are missing. A delivery on its second attempt or a later one comes in a batch of its own.
   */
  handleBatch?(
    events: readonly EventEnvelope[],
    batch: Batch,
  ): Promise<readonly BatchResult[]> | readonly BatchResult[];
  check?(): Promise<void>;
  /**
   * Where the event would be sent, as `host` or `host:port`: routes with a circuit breaker of `scope: host` have one for each.
   * Called before `handle`, for every attempt, so it has to be quick. May throw: then the event shares a breaker with all
   * that have no target. A handler with it says `"target": true` among the capabilities of its manifest.
   */
  target?(event: EventEnvelope): string;
  close?(): Promise<void>;
}

export interface HandlerDefinition<Options> {
  create(options: Options, context: HandlerContext): Promise<Handler> | Handler;
}

export interface Plugin {
  readonly name: string;
  readonly apiVersion: number;
  // biome-ignore lint/suspicious/noExplicitAny: each handler has options of its own; the schema has checked them
  readonly handlers: Readonly<Record<string, HandlerDefinition<any>>>;
}

/** The default export of a plugin's entry. Returns its argument; it is here for the types. */
export const definePlugin = (plugin: Plugin): Plugin => plugin;

// Hints are properties under registered symbols, since two copies of this package in one process are normal in npm.
const hintKey = Symbol.for('eventflow.hint');
const skipKey = Symbol.for('eventflow.skip');

/** What a thrown value says about itself. */
export interface FaultHint {
  readonly permanent?: boolean;
  /** ms. */
  readonly retryAfter?: number;
  /** The target is down, whatever the error looks like: counts against the breaker. */
  readonly unavailable?: boolean;
  /** The class of the fault, as `retryOn`, `failOn` and `countOn` name it. */
  readonly kind?: 'timeout' | 'connection' | 'dns' | 'status' | 'error';
  readonly code?: string;
  readonly status?: number;
  /** What the target answered. */
  readonly body?: string;
}

type Hinted = { [hintKey]?: FaultHint };

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));

/** The same error with more said about it; what was said before stays. */
export function withHint(reason: unknown, hint: FaultHint): Error {
  const error = asError(reason) as Error & Hinted;
  const before = error[hintKey];
  Object.defineProperty(error, hintKey, { value: { ...before, ...hint }, configurable: true });
  return error;
}

/** No attempt can succeed: to the dead letters now. */
export const permanent = (reason: unknown): Error => withHint(reason, { permanent: true });

/** Not before so many ms. */
export const retryAfter = (reason: unknown, ms: number): Error => withHint(reason, { retryAfter: ms });

/** The target cannot take anything at the moment: counts against the breaker. */
export const unavailable = (reason: unknown): Error => withHint(reason, { unavailable: true });

/** The target answered with a status that is no success: classified by the route's `retryOn` and `failOn`. */
export const badStatus = (reason: unknown, status: number, body?: string): Error =>
  withHint(reason, { kind: 'status', status, code: `http_${status}`, ...(body === undefined ? {} : { body }) });

/** ms that a `Retry-After` asks for, which is seconds or an HTTP date. Undefined when there is none that can be read. */
function retryAfterOf({ headers }: HttpResponse, now: number): number | undefined {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const date = /^[A-Z][a-z]{2,8},? /.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * An HTTP answer that is no success, with its status, its body (the engine keeps 1 KiB of it) and its `Retry-After`. `now` is
 * `context.clock()`; `message` says what was expected instead.
 */
export function badAnswer(response: HttpResponse, now: number, message?: string): Error {
  const { status, body } = response;
  const error = badStatus(new Error(message ?? `expected a 2xx, got ${status}`), status, body);
  const wait = retryAfterOf(response, now);
  return wait === undefined ? error : retryAfter(error, wait);
}

export const hintOf = (reason: unknown): FaultHint =>
  (typeof reason === 'object' && reason !== null ? (reason as Hinted)[hintKey] : undefined) ?? {};

/** There was nothing to do for this event: settled as skipped, counted apart from delivered. */
export const skip = (reason: string): Skip => ({ [skipKey]: reason }) as unknown as Skip;

/** The reason, when a handler's answer came from `skip`. */
export const skipReason = (answer: unknown): string | undefined =>
  typeof answer === 'object' && answer !== null ? (answer as { [skipKey]?: string })[skipKey] : undefined;
