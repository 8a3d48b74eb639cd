import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Bus } from '../../engine/bus/bus.ts';
import { openBus } from '../../engine/bus/open.ts';
import type { BatchPolicy } from '../../engine/core/route.ts';
import { type Batch, badStatus, type EventEnvelope, permanent, skip } from '../../engine/plugin.ts';
import { eventually } from '../support/eventually.ts';
import { breakerPolicy, retryPolicy } from '../support/policies.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type Bench, type BenchOptions, ids, quick, startWorker, withWorker } from '../support/worker.ts';

let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

function onBoth(sentence: string, proof: (bus: Bus) => Promise<void>): void {
  const buses = {
    sqlite: () => openBus('sqlite::memory:'),
    redis: () => openBus(redis.url, { prefix: `exam-${randomBytes(6).toString('hex')}` }),
  };
  for (const [name, open] of Object.entries(buses)) {
    test(`${name}: ${sentence}`, { timeout: 60_000 }, async () => {
      const bus = await open();
      try {
        await proof(bus);
      } finally {
        await bus.close();
      }
    });
  }
}

const rule = (given: Partial<BatchPolicy> = {}): BatchPolicy => ({
  maxEvents: 10,
  maxBytes: 1_048_576,
  maxWait: 20,
  ...given,
});
const handle = (): never => {
  throw new Error('expected handleBatch to be called, not handle');
};
const idsOf = (events: readonly EventEnvelope[]): string[] => events.map(({ id }) => id);
const all = (events: readonly EventEnvelope[]): 'delivered'[] => events.map(() => 'delivered');
/** Longer than any test: only what else sends a batch does. */
const never = 600_000;

type Body = (bench: Bench, calls: string[][]) => Promise<void>;

/** A route with batches, and which events came together. */
async function batching(
  batch: Partial<BatchPolicy>,
  answer: (events: readonly EventEnvelope[], batch: Batch) => unknown,
  route: BenchOptions['route'],
  body: Body,
  bus?: Bus,
): Promise<void> {
  const calls: string[][] = [];
  const handleBatch = (events: readonly EventEnvelope[], of: Batch): unknown => {
    calls.push(idsOf(events));
    return answer(events, of);
  };
  const options = {
    route: { retry: retryPolicy(quick), ...route, batch: rule(batch) },
    handle,
    handleBatch,
    ...(bus && { bus }),
  };
  await withWorker(options, (bench) => body(bench, calls));
}

test('a batch goes when it has as many events as it may', async () => {
  await batching({ maxEvents: 5, maxWait: never }, all, {}, async (bench, calls) => {
    await bench.publish(...ids(20));
    const stats = await bench.atRest();
    assert.equal(stats.totals.delivered, 20);
    assert.deepEqual(calls.flat(), ids(20));
    assert.deepEqual(
      calls.map((call) => call.length),
      [5, 5, 5, 5],
    );
    assert.deepEqual(
      bench.signals.flatMap((signal) => (signal.kind === 'batch' ? [signal.events] : [])),
      [5, 5, 5, 5],
    );
  });
});

test('a batch goes before its events are more bytes than it may have, and one that is larger goes alone', async () => {
  await batching({ maxBytes: 2_000, maxWait: never }, all, {}, async (bench, calls) => {
    const body = (id: string, size: number): string =>
      JSON.stringify({
        specversion: '1.0',
        id,
        source: '/test',
        type: 'order.paid',
        time: '2026-01-01T00:00:00Z',
        data: 'x'.repeat(size),
      });
    for (const [at, size] of [700, 700, 700, 5_000, 1_900].entries()) await bench.publishRaw(body(`e${at}`, size));
    await bench.atRest();
    assert.deepEqual(calls, [['e0', 'e1'], ['e2'], ['e3'], ['e4']]);
  });
});

test('a batch that is not full goes when its first event has waited for long enough', async () => {
  await batching({ maxWait: 30 }, all, {}, async (bench, calls) => {
    await bench.publish(...ids(3));
    await bench.atRest();
    assert.deepEqual(calls.flat(), ids(3));
  });
});

test('a stop sends what waits for company at once, and waits for its end', async () => {
  const seen: string[] = [];
  const bench = await startWorker({
    route: { batch: rule({ maxWait: never }) },
    handle,
    handleBatch: async (events) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      seen.push(...idsOf(events));
      return all(events);
    },
  });
  await bench.publish(...ids(3));
  await eventually('all of them to wait', () => bench.worker.gauges().inFlight === 3);
  assert.deepEqual(seen, []);
  const before = bench.bus;
  await bench.worker.stop(5_000);
  assert.deepEqual(seen, ids(3));
  const stats = await before.groupStats('orders.receipt');
  assert.deepEqual([stats?.totals.delivered, stats?.pending], [3, 0]);
  await bench.bus.close();
});

