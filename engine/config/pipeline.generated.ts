/* Generated from schemas/pipeline.schema.json by test/repo/generate-types.ts; do not edit. */

export type Identifier = string;
export type Duration = string;
/**
 * The name of a policy, or an inline policy, or `{ use: name, … }` with fields that win over it.
 */
export type RetryChoice = Identifier | Retry;
/**
 * Items: `timeout`, `connection`, `dns`, `error` (whatever else a handler throws), a status such as 429, or a class such as 5xx.
 */
export type FaultNames = (string | number)[];
/**
 * The name of a policy, or an inline policy, or `{ use: name, … }` with fields that win over it, or `false`: no breaker. Without the field a route has the default breaker.
 */
export type CircuitBreakerChoice = Identifier | false | CircuitBreaker;
/**
 * The name of a policy, or an inline policy, or `{ use: name, … }` with fields that win over it.
 */
export type DeadLetterChoice = Identifier | DeadLetter;
/**
 * What is known about one event type; nothing (`order.paid:`) is fine too.
 */
export type EventType = {
  /**
   * A file with the JSON Schema (2020-12) of the event's data, relative to the pipeline file. A `$ref` in it may lead to another file, relative to the one it stands in. Without it any data fits.
   */
  schema?: string;
  /**
   * What happens to data that does not fit. `reject`: the publisher gets an error. `deadLetter`: accepted and dead-lettered. `warn`: accepted, counted and logged.
   */
  onInvalid?: 'reject' | 'deadLetter' | 'warn';
} | null;
/**
 * A field of the event's data; dots lead into maps.
 */
export type DataPath = string;
export type Size = string;

/**
 * A pipeline of EventFlow: routes that bind event types to handlers, with retries, circuit breakers and dead letters.
 */
export interface PipelineFile {
  /**
   * The version of the pipeline language.
   */
  apiVersion: 'eventflow/v1';
  /**
   * What this file is.
   */
  kind: 'Pipeline';
  name: Identifier;
  /**
   * What the pipeline is for, in a sentence; shown on its dashboard.
   */
  description?: string;
  /**
   * Free words about the pipeline, such as the team that owns it; shown on dashboards and alerts.
   */
  labels?: {
    /**
     * The label's value.
     */
    [k: string]: string;
  };
  defaults?: Defaults;
  policies?: Policies;
  /**
   * The catalogue of event types, by type. With one, data can be validated when it comes in, and a typo in `on` is found.
   */
  eventTypes?: {
    [k: string]: EventType;
  };
  /**
   * What happens with which events.
   *
   * @minItems 1
   */
  routes: [Route, ...Route[]];
}
/**
 * What every route of the pipeline inherits.
 */
export interface Defaults {
  timeout?: Duration;
  /**
   * Deliveries of a route that run at once, per engine process.
   */
  concurrency?: number;
  retry?: RetryChoice;
  circuitBreaker?: CircuitBreakerChoice;
  deadLetter?: DeadLetterChoice;
  maxAge?: Duration;
  /**
   * Where a new route starts: `new` events only, or the `beginning` of what the stream still holds.
   */
  startFrom?: 'new' | 'beginning';
}
/**
 * When and how often a failed delivery is tried again.
 */
export interface Retry {
  use?: Identifier;
  /**
   * How often a delivery is attempted, the first time included. After that it is dead-lettered.
   */
  maxAttempts?: number;
  /**
   * How the wait grows: `fixed`, `linear` and `exponential` start from `initialInterval`; `schedule` takes its waits from the field of that name.
   */
  backoff?: 'fixed' | 'linear' | 'exponential' | 'schedule';
  initialInterval?: Duration;
  /**
   * By how much each wait of `backoff: exponential` is longer than the one before.
   */
  multiplier?: number;
  maxInterval?: Duration;
  /**
   * The waits of `backoff: schedule`, in order; the last one repeats.
   *
   * @minItems 1
   * @maxItems 100
   */
  schedule?: [Duration, ...Duration[]];
  maxElapsed?: Duration;
  /**
   * How much of each wait is left to chance, so that retries do not come in waves: `none`, `equal` (the second half) or `full`.
   */
  jitter?: 'none' | 'equal' | 'full';
  retryOn?: FaultNames;
  failOn?: FaultNames;
  retryAfterMax?: Duration;
}
/**
 * When a route stops bothering a target that is down. Either `consecutiveFailures`, or `failureRatio` with `minimumCalls` and `window`.
 */
export interface CircuitBreaker {
  use?: Identifier;
  /**
   * So many failures in a row open the breaker.
   */
  consecutiveFailures?: number;
  /**
   * Instead of `consecutiveFailures`: this share of failures within `window` opens the breaker, once there were `minimumCalls`.
   */
  failureRatio?: number;
  /**
   * With `failureRatio`: fewer calls than this say nothing.
   */
  minimumCalls?: number;
  window?: Duration;
  openFor?: Duration;
  maxOpenFor?: Duration;
  /**
   * How many deliveries try whether the target is back, over all engines.
   */
  halfOpenProbes?: number;
  /**
   * Who shares the breaker: the `route` alone, all routes of the `handler`, or all routes with this scope that send to one `host` (for handlers that tell where they send an event to, such as webhook). Anything else is a CEL expression over `event` that names a tenant: then the route has a breaker for each, and one that is open keeps back nobody else; its deliveries are postponed until the next probe, or dead-lettered where `onOpen` says so. Events without an answer share one. A route has up to 1,000 of them; keys past that share one.
   */
  scope?: string;
  countOn?: FaultNames;
  /**
   * What becomes of deliveries while the breaker is open. `hold`: they wait and spend no attempts. `deadLetter`: they go to the dead letters at once.
   */
  onOpen?: 'hold' | 'deadLetter';
  /**
   * With `onOpen: deadLetter`: when the breaker closes, the deliveries that it turned away are redriven.
   */
  redriveOnClose?: boolean;
}
/**
 * How long deliveries that gave up are kept.
 */
