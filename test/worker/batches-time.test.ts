/** When batches go, in a time that the test moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from '../../engine/bus/bus.ts';
import type { BatchPolicy } from '../../engine/core/route.ts';
import { VirtualTime } from '../../engine/pipeline-test/time.ts';
import type { Batch, EventEnvelope } from '../../engine/plugin.ts';
import { Batches } from '../../engine/worker/batches.ts';
import { RunningDelivery } from '../../engine/worker/running.ts';
import { routeOf } from '../support/policies.ts';
import { silent } from '../support/worker.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Stage {
  /** What went together, with the moment; ms from the start. */
  readonly calls: { readonly at: number; readonly ids: readonly string[] }[];
  readonly batches: Batches;
  readonly join: (
    id: string,
    more?: { readonly attempt?: number; readonly starts?: number; readonly probe?: string },
  ) => RunningDelivery;
  readonly wait: (ms: number) => Promise<void>;
  /** The oldest call that runs ends well. */
  readonly end: () => Promise<void>;
}

function stage(batch: Partial<BatchPolicy>, concurrency = 2): Stage {
  const time = new VirtualTime(0);
  const route = routeOf({ concurrency, batch: { maxEvents: 3, maxBytes: 1_000_000, maxWait: 100, ...batch } });
  const calls: Stage['calls'] = [];
  const ends: (() => void)[] = [];
  const handleBatch = (events: readonly EventEnvelope[]): Promise<'delivered'[]> => {
    calls.push({ at: time.elapsed, ids: events.map(({ id }) => id) });
    return new Promise((resolve) => ends.push(() => resolve(events.map(() => 'delivered'))));
  };
  const batches = Batches.of({
    ...{ route, log: silent, timers: time.timers, observer: () => undefined, number: 1 },
    handler: { handle: () => undefined, handleBatch },
    now: time.clock,
    lastStarted: new Int32Array(1),
  });
  assert.ok(batches !== undefined);
  return {
    calls,
    batches,
    join(id, { attempt = 1, starts = 1, probe } = {}) {
      const event: EventEnvelope = { specversion: '1.0', id, source: '/t', type: 'x', time: '2026-01-01T00:00:00Z' };
      const entry = { id, body: 'x'.repeat(100), starts, state: { attempt, attempts: [] } } as unknown as Entry;
      const delivery = new RunningDelivery(entry, event, route.group, route.group, silent, time.clock(), 0, probe);
      void batches.handle(event, delivery).catch(() => undefined);
      return delivery;
    },
    wait: (ms) => time.finish(time.timers.wait(ms)),
    async end() {
      ends.shift()?.();
      await turn();
    },
  };
}

test('the wait is that of the first event, and ends when the batch is full', async () => {
  const { calls, join, wait } = stage({});
  join('a');
  await wait(60);
  join('b');
  await wait(60);
  for (const id of ['c', 'd', 'e']) join(id);
  assert.deepEqual(calls, [
    { at: 100, ids: ['a', 'b'] },
    { at: 120, ids: ['c', 'd', 'e'] },
  ]);
});

test('a batch whose wait is over grows until there is a place for it', async () => {
  const { calls, join, wait, end } = stage({}, 1);
  for (const id of ['a', 'b', 'c', 'd']) join(id);
  await wait(500);
  join('e');
  await end();
  assert.deepEqual(
    calls.map(({ ids }) => ids),
    [
      ['a', 'b', 'c'],
      ['d', 'e'],
    ],
  );
});

for (const [what, more] of [
  ['a second attempt', { attempt: 2 }],
  ['a suspect', { starts: 3 }],
  ['the probe of a breaker', { probe: 'p' }],
] as const) {
  test(`${what} goes alone and at once`, () => {
    const { calls, join } = stage({});
    join('a');
    join('b', more);
    assert.deepEqual(calls, [{ at: 0, ids: ['b'] }]);
  });
}

test('a batch goes before it has more bytes than it may', () => {
  const { calls, join } = stage({ maxBytes: 250 });
  for (const id of ['a', 'b', 'c']) join(id);
  assert.deepEqual(calls, [{ at: 0, ids: ['a', 'b'] }]);
});

test('what waits when whole batches have no place is told by being crowded', async () => {
  const { batches, join, end } = stage({ maxEvents: 1 }, 1);
  join('a');
  assert.equal(batches.crowded, false);
  join('b');
  assert.equal(batches.crowded, true);
  await end();
  assert.equal(batches.crowded, false);
});

test('a delivery whose lease was lost while it waited does not go, and the others do', async () => {
  const { calls, join, wait } = stage({});
  join('a').abort(new Error('lost'));
  join('b');
  await wait(100);
  assert.deepEqual(calls, [{ at: 100, ids: ['b'] }]);
});

test('one lost lease does not abort the others, all of them do', async () => {
  const time = new VirtualTime(0);
  const signals: AbortSignal[] = [];
  const route = routeOf({ batch: { maxEvents: 2, maxBytes: 1_000_000, maxWait: 100 } });
  const handleBatch = (_: readonly EventEnvelope[], { signal }: Batch): Promise<'delivered'[]> => {
    signals.push(signal);
    return new Promise(() => undefined);
  };
  const batches = Batches.of({
    ...{ route, log: silent, timers: time.timers, observer: () => undefined, number: 1, now: time.clock },
    handler: { handle: () => undefined, handleBatch },
    lastStarted: new Int32Array(1),
  });
  const deliveries = ['a', 'b'].map((id) => {
    const event: EventEnvelope = { specversion: '1.0', id, source: '/t', type: 'x', time: '2026-01-01T00:00:00Z' };
    const entry = { id, body: '', starts: 1 } as unknown as Entry;
    const delivery = new RunningDelivery(entry, event, 'g', 'g', silent, 0, 0, undefined);
    void batches?.handle(event, delivery);
    return delivery;
  });
  deliveries[0]?.abort(new Error('lost'));
  deliveries[0]?.abort(new Error('and the timeout'));
  assert.equal(signals[0]?.aborted, false);
  deliveries[1]?.abort(new Error('lost'));
  assert.equal(signals[0]?.aborted, true);
});
