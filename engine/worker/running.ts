/** One delivery while its handler runs: what the handler sees of it, and what the executor must remember. */
import type { Entry, Tally } from '../bus/bus.ts';
import type { EventEnvelope } from '../event.ts';
import type { Delivery, Log } from '../plugin.ts';
import type { BreakerGate } from './breaker-gate.ts';

/** The batch that a delivery is part of, as the executor sees it. */
export interface BatchPlace {
  /** It has not gone yet, so no timeout runs. */
  readonly waits: boolean;
  /** One of its deliveries is told to stop. */
  aborted(reason: Error): void;
  /** One of its deliveries is given up; true for the last of them. */
  gaveUp(): boolean;
}

const tallyName = /^[a-z0-9_]{1,64}$/;

export class RunningDelivery implements Delivery {
  readonly entry: Entry;
  readonly event: EventEnvelope;
  readonly route: string;
  readonly #storage: string;
  readonly attempt: number;
  readonly log: Log;
  /** ms since the epoch, the bus's clock. In a batch, when that went. */
  startedAt: number;
  /** The breaker's period when it was admitted, and the probe it runs as, if it does. */
  readonly period: number;
  readonly probe: string | undefined;
  /** The breaker of its key; undefined: the route's, if it has one. */
  gate: BreakerGate | undefined;
  /** False once the outcome is known; what the handler does afterwards changes nothing. */
  live = true;
  batch: BatchPlace | undefined;
  /** Another delivery of its batch speaks to the breaker. */
  quiet = false;
  /** Among the running ones; the executor's. */
  place = 0;
  /** When it was aborted for its timeout, ms of the bus's clock. */
  timedOutAt: number | undefined;
  /** It was given up and its handler still runs. */
  leaked = false;
  /** The handler gets other data than was published. */
  transformed = false;
  tallies: Tally[] | undefined;
  // Made on first use: most handlers of quick routes never look at the signal, and a controller is not free.
  #controller: AbortController | undefined;
  #aborted: Error | undefined;

  constructor(
    entry: Entry,
    event: EventEnvelope,
    route: string,
    storage: string,
    log: Log,
    startedAt: number,
    period: number,
    probe: string | undefined,
  ) {
    this.entry = entry;
    this.event = event;
    this.route = route;
    this.#storage = storage;
    this.attempt = entry.state?.attempt ?? 1;
    this.log = log;
    this.startedAt = startedAt;
    this.period = period;
    this.probe = probe;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted !== undefined) this.#controller.abort(this.#aborted);
    return this.#controller.signal;
  }

  /** Why it was told to stop, if it was. */
  get abortedFor(): Error | undefined {
    return this.#aborted;
  }

  get idempotencyKey(): string {
    // A renamed route goes on with its deliveries: their targets must know them again.
    return `${this.#storage}:${this.event.source}:${this.event.id}`;
  }

  get traceparent(): string | undefined {
    return this.event.traceparent;
  }

  get publishedAt(): number {
    return this.entry.publishedAt;
  }

  get original(): string | undefined {
    return this.entry.meta === undefined && !this.transformed ? this.entry.body : undefined;
  }

  tally(name: string, bucket: number, key: string, by: number): void {
    if (!tallyName.test(name))
      throw new TypeError(`expected a tally's name to match ${tallyName}, got ${JSON.stringify(name)}`);
    if (key.length > 400) throw new TypeError(`expected a tally's key of at most 400 characters, got ${key.length}`);
    if (!Number.isFinite(bucket) || !Number.isFinite(by))
      throw new TypeError(`expected finite numbers, got bucket ${bucket} and by ${by}`);
    if (!this.live) return;
    this.tallies ??= [];
    this.tallies.push({ name, bucket, key, by });
  }

  abort(reason: Error): void {
    if (this.#aborted === undefined) this.batch?.aborted(reason);
    this.#aborted = reason;
    this.#controller?.abort(reason);
  }
}
