/** How long to wait before the next attempt. Pure: the dice are an argument. */
import type { RetryPolicy } from './route.ts';

/** In [0, 1), like Math.random. */
export type Random = () => number;

/**
 * The wait in ms after failed attempt `attempt` (from 1).
 * Jitter as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): full = [0, w), equal = [w/2, w).
 */
export function backoff(policy: RetryPolicy, attempt: number, random: Random): number {
  const wait = Math.min(plainWait(policy, attempt), policy.maxInterval);
  switch (policy.jitter) {
    case 'none':
      return wait;
    case 'equal':
      return wait / 2 + (random() * wait) / 2;
    case 'full':
      return random() * wait;
  }
}

function plainWait(policy: RetryPolicy, attempt: number): number {
  switch (policy.backoff) {
    case 'fixed':
      return policy.initialInterval;
    case 'linear':
      return policy.initialInterval * attempt;
    case 'exponential':
      return policy.initialInterval * policy.multiplier ** (attempt - 1);
    case 'schedule':
      return policy.schedule[Math.min(attempt, policy.schedule.length) - 1] ?? policy.initialInterval;
  }
}
