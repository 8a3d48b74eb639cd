/**
 * Runs one delivery: entry → event → handler → outcome. Everything that a handler can do wrong ends here, as an outcome;
 * nothing it does can throw into the consumer.
 */
import type { Entry } from '../bus/bus.ts';
import { type Admitted, admitEvent, deadUnrun } from '../core/admit.ts';
import type { Outcome } from '../core/outcome.ts';
import type { EventTypeRule, Route } from '../core/route.ts';
import type { Timer, Timers } from '../core/timers.ts';
import { decodeEvent, type EventEnvelope } from '../event.ts';
import { type Log, skipReason } from '../plugin.ts';
import type { BreakerGate } from './breaker-gate.ts';
import { failedOutcome, type Mask, timeoutOutcome } from './fault.ts';
import { RunningDelivery } from './running.ts';

export interface ExecutorDeps {
  readonly route: Route;
  readonly handler: { handle(event: EventEnvelope, delivery: RunningDelivery): unknown };
  readonly log: Log;
  /** The bus's clock, ms since the epoch. */
  readonly now: () => number;
  readonly timers: Timers;
  readonly wants: (type: string) => boolean;
  /** Of the route's group: the same under every name of the route. */
  readonly storage: string;
  /** The catalogue of the generation in force. */
  readonly eventTypes: () => ReadonlyMap<string, EventTypeRule>;
  /** Exactly once per delivery that ran. */
  readonly onOutcome: (delivery: RunningDelivery, outcome: Outcome, endedAt: number) => void;
  readonly onMisbehaviour: (what: string) => void;
  /** One more handler was given up and still runs; `count` of them do now. */
  readonly onLeak: (count: number) => void;
  /** Gets `number` when a handler starts: read by whoever watches a loop that is stuck. */
  readonly lastStarted: Int32Array;
  readonly number: number;
  /** For the words of handlers and targets, which end up in dead letters and in the journal. */
  readonly mask?: Mask | undefined;
}

/** After a timeout's abort a handler gets this long to end by itself: a success that comes late is still a success. */
const grace = 1_000;

export class Executor {
  #deps: ExecutorDeps;
  /** In no order; each knows its place. A Map costs twice: its tables, made anew all the time, keep old deliveries alive. */
  #running: RunningDelivery[] = [];
  #leaked = 0;
  #timer: Timer | undefined;

  constructor(deps: ExecutorDeps) {
    this.#deps = deps;
  }

  get inFlight(): number {
    return this.#running.length;
  }

  /** Handlers that were given up and have not ended yet. */
  get leaked(): number {
    return this.#leaked;
  }

  /** Some of the events whose handlers run. */
  sample(count: number): string[] {
    return this.#running.slice(0, count).map(({ event }) => event.id);
  }

  entries(): Entry[] {
    return this.#running.map((delivery) => delivery.entry);
  }

  has(id: string): boolean {
    return this.#running.some((delivery) => delivery.entry.id === id);
  }

  /** Reads the entry and judges it without running anything. */
  admit(entry: Entry): Admitted {
    const { route, wants, eventTypes, now } = this.#deps;
    let event: EventEnvelope;
    try {
      event = decodeEvent(entry.body, entry.meta);
    } catch (error) {
      return deadUnrun('undecodable', undefined, 'undecodable', (error as Error).message);
    }
    if (!wants(event.type)) return { kind: 'unmatched' };
    const age = route.maxAge === undefined ? 0 : now() - entry.publishedAt;
    const admitted = admitEvent(route, event, age, eventTypes().get(event.type));
    return admitted.kind === 'dead' ? this.#masked(admitted) : admitted;
  }

