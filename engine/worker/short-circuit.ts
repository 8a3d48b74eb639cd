/**
 * `onOpen: deadLetter` with `redriveOnClose: true`: what the open breaker sent to the DLQ comes back when it closes. And
 * since that may be all there is left to probe with, one letter comes back whenever a probe is due.
 */
import type { DeadLetterStore } from '../bus/bus.ts';
import type { BreakerState } from '../core/breaker.ts';
import type { DeadLetter } from '../core/delivery.ts';
import type { Timer, Timers } from '../core/timers.ts';

const batch = 500;
/** Letters that come back at a time as probes where their keys are not known. */
const probesOfKeys = 20;
/** Before the bus is asked again, or another letter comes back because nobody probes with the last, ms. */
const againPause = 2_000;

export interface ShortCircuitDeps {
  readonly group: string;
  /** There is a breaker for each key: any letter may be of a key that waits for a probe. */
  readonly keyed: boolean;
  readonly deadLetters: DeadLetterStore;
  readonly now: () => number;
  /** ms since the epoch; undefined while the breaker is closed. */
  readonly nextProbeAt: () => number | undefined;
  readonly timers: Timers;
  readonly onRedriven: (count: number) => void;
  readonly onFault: (error: Error) => void;
}

export class ShortCircuit {
  #deps: ShortCircuitDeps;
  #timer: Timer | undefined;
  #chain: Promise<void> = Promise.resolve();
  /** Letters of ours may lie there that nobody has brought back. */
  #left = false;
  #stopped = false;

  constructor(deps: ShortCircuitDeps) {
    this.#deps = deps;
  }

  /** The route starts: what a process that died had sent to the DLQ comes back as well. */
  start(state: BreakerState): void {
    this.changed(state, true);
  }

  /**
   * The breaker's state changed. `ours`: this engine changed it, and is the one to bring everything back. Others have
   * heard of it later, and bring back what they sent to the DLQ until then.
   */
  changed(to: BreakerState, ours: boolean): void {
    this.#deps.timers.cancel(this.#timer);
    if (to.kind === 'closed' && (ours || this.#left)) this.#bringBack();
    if (to.kind !== 'closed' || this.#deps.nextProbeAt() !== undefined) this.#probeLater(1);
  }

  /** Until it is closed: who has the lease of a probe may die with it, and a breaker may want several. */
  #probeLater(least: number): void {
    const { now, timers, nextProbeAt } = this.#deps;
    const at = nextProbeAt();
    if (at === undefined || this.#stopped) return;
    timers.cancel(this.#timer);
    this.#timer = timers.after(Math.max(least, at - now()), () => {
      this.#probeLater(againPause);
      if ((nextProbeAt() ?? Number.POSITIVE_INFINITY) <= now()) this.#then(() => this.#redriveOne());
    });
  }

  /** A letter of ours is in the DLQ. It may have been on its way there when the breaker closed. */
  buried(state: BreakerState): void {
    this.#left = true;
    if (state.kind === 'closed') this.#bringBack();
  }

  /** One run after another; never rejects. */
  #bringBack(): void {
    this.#left = false;
    this.#then(async () => {
      // Of keys that are still open they go straight to the DLQ again: no second look before all are closed.
      while ((await this.#redrive(await this.#letters())) > 0 && this.#deps.nextProbeAt() === undefined);
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#deps.timers.cancel(this.#timer);
  }

  #then(act: () => Promise<unknown>): void {
    this.#chain = this.#chain.then(async () => {
      try {
        await act();
      } catch (error) {
        this.#deps.onFault(error as Error);
        this.#tryAgain();
      }
    });
  }

  /** While it is not closed the next letter is coming anyway. */
  #tryAgain(): void {
    const { timers, nextProbeAt } = this.#deps;
    this.#left = true;
    if (this.#stopped || nextProbeAt() !== undefined) return;
    timers.cancel(this.#timer);
    this.#timer = timers.after(againPause, () => this.#bringBack());
  }

  /** The oldest: one that fails by its own fault is the newest afterwards, and must not be the only one ever tried. */
  async #redriveOne(): Promise<void> {
    await this.#redrive((await this.#letters()).slice(this.#deps.keyed ? -probesOfKeys : -1));
  }

  #letters(): Promise<readonly DeadLetter[]> {
    const { group, deadLetters } = this.#deps;
    return deadLetters.list({ group, reason: 'breaker_open', limit: this.#deps.keyed ? batch * 10 : batch });
  }

  /** Resolves to how many went back. */
  async #redrive(letters: readonly DeadLetter[]): Promise<number> {
    const { deadLetters, onRedriven } = this.#deps;
    if (letters.length === 0) return 0;
    const back = await deadLetters.redrive(letters.map((letter) => letter.id));
    onRedriven(back.length);
    return back.length;
  }
}
