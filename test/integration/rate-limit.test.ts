/** Two engines on one Redis: a limit is one for both. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Bus } from '../../engine/bus/bus.ts';
import { openBus } from '../../engine/bus/open.ts';
import { decodeLine, type JournalRow } from '../../engine/core/journal.ts';
import { startInside } from '../support/engine-inside.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis } from '../support/redis.ts';

const redis = await startRedis();
after(() => redis.stop());

/** Starts are written down by the engines' own clocks, which are so far apart at most on a machine that is busy, ms. */
const apart = 150;

/** The most starts within `per`, whatever the clocks. */
const most = (rows: readonly JournalRow[], per: number): number =>
  Math.max(
    ...rows.map(
      (from) => rows.filter(({ startedAt: at }) => at >= from.startedAt && at < from.startedAt + per - apart).length,
    ),
  );

const route = (id: string, limit: string): string => `
  - id: ${id}
    on: [order.paid]
    startFrom: beginning
    rateLimit: ${limit}
    handler: log
`;

async function deliveries(bus: Bus, wanted: string): Promise<JournalRow[]> {
  const rows: JournalRow[] = [];
  for await (const { group, line } of bus.journal()) if (group === wanted) rows.push(...decodeLine(line));
  return rows;
}

test('two engines on one Redis keep to one limit, of a route and of each key, and deliver everything once', async () => {
  const routes = route('all', '{ limit: 6, per: 1s }') + route('each', '{ limit: 2, per: 1s, key: event.subject }');
  const where = { bus: redis.url, routes, env: { EVENTFLOW_PREFIX: 'one' } };
  const engines = [await startInside(where), await startInside(where)] as const;
  const store = await openBus(redis.url, { prefix: 'one' });
  try {
    const posted = Array.from({ length: 24 }, (_, n) => {
      const event = {
        specversion: '1.0',
        id: `e${n}`,
        source: '/t',
        type: 'order.paid',
        subject: `s${n % 3}`,
        data: {},
      };
      return engines[n % 2 === 0 ? 0 : 1].post(event);
    });
    assert.ok((await Promise.all(posted)).every((response) => response.status === 202));
    for (const group of ['test.all', 'test.each']) {
      const stats = await eventually(
        `${group} to be settled`,
        async () => {
          const now = await store.groupStats(group);
          return now?.totals.delivered === 24 ? now : undefined;
        },
        60_000,
      );
      assert.deepEqual([stats.totals.retries, stats.totals.dead, stats.postponed], [0, 0, 0]);
    }
    const all = await deliveries(store, 'test.all');
    assert.equal(new Set(all.map(({ eventId }) => eventId)).size, 24);
    assert.ok(most(all, 1_000) <= 6, JSON.stringify(all.map(({ startedAt }) => startedAt)));
    const each = await deliveries(store, 'test.each');
    for (const subject of [0, 1, 2]) {
      const own = each.filter(({ eventId }) => Number(eventId.slice(1)) % 3 === subject);
      assert.deepEqual([own.length, own.every(({ attempt }) => attempt === 1)], [8, true]);
      assert.ok(most(own, 1_000) <= 2, JSON.stringify(own.map(({ startedAt }) => startedAt)));
    }
    const page = (await Promise.all(engines.map(({ metrics }) => metrics()))).join('\n');
    assert.match(page, /eventflow_rate_limited_total\{[^}]*route="all"[^}]*\} [1-9]/);
    assert.match(page, /eventflow_rate_limited_total\{[^}]*route="each"[^}]*\} [1-9]/);
  } finally {
    for (const engine of engines) await engine.stop();
    await store.close();
  }
});
