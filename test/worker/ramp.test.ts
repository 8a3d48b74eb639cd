import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ramp, StartRate } from '../../engine/worker/ramp.ts';

/** Starts as many as may start at each ms up to `until`; resolves to how many those were, by second. */
function climb(ramp: Ramp, seconds: number): number[] {
  const starts = Array.from({ length: seconds }, () => 0);
  for (let now = 0; now < seconds * 1_000; now += 1) {
    while (ramp.nextAt(now) <= now) {
      ramp.started();
      starts[Math.floor(now / 1_000)] = (starts[Math.floor(now / 1_000)] ?? 0) + 1;
    }
  }
  return starts;
}

test('the first second gets what a second got before, and each one after it twice as much', () => {
  const [first = 0, second = 0, third = 0] = climb(new Ramp(100, 0), 3);
  assert.ok(
    Math.abs(first - 100) <= 1 && Math.abs(second - 200) <= 1 && Math.abs(third - 400) <= 1,
    [first, second, third].join(),
  );
});

test('the first of them starts at once, and a rate that is not known begins with a few', () => {
  const ramp = new Ramp(0, 0);
  assert.equal(ramp.nextAt(0), 0);
  const [first = 0] = climb(ramp, 1);
  assert.ok(first >= 1 && first <= 5, `${first}`);
});

test('after ten seconds nothing is held down any more', () => {
  const ramp = new Ramp(1, 5_000);
  assert.deepEqual([ramp.isOver(14_999), ramp.isOver(15_000)], [false, true]);
});

test('the rate is that of the time before the breaker opened', () => {
  const rate = new StartRate(0);
  for (let n = 0; n < 300; n += 1) rate.started();
  rate.held(3_000);
  rate.held(60_000);
  assert.equal(rate.restart(100_000, false), 100);
  rate.started();
  rate.held(100_200);
  assert.equal(rate.restart(200_000, true), 100, 'what the ramp held down does not count');
  for (let n = 0; n < 50; n += 1) rate.started();
  assert.equal(rate.restart(201_000, false), 50);
  rate.tick(205_000);
  rate.tick(206_000);
  for (let n = 0; n < 70; n += 1) rate.started();
  rate.held(207_000);
  assert.equal(rate.restart(210_000, false), 70, 'a quiet time before it does not count');
});
