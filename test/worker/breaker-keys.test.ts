/** Breakers of keys: one tenant's trouble is nobody else's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import { closedBreaker } from '../../engine/core/breaker.ts';
import type { BreakerPolicy, EventKey } from '../../engine/core/route.ts';
import { type EventEnvelope, unavailable } from '../../engine/plugin.ts';
import { forgettable } from '../../engine/worker/breaker-keys.ts';
import { eventually } from '../support/eventually.ts';
import { breakerPolicy, retryPolicy, routeOf } from '../support/policies.ts';
import { boardOf, ids, publishOfCustomers, quick, startWorker, withWorker } from '../support/worker.ts';

const tenant: EventKey = { source: 'event.subject', key: ({ subject }) => String(subject) };
const touchy = (more: Partial<BreakerPolicy> = {}): BreakerPolicy =>
  breakerPolicy({
    ...{ rule: { kind: 'consecutive', failures: 3 }, openFor: 200, maxOpenFor: 400, scope: tenant },
    ...more,
  });
const retry = retryPolicy({ ...quick, maxAttempts: 20 });

const refuse = (): never => {
  throw unavailable(Object.assign(new Error('nobody listens'), { code: 'ECONNREFUSED' }));
};

test('a tenant that is down holds up nobody else, spends no attempts while its breaker is open, and comes back', async () => {
  let down = true;
  const calls: string[] = [];
  const handle = (event: EventEnvelope): void => {
    calls.push(event.id);
    if (down && event.subject === 'a') refuse();
  };
  await withWorker({ route: { breaker: touchy(), retry, concurrency: 4 }, handle }, async (bench) => {
    await publishOfCustomers(bench.bus, ...ids(20, 'a'));
    await eventually('the breaker of a to open', () => bench.worker.gauges().openKeys === 1);
    assert.equal(bench.worker.gauges().held, false);
    await publishOfCustomers(bench.bus, ...ids(20, 'b'));
    await eventually('all of b to be delivered', () => calls.filter((id) => id.startsWith('b')).length === 20);
    await eventually('those of a to wait', async () => (await bench.stats()).postponed >= 10);
    const before = calls.filter((id) => id.startsWith('a')).length;
    assert.ok(before < 40, `${before} calls for a tenant that is down`);
    down = false;
    const { totals } = await bench.atRest(20_000);
    assert.deepEqual([totals.delivered, totals.dead], [40, 0]);
    assert.equal(bench.worker.gauges().openKeys, 0);
  });
});

test('hosts are told apart by the target of the handler, and routes share the breaker of a host', async () => {
  const bus = await openSqliteBus('sqlite::memory:');
  const signals: unknown[] = [];
  const observer = (signal: unknown): void => void signals.push(signal);
  const board = boardOf(bus, observer);
  const target = (event: EventEnvelope): string => `${String(event.subject)}.example`;
  const breaker = touchy({ scope: 'host', openFor: 3_600_000, maxOpenFor: 3_600_000 });
  const one = { id: 'one', breaker, retry };
  const bench = await startWorker({ bus, breakers: board, route: one, target, handle: refuse });
  await publishOfCustomers(bus, ...ids(5, 'a'));
  await eventually('it to open', () => bench.worker.gauges().openKeys === 1);
  // It decides by itself, and tells the bus then.
  await eventually('the bus to know', async () => (await bus.breakers.list()).length > 0);
  assert.deepEqual(
    (await bus.breakers.list()).map(({ key }) => key),
    ['host:a.example'],
  );
  const ran: string[] = [];
  const handle = ({ id }: EventEnvelope): void => void ran.push(id);
  const two = await startWorker({ bus, breakers: board, route: { id: 'two', breaker, retry }, target, handle });
  await publishOfCustomers(bus, 'b1');
  await eventually('what goes to the other host to run', () => ran.length === 1);
  await eventually('the five to wait in the other route as well', async () => (await two.stats()).postponed === 5);
  assert.deepEqual(ran, ['b1']);
  for (const worker of [bench, two]) await worker.close();
  await bus.close();
});

test('onOpen: deadLetter sends those of the open key to the DLQ, and brings them back when it closes', async () => {
  let down = true;
  const handle = ({ subject }: EventEnvelope): void => {
    if (down && subject === 'a') refuse();
  };
  const breaker = touchy({ onOpen: 'deadLetter', redriveOnClose: true });
  await withWorker({ route: { breaker, retry }, handle }, async (bench) => {
    await publishOfCustomers(bench.bus, ...ids(10, 'a'), ...ids(10, 'b'));
    await eventually('letters', async () => (await bench.stats()).dead > 0);
    await eventually('all of b', async () => (await bench.stats()).totals.delivered >= 10);
    down = false;
    await eventually('all to be delivered', async () => (await bench.stats()).totals.delivered === 20, 20_000);
    assert.equal((await bench.stats()).dead, 0);
  });
});

test('a key that is well again is forgotten by the bus, and by whoever knew of it', async () => {
  let down = true;
  const handle = (): void => {
    if (down) refuse();
  };
  await withWorker({ route: { breaker: touchy(), retry }, handle }, async (bench) => {
    await publishOfCustomers(bench.bus, 'a1', 'a2');
    await eventually('it to open', async () => (await bench.bus.breakers.list()).length === 1);
    down = false;
    await bench.atRest(20_000);
    await publishOfCustomers(bench.bus, 'a3');
    await eventually('nothing to be left', async () => (await bench.bus.breakers.list()).length === 0, 20_000);
    down = true;
    await publishOfCustomers(bench.bus, 'a4');
    await eventually('it to open again', () => bench.worker.gauges().openKeys === 1);
  });
});

test('there are no more breakers than a thousand for a route: who is closed makes room, and the rest share one', async () => {
  const bus = await openSqliteBus('sqlite::memory:');
  const board = boardOf(bus);
  const keys = board.joinKeys(
    routeOf({ breaker: touchy({ rule: { kind: 'consecutive', failures: 1 } }) }),
    () => undefined,
  );
  assert.ok(keys);
  const first = keys.gate('k0');
  for (let n = 1; n <= 1_500; n += 1) keys.gate(`k${n}`);
  assert.notEqual(keys.gate('k0'), first, 'the one that was used least made room');
  const gates = Array.from({ length: 1_000 }, (_, n) => keys.gate(`open${n}`));
  for (const gate of gates) gate.report(gate.state.period, 'down');
  assert.equal(keys.open, 1_000);
  assert.equal(keys.gate('one more').key, 'key:orders.receipt:(others)');
  assert.equal(keys.gate('another'), keys.gate('one more'));
  assert.equal(keys.gate('open7'), gates[7]);
  await keys.settled();
  keys.leave();
  board.close();
  await bus.close();
});

test('a long key has a short name, and another one of that length another', async () => {
  const bus = await openSqliteBus('sqlite::memory:');
  const board = boardOf(bus);
  const keys = board.joinKeys(routeOf({ breaker: touchy() }), () => undefined);
  const [a, b] = [keys?.gate('x'.repeat(5_000)), keys?.gate(`${'x'.repeat(4_999)}y`)];
  assert.ok(a && b && a.key.length < 100);
  assert.notEqual(a.key, b.key);
  keys?.leave();
  board.close();
  await bus.close();
});

test('only what says nothing is forgotten: closed with nothing to make up for, or of nobody for a day', () => {
  const now = 1_800_000_000_000;
  const day = 86_400_000;
  const open = { kind: 'open', period: 1, since: now - 9, until: now, openFor: 9, why: 'down' } as const;
  assert.equal(forgettable(closedBreaker(now), now), true);
  assert.equal(forgettable({ ...closedBreaker(now), failures: 1 } as ReturnType<typeof closedBreaker>, now), false);
  assert.equal(forgettable(open, now + day), false);
  assert.equal(forgettable(open, now + day + 1), true);
  const probing = { kind: 'half_open', period: 1, openFor: 9, successes: 0, why: '' } as const;
  assert.equal(forgettable({ ...probing, probes: [] }, now), false);
  assert.equal(forgettable({ ...probing, probes: [{ id: 'p', expiresAt: now - day - 1 }] }, now), true);
});
