/**
 * The permits of a route whose limit has no key. They are taken as deliveries wait for them, a few ahead when the last ones
 * were used up in time; and when there are none the route reads nothing until there will be, so that its events wait in
 * their streams, where every engine can get them. When the bus cannot be asked nothing starts: a limit protects somebody,
 * and nothing is lost by waiting.
 */
import type { LimitStore } from '../bus/bus.ts';
import type { RateLimit } from '../core/rate-limit.ts';
import type { Timer, Timers } from '../core/timers.ts';
import { Lead } from './lead.ts';

const mostAhead = 64;
const firstPause = 100;
const longestPause = 2_000;
const longestTimer = 3_600_000;

export interface RateGateDeps {
  readonly limits: LimitStore;
  /** Names the limit on the bus. */
  readonly key: string;
  readonly limit: RateLimit;
  readonly timers: Timers;
  /** Look again at what may start and be read. */
  readonly wake: () => void;
  /** The route stands still for the limit's sake. */
  readonly onLimited: () => void;
  readonly onFault: (error: Error) => void;
}

export class RateGate {
  readonly #deps: RateGateDeps;
  readonly #lead: Lead;
  #permits = 0;
  /** Of the permits, and of the time without; by our own clock. */
  #until = Number.NEGATIVE_INFINITY;
  #shutUntil = Number.NEGATIVE_INFINITY;
  #ahead = 0;
  #asking = false;
  #pause = firstPause;
  #timer: Timer | undefined;

  constructor(deps: RateGateDeps) {
    this.#deps = deps;
    this.#lead = new Lead(deps.timers, deps.limit.per);
  }

  /** Whether there are no permits now, and when the next come is known. */
  get shut(): boolean {
    return !this.#some() && this.#deps.timers.now() < this.#shutUntil;
  }

  /** How many deliveries are worth having at hand: what may start within a second. */
  get readAhead(): number {
    const { limit, per } = this.#deps.limit;
    return this.shut ? 0 : Math.max(1, Math.ceil((limit * 1_000) / per));
  }

  /** Whether there is a permit at hand. */
  get stocked(): boolean {
    return this.#some();
  }

  /** Whether a delivery may start. When not, permits for `waiting` of them are asked for, and `wake` follows. */
  admits(waiting: number): boolean {
    if (this.#some()) return true;
    if (!this.#asking && !this.shut) void this.#ask(waiting);
    return false;
  }

  started(): void {
    this.#permits -= 1;
    if (this.#permits === 0) this.#ahead = Math.min(this.#ahead * 2 + 1, mostAhead);
  }

  stop(): void {
    this.#deps.timers.cancel(this.#timer);
  }

  #some(): boolean {
    if (this.#permits > 0 && this.#deps.timers.now() > this.#until) {
      this.#permits = 0;
      this.#ahead >>= 1;
    }
    return this.#permits > 0;
  }

  async #ask(waiting: number): Promise<void> {
    const { limits, key, limit, wake, onLimited, onFault } = this.#deps;
    const wanted = Math.min(waiting + this.#ahead, limit.limit);
    this.#asking = true;
    try {
      const { answer, until } = await this.#lead.asked((leadMs) =>
        limits.take(key, { ...limit, wanted, returning: wanted, line: false, leadMs }),
      );
      this.#permits = answer.granted;
      this.#until = until;
      this.#pause = firstPause;
      this.#shut(answer.nextInMs);
      if (answer.granted < waiting) onLimited();
    } catch (error) {
      onFault(error as Error);
      this.#shut(this.#pause);
      this.#pause = Math.min(this.#pause * 2, longestPause);
    }
    this.#asking = false;
    if (!this.shut) wake();
  }

  #shut(ms: number): void {
    this.#shutUntil = ms === 0 ? Number.NEGATIVE_INFINITY : this.#deps.timers.now() + ms;
    if (ms > 0) this.#wakeIn(ms);
  }

  /** A timer takes no more than some weeks, and a limit may be one by the month. */
  #wakeIn(ms: number): void {
    const { timers, wake } = this.#deps;
    timers.cancel(this.#timer);
    this.#timer = timers.after(Math.min(ms, longestTimer), () => {
      const left = this.#shutUntil - timers.now();
      if (left > 0) this.#wakeIn(left);
      else wake();
    });
  }
}
