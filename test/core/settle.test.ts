import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countsAgainstTarget, faultShape, isRetryable } from '../../engine/core/faults.ts';
import type { Fault, Outcome } from '../../engine/core/outcome.ts';
import { settle } from '../../engine/core/settle.ts';
import { breakerPolicy, retryPolicy } from '../support/policies.ts';

const status = (code: number): Fault => ({ code: `http_${code}`, message: 'no', kind: 'status', status: code });
const failed = (fault: Fault, more: Partial<Extract<Outcome, { kind: 'failed' }>> = {}): Outcome => ({
  kind: 'failed',
  fault,
  permanent: false,
  ...more,
});
const moment = { now: 10_000, firstAt: 10_000, random: () => 0.5 };
const policy = retryPolicy();

test('delivered and skipped are acknowledged as what they are', () => {
  assert.deepEqual(settle({ kind: 'delivered' }, 1, policy, moment), { kind: 'ack', status: 'delivered' });
  assert.deepEqual(settle({ kind: 'skipped', reason: 'x' }, 1, policy, moment), { kind: 'ack', status: 'skipped' });
});

test('a retryable failure waits by the curve and counts the attempt', () => {
  assert.deepEqual(settle(failed(status(503)), 3, policy, moment), { kind: 'retry', delayMs: 4_000, attempt: 4 });
});

test('the last attempt exhausts, and so does a wait that would end past maxElapsed', () => {
  assert.deepEqual(settle(failed(status(503)), 5, policy, moment), { kind: 'dead', reason: 'exhausted' });
  const short = retryPolicy({ maxElapsed: 5_000 });
  assert.deepEqual(settle(failed(status(503)), 2, short, { ...moment, firstAt: 6_000 }), {
    kind: 'dead',
    reason: 'exhausted',
  });
});

test('a permanent failure and a 4xx answer are dead at once, 429 is retried', () => {
  assert.deepEqual(settle(failed(status(503), { permanent: true }), 1, policy, moment), {
    kind: 'dead',
    reason: 'permanent',
  });
  assert.deepEqual(settle(failed(status(422)), 1, policy, moment), { kind: 'dead', reason: 'permanent' });
  assert.equal(settle(failed(status(429)), 1, policy, moment).kind, 'retry');
});

test('a wish to wait is believed up to retryAfterMax and never shortens the curve', () => {
  const wish = (retryAfter: number) =>
    settle(failed(status(429), { retryAfter }), 1, retryPolicy({ retryAfterMax: 60_000 }), moment);
  assert.deepEqual(wish(30_000), { kind: 'retry', delayMs: 30_000, attempt: 2 });
  assert.deepEqual(wish(999_000), { kind: 'retry', delayMs: 60_000, attempt: 2 });
  assert.deepEqual(wish(10), { kind: 'retry', delayMs: 1_000, attempt: 2 });
});

test('the most specific entry of retryOn and failOn wins', () => {
  assert.equal(isRetryable(status(500), { retryOn: ['5xx'], failOn: ['500'] }), false);
  assert.equal(isRetryable(status(404), { retryOn: ['404'], failOn: ['4xx'] }), true);
  assert.equal(isRetryable({ code: 'x', message: 'x', kind: 'error' }, { retryOn: [], failOn: ['4xx'] }), true);
  assert.equal(isRetryable({ code: 'x', message: 'x', kind: 'timeout' }, { retryOn: [], failOn: ['timeout'] }), false);
});

test('only what speaks about the health of the target counts against it', () => {
  const { countOn } = breakerPolicy();
  assert.equal(countsAgainstTarget(status(422), countOn), false);
  assert.equal(countsAgainstTarget(status(503), countOn), true);
  assert.equal(countsAgainstTarget(status(429), countOn), true);
  assert.equal(countsAgainstTarget({ code: 'oops', message: '', kind: 'error' }, countOn), false);
  assert.equal(countsAgainstTarget({ code: 'oops', message: '', kind: 'error', unavailable: true }, countOn), true);
});

test('faults that differ only in ids, numbers and quoted values have one shape', () => {
  const shape = (message: string) => faultShape({ code: 'e', message, kind: 'error' });
  assert.equal(shape('user 17 "Ann" not found'), shape('user 4711 "Bob" not found'));
  assert.equal(shape('a 0b6fd0e0-3d1c-4a64-9d7c-111122223333 b'), shape('a 8f14e45f-ceea-467f-a8b2-9d3b7f0c2a11 b'));
  assert.notEqual(shape('user not found'), shape('order not found'));
});
