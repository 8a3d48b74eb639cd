/**
 * `onOpen: deadLetter` with `redriveOnClose: true`: what the open breaker sent to the DLQ comes back when it closes. And
 * since that may be all there is left to probe with, one letter comes back whenever a probe is due.
 */
import type { DeadLetterStore } from '../bus/bus.ts';
import type { BreakerState } from '../core/breaker.ts';
import type { Timer, Timers } from '../core/timers.ts';

const batch = 500;

export interface ShortCircuitDeps {
  readonly group: string;
  readonly deadLetters: DeadLetterStore;
  readonly now: () => number;
  readonly timers: Timers;
  readonly onRedriven: (count: number) => void;
  readonly onFault: (error: Error) => void;
}

export class ShortCircuit {
  #deps: ShortCircuitDeps;
  #timer: Timer | undefined;
  #chain: Promise<void> = Promise.resolve();

  constructor(deps: ShortCircuitDeps) {
    this.#deps = deps;
  }

  /** The breaker's state changed. `ours`: this engine changed it, and is the one to bring everything back. */
  changed(to: BreakerState, ours: boolean): void {
    this.stop();
    if (to.kind === 'closed' && ours) this.bringBack();
    if (to.kind !== 'open') return;
    const { now, timers } = this.#deps;
    this.#timer = timers.after(Math.max(1, to.until - now()), () => this.#then(() => this.#redrive(1)));
  }

  /** One run after another; never rejects. */
  bringBack(): void {
    this.#then(async () => {
      while ((await this.#redrive(batch)) > 0);
    });
  }

  stop(): void {
    this.#deps.timers.cancel(this.#timer);
  }

  #then(act: () => Promise<unknown>): void {
    this.#chain = this.#chain.then(async () => {
      try {
        await act();
      } catch (error) {
        this.#deps.onFault(error as Error);
      }
    });
  }

  /** Resolves to how many went back. */
  async #redrive(limit: number): Promise<number> {
    const { group, deadLetters, onRedriven } = this.#deps;
    const letters = await deadLetters.list({ group, reason: 'breaker_open', limit });
    if (letters.length === 0) return 0;
    const back = await deadLetters.redrive(letters.map((letter) => letter.id));
    onRedriven(back.length);
    return back.length;
  }
}
