/**
 * The numbers themselves: plain fields and typed arrays, resolved once per route and event type, so that counting an
 * attempt costs two map look-ups and a few additions. `collect.ts` reads them at scrape time.
 */
import type { BreakerState } from '../core/breaker.ts';
import { deadReasons } from '../core/delivery.ts';
import type { Fault } from '../core/outcome.ts';
import type { Route } from '../core/route.ts';
import { metricOf } from './table.ts';

export type RouteLabels = { readonly pipeline: string; readonly route: string; readonly handler: string };
export type TypeLabels = RouteLabels & { readonly event_type: string };

export const statuses = ['delivered', 'skipped', 'failed', 'dead'] as const;
/** How a delivery ended, for the service level of its route. */
export const sloResults = ['good', 'slow', 'failed'] as const;
export const circuitStates = ['closed', 'open', 'half_open'] as const satisfies readonly BreakerState['kind'][];

/** Classes of errors, with the words of `retryOn` and `failOn` where there is one. */
export const errorTypes = ['timeout', 'connection', 'dns', '4xx', '429', '5xx', 'status', 'error'] as const;
export type ErrorType = (typeof errorTypes)[number];

/** Every pair of outcome and error type that can be, in the order of the slots in `RouteSeries.attempts`. */
export const attemptSlots: readonly { readonly outcome: string; readonly error_type: string }[] = [
  { outcome: 'delivered', error_type: 'none' },
  { outcome: 'skipped', error_type: 'none' },
  ...errorTypes.map((error_type) => ({ outcome: 'failed', error_type })),
];
const firstFailed = attemptSlots.length - errorTypes.length;

export function errorTypeOf(fault: Fault): ErrorType {
  if (fault.kind !== 'status') return fault.kind;
  const status = fault.status ?? 0;
  if (status === 429) return '429';
  if (status >= 500 && status < 600) return '5xx';
  return status >= 400 && status < 500 ? '4xx' : 'status';
}

export const addTo = (cells: Float64Array, at: number): void => {
  cells[at] = (cells[at] as number) + 1;
};

export class HistogramCells {
  /** One more than bounds: the last is above all of them. Not cumulative. */
  readonly counts: Float64Array;
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** What is below 0 (clocks differ) or no number counts as 0. */
  observe(value: number): void {
    const bounds = this.#bounds;
    const seconds = Number.isFinite(value) ? Math.max(value, 0) : 0;
    let at = 0;
    while (at < bounds.length && seconds > (bounds[at] as number)) at++;
    addTo(this.counts, at);
    this.sum += seconds;
  }
}

const processingBuckets = metricOf('eventflow_processing_seconds').buckets ?? [];
const latencyBuckets = metricOf('eventflow_delivery_latency_seconds').buckets ?? [];

const batchBuckets = metricOf('eventflow_batch_events').buckets ?? [];

/** One event type of one route. */
export class TypeSeries {
  readonly labels: TypeLabels;
  readonly processed = new Float64Array(statuses.length);
  readonly processing = new HistogramCells(processingBuckets);

  constructor(labels: TypeLabels) {
    this.labels = labels;
  }
}

/** Series that one event type of a route makes. */
export const seriesPerType = statuses.length + processingBuckets.length + 3;

/** One route. Lives as long as pipeline, id and handler stay the same; a reload that changes the rest goes on counting. */
export class RouteSeries {
  readonly group: string;
  readonly labels: RouteLabels;
  /** Lag belongs to the group, whatever handles it. */
  readonly lagLabels: { readonly consumer_group: string; readonly pipeline: string; readonly route: string };
  types: ReadonlyMap<string, TypeSeries> = new Map();
  readonly other: TypeSeries;
  /** False when the configuration rules out that a handler sees a type that has no series of its own. */
  otherExpected = true;
  hasBreaker = true;
  holdsWhenOpen = true;
  readonly latency = new HistogramCells(latencyBuckets);
  readonly attempts = new Float64Array(attemptSlots.length);
  readonly dead = new Float64Array(deadReasons.length);
  /** Exported where the route has batches. */
  readonly batches = new HistogramCells(batchBuckets);
  hasBatches = false;
  /** In the order of `sloResults`; exported where the route has an `slo`. */
  readonly slo = new Float64Array(sloResults.length);
  hasSlo = false;
  /** By from × to, in the order of `circuitStates`. */
  readonly transitions = new Float64Array(circuitStates.length ** 2);
  retries = 0;
  unmatched = 0;
  unkeyed = 0;
  rateLimited = 0;
  reclaimed = 0;
  fenced = 0;
  misbehaved = 0;
  lost = 0;
  /** Streams whose lag has series of its own, and the most that were ever folded into one. */
  readonly streams = new Set<string>();
  streamsFolded = 0;
  /** ms since the epoch. */
  heldSince: number | undefined;

  constructor(route: Route) {
    this.group = route.group;
    this.labels = Object.freeze({ pipeline: route.pipeline, route: route.id, handler: route.handler });
    this.lagLabels = Object.freeze({ consumer_group: route.group, pipeline: route.pipeline, route: route.id });
    this.other = new TypeSeries(Object.freeze({ ...this.labels, event_type: 'other' }));
  }

  describes(route: Route): boolean {
    return this.group === route.group && this.labels.handler === route.handler;
  }

  attempted(outcome: 'delivered' | 'skipped' | 'failed', fault: Fault | undefined): void {
    if (outcome === 'delivered') return addTo(this.attempts, 0);
    if (outcome === 'skipped') return addTo(this.attempts, 1);
    const type = fault === undefined ? 'error' : errorTypeOf(fault);
    addTo(this.attempts, firstFailed + errorTypes.indexOf(type));
  }

  /** A delivery that arrived; `seconds` since it was published. */
  arrived(seconds: number, latency: number | undefined): void {
    addTo(this.slo, latency === undefined || seconds * 1_000 <= latency ? 0 : 1);
  }

  turned(from: BreakerState['kind'], to: BreakerState['kind']): void {
    addTo(this.transitions, circuitStates.indexOf(from) * circuitStates.length + circuitStates.indexOf(to));
  }
}

/** Series that a route makes beside those of its event types; the streams of its lag are limited on their own. */
export const seriesPerRoute =
  latencyBuckets.length +
  3 +
  batchBuckets.length +
  3 +
  attemptSlots.length +
  deadReasons.length +
  circuitStates.length ** 2 +
  sloResults.length +
  24;
