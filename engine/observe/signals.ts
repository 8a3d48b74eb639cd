/** What happened, as data: a closed union. Metrics, logs and traces are subscribers; nobody else sees them. */
import type { DroppedLetter } from '../bus/bus.ts';
import type { BreakerState } from '../core/breaker.ts';
import type { DeadReason } from '../core/delivery.ts';
import type { Fault } from '../core/outcome.ts';
import type { PurgeRecord } from '../core/purge.ts';
import type { Route } from '../core/route.ts';

export type Signal =
  | { readonly kind: 'published'; readonly eventType: string; readonly source: string; readonly count: number }
  | { readonly kind: 'duplicate_suppressed'; readonly eventType: string }
  /** Its data does not fit its schema, and the catalogue lets it in all the same (`onInvalid: warn`). `faults` name no values. */
  | {
      readonly kind: 'data_warning';
      readonly eventType: string;
      readonly eventId: string;
      readonly faults: readonly string[];
    }
  /** One per attempt that ran. `seconds` is the handler's time; `latency` is from publish to the attempt's end. */
  | {
      readonly kind: 'attempt';
      readonly route: Route;
      readonly eventType: string;
      readonly outcome: 'delivered' | 'skipped' | 'failed';
      readonly fault: Fault | undefined;
      readonly seconds: number;
      readonly latency: number;
      readonly attempt: number;
      readonly eventId: string;
    }
  | {
      readonly kind: 'retry_scheduled';
      readonly route: Route;
      readonly eventId: string;
      readonly attempt: number;
      readonly delayMs: number;
      readonly fault: Fault;
    }
  | {
      readonly kind: 'dead_lettered';
      readonly route: Route;
      readonly eventType: string;
      readonly eventId: string | undefined;
      readonly reason: DeadReason;
      readonly attempts: number;
      readonly fault: Fault;
      /** Seconds from publish. */
      readonly latency: number;
    }
  | { readonly kind: 'unmatched'; readonly route: Route; readonly count: number }
  /** The key of an ordered route has no answer for an event, which runs without order. */
  | {
      readonly kind: 'unkeyed';
      readonly route: Route;
      /** Which key [ordering]. */
      readonly of?: 'rateLimit' | 'circuitBreaker';
      readonly reason: string;
    }
  /** So many had to wait for a permit: deliveries where the limit has a key, else times that the whole route stood still. */
  | { readonly kind: 'rate_limited'; readonly route: Route; readonly count: number }
  /** So many deliveries went to a handler together. */
  | { readonly kind: 'batch'; readonly route: Route; readonly events: number }
  | { readonly kind: 'reclaimed'; readonly route: Route; readonly count: number }
  | { readonly kind: 'fenced'; readonly route: Route; readonly count: number }
  | { readonly kind: 'lost'; readonly route: Route; readonly ids: readonly string[] }
  | { readonly kind: 'redriven'; readonly group: string; readonly count: number }
  | {
      readonly kind: 'breaker';
      readonly route: Route;
      readonly key: string;
      readonly from: BreakerState['kind'];
      readonly to: BreakerState['kind'];
      readonly why: string;
      readonly until: number | undefined;
    }
  /** A full DLQ made room for younger letters. */
  | { readonly kind: 'dlq_dropped'; readonly letters: readonly DroppedLetter[] }
  | { readonly kind: 'dlq_full'; readonly route: Route; readonly full: boolean }
  /** A handler that settled, threw or answered outside its delivery: late rejections, nonsense results. */
  | { readonly kind: 'misbehaved'; readonly route: Route; readonly what: string }
  /** So many handlers of a route ended for the engine, at their timeout and grace, and still run. Told at 10, 100, … */
  | { readonly kind: 'leaking'; readonly route: Route; readonly count: number }
  /** Nobody caught it, and its delivery is over. `plugin` undefined: of one that is not known. */
  | {
      readonly kind: 'late_error';
      readonly plugin: string | undefined;
      readonly how: 'rejection' | 'exception';
      readonly message: string;
    }
  | { readonly kind: 'route_started' | 'route_stopped'; readonly route: Route }
  | {
      readonly kind: 'reloaded';
      readonly result: 'changed' | 'unchanged' | 'rejected';
      readonly generation: number;
      /** Something else runs than the files say: why. */
      readonly pinned?: string | undefined;
      /** What asked for it [nothing is said]. */
      readonly why?: string;
      readonly hash: string;
      /** Printed diagnostics, when rejected. */
      readonly problems: readonly string[];
      readonly changes: {
        readonly started: readonly string[];
        readonly changed: readonly string[];
        readonly renamed: readonly { readonly from: string; readonly to: string }[];
        readonly stopped: readonly string[];
      };
    }
  /** A group goes by another name from now on, with everything that it has. */
  | { readonly kind: 'group_renamed'; readonly from: string; readonly to: string }
  /** A route says that it was another one before, which the bus has never seen: it starts with nothing. */
  | { readonly kind: 'previous_unknown'; readonly group: string; readonly previous: string }
  /** Deliveries whose route was removed were dead-lettered. */
  | { readonly kind: 'route_removed'; readonly group: string; readonly count: number }
  /** Somebody threw away a group with everything that rested in it. */
  | ({ readonly kind: 'purged' } & PurgeRecord)
  /** Groups that no engine has a route for, and what waits in them beside dead letters. */
  | { readonly kind: 'detached'; readonly groups: number; readonly entries: number }
  /** A reload's one step that holds the event loop: how long it took. */
  | { readonly kind: 'swapped'; readonly seconds: number }
  | { readonly kind: 'bus_up'; readonly up: boolean; readonly label: string; readonly error: string | undefined }
  | { readonly kind: 'bus_error'; readonly errorKind: string; readonly message: string }
  | {
      readonly kind: 'bus_recovered';
      readonly errorKind: string;
      readonly message: string;
      readonly seconds: number;
      readonly times: number;
    }
  | {
      readonly kind: 'durability';
      readonly mode: string;
      readonly level: 'guaranteed' | 'best_effort';
      readonly reason: string | undefined;
    }
  /** Ways in which the store may drop what it was given; none: it is safe. */
  | { readonly kind: 'store_hazards'; readonly hazards: readonly string[] }
  /** New events are refused, or welcome again. */
  | { readonly kind: 'ingest'; readonly reason: 'memory' | 'lag'; readonly closed: boolean; readonly detail: string };

export type Observer = (signal: Signal) => void;

/** Several subscribers as one. A subscriber that throws is a bug of ours and is let through. */
export const observeAll = (observers: readonly Observer[]): Observer => {
  const [only] = observers;
  if (observers.length === 1 && only !== undefined) return only;
  return (signal) => {
    for (const observer of observers) observer(signal);
  };
};

/** What a running route is doing at this moment in this process; read at scrape time. */
export interface RouteGauges {
  readonly route: Route;
  /** Handlers running now. */
  readonly inFlight: number;
  /** Handlers that were given up after their timeout and grace, and have not ended yet. */
  readonly leaked: number;
  /** Handed out to this process, waiting for a free slot. */
  readonly queued: number;
  /** True while the breaker or a full DLQ keeps the route from reading. */
  readonly held: boolean;
  /** Where the route has one for each key: the worst of them. */
  readonly breaker: BreakerState;
  /** Keys whose breaker is not closed. */
  readonly openKeys: number;
  /** True while the route stands still because its rate limit has no permits. */
  readonly limited: boolean;
}