export interface DeadLetter {
  use?: Identifier;
  retention?: Duration;
  /**
   * How many dead letters a route may have.
   */
  maxEntries?: number;
  /**
   * What happens at `maxEntries`. `pause`: the route stops until there is room. `dropOldest`: the oldest dead letter is deleted, counted and logged.
   */
  onFull?: 'pause' | 'dropOldest';
}
/**
 * Named policies.
 */
export interface Policies {
  /**
   * Retry policies by name.
   */
  retry?: {
    [k: string]: Retry;
  };
  /**
   * Circuit breaker policies by name.
   */
  circuitBreaker?: {
    [k: string]: CircuitBreaker;
  };
  /**
   * Dead-letter policies by name.
   */
  deadLetter?: {
    [k: string]: DeadLetter;
  };
}
/**
 * Event types, bound to one handler.
 */
export interface Route {
  id: Identifier;
  /**
   * The id that this route had before it was renamed: it keeps its position in the streams, retries, dead letters, breaker and totals. With a dot, `pipeline.id`, a route that was in another pipeline, or in this one under its former name. It may stay; remove it before the old id is given to a new route.
   */
  previousId?: string;
  /**
   * What the route is for, in a sentence.
   */
  description?: string;
  /**
   * Event types. `*` stands for one segment between dots, `**` for any number of segments.
   *
   * @minItems 1
   *
   * Items: One type or pattern.
   */
  on: [string, ...string[]];
  /**
   * A CEL expression over `event` that says which events of these types the route wants. An event it is false for is settled at once, like one of another type. One it has no answer for (a field is missing, or is of another type) is dead-lettered with the reason `invalid` and the code `when_failed`, without an attempt: nothing is dropped in silence. `has(event.data.x)` asks whether there is a field. Without it the route wants every event of its types.
   */
  when?: string;
  transform?: Transform;
  /**
   * A handler of an allowed plugin: its name, or `package:name` when several plugins have one of that name.
   */
  handler: string;
  /**
   * The handler's own options.
   */
  with?: {
    [k: string]: unknown;
  };
  timeout?: Duration;
  /**
   * Deliveries of this route that run at once, per engine process.
   */
  concurrency?: number;
  retry?: RetryChoice;
  circuitBreaker?: CircuitBreakerChoice;
  deadLetter?: DeadLetterChoice;
  rateLimit?: RateLimit;
  ordering?: Ordering;
  batch?: Batch;
  maxAge?: Duration;
  slo?: Slo;
  /**
   * Where the route starts when it is new: `new` events only, or the `beginning` of what the stream still holds.
   */
  startFrom?: 'new' | 'beginning';
  /**
   * A route that is not enabled is validated and does not run; its state is kept.
   */
  enabled?: boolean;
}
/**
 * What is kept of the data, and what is added to it.
 */
export interface Transform {
  /**
   * Fields of the data that are kept; dots lead into maps. A field that the event does not have is left out. Without it all of the data is kept.
   *
   * @minItems 1
   * @maxItems 100
   */
  pick?: [DataPath, ...DataPath[]];
  /**
   * Fields of the new data, each with a CEL expression over the event as it was published; numbers and booleans stand for themselves, a text needs quotes of its own: '"web"'. An expression that comes to an empty optional (`event.data.?coupon`) leaves its field out. Without it nothing is added.
   */
  set?: {
    /**
     * A CEL expression.
     */
    [k: string]: string | number | boolean;
  };
}
/**
 * How many attempts may start, and who is counted.
 */
export interface RateLimit {
  /**
   * The most attempts that start within `per`.
   */
  limit: number;
  per: Duration;
  /**
   * A CEL expression over `event` that names who is limited: a text, or a number or boolean, which becomes its text. Each key has the whole limit. Only deliveries of a key that is over it wait, the oldest first as far as possible: each is postponed to a time of its own, so that a long line comes back one by one. Events that it has no answer for share one limit, and are counted by `eventflow_unkeyed_total`. Without it the route is limited as a whole.
   */
  key?: string;
}
/**
 * What the order of deliveries is kept for.
 */
export interface Ordering {
  /**
   * A CEL expression over `event` that names what the order is kept for: a text, or a number or boolean, which becomes its text. An event that it has no answer for (a field is missing, or null) stands in no line: it runs at once, without order, and is counted by `eventflow_unkeyed_total`.
   */
  key: string;
}
/**
 * How many deliveries go together, and how long the first of them waits.
 */
export interface Batch {
  /**
   * A batch of so many goes at once.
   */
  maxEvents?: number;
  maxBytes?: Size;
  maxWait?: Duration;
}
/**
 * What a route promises.
 */
export interface Slo {
  /**
   * Percent of all deliveries that are to be good, over 30 days. What is missing from 100 is the error budget.
   */
  target: number;
  latency?: Duration;
}
