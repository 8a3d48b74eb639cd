/**
 * For how long permits are asked for. They count against the limit for as much longer, so it is short; but an answer that
 * takes longer than this brings permits that are over already, so it follows how long the bus takes.
 */
import type { Timers } from '../core/timers.ts';

const shortest = 10;
const longest = 500;
const mostOverdue = 60_000;

export class Lead {
  readonly #timers: Timers;
  readonly #least: number;
  #trip = 0;

  /** `per`: the span of the limit, ms. */
  constructor(timers: Timers, per: number) {
    this.#timers = timers;
    this.#least = Math.min(Math.max(Math.ceil(per / 50), shortest), longest);
  }

  /**
   * Asks with a lead. Resolves to the answer and until when its permits may be used, by our own clock; from before the bus
   * was asked on, so never later than the bus counts. Rejects as `act` does.
   */
  async asked<T>(act: (leadMs: number) => Promise<T>): Promise<{ readonly answer: T; readonly until: number }> {
    const leadMs = Math.ceil(Math.max(this.#least, Math.min(3 * this.#trip, mostOverdue)));
    const from = this.#timers.now();
    const answer = await act(leadMs);
    // Slowly forgotten: one slow answer among quick ones will not be the last.
    this.#trip = Math.max(this.#timers.now() - from, this.#trip * 0.9);
    return { answer, until: from + leadMs };
  }
}
