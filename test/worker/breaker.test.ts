import assert from 'node:assert/strict';
import { test } from 'node:test';
import { badStatus, permanent } from '../../engine/plugin.ts';
import { eventually } from '../support/eventually.ts';
import { breakerPolicy, retryPolicy } from '../support/policies.ts';
import { ids, quick, withWorker } from '../support/worker.ts';

const dead = (): never => {
  throw badStatus('down', 503);
};
const touchy = breakerPolicy({ rule: { kind: 'consecutive', failures: 3 }, openFor: 300, maxOpenFor: 300 });

test('an open breaker stops the route, spends no attempts, and one probe at a time finds out when to go on', async () => {
  let down = true;
  let calls = 0;
  const handle = (): void => {
    calls += 1;
    if (down) dead();
  };
  await withWorker(
    { route: { concurrency: 1, breaker: touchy, retry: retryPolicy({ ...quick, maxAttempts: 50 }) }, handle },
    async (bench) => {
      await bench.publish(...ids(40));
      await eventually('the breaker to open', () => bench.worker.gauges().breaker.kind === 'open');
      const before = calls;
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.equal(calls, before, 'nothing runs while it is open');
      assert.ok(before <= 5, `the breaker opened after ${before} calls`);
      await eventually('a failed probe', () => calls === before + 1);
      down = false;
      const stats = await bench.atRest(15_000);
      assert.deepEqual([stats.totals.delivered, stats.dead], [40, 0]);
      const kinds = bench.kinds('breaker').map((signal) => signal.kind === 'breaker' && `${signal.from}>${signal.to}`);
      assert.deepEqual(kinds.slice(0, 4), ['closed>open', 'open>half_open', 'half_open>open', 'open>half_open']);
      assert.equal(kinds.at(-1), 'half_open>closed');
    },
  );
});

test('onOpen: deadLetter short-circuits to the DLQ, and redriveOnClose brings those back', async () => {
  let down = true;
  const handle = (): void => {
    if (down) dead();
  };
  const breaker = { ...touchy, onOpen: 'deadLetter', redriveOnClose: true } as const;
  await withWorker(
    { route: { concurrency: 1, breaker, retry: retryPolicy({ ...quick, maxAttempts: 50 }) }, handle },
    async (bench) => {
      await bench.publish(...ids(20));
      await eventually(
        'short-circuited letters',
        async () => (await bench.bus.deadLetters.list({ limit: 100, reason: 'breaker_open' })).length > 5,
      );
      down = false;
      await bench.publish('late');
      await eventually('all to be delivered', async () => (await bench.stats()).totals.delivered === 21, 15_000);
      assert.equal((await bench.stats()).dead, 0);
    },
  );
});

test('a permanent failure or a 4xx answer does not open the breaker', async () => {
  const handle = (event: { id: string }): never => {
    throw event.id.endsWith('1') ? permanent('no') : badStatus('no', 422);
  };
  await withWorker({ route: { breaker: touchy }, handle }, async (bench) => {
    await bench.publish(...ids(30));
    const stats = await bench.atRest();
    assert.equal(stats.dead, 30);
    assert.equal(bench.kinds('breaker').length, 0);
  });
});
