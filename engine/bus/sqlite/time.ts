/** The time that the embedded bus goes by: the process's own, unless somebody else moves it. */
import type { BusTime } from '../bus.ts';

export const ownTime: BusTime = {
  clock: () => Date.now(),
  now: () => performance.now(),
  after: (ms, act) => setTimeout(act, ms),
  cancel: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  soon: (act) => void setImmediate(act),
};
