/**
 * The load on a target that has just come back. Slots alone do not bound it: a target that answers in a millisecond gets a
 * thousand requests a second through two. So in the first second it gets what it got in a second before the breaker
 * opened, in the next twice that, then four times, until all is as it was.
 */

/** Starts in a second of a route whose rate is not known, or was lower. */
const least = 4;
/** Twice as much for so many seconds is a thousand times as much: nothing is left to bound. */
const longest = 10_000;

export class Ramp {
  readonly #began: number;
  readonly #perSecond: number;
  #started = 0;

  /** `perSecond`: starts in a second while all was well. Times are ms of one clock. */
  constructor(perSecond: number, now: number) {
    this.#began = now;
    this.#perSecond = Math.max(perSecond, least);
  }

  isOver(now: number): boolean {
    return now - this.#began >= longest;
  }

  /** When the next delivery may start: `now`, or later. */
  nextAt(now: number): number {
    // By t seconds 1 + rate × (2^t − 1) may have started; this is when that reaches one more than there are.
    const at = this.#began + 1_000 * Math.log2(1 + this.#started / this.#perSecond);
    return Math.max(now, at);
  }

  started(): void {
    this.#started += 1;
  }
}

/** So far back the rate is looked at: a quiet night says nothing about the day. */
const span = 5_000;

/** How many deliveries a route starts in a second while its breaker is closed. */
export class StartRate {
  #from: number;
  #until: number | undefined;
  #starts = 0;
  /** Of the span before this one. */
  #last = 0;
  #before = 0;

  constructor(now: number) {
    this.#from = now;
  }

  started(): void {
    this.#starts += 1;
  }

  /** Called now and then, as with every read: a span that is over makes place for the next. */
  tick(now: number): void {
    if (this.#until !== undefined || now - this.#from < span) return;
    this.#last = this.#of(now);
    this.#from = now;
    this.#starts = 0;
  }

  /** The breaker does not let anything run. */
  held(now: number): void {
    this.#until ??= now;
  }

  /** The breaker has closed: starts are counted anew. Returns the rate of the time before it opened. */
  restart(now: number, wasRamping: boolean): number {
    // A time that was cut short while the load was held down says nothing about how much is normal.
    if (!wasRamping) this.#before = Math.max(this.#last, this.#of(this.#until ?? now));
    this.#from = now;
    this.#until = undefined;
    this.#starts = 0;
    this.#last = 0;
    return this.#before;
  }

  #of(until: number): number {
    return this.#starts / Math.max(1, (until - this.#from) / 1_000);
  }
}
