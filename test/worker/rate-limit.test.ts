/** Rate limits around a handler: never too many starts, nothing lost, nobody else delayed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bus } from '../../engine/bus/bus.ts';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import type { Condition, EventKey } from '../../engine/core/route.ts';
import type { EventEnvelope } from '../../engine/plugin.ts';
import { realTimers } from '../../engine/timers.ts';
import { eventually } from '../support/eventually.ts';
import { retryPolicy } from '../support/policies.ts';
import { ids, publishOfCustomers, quick, startWorker, withWorker } from '../support/worker.ts';

const customer: EventKey = {
  source: 'event.subject',
  key({ subject }) {
    if (typeof subject === 'string') return subject;
    throw new Error('expected event.subject, it is not there');
  },
};

/** The most starts in any span of `per`. */
const most = (starts: readonly number[], per: number): number =>
  Math.max(0, ...starts.map((from) => starts.filter((start) => start >= from && start < from + per).length));

test('a route starts at most what its limit says in any span, and delivers everything, each by its first attempt', async () => {
  const starts: number[] = [];
  const attempts: number[] = [];
  const route = { rateLimit: { limit: 5, per: 200, key: undefined } };
  const handle = (_: unknown, { attempt }: { attempt: number }): void => {
    starts.push(performance.now());
    attempts.push(attempt);
  };
  await withWorker({ route, handle }, async (bench) => {
    await bench.publish(...ids(23));
    const { totals } = await bench.atRest();
    assert.deepEqual([totals.delivered, totals.retries, totals.dead], [23, 0, 0]);
    assert.ok(most(starts, 200) <= 5, `${most(starts, 200)} starts in 200 ms`);
    assert.ok(attempts.every((attempt) => attempt === 1));
    assert.ok(bench.kinds('rate_limited').length > 0);
  });
});

test('what waits for a permit rests in its stream, where another engine can get it', async () => {
  const route = { concurrency: 16, rateLimit: { limit: 2, per: 3_600_000, key: undefined } };
  await withWorker({ route, handle: () => undefined }, async (bench) => {
    await bench.publish(...ids(50));
    await eventually('the limit to be reached', () => bench.worker.gauges().limited);
    const { pending, lag, totals } = await bench.stats();
    assert.equal(totals.delivered, 2);
    assert.ok(pending <= 2, `${pending} are held here`);
    assert.ok((lag[0]?.entries ?? 0) >= 46);
  });
});

test('two engines share one limit', async () => {
  const bus = await openSqliteBus('sqlite::memory:');
  const starts: number[] = [];
  const route = { rateLimit: { limit: 4, per: 250, key: undefined } };
  const handle = (): void => void starts.push(performance.now());
  const benches = [await startWorker({ bus, route, handle }), await startWorker({ bus, route, handle })];
  await benches[0]?.publish(...ids(20));
  await benches[0]?.atRest();
  for (const bench of benches) await bench.close();
  await bus.close();
  assert.equal(starts.length, 20);
  assert.ok(most(starts, 250) <= 4, `${most(starts, 250)} starts in 250 ms`);
});

test('only the deliveries of the customer who is over the limit wait, and spend no attempt', async () => {
  const ran: string[] = [];
  const route = { concurrency: 2, rateLimit: { limit: 3, per: 400, key: customer } };
  const starts: number[] = [];
  const handle = (event: EventEnvelope, { attempt }: { attempt: number }): void => {
    ran.push(`${event.id} ${attempt}`);
    if (event.subject === 'a') starts.push(performance.now());
  };
  await withWorker({ route, handle }, async (bench) => {
    await publishOfCustomers(bench.bus, ...ids(9, 'a'), ...ids(3, 'b'), ...ids(3, 'c'));
    await eventually('the others to be delivered', () => ran.filter((one) => !one.startsWith('a')).length === 6);
    assert.ok(ran.filter((one) => one.startsWith('a')).length <= 6);
    assert.ok((await bench.stats()).postponed > 0);
    const { totals } = await bench.atRest();
    assert.deepEqual([totals.delivered, totals.retries], [15, 0]);
    assert.ok(ran.every((one) => one.endsWith(' 1')));
    assert.ok(most(starts, 400) <= 3, `${most(starts, 400)} starts in 400 ms`);
    assert.deepEqual(
      ran.filter((one) => one.startsWith('a')),
      ids(9, 'a').map((id) => `${id} 1`),
      'the oldest first',
    );
  });
});

test('a long line of one customer costs each of them a few waits, and the next customer none', async () => {
  const starts: number[] = [];
  let next: number | undefined;
  const handle = ({ subject }: EventEnvelope): void => {
    if (subject === 'a') starts.push(performance.now());
    else next ??= starts.length;
  };
  const route = { rateLimit: { limit: 100, per: 300, key: customer } };
  await withWorker({ route, handle }, async (bench) => {
    await publishOfCustomers(bench.bus, ...ids(1_000, 'a'), 'b1');
    const { totals } = await bench.atRest(60_000);
    assert.equal(totals.delivered, 1_001);
    const waits = bench
      .kinds('rate_limited')
      .reduce((sum, one) => sum + (one.kind === 'rate_limited' ? one.count : 0), 0);
    assert.ok(waits >= 900 && waits <= 4_000, `${waits} waits`);
    assert.ok((next ?? 1_000) < 500, `the other customer came after ${next}`);
    assert.ok(most(starts, 300) <= 100);
  });
});

