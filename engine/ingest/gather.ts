/**
 * Gathers what is published at the same moment into few calls of the bus: one call for 100 events costs a fraction of
 * 100 calls, and while one is under way the next one fills. Order is kept.
 */
import { IngestFault } from '../core/ingest-fault.ts';
import { storeFault } from './store-fault.ts';

export interface GatherOptions {
  /** Events in one call of the bus [200]; a single submit may have more. */
  readonly maxItems?: number;
  /** Calls of the bus at once [8]. */
  readonly maxInFlight?: number;
  /** Events that wait for a call; more are refused as `overloaded` [20,000]. */
  readonly maxWaiting?: number;
  /** How long a call may take, ms [10,000]. */
  readonly timeoutMs?: number;
}

interface Job<Item, Result> {
  readonly items: readonly Item[];
  readonly resolve: (results: readonly Result[]) => void;
  readonly reject: (error: IngestFault) => void;
}

/** `publish` of a bus, or of something that looks like one. */
type Send<Item, Result> = (items: readonly Item[]) => Promise<readonly Result[]>;

export class Gatherer<Item, Result> {
  readonly #publish: Send<Item, Result>;
  readonly #maxItems: number;
  readonly #maxInFlight: number;
  readonly #maxWaiting: number;
  readonly #timeoutMs: number;
  #queue: Job<Item, Result>[] = [];
  #waiting = 0;
  #inFlight = 0;
  #scheduled = false;
  #idle: (() => void)[] = [];

  constructor(publish: Send<Item, Result>, options: GatherOptions = {}) {
    // Async, so that what throws at once is a rejection like any other.
    this.#publish = async (items) => publish(items);
    this.#maxItems = options.maxItems ?? 200;
    this.#maxInFlight = options.maxInFlight ?? 8;
    this.#maxWaiting = options.maxWaiting ?? 20_000;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
  }

  /** Results in the order of `items`. Rejects with {@link IngestFault}, for all of them alike. */
  submit(items: readonly Item[]): Promise<readonly Result[]> {
    if (items.length === 0) return Promise.resolve([]);
    if (this.#waiting + items.length > this.#maxWaiting) {
      const detail = `expected at most ${this.#maxWaiting} events to wait for the store, got more: repeat in a moment`;
      return Promise.reject(new IngestFault('overloaded', detail));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ items, resolve, reject });
      this.#waiting += items.length;
      this.#schedule();
    });
  }

  /** Resolves when nothing waits or is under way. */
  idle(): Promise<void> {
    if (this.#inFlight === 0 && this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= this.#maxInFlight) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#queue.length > 0 && this.#inFlight < this.#maxInFlight) this.#send(this.#take());
    });
  }

  #take(): readonly Job<Item, Result>[] {
    let count = 0;
    let size = 0;
    for (const job of this.#queue) {
      if (count > 0 && size + job.items.length > this.#maxItems) break;
      size += job.items.length;
      count++;
    }
    this.#waiting -= size;
    return this.#queue.splice(0, count);
  }

  #send(jobs: readonly Job<Item, Result>[]): void {
    this.#inFlight++;
    let over = false;
    const end = (act: () => void): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      this.#inFlight--;
      act();
      this.#next();
    };
    const timer = setTimeout(() => end(() => this.#giveUp(jobs)), this.#timeoutMs);
    const [first] = jobs;
    const items = jobs.length === 1 && first !== undefined ? first.items : jobs.flatMap((job) => job.items);
    this.#publish(items).then(
      (results) => end(() => deal(jobs, results)),
      (error: unknown) => end(() => rejectAll(jobs, storeFault(error))),
    );
  }

  #next(): void {
    if (this.#queue.length > 0) return this.#schedule();
    if (this.#inFlight > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** The call may still succeed, so its outcome is unknown; what waited behind it was never sent. */
  #giveUp(jobs: readonly Job<Item, Result>[]): void {
    const seconds = this.#timeoutMs / 1000;
    const detail = `the store did not answer within ${seconds} s: safe to repeat with the same Idempotency-Key or id`;
    rejectAll(jobs, new IngestFault('outcome_unknown', detail));
    const waiting = this.#queue.splice(0);
    this.#waiting = 0;
    rejectAll(waiting, new IngestFault('store_unavailable', 'the store does not answer: nothing was stored'));
  }
}

function deal<Item, Result>(jobs: readonly Job<Item, Result>[], results: readonly Result[]): void {
  let at = 0;
  for (const { items, resolve } of jobs) {
    resolve(jobs.length === 1 ? results : results.slice(at, at + items.length));
    at += items.length;
  }
}

function rejectAll(jobs: readonly Pick<Job<never, never>, 'reject'>[], fault: IngestFault): void {
  for (const job of jobs) job.reject(fault);
}
