import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backoff } from '../../engine/core/backoff.ts';
import type { RetryPolicy } from '../../engine/core/route.ts';
import { retryPolicy } from '../support/policies.ts';

const waits = (policy: RetryPolicy, attempts = 6, random = () => 0.5): number[] =>
  Array.from({ length: attempts }, (_, at) => backoff(policy, at + 1, random));

test('each curve gives its own waits', () => {
  const none = { jitter: 'none', initialInterval: 100, maxInterval: 1_000 } as const;
  assert.deepEqual(waits(retryPolicy({ ...none, backoff: 'fixed' })), [100, 100, 100, 100, 100, 100]);
  assert.deepEqual(waits(retryPolicy({ ...none, backoff: 'linear' })), [100, 200, 300, 400, 500, 600]);
  assert.deepEqual(
    waits(retryPolicy({ ...none, backoff: 'exponential', multiplier: 2 })),
    [100, 200, 400, 800, 1_000, 1_000],
  );
  assert.deepEqual(
    waits(retryPolicy({ ...none, backoff: 'schedule', schedule: [5, 50, 500] })),
    [5, 50, 500, 500, 500, 500],
  );
});

test('full jitter spreads over the whole wait, equal jitter over its upper half', () => {
  const policy = { backoff: 'fixed', initialInterval: 1_000, maxInterval: 1_000 } as const;
  assert.equal(
    backoff(retryPolicy({ ...policy, jitter: 'full' }), 1, () => 0),
    0,
  );
  assert.equal(
    backoff(retryPolicy({ ...policy, jitter: 'equal' }), 1, () => 0),
    500,
  );
  assert.equal(backoff(retryPolicy({ ...policy, jitter: 'equal' }), 1, () => 0.999_999).toFixed(0), '1000');
});

test('no curve waits longer than maxInterval or less than nothing', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('fixed', 'linear', 'exponential', 'schedule'),
      fc.constantFrom('none', 'equal', 'full'),
      fc.integer({ min: 1, max: 1_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (curve, jitter, attempt, dice) => {
        const wait = backoff(
          retryPolicy({ backoff: curve, jitter, maxInterval: 7_000, schedule: [1, 9_999_999] }),
          attempt,
          () => dice,
        );
        return wait >= 0 && wait <= 7_000;
      },
    ),
  );
});
