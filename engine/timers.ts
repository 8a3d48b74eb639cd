/** The process's own clock and event loop. Every other place in the engine that runs routes is handed one. */
import type { Timers } from './core/timers.ts';

export const realTimers: Timers = {
  now: () => performance.now(),
  after: (ms, act) => setTimeout(act, ms).unref(),
  cancel: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  soon: (act) => void setImmediate(act),
};