test('what never started when a stop ends is handed back, with no attempt spent', async () => {
  const bench = await startWorker({
    route: { batch: rule({ maxEvents: 2 }), concurrency: 1 },
    handle,
    handleBatch: () => new Promise(() => undefined),
  });
  await bench.publish(...ids(4));
  await eventually('one batch to run', () => bench.worker.gauges().inFlight === 2);
  await bench.worker.stop(20);
  assert.equal(bench.kinds('attempt').length, 0);
  const group = await bench.bus.openGroup({
    ...{ group: 'orders.receipt', patterns: ['order.paid'], startFrom: 'beginning' },
    deadLetter: { retention: 1_000_000, maxEntries: 10, onFull: 'pause' },
  });
  const found: string[] = [];
  await eventually('all four to come again', async () => {
    found.push(...(await group.read(10, AbortSignal.timeout(500))).map(({ body }) => JSON.parse(body).id as string));
    const { entries } = await group.reclaim(0, 10, () => false);
    found.push(...entries.map(({ body }) => JSON.parse(body).id as string));
    return new Set(found).size === 4;
  });
  await group.close();
  await bench.bus.close();
});

onBoth('each event of a batch has an end of its own', async (bus) => {
  const answer = (events: readonly EventEnvelope[], { deliveries }: Batch): unknown[] =>
    events.map(({ id }, at) => {
      if (id === 'e1') return skip('nobody to tell');
      if (id === 'e2') return permanent(new Error('no such customer'));
      if (id === 'e3' && deliveries[at]?.attempt === 1) return badStatus(new Error('busy'), 503);
      return 'delivered';
    });
  const body: Body = async (bench, calls) => {
    await bench.publish(...ids(4));
    const stats = await bench.atRest();
    const { delivered, skipped, retries } = stats.totals;
    assert.deepEqual(
      { delivered, skipped, retries, dead: stats.dead },
      { delivered: 2, skipped: 1, retries: 1, dead: 1 },
    );
    assert.deepEqual(calls, [ids(4), ['e3']]);
    const [letter] = await bench.bus.deadLetters.list({ limit: 10 });
    assert.deepEqual([letter?.reason, letter?.eventId], ['permanent', 'e2']);
  };
  await batching({ maxEvents: 4 }, answer, {}, body, bus);
});

test('an event that spoils its batch spoils it once: all others are delivered by themselves', async () => {
  const answer = (events: readonly EventEnvelope[]): unknown => {
    if (events.some(({ id }) => id === 'e7')) throw new Error('the store refused the whole batch');
    return all(events);
  };
  const route = { retry: retryPolicy({ ...quick, maxAttempts: 3 }) };
  await batching({ maxEvents: 10 }, answer, route, async (bench, calls) => {
    await bench.publish(...ids(10));
    const stats = await bench.atRest();
    assert.deepEqual([stats.totals.delivered, stats.dead], [9, 1]);
    assert.deepEqual(calls[0], ids(10));
    assert.ok(calls.slice(1).every((call) => call.length === 1));
    assert.equal(calls.flat().filter((id) => id === 'e7').length, 3);
    assert.equal(calls.flat().filter((id) => id === 'e3').length, 2);
  });
});

test('the timeout begins when the batch goes, and fails all of its events', async () => {
  let hung = false;
  const answer = (events: readonly EventEnvelope[], { signal }: Batch): unknown => {
    if (hung) return all(events);
    hung = true;
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  };
  // They wait for company for longer than the timeout.
  await batching({ maxEvents: 3, maxWait: 150 }, answer, { timeout: 60 }, async (bench, calls) => {
    await bench.publish('e0', 'e1');
    const stats = await bench.atRest();
    assert.deepEqual([stats.totals.delivered, stats.totals.retries], [2, 2]);
    assert.deepEqual(calls[0], ['e0', 'e1']);
    const failed = bench.signals.filter((signal) => signal.kind === 'attempt' && signal.outcome === 'failed');
    assert.deepEqual(
      failed.map((signal) => signal.kind === 'attempt' && signal.fault?.code),
      ['timeout', 'timeout'],
    );
  });
});

test('a batch that ignores its abort is given up once, and its place is free again', async () => {
  let calls = 0;
  const release: (() => void)[] = [];
  const handleBatch = (events: readonly EventEnvelope[]): unknown => {
    calls += 1;
    return calls > 1 ? all(events) : new Promise((resolve) => release.push(() => resolve(all(events))));
  };
  const route = { batch: rule({ maxEvents: 3 }), concurrency: 1, timeout: 50, retry: retryPolicy(quick) };
  await withWorker({ route, handle, handleBatch }, async (bench) => {
    await bench.publish(...ids(3));
    const stats = await bench.atRest();
    assert.deepEqual([stats.totals.delivered, stats.totals.retries], [3, 3]);
    assert.equal(bench.kinds('misbehaved').length, 1);
    assert.equal(bench.worker.gauges().leaked, 1);
    for (const act of release) act();
    await eventually('the late end to be seen', () => bench.worker.gauges().leaked === 0);
  });
});

