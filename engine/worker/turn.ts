/** Whether it is this worker's turn to read a route with ordering. Kept by renewing it three times in its length. */
import type { GroupOrder } from '../bus/bus.ts';
import type { Timer, Timers } from '../core/timers.ts';

/** Between two questions whether the turn is free, ms. */
const standbyPause = 400;

export interface TurnDeps {
  readonly order: GroupOrder;
  readonly ttlMs: number;
  readonly timers: Timers;
  /** It is ours, and somebody else may have had it before. */
  readonly onWon: () => void;
  /** Somebody else has it, or has had it. */
  readonly onLost: () => void;
  readonly onRenewed: () => void;
  readonly onFault: (error: Error) => void;
}

export class Turn {
  readonly #deps: TurnDeps;
  /** 0: not ours. */
  #term = 0;
  /** By our own clock, from before it was asked for: never later than the bus thinks. */
  #until = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #left = false;
  #wakes = new Set<() => void>();

  constructor(deps: TurnDeps) {
    this.#deps = deps;
  }

  get held(): boolean {
    return this.#term !== 0 && this.#deps.timers.now() < this.#until;
  }

  start(): void {
    void this.#ask();
  }

  /** Resolves after a change, when the signal aborts, or after a second. */
  wait(signal: AbortSignal): Promise<void> {
    const { timers } = this.#deps;
    return new Promise((resolve) => {
      const done = (): void => {
        timers.cancel(timer);
        signal.removeEventListener('abort', done);
        this.#wakes.delete(done);
        resolve();
      };
      const timer = timers.after(1_000, done);
      signal.addEventListener('abort', done);
      this.#wakes.add(done);
      if (signal.aborted) done();
    });
  }

  async leave(): Promise<void> {
    const { timers, order } = this.#deps;
    this.#left = true;
    this.#term = 0;
    timers.cancel(this.#timer);
    await order.giveBack();
  }

  async #ask(): Promise<void> {
    const { order, ttlMs, timers, onFault } = this.#deps;
    let pause = ttlMs / 10;
    try {
      const asked = timers.now();
      const { held, term } = await order.hold(ttlMs);
      if (this.#left) return void (held && (await order.giveBack()));
      if (held) this.#win(term, asked + ttlMs);
      else this.#lose();
      pause = held ? ttlMs / 3 : standbyPause;
    } catch (error) {
      if (this.#left) return;
      onFault(error as Error);
    }
    this.#timer = timers.after(pause, () => void this.#ask());
  }

  #win(term: number, until: number): void {
    if (term !== this.#term) this.#lose();
    const fresh = this.#term === 0;
    this.#term = term;
    this.#until = until;
    if (fresh) this.#deps.onWon();
    else this.#deps.onRenewed();
    for (const wake of [...this.#wakes]) wake();
  }

  #lose(): void {
    if (this.#term === 0) return;
    this.#term = 0;
    this.#deps.onLost();
  }
}
