/** One thread of `seeds.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadRequest } from './seeds.ts';
import { type Outcome, simulate } from './simulate.ts';

// Errors are thrown by the thousand here, and nobody reads where.
Error.stackTraceLimit = 0;

const { first, count, steps, bug, next } = workerData as ThreadRequest;
const outcomes: Outcome[] = [];
for (let taken = Atomics.add(next, 0, 1); taken < count; taken = Atomics.add(next, 0, 1)) {
  const outcome = await simulate(first + taken, steps, { bug });
  outcomes.push(outcome);
  // The first failure says enough.
  if (outcome.failedAt !== undefined) Atomics.store(next, 0, count);
}
parentPort?.postMessage(outcomes);
