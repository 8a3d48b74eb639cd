/** `when` and `transform` on a running worker: what the handler gets, and that nothing is dropped in silence. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Bus } from '../../engine/bus/bus.ts';
import { openBus } from '../../engine/bus/open.ts';
import type { DeadLetter } from '../../engine/core/delivery.ts';
import { badStatus, type Delivery, type EventEnvelope } from '../../engine/plugin.ts';
import { conditionOf, transformOf } from '../support/expressions.ts';
import { retryPolicy } from '../support/policies.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type Bench, type BenchOptions, quick, withWorker } from '../support/worker.ts';

let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

const buses: Readonly<Record<string, () => Promise<Bus>>> = {
  sqlite: () => openBus('sqlite::memory:'),
  redis: () => openBus(redis.url, { prefix: `exam-${randomBytes(6).toString('hex')}` }),
};

type With = (options: BenchOptions, body: (bench: Bench) => Promise<void>) => Promise<void>;

function onBoth(sentence: string, proof: (withBus: With) => Promise<void>): void {
  for (const [name, open] of Object.entries(buses)) {
    test(`${name}: ${sentence}`, { timeout: 60_000 }, async () => {
      const bus = await open();
      try {
        await proof((options, body) => withWorker({ ...options, bus }, body));
      } finally {
        await bus.close();
      }
    });
  }
}

const envelope = (id: string, data: unknown): string =>
  JSON.stringify({ specversion: '1.0', id, source: '/test', type: 'order.paid', time: '2026-01-01T00:00:00Z', data });

async function publish(bench: Bench, events: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [id, data] of Object.entries(events)) await bench.publishRaw(envelope(id, data));
}

const letters = async (bench: Bench): Promise<readonly DeadLetter[]> => {
  const { group } = bench.worker.route;
  return bench.bus.deadLetters.list({ group, limit: 10 });
};

onBoth('events that `when` is false for are settled without a run, a journal row or a dead letter', async (withBus) => {
  const seen: string[] = [];
  const route = { when: conditionOf('event.data.total >= 100') };
  await withBus({ route, handle: (event) => void seen.push(event.id) }, async (bench) => {
    await publish(bench, { small: { total: 5 }, large: { total: 500 }, tiny: { total: 0 } });
    const stats = await bench.atRest();
    assert.deepEqual(seen, ['large']);
    assert.deepEqual([stats.totals.delivered, stats.totals.unmatched, stats.dead], [1, 2, 0]);
    assert.equal(bench.kinds('unmatched').length, 2);
  });
});

onBoth(
  'an event that `when` has no answer for is dead-lettered without an attempt, and judged anew by a redrive',
  async (withBus) => {
    const seen: string[] = [];
    const handle = (event: EventEnvelope): void => void seen.push(event.id);
    await withBus({ route: { when: conditionOf('event.data.total >= 100') }, handle }, async (bench) => {
      await publish(bench, { odd: { price: 500 }, large: { total: 500 } });
      const stats = await bench.atRest();
      assert.deepEqual([seen, stats.dead], [['large'], 1]);
      const [letter] = await letters(bench);
      assert.deepEqual([letter?.reason, letter?.fault.code, letter?.attempts], ['invalid', 'when_failed', []]);
      assert.match(letter?.fault.message ?? '', /^expected event\.data\.total, got nothing/);
    });
    const corrected = conditionOf('event.data.?total.orValue(event.data.?price.orValue(0)) >= 100');
    await withBus({ route: { when: corrected }, handle }, async (bench) => {
      const found = await letters(bench);
      await bench.bus.deadLetters.redrive(found.map(({ id }) => id));
      const stats = await bench.atRest();
      assert.deepEqual([seen, stats.dead], [['large', 'odd'], 0]);
    });
  },
);

onBoth('an old event that the route does not want is not dead-lettered as expired', async (withBus) => {
  const route = { when: conditionOf('event.data.total >= 100'), maxAge: 1 };
  await withBus({ route, handle: () => undefined }, async (bench) => {
    await publish(bench, Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`small-${n}`, { total: n }])));
    const stats = await bench.atRest();
    assert.deepEqual([stats.totals.unmatched, stats.dead], [20, 0]);
  });
});

onBoth(
  'a handler gets the data that `transform` makes, in every attempt, and no original to pass on instead',
  async (withBus) => {
    const runs: [EventEnvelope, Delivery['original']][] = [];
    const transform = transformOf({ pick: ['order_id', 'customer.email'], set: { eur: 'event.data.total / 100.0' } });
    const handle = (event: EventEnvelope, delivery: Delivery): void => {
      runs.push([event, delivery.original]);
      if (delivery.attempt === 1) throw badStatus(new Error('again'), 503, 'busy');
    };
    await withBus({ route: { transform, retry: retryPolicy(quick) }, handle }, async (bench) => {
      await publish(bench, { a: { order_id: 7, total: 250, customer: { email: 'a@b.example', name: 'Ada' } } });
      await bench.atRest();
      const data = { order_id: 7, customer: { email: 'a@b.example' }, eur: 2.5 };
      assert.deepEqual(
        runs.map(([event, original]) => [event.id, event.data, original]),
        [
          ['a', data, undefined],
          ['a', data, undefined],
        ],
      );
    });
  },
);

onBoth('a dead letter of a route with `transform` holds the event as it was published', async (withBus) => {
  const data = { order_id: 7, total: 250, secret_note: 'x' };
  const route = { transform: transformOf({ pick: ['order_id'] }), retry: retryPolicy({ maxAttempts: 1 }) };
  const handle = (): never => {
    throw new Error('no');
  };
  await withBus({ route, handle }, async (bench) => {
    await publish(bench, { a: data });
    await bench.atRest();
    const [letter] = await letters(bench);
    assert.equal(letter?.reason, 'exhausted');
    assert.deepEqual(JSON.parse(letter?.body ?? ''), JSON.parse(envelope('a', data)));
  });
});

onBoth('data that cannot be transformed is dead-lettered as invalid, without an attempt', async (withBus) => {
  let runs = 0;
  const route = { transform: transformOf({ set: { eur: 'event.data.total / 100.0' } }) };
  const handle = (): void => {
    runs += 1;
  };
  await withBus({ route, handle }, async (bench) => {
    await publish(bench, { missing: {}, list: [1, 2], text: 'hello' });
    const stats = await bench.atRest();
    assert.deepEqual([runs, stats.dead], [0, 3]);
    const found = (await letters(bench)).map(({ reason, fault }) => `${reason} ${fault.code} ${fault.message}`).sort();
    assert.deepEqual(found, [
      'invalid transform_failed expected data to be a map, got a list',
      'invalid transform_failed expected data to be a map, got string',
      'invalid transform_failed set.eur: expected event.data.total, got nothing; has(…) asks whether there is something',
    ]);
  });
});