for (const [what, wrong, said] of [
  [
    'too few results',
    ['delivered'],
    'expected handleBatch to resolve to an array of 2 results, one for each event, got 1',
  ],
  [
    'nothing',
    undefined,
    'expected handleBatch to resolve to an array of 2 results, one for each event, got a value of type undefined',
  ],
] as const) {
  test(`a handler that answers a batch with ${what} has answered for none of it, and is told on`, async () => {
    let first = true;
    const answer = (events: readonly EventEnvelope[]): unknown => {
      if (!first) return all(events);
      first = false;
      return wrong;
    };
    await batching({ maxEvents: 2 }, answer, {}, async (bench) => {
      await bench.publish('e0', 'e1');
      const stats = await bench.atRest();
      assert.deepEqual([stats.totals.delivered, stats.totals.retries], [2, 2]);
      assert.deepEqual(
        bench.signals.flatMap((signal) => (signal.kind === 'misbehaved' ? [signal.what] : [])),
        [said],
      );
    });
  });
}

test('a result that is none fails its own event only', async () => {
  const answer = (events: readonly EventEnvelope[], { deliveries }: Batch): unknown[] =>
    events.map(({ id }, at) => (id === 'e1' && deliveries[at]?.attempt === 1 ? 'ok' : 'delivered'));
  await batching({ maxEvents: 3 }, answer, {}, async (bench, calls) => {
    await bench.publish(...ids(3));
    const stats = await bench.atRest();
    assert.deepEqual([stats.totals.delivered, stats.totals.retries], [3, 1]);
    assert.deepEqual(calls, [ids(3), ['e1']]);
    const [told] = bench.signals.filter((signal) => signal.kind === 'misbehaved');
    assert.equal(
      told?.kind === 'misbehaved' && told.what,
      `expected each result of handleBatch to be 'delivered', skip(reason) or an Error, got "ok" at index 1`,
    );
  });
});

test('no more batches run at once than the concurrency says', async () => {
  let running = 0;
  let most = 0;
  const answer = async (events: readonly EventEnvelope[]): Promise<unknown> => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running -= 1;
    return all(events);
  };
  await batching({ maxEvents: 10 }, answer, { concurrency: 3 }, async (bench, calls) => {
    await bench.publish(...ids(200));
    const stats = await bench.atRest();
    assert.equal(stats.totals.delivered, 200);
    assert.equal(most, 3);
    assert.ok(calls.length < 60, `expected batches, got ${calls.length} calls for 200 events`);
  });
});

test('a batch that fails counts once against the breaker, and the probe goes alone', async () => {
  let down = true;
  const answer = (events: readonly EventEnvelope[]): unknown => {
    if (down) throw badStatus(new Error('down'), 503);
    return all(events);
  };
  const breaker = breakerPolicy({ rule: { kind: 'consecutive', failures: 2 }, openFor: 100 });
  const retry = retryPolicy({ ...quick, initialInterval: 5_000, maxInterval: 5_000 });
  await batching({ maxEvents: 5 }, answer, { breaker, retry }, async (bench, calls) => {
    await bench.publish(...ids(5));
    await eventually('all five to have failed', () => bench.kinds('retry_scheduled').length === 5);
    assert.equal(bench.worker.gauges().breaker.kind, 'closed');
    await bench.publish(...ids(5, 'f'));
    await eventually('an open breaker', () => bench.worker.gauges().breaker.kind !== 'closed');
    down = false;
    await bench.publish(...ids(5, 'g'));
    await eventually('a closed breaker', () => bench.worker.gauges().breaker.kind === 'closed');
    assert.deepEqual(calls[2], ['g0']);
    await bench.atRest(20_000);
  });
});

test('a batch of an ordered route holds at most one delivery of each key', async () => {
  const key = (event: EventEnvelope): string => event.id.slice(0, 1);
  const route = { ordering: { source: 'key', key }, concurrency: 1 };
  await batching({ maxEvents: 10, maxWait: 20 }, all, route, async (bench, calls) => {
    await bench.publish(...ids(4, 'a'), ...ids(4, 'b'), ...ids(4, 'c'));
    await bench.atRest(20_000);
    for (const call of calls) assert.equal(new Set(call.map((id) => id[0])).size, call.length, call.join());
    for (const one of ['a', 'b', 'c']) {
      assert.deepEqual(
        calls.flat().filter((id) => id.startsWith(one)),
        ids(4, one),
      );
    }
  });
});
