/** Outcome in, settlement out: the whole retry and dead-letter policy. No default branch: removing a case must not compile. */
import { backoff, type Random } from './backoff.ts';
import type { DeadReason } from './delivery.ts';
import { isRetryable } from './faults.ts';
import type { Outcome } from './outcome.ts';
import type { RetryPolicy } from './route.ts';

export type Settlement =
  | { readonly kind: 'ack'; readonly status: 'delivered' | 'skipped' }
  /** `attempt` is the number of the attempt that comes next. */
  | { readonly kind: 'retry'; readonly delayMs: number; readonly attempt: number }
  | { readonly kind: 'dead'; readonly reason: DeadReason };

/** `firstAt`: start of the first attempt; both in ms since the epoch. */
export interface Moment {
  readonly now: number;
  readonly firstAt: number;
  readonly random: Random;
}

export function settle(outcome: Outcome, attempt: number, policy: RetryPolicy, moment: Moment): Settlement {
  switch (outcome.kind) {
    case 'delivered':
    case 'skipped':
      return { kind: 'ack', status: outcome.kind };
    case 'failed':
      if (outcome.permanent || !isRetryable(outcome.fault, policy)) return { kind: 'dead', reason: 'permanent' };
      return retryOrGiveUp(outcome.retryAfter, attempt, policy, moment);
  }
}

function retryOrGiveUp(wish: number | undefined, attempt: number, policy: RetryPolicy, moment: Moment): Settlement {
  if (attempt >= policy.maxAttempts) return { kind: 'dead', reason: 'exhausted' };
  const own = backoff(policy, attempt, moment.random);
  const delayMs = Math.round(wish === undefined ? own : Math.max(own, Math.min(wish, policy.retryAfterMax)));
  if (moment.now + delayMs - moment.firstAt > policy.maxElapsed) return { kind: 'dead', reason: 'exhausted' };
  return { kind: 'retry', delayMs, attempt: attempt + 1 };
}
