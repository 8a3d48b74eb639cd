/**
 * Batches of a route: stands in the place of its handler, gathers deliveries that were started and hands them to
 * `handleBatch` together. What becomes of each is settled by itself, so attempts, retries, leases, tallies and dead letters
 * know nothing of batches.
 *
 *   executor ─handle─▶ forming ─(full, waited, stop)─▶ ready ─(a free place)─▶ handleBatch ─▶ one answer for each
 *
 *   - As many batches run at once as the route's `concurrency` says; one whose wait is over grows until there is a place.
 *   - A second or later attempt, a suspect and a breaker's probe go alone: whatever spoils a batch spoils it once.
 *   - A breaker counts a call once: as a success when any of its events got through, else as its first failure.
 */
import type { Entry } from '../bus/bus.ts';
import { firstSuspectStart } from '../core/delivery.ts';
import type { BatchPolicy, Route } from '../core/route.ts';
import type { Timer, Timers } from '../core/timers.ts';
import type { EventEnvelope } from '../event.ts';
import type { Observer } from '../observe/signals.ts';
import type { Handler, Log, Skip } from '../plugin.ts';
import { type Answer, answersOf, isThrough, noAnswer } from './batch-answers.ts';
import type { BreakerGate } from './breaker-gate.ts';
import type { BatchPlace, RunningDelivery } from './running.ts';

/** As many deliveries as a route without batches may run at most. */
const mostSlots = 10_000;

/** Deliveries of a route that may be started and not ended at once. */
export const slotsOf = ({ concurrency, batch }: Route): number =>
  batch === undefined ? concurrency : Math.max(concurrency, Math.min(concurrency * batch.maxEvents, mostSlots));

export interface BatchesDeps {
  readonly route: Route;
  readonly handler: Handler;
  readonly log: Log;
  /** The bus's clock, ms since the epoch. */
  readonly now: () => number;
  readonly timers: Timers;
  readonly observer: Observer;
  /** Gets `number` when a batch starts. */
  readonly lastStarted: Int32Array;
  readonly number: number;
}

interface Item {
  readonly event: EventEnvelope;
  readonly delivery: RunningDelivery;
  readonly resolve: (answer: Skip | undefined) => void;
  readonly reject: (reason: unknown) => void;
}

type HandleBatch = NonNullable<Handler['handleBatch']>;

/** One call of `handleBatch`, from its first item on. */
class Call implements BatchPlace {
  items: Item[] = [];
  bytes = 0;
  waits = true;
  /** Its wait is over: it goes when there is a place. */
  due = false;
  timer: Timer | undefined;
  /** It has a place among those that run. */
  placed = false;
  readonly controller = new AbortController();
  readonly #onGivenUp: (call: Call) => void;
  #aborted = 0;
  #givenUp = 0;

  constructor(onGivenUp: (call: Call) => void) {
    this.#onGivenUp = onGivenUp;
  }

  /** One lost lease does not end the work of the others. */
  aborted(reason: Error): void {
    if (this.waits) return;
    this.#aborted += 1;
    if (this.#aborted === this.items.length) this.controller.abort(reason);
  }

  gaveUp(): boolean {
    this.#givenUp += 1;
    if (this.#givenUp < this.items.length) return false;
    this.#onGivenUp(this);
    return true;
  }
}

export class Batches implements Pick<Handler, 'handle'> {
  readonly #deps: BatchesDeps;
  readonly #rule: BatchPolicy;
  readonly #handleBatch: HandleBatch;
  #forming: Call | undefined;
  #ready: Call[] = [];
  #running = 0;
  #stopping = false;
  #closed = false;

  /** Undefined for a route without batches. */
  static of(deps: BatchesDeps): Batches | undefined {
    const { route, handler } = deps;
    if (route.batch === undefined) return undefined;
    if (handler.handleBatch === undefined) {
      throw new TypeError(`expected a handler with handleBatch() for ${route.group}, got one without`);
    }
    return new Batches(deps, route.batch, (events, batch) => (handler.handleBatch as HandleBatch)(events, batch));
  }

  private constructor(deps: BatchesDeps, rule: BatchPolicy, handleBatch: HandleBatch) {
    this.#deps = deps;
    this.#rule = rule;
    this.#handleBatch = handleBatch;
  }

  /** Whole batches wait for a place: more deliveries would only take room. */
  get crowded(): boolean {
    return this.#ready.length > 0;
  }

  /** Settles as the handler's answer for this event says. */
  handle(event: EventEnvelope, delivery: RunningDelivery): Promise<Skip | undefined> {
    return new Promise((resolve, reject) => {
      this.#join({ event, delivery, resolve, reject });
    });
  }

  /** Nobody can join now: what waits for company goes, if there is a place. */
  flush(): void {
    if (this.#forming === undefined) return;
    this.#forming.due = true;
    this.#next();
  }

  /** No more company comes. */
  stop(): void {
    this.#stopping = true;
    this.flush();
  }

  /** Nothing starts any more; what waits is its owner's to hand back. */
  close(): void {
    this.#closed = true;
    this.#deps.timers.cancel(this.#forming?.timer);
  }

  #join(item: Item): void {
    const { maxEvents, maxBytes } = this.#rule;
    const bytes = bytesOf(item.delivery.entry);
    if (isAlone(item.delivery)) {
      this.#ready.push(this.#put(this.#newCall(), item, bytes));
      return this.#next();
    }
    if (this.#forming !== undefined && this.#forming.bytes + bytes > maxBytes) this.#seal(this.#forming);
    this.#forming ??= this.#form();
    const call = this.#put(this.#forming, item, bytes);
    if (call.items.length >= maxEvents || call.bytes >= maxBytes) this.#seal(call);
    this.#next();
  }

  #form(): Call {
    const call = this.#newCall();
    call.due = this.#stopping;
    call.timer = this.#deps.timers.after(this.#rule.maxWait, () => {
      call.due = true;
      this.#next();
    });
    return call;
  }

