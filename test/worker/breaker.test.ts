import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BreakerStore, Bus } from '../../engine/bus/bus.ts';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import { badStatus, permanent } from '../../engine/plugin.ts';
import { BreakerGate } from '../../engine/worker/breaker-gate.ts';
import type { BreakerBoard } from '../../engine/worker/breakers.ts';
import { dead as letter, publication, readOne } from '../contract/exam/room.ts';
import { eventually } from '../support/eventually.ts';
import { breakerPolicy, retryPolicy, routeOf } from '../support/policies.ts';
import { boardOf, ids, quick, withWorker } from '../support/worker.ts';

const dead = (): never => {
  throw badStatus('down', 503);
};
const touchy = breakerPolicy({ rule: { kind: 'consecutive', failures: 3 }, openFor: 300, maxOpenFor: 300 });

async function boardOn(bus: Bus): Promise<BreakerBoard> {
  const board = boardOf(bus);
  await board.refresh();
  return board;
}

/** A bus whose one event was short-circuited by an engine that is gone. */
async function busWithLetter(): Promise<Bus> {
  const bus = await openSqliteBus('sqlite::memory:', {});
  const { group: name, on, startFrom, deadLetter } = routeOf();
  const group = await bus.openGroup({ group: name, patterns: on, startFrom, deadLetter });
  await bus.publish([publication('order.paid')]);
  await group.settle([letter(await readOne(group), { reason: 'breaker_open' })], undefined);
  await group.close();
  return bus;
}

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

test('a route that starts beside an open breaker waits for its first probe', async () => {
  const bus = await openSqliteBus('sqlite::memory:', {});
  const now = bus.now();
  const open = { kind: 'open', period: 0, since: now, until: now + 60_000, openFor: 60_000, why: 'down' } as const;
  await bus.breakers.swap('route:orders.receipt', 0, open);
  const breakers = await boardOn(bus);
  let calls = 0;
  const handle = (): void => {
    calls += 1;
  };
  await withWorker({ bus, breakers, route: { breaker: touchy }, handle }, async (bench) => {
    await bench.publish('e1');
    assert.equal(bench.worker.gauges().breaker.kind, 'open');
    await breakers.refresh();
    assert.deepEqual([calls, bench.worker.gauges().held], [0, true]);
  });
  await bus.close();
});

test('redriveOnClose brings back what an engine that ended had short-circuited', async () => {
  const bus = await busWithLetter();
  const breaker = { ...touchy, onOpen: 'deadLetter', redriveOnClose: true } as const;
  await withWorker({ bus, route: { breaker }, handle: () => undefined }, async (bench) => {
    await eventually('it to be delivered', async () => (await bench.stats()).totals.delivered === 1);
  });
  await bus.close();
});

test('a probe whose engine ended does not keep short-circuited letters for ever', async () => {
  const bus = await busWithLetter();
  const probes = [{ id: 'of the dead', expiresAt: bus.now() + 300 }];
  const halfOpen = { kind: 'half_open', period: 0, openFor: 300, probes, successes: 0, why: 'down' } as const;
  await bus.breakers.swap('route:orders.receipt', 0, halfOpen);
  const breakers = await boardOn(bus);
  const breaker = { ...touchy, onOpen: 'deadLetter', redriveOnClose: true } as const;
  await withWorker({ bus, breakers, route: { breaker }, handle: () => undefined }, async (bench) => {
    await eventually('it to be delivered', async () => (await bench.stats()).totals.delivered === 1);
  });
  await bus.close();
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

test('a state that was asked for in vain is not taken for a change of newer news', async () => {
  const closed = { kind: 'closed', period: 0, windowStart: 0, calls: 0, failures: 2, lastOpenFor: 0 } as const;
  const open = { kind: 'open', period: 0, since: 0, until: 9_000, openFor: 9_000, why: 'down' } as const;
  const asked: number[] = [];
  let fail: (error: Error) => void = () => undefined;
  const store: BreakerStore = {
    list: async () => [],
    forget: async () => {},
    swap: (_, expected) => {
      asked.push(expected);
      return new Promise((_resolve, reject) => {
        fail = reject;
      });
    },
  };
  const gate = new BreakerGate('k', touchy, {
    store,
    now: () => 100,
    random: Math.random,
    onTransition() {},
    onFault() {},
  });
  gate.absorb({ key: 'k', version: 1, state: closed });
  gate.report(0, 'down');
  await eventually('it to be told', () => asked.length === 1);
  gate.absorb({ key: 'k', version: 5, state: open });
  fail(new Error('no answer'));
  await gate.settled();
  assert.deepEqual([asked, gate.state], [[1], open]);
});
