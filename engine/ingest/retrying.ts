/** Trying again while the store has a bad moment: bounded by a deadline, spread by jitter. */
import { setTimeout as sleep } from 'node:timers/promises';
import { IngestFault, refusals } from '../core/ingest-fault.ts';

const initialWaitMs = 50;
const maxWaitMs = 2000;

/** Refusals that a repeat may heal are those that come with a time to wait. */
const heals = (error: unknown): boolean => error instanceof IngestFault && 'retryAfter' in refusals[error.word];

/** Runs until it resolves, fails for good, or the deadline would pass; then throws the last error. */
export async function retrying<T>(run: () => Promise<T>, { deadlineMs }: { readonly deadlineMs: number }): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  for (let failures = 0; ; failures++) {
    try {
      return await run();
    } catch (error) {
      const wait = Math.min(initialWaitMs * 2 ** failures, maxWaitMs) * (0.5 + Math.random() / 2);
      if (!heals(error) || Date.now() + wait > deadline) throw error;
      await sleep(wait);
    }
  }
}