  /** An expression may hold the value of a reference, and says what of it has no answer. */
  #masked(dead: Extract<Admitted, { kind: 'dead' }>): Admitted {
    const { mask } = this.#deps;
    return mask === undefined ? dead : { ...dead, fault: { ...dead.fault, message: mask(dead.fault.message) } };
  }

  /** Starts the handler. `period` and `probe` come from the breaker, `gate` where that is one of a key. */
  run(entry: Entry, event: EventEnvelope, period: number, probe?: string, gate?: BreakerGate): void {
    const { route, handler, log, now } = this.#deps;
    const delivery = new RunningDelivery(entry, event, route.group, this.#deps.storage, log, now(), period, probe);
    delivery.place = this.#running.push(delivery) - 1;
    delivery.gate = gate;
    delivery.transformed = route.transform !== undefined;
    if (this.#timer === undefined) this.#arm(route.timeout);
    this.#deps.lastStarted[0] = this.#deps.number;
    try {
      const answer = handler.handle(event, delivery);
      if (isThenable(answer))
        answer.then(
          (value) => this.#answered(delivery, value),
          (reason: unknown) => this.#threw(delivery, reason),
        );
      else this.#answered(delivery, answer);
    } catch (reason) {
      this.#threw(delivery, reason);
    }
  }

  /** The lease of these is gone: their handlers are told to stop, and what they answer does not matter any more. */
  lost(entries: readonly Entry[]): void {
    const ids = new Set(entries.map((entry) => entry.id));
    for (const delivery of this.#running) {
      if (!ids.has(delivery.entry.id)) continue;
      delivery.abort(new Error('the lease of this delivery was lost: another engine has it'));
    }
  }

  abortAll(reason: Error): void {
    for (const delivery of this.#running) delivery.abort(reason);
  }

  /** Gives up on what still runs; returns the entries so that they can be handed back. */
  abandon(): Entry[] {
    const entries = this.entries();
    for (const delivery of this.#running) delivery.live = false;
    this.#running = [];
    this.#deps.timers.cancel(this.#timer);
    return entries;
  }

  #answered(delivery: RunningDelivery, value: unknown): void {
    const reason = value === undefined || value === null ? undefined : skipReason(value);
    if (reason !== undefined) return this.#end(delivery, { kind: 'skipped', reason: String(reason).slice(0, 200) });
    if (value !== undefined && value !== null && delivery.live) {
      this.#deps.onMisbehaviour(
        `expected the handler to return nothing or skip(reason), got a value of type ${typeof value}`,
      );
    }
    this.#end(delivery, { kind: 'delivered' });
  }

  #threw(delivery: RunningDelivery, reason: unknown): void {
    if (delivery.timedOutAt !== undefined) return this.#end(delivery, timeoutOutcome(this.#deps.route.timeout));
    this.#end(delivery, failedOutcome(reason, this.#deps.mask));
  }

  #end(delivery: RunningDelivery, outcome: Outcome): void {
    if (!delivery.live) return this.#endLate(delivery);
    delivery.live = false;
    this.#remove(delivery);
    this.#deps.onOutcome(delivery, outcome, this.#deps.now());
  }

  #endLate(delivery: RunningDelivery): void {
    if (!delivery.leaked) return;
    delivery.leaked = false;
    this.#leaked -= 1;
  }

  #giveUp(delivery: RunningDelivery): void {
    const { route, onMisbehaviour, onLeak } = this.#deps;
    // A batch is one handler that runs, and is given up with the last of its deliveries.
    if (delivery.batch === undefined || delivery.batch.gaveUp()) {
      delivery.leaked = true;
      this.#leaked += 1;
      onMisbehaviour(`expected the handler to end within ${grace} ms of its abort, it still runs`);
      onLeak(this.#leaked);
    }
    this.#end(delivery, timeoutOutcome(route.timeout));
  }

  /** The last one takes its place. */
  #remove(delivery: RunningDelivery): void {
    const last = this.#running.pop();
    if (last === undefined || last === delivery) return;
    last.place = delivery.place;
    this.#running[last.place] = last;
  }

  #arm(ms: number): void {
    this.#timer = this.#deps.timers.after(Math.max(ms, 1), () => this.#expire());
  }

  #expire(): void {
    this.#timer = undefined;
    const now = this.#deps.now();
    const { timeout } = this.#deps.route;
    for (const delivery of [...this.#running]) {
      if (now < this.#deadline(delivery)) continue;
      if (delivery.timedOutAt !== undefined) this.#giveUp(delivery);
      else {
        // The grace begins here: a process that was stopped for long finds all of its handlers late, and none was told.
        delivery.timedOutAt = now;
        delivery.abort(new Error(`expected the handler to end within ${timeout} ms`));
      }
    }
    const next = this.#nextDeadline();
    // Whoever has no deadline yet has one no sooner than in a whole timeout.
    if (next !== undefined) this.#arm(Math.min(next - now, timeout));
  }

  #deadline({ startedAt, timedOutAt, batch }: RunningDelivery): number {
    if (batch?.waits === true) return Number.POSITIVE_INFINITY;
    return timedOutAt === undefined ? startedAt + this.#deps.route.timeout : timedOutAt + grace;
  }

  /** The soonest end of a timeout, or of the grace after it. */
  #nextDeadline(): number | undefined {
    let soonest: number | undefined;
    for (const delivery of this.#running) {
      const at = this.#deadline(delivery);
      soonest = soonest === undefined ? at : Math.min(soonest, at);
    }
    return soonest;
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
