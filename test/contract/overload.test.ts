/** More than the store can hold, or than routes work off: new events are refused in time, and nothing accepted suffers. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Redis } from 'ioredis';
import type { Fill, GroupStats } from '../../engine/bus/bus.ts';
import { IngestFault } from '../../engine/core/ingest-fault.ts';
import { closedAt } from '../../engine/core/overload.ts';
import { Door } from '../../engine/ingest/door.ts';
import type { Signal } from '../../engine/observe/signals.ts';
import { createPublisher } from '../../engine/publisher.ts';
import { sampleOf, stats } from '../observe/world.ts';
import { eventflow } from '../support/cli.ts';
import { type EngineInside, startInside } from '../support/engine-inside.ts';
import { eventually } from '../support/eventually.ts';
import { freePort, type RedisProcess, startRedisProcess } from '../support/redis.ts';

test('between its two marks a door stays as it is', () => {
  const run = (levels: readonly number[]): boolean[] => {
    let closed = false;
    return levels.map((level) => {
      closed = closedAt(closed, level, 90, 80);
      return closed;
    });
  };
  assert.deepEqual(run([0, 85, 89.9, 90, 85, 80, 79.9, 85, 95]), [
    false,
    false,
    false,
    true,
    true,
    true,
    false,
    false,
    true,
  ]);
  assert.equal(closedAt(true, 89, 90, 95), false, 'marks that are crossed count as one');
});

describe('the door for new events', () => {
  const policy = { refuseFrom: 90, acceptBelow: 80, maxLag: 100 };

  function doorOn(fill: () => Fill | undefined, waiting: () => number): { door: Door; signals: Signal[] } {
    const signals: Signal[] = [];
    const groupStats = async (): Promise<GroupStats> =>
      stats({ lag: [{ stream: 'a', entries: waiting(), known: true }] });
    const bus = { fill: async () => fill(), groupStats };
    const door = new Door({
      bus,
      policy,
      groups: () => ['p.r'],
      observer: (signal) => signals.push(signal),
      everyMs: 1e8,
    });
    door.close();
    return { door, signals };
  }

  test('closes for memory and for lag by themselves, and tells each once', async () => {
    let [used, lag] = [10, 0];
    const { door, signals } = doorOn(
      () => ({ used, limit: 100 }),
      () => lag,
    );
    const words: (string | undefined)[] = [];
    for ([used, lag] of [
      [89, 99],
      [90, 99],
      [85, 100],
      [79, 85],
      [79, 79],
    ] as const) {
      await door.look();
      words.push(door.refusal()?.word);
    }
    assert.deepEqual(words, [undefined, 'store_full', 'store_full', 'overloaded', undefined]);
    assert.deepEqual(
      signals.map((signal) => signal.kind === 'ingest' && `${signal.reason} ${signal.closed} ${signal.detail}`),
      [
        'memory true the store is 90 % full',
        'lag true 100 events wait for p.r',
        'memory false the store is 79 % full',
        'lag false 79 events wait for p.r',
      ],
    );
  });

  test('is open where the store has no limit, and stays as it is when the bus does not answer', async () => {
    let fill: () => Fill | undefined = () => ({ used: 95, limit: 100 });
    const { door } = doorOn(
      () => fill(),
      () => 0,
    );
    await door.look();
    fill = () => {
      throw new Error('away');
    };
    await assert.rejects(door.look());
    assert.equal(door.refusal()?.word, 'store_full');
    fill = () => undefined;
    await door.look();
    assert.equal(door.refusal(), undefined);
  });
});

test('a publisher goes on asking, with the same id, until the door is open again', async () => {
  const ids = new Set<string>();
  let asked = 0;
  const publisher = createPublisher(
    {
      bus: {
        publish: async (items) => {
          for (const { eventId } of items) ids.add(eventId);
          return items.map(() => ({ kind: 'accepted', stream: 'a', entryId: '1' }) as const);
        },
      },
    },
    {
      admit: () => {
        asked += 1;
        return asked < 4 ? new IngestFault('store_full', 'full') : undefined;
      },
    },
  );
  const { id } = await publisher.publish({ type: 'a', data: {} });
  assert.deepEqual([asked, [...ids]], [4, [id]]);
  await publisher.close();
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What is still in use once the rest is collected, bytes. */
function memoryHeld(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const big = 'x'.repeat(60_000);

describe('a Redis that fills up', { timeout: 180_000 }, () => {
  const limit = 30_000_000;
  let server: RedisProcess;
  let admin: Redis;
  let sink: Server;
  let answer = 503;
  let inside: EngineInside;
  const seen = new Map<string, number>();

  before(async () => {
    server = await startRedisProcess({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    admin = new Redis(server.adminUrl);
    await admin.config('SET', 'maxmemory', String(limit));
    sink = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      request.on('end', () => {
        if (answer === 200) {
          const { id } = JSON.parse(body) as { id: string };
          seen.set(id, (seen.get(id) ?? 0) + 1);
        }
        response.writeHead(answer).end();
      });
    });
    await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(sink.address() as AddressInfo).port}/`;
    inside = await startInside({
      bus: server.url,
      routes: `  - id: hook
    on: [order.paid]
    handler: webhook
    concurrency: 16
    circuitBreaker: false
    retry: { maxAttempts: 100, initialInterval: 3s, maxInterval: 5s }
    with: { url: "${url}" }
  - id: dead
    on: [order.lost]
    handler: webhook
    retry: { maxAttempts: 1 }
    with: { url: "${url}" }
`,
    });
  });
  after(async () => {
    await inside.stop();
    sink.closeAllConnections();
    sink.close();
    admin.disconnect();
    await server.stop();
  });

  const order = (n: number, type = 'order.paid') => ({ type, id: `o-${n}`, source: '/test', data: { big } });

  test('answers 503 store_full with Retry-After before it is full, goes on delivering, and takes events again', async () => {
    const accepted: string[] = [];
    const lost = await inside.post(order(0, 'order.lost'));
    assert.equal(lost.status, 202);
    const isClosed = () => inside.signals.some((signal) => signal.kind === 'ingest' && signal.closed);
    for (let n = 0; !isClosed(); n += 1) {
      assert.ok(n < 20_000, 'the store fills up');
      const response = await inside.post(order(n));
      if (response.status === 202) accepted.push(`o-${n}`);
      await response.text();
    }
    const refused = await inside.post(order(99_998));
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get('retry-after'), '10');
    const again = await inside.post(order(99_999));
    assert.deepEqual([again.status, ((await again.json()) as { code: string }).code], [503, 'store_full']);
    await eventually(
      'the metric shows it',
      async () => sampleOf(await inside.metrics(), 'eventflow_ingest_closed', { reason: 'memory' }) === 1,
    );
    assert.ok(sampleOf(await inside.metrics(), 'eventflow_bus_fill_ratio') > 0.8);
    assert.ok(inside.lines.some(({ msg }) => /^new events are refused: the store is \d+ % full/.test(String(msg))));
    await eventually(
      'the letter is there',
      async () => (await inside.engine.bus.deadLetters.list({ limit: 2 })).length === 1,
    );

    // What waits for its next attempt is not in the stream any more, so how much is used does not fall by itself later.
    await eventually('all of them wait for their next attempt', async () => {
      const stats = (await inside.engine.bus.groupStats('test.hook')) as GroupStats;
      return stats.totals.retries >= accepted.length && stats.lag.every(({ entries }) => entries === 0);
    });
    await inside.engine.bus.trim();

    // Really full: what is under way goes on all the same.
    const { used_memory: used } = Object.fromEntries(
      (await admin.info('memory')).split('\r\n').map((line) => line.split(':')),
    ) as Record<string, string>;
    await admin.config('SET', 'maxmemory', String(Number(used) - 1_000_000));
    const before = inside.signals.length;
    await eventually('retries go on', () =>
      inside.signals.slice(before).some(({ kind }) => kind === 'retry_scheduled'),
    );
    await eventually('the door is closed', async () => (await inside.post(order(0))).status === 503);
    const held = memoryHeld();
    for (let n = 0; n < 1_500; n += 1) assert.equal((await inside.post(order(n))).status, 503);
    const grown = memoryHeld() - held;
    assert.ok(grown < 45_000_000, `what was refused is not kept: ${grown} bytes`);

    answer = 200;
    await eventually('all of them are delivered', () => accepted.every((id) => seen.has(id)), 60_000);
    await admin.config('SET', 'maxmemory', String(limit));
    await inside.engine.bus.trim();
    await eventually('events are taken again', async () => (await inside.post(order(100_000))).status === 202, 30_000);
    await eventually('and delivered', () => seen.has('o-100000'));
    const { totals } = (await inside.engine.bus.groupStats('test.hook')) as GroupStats;
    assert.equal(totals.accepted, totals.delivered, 'none is left');
  });

  test('the command line goes on asking a full store, and says in the end what it heard', async () => {
    await admin.config('SET', 'maxmemory', '1000000');
    await eventually('the door is closed', async () => (await inside.post(order(1))).status === 503);
    const url = inside.engine.addresses.ingest ?? '';
    const publishing = eventflow(['publish', 'order.paid', '--data', '{}', '--id', 'c-1', '--url', url]);
    setTimeout(() => void admin.config('SET', 'maxmemory', String(limit)), 2_000);
    const { code, stdout, stderr } = await publishing;
    assert.deepEqual([code, stdout.trim()], [0, 'c-1'], stderr);
    await eventually('it is delivered once', () => seen.get('c-1') === 1);
  });
});

describe('routes that fall behind', { timeout: 60_000 }, () => {
  test('a lag above overload.maxLag refuses new events until it is worked off', async () => {
    let slow = true;
    const sink = createServer((request, response) => {
      request.resume();
      if (slow) setTimeout(() => response.end(), 60_000).unref();
      else response.end();
    });
    await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
    const inside = await startInside({
      bus: 'sqlite::memory:',
      env: { EVENTFLOW_OVERLOAD_MAX_LAG: '20' },
      routes: `  - id: hook
    on: [order.paid]
    handler: webhook
    concurrency: 1
    timeout: 2s
    circuitBreaker: false
    retry: { maxAttempts: 1 }
    with: { url: "http://127.0.0.1:${(sink.address() as AddressInfo).port}/" }
`,
    });
    try {
      const refused = await eventually('an event is refused', async () => {
        const answer = await inside.post({ type: 'order.paid', data: {} });
        return answer.status === 503 && answer;
      });
      assert.equal(refused.headers.get('retry-after'), '1');
      assert.equal(((await refused.json()) as { code: string }).code, 'overloaded');
      slow = false;
      sink.closeAllConnections();
      await eventually(
        'events are taken again',
        async () => (await inside.post({ type: 'order.paid', data: {} })).status === 202,
        30_000,
      );
    } finally {
      sink.closeAllConnections();
      sink.close();
      await inside.stop();
    }
  });

  test('a full DLQ pauses its route and loses nothing; one that drops its oldest names and counts them', async () => {
    const port = await freePort();
    const inside = await startInside({
      bus: 'sqlite::memory:',
      routes: `  - id: paused
    on: [order.paid]
    handler: webhook
    retry: { maxAttempts: 1 }
    circuitBreaker: false
    deadLetter: { maxEntries: 5, onFull: pause }
    with: { url: "http://127.0.0.1:${port}/" }
  - id: dropping
    on: [order.paid]
    handler: webhook
    retry: { maxAttempts: 1 }
    circuitBreaker: false
    deadLetter: { maxEntries: 5, onFull: dropOldest }
    with: { url: "http://127.0.0.1:${port}/" }
`,
    });
    try {
      for (let n = 0; n < 20; n += 1) {
        assert.equal((await inside.post({ type: 'order.paid', id: `e-${n}`, data: {} })).status, 202);
      }
      const named = () =>
        inside.signals
          .flatMap((signal) => (signal.kind === 'dlq_dropped' ? signal.letters : []))
          .map(({ eventId }) => eventId);
      await eventually('fifteen are dropped', () => named().length === 15, 30_000);
      assert.equal(new Set(named()).size, 15);
      const logged = inside.lines.filter(({ msg }) => /^dropped \d+ dead letters/.test(String(msg)));
      assert.equal(logged.flatMap(({ letters }) => letters as object[]).length, 15);
      const dropping = (await inside.engine.bus.groupStats('test.dropping')) as GroupStats;
      assert.deepEqual([dropping.dead, dropping.totals.dropped], [5, 15]);
      assert.equal(sampleOf(await inside.metrics(), 'eventflow_dlq_dropped_total', { route: 'dropping' }), 15);
      const paused = (await inside.engine.bus.groupStats('test.paused')) as GroupStats;
      const waiting = paused.lag.reduce((sum, { entries }) => sum + entries, 0);
      assert.deepEqual([paused.dead, paused.totals.dropped, waiting + paused.pending], [5, 0, 15], 'lost: none');
    } finally {
      await inside.stop();
    }
  });
});
