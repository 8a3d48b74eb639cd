/** Two engines on one Redis: a limit is one for both. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openBus } from '../../engine/bus/open.ts';
import { httpSink } from '../../engine/testing/http-sink.ts';
import { type EngineInside, startInside } from '../support/engine-inside.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis } from '../support/redis.ts';

const redis = await startRedis();
after(() => redis.stop());

interface Arrival {
  readonly at: number;
  readonly subject: string;
}

/** Notes when requests come in, by their path. */
async function startTarget(): Promise<{ url: string; at: Map<string, Arrival[]>; stop: () => Promise<void> }> {
  const at = new Map<string, Arrival[]>();
  const sink = await httpSink();
  sink.usually(({ path, headers }) => {
    at.set(path, [...(at.get(path) ?? []), { at: performance.now(), subject: String(headers['ce-subject']) }]);
    return 200;
  });
  return { url: sink.url, at, stop: () => sink.close() };
}

/** A request may take so much longer than another to get there, ms. */
const late = 250;

/** The most that came in within `per`, when each may have come late. */
const most = (arrivals: readonly Arrival[], per: number): number =>
  Math.max(...arrivals.map(({ at }) => arrivals.filter((one) => one.at >= at && one.at < at + per - late).length));

const route = (id: string, target: string, limit: string): string => `
  - id: ${id}
    on: [order.paid]
    startFrom: beginning
    rateLimit: ${limit}
    handler: webhook
    with: { url: "${target}/${id}", mode: binary }
`;

test('two engines on one Redis keep to one limit, of a route and of each key, and deliver everything once', async () => {
  const target = await startTarget();
  const routes =
    route('all', target.url, '{ limit: 6, per: 1s }') +
    route('each', target.url, '{ limit: 2, per: 1s, key: event.subject }');
  const env = { EVENTFLOW_PREFIX: 'one' };
  const engines: EngineInside[] = [];
  for (let n = 0; n < 2; n += 1) engines.push(await startInside({ bus: redis.url, routes, env }));
  const store = await openBus(redis.url, { prefix: 'one' });
  try {
    const posted = Array.from({ length: 24 }, (_, n) =>
      engines[n % 2]?.post({
        specversion: '1.0',
        id: `e${n}`,
        source: '/t',
        type: 'order.paid',
        subject: `s${n % 3}`,
        data: {},
      }),
    );
    assert.ok((await Promise.all(posted)).every((response) => response?.status === 202));
    const count = (path: string): number => target.at.get(path)?.length ?? 0;
    await eventually('all to arrive', () => count('/all') >= 24 && count('/each') >= 24, 60_000);
    for (const group of ['test.all', 'test.each']) {
      const totals = await eventually(`${group} to be settled`, async () => {
        const stats = await store.groupStats(group);
        return stats?.totals.delivered === 24 ? stats.totals : undefined;
      });
      assert.deepEqual([totals.retries, totals.dead], [0, 0]);
    }
    assert.deepEqual([count('/all'), count('/each')], [24, 24], 'each once');
    assert.ok(most(target.at.get('/all') ?? [], 1_000) <= 6);
    for (const subject of ['s0', 's1', 's2']) {
      const own = (target.at.get('/each') ?? []).filter((one) => one.subject === subject);
      assert.equal(own.length, 8);
      assert.ok(most(own, 1_000) <= 2, subject);
    }
    const page = (await Promise.all(engines.map(({ metrics }) => metrics()))).join('\n');
    assert.match(page, /eventflow_rate_limited_total\{[^}]*route="all"[^}]*\} [1-9]/);
    assert.match(page, /eventflow_rate_limited_total\{[^}]*route="each"[^}]*\} [1-9]/);
  } finally {
    for (const engine of engines) await engine.stop();
    await store.close();
    await target.stop();
  }
});