  #newCall(): Call {
    return new Call((call) => this.#leave(call));
  }

  #put(call: Call, item: Item, bytes: number): Call {
    call.items.push(item);
    call.bytes += bytes;
    item.delivery.batch = call;
    return call;
  }

  #seal(call: Call): void {
    this.#deps.timers.cancel(call.timer);
    this.#forming = undefined;
    this.#ready.push(call);
  }

  /** Starts what may start. */
  #next(): void {
    while (!this.#closed && this.#running < this.#deps.route.concurrency) {
      if (this.#ready.length === 0 && this.#forming?.due === true) this.#seal(this.#forming);
      const call = this.#ready.shift();
      if (call === undefined) return;
      this.#start(call);
    }
  }

  #start(call: Call): void {
    const { route, log, now, observer, lastStarted, number } = this.#deps;
    call.items = call.items.filter(stillWanted);
    if (call.items.length === 0) return;
    const startedAt = now();
    for (const { delivery } of call.items) delivery.startedAt = startedAt;
    // Until it answers, it is as good as failed.
    choose(call.items, () => false);
    call.waits = false;
    call.placed = true;
    this.#running += 1;
    lastStarted[0] = number;
    observer({ kind: 'batch', route, events: call.items.length });
    const events = call.items.map(({ event }) => event);
    const deliveries = call.items.map(({ delivery }) => delivery);
    let answer: unknown;
    try {
      answer = this.#handleBatch(events, { route: route.group, deliveries, signal: call.controller.signal, log });
    } catch (reason) {
      return void Promise.resolve().then(() => this.#threw(call, reason));
    }
    void Promise.resolve(answer).then(
      (results) => this.#answered(call, results),
      (reason: unknown) => this.#threw(call, reason),
    );
  }

  /** Its place is free. */
  #leave(call: Call): void {
    if (!call.placed) return;
    call.placed = false;
    this.#running -= 1;
    this.#next();
  }

  #threw(call: Call, reason: unknown): void {
    for (const { reject } of call.items) reject(reason);
    this.#leave(call);
  }

  #answered(call: Call, results: unknown): void {
    const { items } = call;
    let answers: readonly Answer[];
    try {
      answers = answersOf(results, items.length);
    } catch (reason) {
      return this.#threw(call, reason);
    }
    const fault = answers.find((answer) => answer.kind === 'none');
    // One that was given up has been told on.
    if (fault !== undefined && call.placed) this.#deps.observer({ kind: 'misbehaved', ...this.#told(fault.what) });
    const through = new Set(items.filter((_, at) => isThrough(answers[at])));
    choose(items, (item) => through.has(item));
    for (const [at, item] of items.entries()) settle(item, answers[at] as Answer);
    this.#leave(call);
  }

  #told(what: string): { route: Route; what: string } {
    return { route: this.#deps.route, what };
  }
}

const bytesOf = ({ body, meta }: Entry): number => Buffer.byteLength(body) + Buffer.byteLength(meta ?? '');

const isAlone = ({ attempt, probe, entry }: RunningDelivery): boolean =>
  attempt > 1 || probe !== undefined || entry.starts >= firstSuspectStart;

/** Not when its lease was lost, or it was handed back, before its batch went. */
function stillWanted({ delivery, reject }: Item): boolean {
  if (delivery.live && delivery.abortedFor === undefined) return true;
  delivery.batch = undefined;
  if (delivery.live) reject(delivery.abortedFor);
  return false;
}

/** One speaks for the batch to each breaker: one that got through, or else the first. */
function choose(items: readonly Item[], isGood: (item: Item) => boolean): void {
  const speakers = new Map<BreakerGate | undefined, Item>();
  for (const item of items) {
    const { gate } = item.delivery;
    const known = speakers.get(gate);
    if (known === undefined || (isGood(item) && !isGood(known))) speakers.set(gate, item);
  }
  for (const item of items) item.delivery.quiet = speakers.get(item.delivery.gate) !== item;
}

function settle({ resolve, reject }: Item, answer: Answer): void {
  switch (answer.kind) {
    case 'delivered':
      return resolve(undefined);
    case 'skipped':
      return resolve(answer.skip);
    case 'failed':
      return reject(answer.reason);
    case 'none':
      return reject(noAnswer(answer.what));
  }
}
