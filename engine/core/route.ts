/**
 * The compiled shapes: what `config/` makes of the YAML and everything else works from. Frozen, fully defaulted.
 * All durations are in milliseconds.
 */
import type { EventEnvelope } from '../event.ts';

export type Backoff = 'fixed' | 'linear' | 'exponential' | 'schedule';
export type Jitter = 'none' | 'equal' | 'full';

/**
 * What can be named in `retryOn`, `failOn` and `countOn`: `timeout`, `connection`, `dns`, a status such as `429`,
 * or a class of statuses such as `5xx`.
 */
export type FaultName = string;

export interface RetryPolicy {
  /** Includes the first attempt. */
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly initialInterval: number;
  readonly multiplier: number;
  readonly maxInterval: number;
  /** Waits of `backoff: schedule`, in order; the last one repeats. */
  readonly schedule: readonly number[];
  /** From the first attempt's start; past it the delivery is exhausted. */
  readonly maxElapsed: number;
  readonly jitter: Jitter;
  readonly retryOn: readonly FaultName[];
  readonly failOn: readonly FaultName[];
  /** The longest a handler's `retryAfter` is believed. */
  readonly retryAfterMax: number;
}

export interface BreakerPolicy {
  readonly rule:
    | { readonly kind: 'consecutive'; readonly failures: number }
    | { readonly kind: 'ratio'; readonly ratio: number; readonly minimumCalls: number; readonly window: number };
  readonly openFor: number;
  readonly maxOpenFor: number;
  readonly halfOpenProbes: number;
  /** Who shares it: one for the route, its handler, the host of its target, or each key. */
  readonly scope: 'route' | 'handler' | 'host' | EventKey;
  readonly countOn: readonly FaultName[];
  readonly onOpen: 'hold' | 'deadLetter';
  readonly redriveOnClose: boolean;
}

export interface DeadLetterPolicy {
  readonly retention: number;
  readonly maxEntries: number;
  /** What a full DLQ does: `pause` the route, or drop the oldest letter, counted and logged. */
  readonly onFull: 'pause' | 'dropOldest';
}

/** `when`: which of the events of its types a route wants. */
export interface Condition {
  /** The expression as the file has it. */
  readonly source: string;
  /** Throws an Error for an event that has no answer; its message names no value of the event. */
  readonly test: (event: EventEnvelope) => boolean;
  /** What decided, from the whole to its smallest part: `event.data.total >= 100: false`. Holds values of the event. */
  readonly why: (event: EventEnvelope) => readonly string[];
}

/** `transform`: what a route's handler sees in the place of the event's data. */
export interface Transform {
  /** Paths that are kept; undefined: all. */
  readonly pick: readonly string[] | undefined;
  /** Expressions by the path that they are put at. */
  readonly set: Readonly<Record<string, string>>;
  /** The event with other data; the given one stays as it is. Throws an Error like a condition. */
  readonly apply: (event: EventEnvelope) => EventEnvelope;
}

/** A CEL expression that names something of an event, such as the customer that a limit is counted for. */
export interface EventKey {
  readonly source: string;
  /** Throws when the event has no answer; the message holds no value of the event. */
  key(event: EventEnvelope): string;
}

/** Starts in any span, over all engines. */
export interface RateLimitPolicy {
  readonly limit: number;
  readonly per: number;
  /** Undefined: the whole route is counted together. */
  readonly key: EventKey | undefined;
}

/** What puts deliveries into lines. */
export interface OrderingRule {
  /** The CEL expression. */
  readonly source: string;
  /** Throws when the event has no answer; the message holds no value of the event. */
  key(event: EventEnvelope): string;
}

/** Deliveries that go to the handler together. */
export interface BatchPolicy {
  readonly maxEvents: number;
  /** Of the events as they were published. */
  readonly maxBytes: number;
  /** How long the first one waits for company. */
  readonly maxWait: number;
}

/** What a route promises; feeds dashboards and alerts. */
export interface ServiceLevel {
  /** Percent of all deliveries. */
  readonly target: number;
  /** From publishing to the end; undefined: whenever it is delivered. */
  readonly latency: number | undefined;
}

/** Where a thing stands in a file; line and column count from 1. */
export interface SourcePosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Route {
  readonly pipeline: string;
  readonly id: string;
  /** `<pipeline>.<route>`: the consumer group and the identity of all state. */
  readonly group: string;
  /** The group under which this route was known before: `previousId`. Not part of the hash: it shapes nothing that runs. */
  readonly previousGroup?: string | undefined;
  /** Type patterns. */
  readonly on: readonly string[];
  /** Undefined: every event of those types. */
  readonly when?: Condition | undefined;
  /** Undefined: the handler gets the event as it was published. */
  readonly transform?: Transform | undefined;
  /** The handler's name in its plugin. */
  readonly handler: string;
  /** The npm package (or folder) that has it. */
  readonly plugin: string;
  /** The handler's validated options; secrets are in clear here, so never log this. */
  readonly options: Readonly<Record<string, unknown>>;
  /** JSON pointers (without the first slash) of the options that are never shown. */
  readonly secretOptions?: readonly string[];
  /** Of the plugin's package. */
  readonly pluginVersion?: string;
  /** SHA-256 of the files that options name, by the option's pointer. */
  readonly contents?: Readonly<Record<string, string>>;
  readonly timeout: number;
  /** Running deliveries at once in this process; of a route with batches, running batches. */
  readonly concurrency: number;
  readonly retry: RetryPolicy;
  readonly breaker: BreakerPolicy | undefined;
  readonly deadLetter: DeadLetterPolicy;
  readonly maxAge: number | undefined;
  readonly rateLimit?: RateLimitPolicy | undefined;
  /** Deliveries with one key run one after another. */
  readonly ordering?: OrderingRule | undefined;
  /** Undefined: each delivery goes by itself. */
  readonly batch?: BatchPolicy | undefined;
  readonly slo?: ServiceLevel | undefined;
  readonly startFrom: 'new' | 'beginning';
  readonly enabled: boolean;
  /** Changes exactly when something that shapes behaviour changes (secrets and referenced files included). */
  readonly hash: string;
  readonly position: SourcePosition;
}

export interface EventTypeRule {
  readonly type: string;
  /** Compiled check of `data`; returns the faults, empty when it fits. Undefined: any data. */
  readonly check: ((data: unknown) => readonly string[]) | undefined;
  readonly onInvalid: 'reject' | 'deadLetter' | 'warn';
  /** SHA-256 of the schema's text. */
  readonly schemaHash?: string;
}

export interface Pipeline {
  readonly name: string;
  readonly description: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly file: string;
  readonly routes: readonly Route[];
}

/** One compiled set of pipelines. `hash` is over every route's hash and the catalogue. */
export interface Generation {
  readonly hash: string;
  readonly pipelines: readonly Pipeline[];
  /** By group; only enabled routes run, all are here. */
  readonly routes: ReadonlyMap<string, Route>;
  /** The catalogue, by type. */
  readonly eventTypes: ReadonlyMap<string, EventTypeRule>;
}
