/** What a worker leaves behind when a reload replaces it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Timer, Timers } from '../../engine/core/timers.ts';
import { realTimers } from '../../engine/timers.ts';
import { ids, startWorker } from '../support/worker.ts';

test('a worker that has stopped leaves no timer behind, so nothing of it stays in memory', async () => {
  const running = new Set<Timer>();
  const timers: Timers = {
    ...realTimers,
    after(ms, act) {
      const timer: Timer = realTimers.after(ms, () => {
        running.delete(timer);
        act();
      });
      running.add(timer);
      return timer;
    },
    cancel(timer) {
      if (timer !== undefined) running.delete(timer);
      realTimers.cancel(timer);
    },
  };
  const bench = await startWorker({ handle: () => undefined, route: { timeout: 60_000 }, timers });
  await bench.publish(...ids(20));
  await bench.atRest();
  assert.ok(running.size > 0, 'expected timers while it runs');
  await bench.close();
  assert.equal(running.size, 0);
});
