/** Time as whoever runs routes sees it: an argument, like the dice, so that a test can be the one who moves it. */

/** What `after` gave, to be handed back to `cancel` and looked into by nobody. */
export type Timer = object;

export interface Timers {
  /** ms on a clock that never goes back and means nothing by itself: for differences. */
  now(): number;
  /** Calls `act` in `ms`, unless it is cancelled. Does not keep the process alive. */
  after(ms: number, act: () => void): Timer;
  /** Does nothing for a timer that has run, or for none. */
  cancel(timer: Timer | undefined): void;
  /** Resolves in `ms`. Keeps the process alive: somebody waits for what comes next. */
  wait(ms: number): Promise<void>;
  /** Calls `act` when the current turn of the event loop is over: what happens in one turn can go together. */
  soon(act: () => void): void;
}
