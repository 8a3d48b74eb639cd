/**
 * Time that moves only when nothing is left to do. Whoever runs in it (workers, the embedded bus, scripted handlers) has
 * its timers here; between two of them every promise that can go on has gone on, so a run is one fixed sequence.
 *
 * A running engine polls: each route looks every second for what came due. While nothing has moved for a while, those
 * looks find nothing, so time leaps over them to the next moment that somebody named: a timer that was set for longer, a
 * retry that comes due, an event that is published. Days pass in milliseconds.
 */
import type { BusTime } from '../bus/bus.ts';
import { before, TimeHeap } from '../core/heap.ts';
import type { Timer, Timers } from '../core/timers.ts';

interface Item {
  at: number;
  readonly order: number;
  /** Somebody means this moment: it was set for longer than anybody polls, or because something happened. */
  readonly named: boolean;
  act: (() => void) | undefined;
}

/** When nothing has moved for so long, ms, nothing follows from what happened before: reads wait for 2 s, most loops for 1. */
const lull = 2_500;
/** Longer than any poll pauses, ms. */
const longestPoll = 10_000;

/**
 * What moves without anything coming of it for so long, ms, goes round in circles, such as a dead letter that does not fit
 * and is tried again each second.
 */
const patience = 60_000;

/** What ended a run: nothing is left, its time is over, or more happened than can be right. */
export type Ending = 'settled' | 'time' | 'endless';

export interface RunLimits {
  /** ms from the start. */
  readonly until: number;
  /** Of things that happen, most of them looks that find nothing. */
  readonly steps: number;
  /** Asked when nothing has moved for a while: whether nothing will. */
  readonly settled: () => Promise<boolean>;
  /** Goes through every moment instead of leaping over those in which nothing can happen [false]: slower, the same result. */
  readonly everyMoment?: boolean | undefined;
}

export class VirtualTime {
  readonly #start: number;
  #now: number;
  readonly #heap = new TimeHeap<Item>();
  #order = 0;
  #movedAt: number;
  #toldAt: number;

  /** `start`: ms since the epoch. */
  constructor(start: number) {
    this.#start = start;
    this.#now = start;
    this.#movedAt = start;
    this.#toldAt = start;
  }

  /** ms from the start. */
  get elapsed(): number {
    return this.#now - this.#start;
  }

  /** ms since the epoch. */
  readonly clock = (): number => this.#now;

  /** Says that something came of it, so that what follows is not leapt over. */
  told(): void {
    this.#movedAt = this.#now;
    this.#toldAt = this.#now;
  }

  after(ms: number, act: () => void): Timer {
    const named = ms > longestPoll || (ms > lull && !this.#isStill());
    const item = { at: this.#now + Math.max(0, Math.ceil(ms)), order: this.#order, named, act };
    this.#order += 1;
    this.#heap.push(item);
    return item;
  }

  readonly timers: Timers = {
    now: () => this.#now,
    // Never at once: a loop that pauses for 0 ms would stop time.
    after: (ms, act) => this.after(Math.max(1, ms), act),
    cancel: (timer) => {
      if (timer !== undefined) (timer as Item).act = undefined;
    },
    wait: (ms) =>
      new Promise((resolve) => {
        this.after(Math.max(1, ms), resolve);
      }),
    soon: (act) => void this.after(0, act),
  };

  /** For the embedded bus: each of its transactions is something that moves. */
  readonly busTime: BusTime = {
    ...this.timers,
    clock: this.clock,
    soon: (act) => {
      this.#movedAt = this.#now;
      this.after(0, act);
    },
  };

  /** Goes on until `promise` has settled; no time passes beyond what it waits for. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let ended = false;
    const mark = (): void => {
      ended = true;
    };
    promise.then(mark, mark);
    for (await turn(); !ended && (await this.#step(Number.POSITIVE_INFINITY)); );
    return promise;
  }

  async run({ until, steps, settled, everyMoment = false }: RunLimits): Promise<Ending> {
    const end = this.#start + until;
    for (let step = 0; step < steps; step += 1) {
      if (this.#isQuiet()) {
        if (await this.finish(settled())) return 'settled';
        if (!everyMoment) this.#leap(end);
      }
      if (await this.#step(end)) continue;
      this.#now = Math.max(this.#now, end);
      return 'time';
    }
    return 'endless';
  }

  /** Nothing has moved for a while. */
  #isStill(): boolean {
    return this.#now - this.#movedAt > lull || this.#now - this.#toldAt > patience;
  }

  /** And nothing does now. */
  #isQuiet(): boolean {
    const next = this.#peek();
    return this.#isStill() && (next === undefined || next.at > this.#now);
  }

  /** False: nothing happens up to `end`. */
  async #step(end: number): Promise<boolean> {
    const next = this.#peek();
    if (next === undefined || next.at > end) return false;
    this.#heap.pop();
    this.#now = next.at;
    next.act?.();
    await turn();
    return true;
  }

  /** To the next named moment; who polls, polls then. */
  #leap(end: number): void {
    const alive = this.#heap.items.filter(({ act }) => act !== undefined).sort((a, b) => (before(a, b) ? -1 : 1));
    const target = alive.find(({ named }) => named)?.at ?? end;
    this.#heap.clear();
    for (const item of alive) {
      item.at = Math.max(item.at, Math.min(target, end));
      this.#heap.push(item);
    }
  }

  /** The next item that was not cancelled. */
  #peek(): Item | undefined {
    let first = this.#heap.first;
    for (; first !== undefined && first.act === undefined; first = this.#heap.first) this.#heap.pop();
    return first;
  }
}

/** Resolves when every promise that can go on has gone on: a turn of the real event loop, in which nothing else is. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
