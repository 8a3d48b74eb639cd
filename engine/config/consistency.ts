/** Values that are fine one by one and make no sense together, once defaults and policies are filled in. */
import { backoff } from '../core/backoff.ts';
import { formatDuration } from '../core/duration.ts';
import type { BreakerPolicy, RetryPolicy } from '../core/route.ts';
import type { Diagnostic, PathStep } from './diagnostic.ts';
import { atKey, type OpenFile } from './pipeline-file.ts';
import type { Resolved } from './policies.ts';
import { nodeAt } from './tree.ts';

/** Where the reader can do something about it: what the route says, else what it inherits, else the route. */
function blamed(file: OpenFile, route: readonly PathStep[], field: string): PathStep[] {
  const places: PathStep[][] = [
    [...route, field],
    ['defaults', field],
  ];
  return places.find((path) => nodeAt(file.tree, path) !== undefined) ?? [...route, 'id'];
}

const never = (): number => 0;

/** From the first attempt to the last, at most. */
function longestRun(retry: RetryPolicy): number {
  const plain: RetryPolicy = { ...retry, jitter: 'none' };
  let total = 0;
  for (let attempt = 1; attempt < retry.maxAttempts && total < retry.maxElapsed; attempt++) {
    total += backoff(plain, attempt, never);
  }
  return Math.min(total, retry.maxElapsed);
}

function retryFaults(file: OpenFile, route: readonly PathStep[], { retry, maxAge }: Resolved): Diagnostic[] {
  const path = blamed(file, route, 'retry');
  const faults: Diagnostic[] = [];
  if (retry.backoff === 'schedule' && retry.schedule.length === 0) {
    const help = { help: 'for example  schedule: [5s, 5m, 30m]' };
    faults.push(atKey(file, path, 'EF2021', 'expected the waits of backoff: schedule in schedule, got nothing', help));
  }
  const least = retry.backoff === 'schedule' ? Math.max(0, ...retry.schedule) : retry.initialInterval;
  if (retry.maxInterval < least) {
    const [most, wait] = [formatDuration(retry.maxInterval), formatDuration(least)];
    faults.push(
      atKey(file, path, 'EF2020', `expected maxInterval to be at least ${wait}, the wait that it limits, got ${most}`),
    );
  }
  const run = longestRun(retry);
  if (maxAge !== undefined && run > maxAge && faults.length === 0) {
    const [spent, age] = [formatDuration(Math.ceil(run / 1_000) * 1_000), formatDuration(maxAge)];
    const message = `the retries go on for up to ${spent}, but deliveries expire after maxAge ${age}`;
    const said = { severity: 'warning', help: 'raise maxAge, or lower maxAttempts or the waits' } as const;
    faults.push(atKey(file, blamed(file, route, 'maxAge'), 'EF2018', message, said));
  }
  return faults;
}

/** While the target hangs, each call takes the whole timeout: the worst case, and the one a breaker is for. */
const callsWithin = (window: number, { timeout, concurrency }: Resolved): number =>
  concurrency * Math.max(1, Math.floor(window / timeout));

function breakerFaults(
  file: OpenFile,
  route: readonly PathStep[],
  resolved: Resolved,
  breaker: BreakerPolicy,
): Diagnostic[] {
  const path = blamed(file, route, 'circuitBreaker');
  const faults: Diagnostic[] = [];
  if (breaker.maxOpenFor < breaker.openFor) {
    const [most, first] = [formatDuration(breaker.maxOpenFor), formatDuration(breaker.openFor)];
    faults.push(atKey(file, path, 'EF2020', `expected maxOpenFor to be at least openFor (${first}), got ${most}`));
  }
  const { rule } = breaker;
  if (rule.kind !== 'ratio' || breaker.scope === 'handler') return faults;
  const calls = callsWithin(rule.window, resolved);
  if (calls >= rule.minimumCalls) return faults;
  const message = `expected room for minimumCalls ${rule.minimumCalls} within ${formatDuration(rule.window)}, got ${calls} when each takes the timeout of ${formatDuration(resolved.timeout)}`;
  const said = { severity: 'warning', help: 'lengthen window, or lower minimumCalls or timeout' } as const;
  return [...faults, atKey(file, path, 'EF2019', message, said)];
}

/** `route` is the path of the route in its file. */
export const checkConsistency = (file: OpenFile, route: readonly PathStep[], resolved: Resolved): Diagnostic[] => [
  ...retryFaults(file, route, resolved),
  ...(resolved.breaker === undefined ? [] : breakerFaults(file, route, resolved, resolved.breaker)),
];
