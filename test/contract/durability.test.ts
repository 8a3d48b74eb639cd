/** What the store promises is asked, told and watched: at the start, and while the engine runs. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { sampleOf } from '../observe/world.ts';
import { type EngineInside, startInside } from '../support/engine-inside.ts';
import { spawnEngine } from '../support/engine-process.ts';
import { eventually } from '../support/eventually.ts';
import { type RedisProcess, startRedisProcess } from '../support/redis.ts';

const routes = '  - { id: all, on: [order.paid], handler: noop }\n';

describe('what a Redis promises', { timeout: 120_000 }, () => {
  let server: RedisProcess;
  let admin: Redis;
  let inside: EngineInside | undefined;

  before(async () => {
    server = await startRedisProcess({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    admin = new Redis(server.adminUrl);
    admin.on('error', () => undefined);
  });
  after(async () => {
    admin.disconnect();
    await server.stop();
  });
  afterEach(async () => {
    await inside?.stop();
    inside = undefined;
    await admin.flushall();
    await admin.config('SET', 'appendfsync', 'always');
    await admin.config('SET', 'no-appendfsync-on-rewrite', 'no');
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
  });

  const durabilityOf = async (url = server.url) => {
    const bus = await openRedisBus(url, {});
    try {
      return await bus.durability();
    } finally {
      await bus.close();
    }
  };

  for (const [name, value, reason] of [
    ['appendfsync', 'everysec', /`appendfsync everysec`.*power cut loses about a second; set `appendfsync always`/],
    ['appendfsync', 'no', /`appendfsync no`/],
    ['no-appendfsync-on-rewrite', 'yes', /does not sync while it rewrites.*set it to `no`/],
  ] as const) {
    test(`${name} ${value} is best effort, with what to set`, async () => {
      assert.deepEqual(await durabilityOf(), { mode: 'fsync', level: 'guaranteed', reason: undefined });
      await admin.config('SET', name, value);
      const { level, reason: got } = await durabilityOf();
      assert.equal(level, 'best_effort');
      assert.match(got ?? '', reason);
    });
  }

  test('a server without an append-only file is best effort', async () => {
    const memory = await startRedisProcess();
    try {
      const { level, reason } = await durabilityOf(memory.url);
      assert.deepEqual([level, /memory only: set `appendonly yes`/.test(reason ?? '')], ['best_effort', true]);
    } finally {
      await memory.stop();
    }
  });

  test('a server that does not let its settings be read is best effort, with the right that is missing', async () => {
    await admin.call('ACL', 'SETUSER', 'shy', 'on', '>x', '+@all', '-config', '~*', '&*');
    const { level, reason } = await durabilityOf(server.adminUrl.replace('redis://', 'redis://shy:x@'));
    assert.equal(level, 'best_effort');
    assert.match(reason ?? '', /NOPERM.*'config\|get'.*allow this user CONFIG GET/);
  });

  test('a server whose CONFIG was renamed is best effort, and says so', async () => {
    const managed = await startRedisProcess({
      args: ['--appendonly', 'yes', '--appendfsync', 'always', '--rename-command', 'CONFIG', 'hidden'],
    });
    try {
      const { level, reason } = await durabilityOf(managed.adminUrl);
      assert.equal(level, 'best_effort');
      assert.match(reason ?? '', /does not let its settings be read .*unknown command/);
    } finally {
      await managed.stop();
    }
  });

  test('a change while the engine runs is told once each way, on the log, the metrics and /readyz', async () => {
    inside = await startInside({ bus: server.url, routes });
    const { engine, lines, metrics } = inside;
    const told = () => lines.filter(({ msg }) => /^durability: /.test(String(msg))).map(({ msg }) => String(msg));
    const ready = async () => (await fetch(`${engine.addresses.admin}/readyz?verbose`)).text();
    assert.deepEqual(told(), ['durability: fsync, verified']);
    assert.equal(sampleOf(await metrics(), 'eventflow_bus_durability', { mode: 'fsync' }), 1);
    await admin.config('SET', 'appendfsync', 'everysec');
    await eventually('the change is told', () => told().length > 1, 60_000);
    assert.match(told()[1] ?? '', /^durability: best_effort\. .*`appendfsync everysec`/);
    assert.equal(sampleOf(await metrics(), 'eventflow_bus_durability', { mode: 'fsync' }), 0);
    assert.match(await ready(), /durability[^\n]*best_effort: .*everysec/);
    await admin.config('SET', 'appendfsync', 'always');
    await eventually('it is well again', () => told().length > 2, 60_000);
    assert.equal(told()[2], 'durability: fsync, verified');
  });

  test('durability that nobody asked for is told as information, and seen on /readyz and the metrics', async () => {
    inside = await startInside({ bus: server.url, routes, env: { EVENTFLOW_DURABILITY_MODE: 'none' } });
    const { engine, lines, metrics } = inside;
    const line = lines.find(({ msg }) => /^durability: none/.test(String(msg)));
    assert.equal(line?.['level'], 'info');
    assert.equal(sampleOf(await metrics(), 'eventflow_bus_durability', { mode: 'none' }), 0);
    const ready = await (await fetch(`${engine.addresses.admin}/readyz?verbose`)).text();
    assert.match(ready, /durability[^\n]*best_effort: switched off by `durability\.mode: none`/);
  });

  for (const [policy, why] of [
    ['allkeys-lru', 'drop whole streams, retries and dead letters'],
    ['volatile-ttl', 'forget what was published lately'],
  ] as const) {
    test(`maxmemory-policy ${policy} ends the start with 78 and the line to set`, async () => {
      await admin.config('SET', 'maxmemory-policy', policy);
      const env = { EVENTFLOW_BUS: server.url, EVENTFLOW_ALLOW_EMPTY: 'true', EVENTFLOW_PIPELINES: 'pipelines' };
      await assert.rejects(spawnEngine([], env), (error: Error) => {
        assert.match(error.message, /it ended with code 78/);
        assert.match(error.message, new RegExp(`EF5015 .*maxmemory-policy ${policy}.*${why}`));
        assert.match(error.message, /set `maxmemory-policy noeviction`.*--allow-unsafe-store/);
        return true;
      });
    });
  }

  test('an unsafe store that is allowed runs, and is told as an error', async () => {
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lfu');
    inside = await startInside({ bus: server.url, routes, allowUnsafeStore: true });
    assert.equal(sampleOf(await inside.metrics(), 'eventflow_bus_unsafe'), 1);
    assert.equal(inside.lines.find(({ msg }) => /^the store is unsafe/.test(String(msg)))?.['level'], 'error');
  });

  test('a store that becomes unsafe is told within a minute, and when it is safe again', async () => {
    inside = await startInside({ bus: server.url, routes });
    const { lines, metrics, engine } = inside;
    assert.equal(sampleOf(await metrics(), 'eventflow_bus_unsafe'), 0);
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const said = (pattern: RegExp) => lines.some(({ msg }) => pattern.test(String(msg)));
    await eventually('it is told', () => said(/^the store is unsafe: `maxmemory-policy allkeys-lru`/), 60_000);
    assert.equal(sampleOf(await metrics(), 'eventflow_bus_unsafe'), 1);
    const ready = await fetch(`${engine.addresses.admin}/readyz?verbose`);
    assert.match(await ready.text(), /store[^\n]*allkeys-lru/);
    assert.equal(ready.status, 200, 'what runs goes on');
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
    await eventually('it is safe again', () => said(/^the store is safe again$/), 60_000);
    assert.equal(sampleOf(await metrics(), 'eventflow_bus_unsafe'), 0);
  });

  test('an outage is a handful of lines however many routes and publishers meet it, and its end is told', async () => {
    const many = Array.from({ length: 20 }, (_, n) => `  - { id: r${n}, on: [order.paid], handler: noop }\n`).join('');
    inside = await startInside({ bus: server.url, routes: many });
    const { lines, post } = inside;
    const publishing = setInterval(
      () => void post({ type: 'order.paid', data: {} }).then((answer) => answer.text()),
      50,
    );
    const from = lines.length;
    await server.kill();
    await eventually(
      'publishers are refused',
      async () => (await post({ type: 'order.paid', data: {} })).status === 503,
    );
    await server.restart();
    const over = await eventually(
      'the end is told',
      () => lines.find(({ msg }) => /^over, after/.test(String(msg))),
      30_000,
    );
    clearInterval(publishing);
    assert.ok(Number(over['times']) > 10, `met ${String(over['times'])} times`);
    const told = lines.slice(from).filter(({ level }) => level === 'error');
    assert.ok(told.length <= 8, told.map(({ kind, msg }) => `${String(kind)} ${String(msg)}`).join('\n'));
    await eventually(
      'events are taken again',
      async () => (await post({ type: 'order.paid', data: {} })).status === 202,
    );
  });

  test('a store that is emptied under a running engine is counted, logged, and works again within 5 s', async () => {
    inside = await startInside({ bus: server.url, routes });
    const { engine, lines, metrics, signals, post } = inside;
    const delivered = () => signals.filter(({ kind }) => kind === 'attempt').length;
    await post({ type: 'order.paid', data: {} });
    await eventually('one is delivered', () => delivered() === 1);
    await admin.flushall();
    const from = Date.now();
    assert.equal((await post({ type: 'order.paid', data: {} })).status, 202);
    await eventually('the next is delivered', () => delivered() === 2, 5_000);
    await eventually('the reset is told', () => lines.some(({ kind }) => kind === 'store_reset'), 5_000);
    assert.ok(Date.now() - from < 5_000);
    assert.ok(sampleOf(await metrics(), 'eventflow_bus_errors_total', { kind: 'store_reset' }) >= 1);
    assert.equal((await fetch(`${engine.addresses.admin}/readyz`)).status, 200);
  });
});