test('a retry needs a permit too, and keeps its attempts when it has to wait for it', async () => {
  const attempts: number[] = [];
  const route = { retry: retryPolicy(quick), rateLimit: { limit: 1, per: 150, key: customer } };
  const handle = (_: unknown, { attempt }: { attempt: number }): void => {
    attempts.push(attempt);
    if (attempt < 3) throw new Error('not yet');
  };
  await withWorker({ route, handle }, async (bench) => {
    await publishOfCustomers(bench.bus, 'a1', 'a2');
    const { totals } = await bench.atRest();
    assert.deepEqual([totals.delivered, totals.retries], [2, 4]);
    assert.deepEqual(
      [...attempts].sort((a, b) => a - b),
      [1, 1, 2, 2, 3, 3],
    );
  });
});

test('events without a key share one limit, and it is told', async () => {
  const route = { rateLimit: { limit: 2, per: 3_600_000, key: customer } };
  await withWorker({ route, handle: () => undefined }, async (bench) => {
    await bench.publish(...ids(5));
    await eventually('three to wait', async () => (await bench.stats()).postponed === 3);
    assert.deepEqual(
      bench.kinds('unkeyed').map((signal) => signal.kind === 'unkeyed' && signal.of),
      Array.from({ length: 5 }, () => 'rateLimit'),
    );
  });
});

test('what the route does not want takes no permits from what it wants', async () => {
  const when: Condition = { source: 'false', test: () => false, why: () => [] };
  const limit = { limit: 3, per: 3_600_000 };
  const route = { when, rateLimit: { ...limit, key: undefined } };
  await withWorker({ route, handle: () => undefined }, async (bench) => {
    await bench.publish(...ids(40));
    const { totals } = await bench.atRest();
    assert.equal(totals.unmatched, 40);
    const [group] = await bench.bus.groups();
    const left = { ...limit, wanted: 3, returning: 0, line: false, leadMs: 0 };
    assert.equal((await bench.bus.limits.take(group?.storage ?? '', left)).granted, 3);
  });
});

test('what waits for longer than it may is dead-lettered as expired when its time is over', async () => {
  const route = { maxAge: 300, rateLimit: { limit: 1, per: 3_600_000, key: customer } };
  await withWorker({ route, handle: () => undefined }, async (bench) => {
    await publishOfCustomers(bench.bus, 'a1', 'a2');
    const { totals } = await bench.atRest();
    assert.deepEqual([totals.delivered, totals.dead], [1, 1]);
    assert.deepEqual(
      bench.kinds('dead_lettered').map((signal) => signal.kind === 'dead_lettered' && signal.reason),
      ['expired'],
    );
  });
});

test('while the bus cannot say, nothing starts and it is told; afterwards all goes on', async () => {
  const real = await openSqliteBus('sqlite::memory:');
  let away = true;
  const bus = new Proxy(real, {
    get(target, name) {
      if (name === 'limits') {
        return {
          take: (...args: Parameters<Bus['limits']['take']>) =>
            away ? Promise.reject(new Error('nobody answers')) : target.limits.take(...args),
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  for (const key of [undefined, customer]) {
    away = true;
    let ran = 0;
    const handle = (): void => {
      ran += 1;
    };
    const route = { id: key === undefined ? 'all' : 'each', rateLimit: { limit: 100, per: 1_000, key } };
    const bench = await startWorker({ bus, route, handle });
    await publishOfCustomers(bus, ...ids(3, key === undefined ? 'x' : 'y'));
    await eventually('it to be told', () => bench.kinds('bus_error').length > 1);
    assert.equal(ran, 0);
    away = false;
    await eventually('them to run', () => ran >= 3);
    await bench.close();
  }
  await real.close();
});

test('a route that stops hands back what waits for permits at once', async () => {
  const bus = await openSqliteBus('sqlite::memory:');
  const route = { rateLimit: { limit: 1, per: 3_600_000, key: undefined } };
  const bench = await startWorker({ bus, route, handle: () => undefined });
  await bench.publish(...ids(6));
  await eventually('the limit to be reached', () => bench.worker.gauges().limited);
  await bench.close();
  const second = await startWorker({ bus, handle: () => undefined });
  const { totals } = await second.atRest();
  assert.equal(totals.delivered, 6);
  await second.close();
  await bus.close();
});

test('a suspect that has to wait for a permit keeps the count of its starts', async () => {
  const bus = await openSqliteBus('sqlite::memory:');
  await bus.limits.take('orders.receipt:other', { limit: 1, per: 1, wanted: 1, returning: 0, line: false, leadMs: 0 });
  const group = { group: 'orders.receipt', patterns: ['order.paid'], startFrom: 'beginning' } as const;
  const holder = await bus.openGroup({ ...group, deadLetter: { retention: 1, maxEntries: 9, onFull: 'pause' } });
  await publishOfCustomers(bus, 'a1');
  const [entry] = await holder.read(1, AbortSignal.timeout(5_000));
  assert.ok(entry);
  // Its process ended without a settlement.
  const starts: number[] = [];
  const bench = await startWorker({
    ...{ bus, leaseMs: 200, timers: realTimers },
    route: { rateLimit: { limit: 1, per: 700, key: customer } },
    handle: (_, delivery) => void starts.push((delivery as unknown as { entry: { starts: number } }).entry.starts),
  });
  await publishOfCustomers(bus, 'a2');
  await bench.atRest();
  assert.deepEqual(starts, [1, 2]);
  await bench.close();
  await bus.close();
});
