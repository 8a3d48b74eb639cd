/** What the exam cannot ask of every bus: foreign producers, lost groups, a server that dies, links that break. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Bus, BusFault, BusOptions, Entry } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { decodeEvent } from '../../engine/event.ts';
import { TcpProxy } from '../support/proxy.ts';
import { atPort, type RedisProcess, startRedisProcess } from '../support/redis.ts';
import { ack, events, ids, never, publication, readAll, spec } from '../support/redis-entries.ts';

describe('the bus on Redis, when things go wrong', { timeout: 60_000 }, () => {
  let server: RedisProcess;
  let admin: Redis;
  const open: Bus[] = [];
  const proxies: TcpProxy[] = [];
  let faults: BusFault[] = [];

  before(async () => {
    server = await startRedisProcess({
      args: ['--appendonly', 'yes', '--appendfsync', 'always', '--repl-diskless-sync-delay', '0'],
    });
    admin = new Redis(server.adminUrl);
    admin.on('error', () => undefined);
  });
  after(async () => {
    admin.disconnect();
    await server.stop();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((bus) => bus.close()));
    await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
    await admin.flushall();
    faults = [];
  });

  async function newBus(options: BusOptions = {}, url = server.url): Promise<Bus> {
    const bus = await openRedisBus(url, { onFault: (fault) => faults.push(fault), ...options });
    open.push(bus);
    return bus;
  }

  async function newProxy(): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(server.port);
    proxies.push(proxy);
    return proxy;
  }

  test('an entry of a foreign producer with flat fields is an event', async () => {
    const group = await (await newBus()).openGroup(spec);
    const id = await admin.xadd(events, '*', 'type', 'order.paid', 'data', '{"total": 1.0}', 'subject', 'o-1');
    const [entry] = await readAll(group, 1);
    assert.ok(entry);
    assert.equal(entry.body, '{"total": 1.0}');
    const event = decodeEvent(entry.body, entry.meta);
    assert.deepEqual(
      [event.id, event.source, event.type, event.subject, event.data],
      [id, '/streams/order.paid', 'order.paid', 'o-1', { total: 1 }],
    );
    assert.equal(event.time, new Date(entry.publishedAt).toISOString());
  });

  test("a foreign producer's own id, source and time are kept", async () => {
    const group = await (await newBus()).openGroup(spec);
    const time = '2026-01-31T12:00:00Z';
    await admin.xadd(events, '*', 'type', 'order.paid', 'id', 'x', 'source', '/erp', 'time', time, 'data', 'null');
    const [entry] = await readAll(group, 1);
    const event = decodeEvent(entry?.body ?? '', entry?.meta);
    assert.deepEqual([event.id, event.source, event.time, event.data], ['x', '/erp', time, null]);
  });

  test('an entry that is no event is handed out with what it holds, and does not decode', async () => {
    const group = await (await newBus()).openGroup(spec);
    await admin.xadd(events, '*', 'foo', 'bär', 'x', '');
    const [entry] = await readAll(group, 1);
    assert.deepEqual(JSON.parse(entry?.body ?? ''), { foo: 'bär', x: '' });
    assert.throws(() => decodeEvent(entry?.body ?? '', entry?.meta), { name: 'UndecodableError' });
  });

  test('a foreign entry keeps its attributes through a retry, a dead letter and a redrive', async () => {
    const bus = await newBus();
    const group = await bus.openGroup(spec);
    await admin.xadd(events, '*', 'type', 'order.paid', 'id', 'x', 'data', '{"ü": "\\u0000"}');
    const [first] = await readAll(group, 1);
    assert.ok(first);
    await group.settle([{ kind: 'retry', entry: first, delayMs: 0, state: { attempt: 2, attempts: [] } }], undefined);
    await sleep(2);
    assert.equal(await group.promote(10), 1);
    const [second] = await readAll(group, 1);
    assert.ok(second);
    assert.deepEqual([second.body, second.meta, second.origin], [first.body, first.meta, first.origin]);
    const fault = { code: 'x', message: 'x', kind: 'error' } as const;
    const words = { reason: 'permanent', handler: 'h', eventId: 'x', eventType: 'order.paid', fault } as const;
    const more = { fingerprint: 'f', attempts: [], configHash: 'c' };
    await group.settle([{ kind: 'dead', entry: second, words: { ...words, ...more } }], undefined);
    const [letter] = await bus.deadLetters.list({ limit: 1 });
    await bus.deadLetters.redrive([letter?.id ?? '']);
    const [third] = await readAll(group, 1);
    assert.deepEqual([third?.body, third?.meta, third?.state?.redrivenFrom], [first.body, first.meta, letter?.id]);
  });

  test('entries that were deleted while they were pending are reported as lost', async () => {
    const group = await (await newBus()).openGroup(spec);
    await admin.xadd(events, '*', 'd', '{}');
    const [entry] = await readAll(group, 1);
    await admin.xdel(events, entry?.origin ?? '');
    const { entries, lost } = await group.reclaim(0, 10, () => false);
    assert.deepEqual([entries.length, lost.length], [0, 1]);
    assert.ok(lost[0]?.includes(entry?.origin ?? '?'));
  });

  test('an unsettled suspect that was deleted is reported as lost', async () => {
    const group = await (await newBus()).openGroup(spec);
    await admin.xadd(events, '*', 'd', '{}');
    await readAll(group, 1);
    await group.reclaim(0, 1, () => false);
    const [entry] = (await group.reclaim(0, 1, () => false)).entries;
    assert.equal(entry?.starts, 3);
    assert.deepEqual(await group.extend([entry]), []);
    await admin.xdel(events, entry.origin);
    assert.equal((await group.extend([entry])).length, 1);
  });

  test('a group that somebody destroyed is made again where it was activated, and reads on', async () => {
    const bus = await newBus();
    await bus.publish([publication('before')]);
    const group = await bus.openGroup(spec);
    await bus.publish([publication('a'), publication('b')]);
    await readAll(group, 2);
    const reading = group.read(10, never);
    await sleep(50);
    await admin.xgroup('DESTROY', events, 'p.r');
    await reading;
    assert.deepEqual(ids(await readAll(group, 2)), ['a', 'b'], 'again, but nothing from before its activation');
    await bus.publish([publication('c')]);
    assert.deepEqual(ids(await readAll(group, 1)), ['c']);
    const stats = await group.stats();
    assert.deepEqual([stats.totals.accepted, stats.pending], [3, 3]);
    assert.deepEqual(
      faults
        .filter(({ kind, over }) => kind === 'nogroup' && over === undefined)
        .map(({ message }) => /^p\.r: (NOGROUP|UNBLOCKED)/.test(message)),
      [true],
    );
  });

  test('after the store was emptied streams and groups are made again, and nothing published later is missed', async () => {
    const bus = await newBus();
    const wildcard = await bus.openGroup({ ...spec, group: 'p.all', patterns: ['order.*'] });
    const group = await bus.openGroup(spec);
    await bus.publish([publication()]);
    await readAll(group, 1);
    await readAll(wildcard, 1);
    const reading = Promise.all([group.read(10, never), wildcard.read(10, never)]);
    await sleep(50);
    await admin.flushall();
    await bus.publish([publication('later')]);
    const early = await reading;
    for (const [at, one] of [group, wildcard].entries()) {
      const got = early[at] ?? [];
      assert.deepEqual(ids([...got, ...(await readAll(one, 1 - got.length))]), ['later']);
    }
    const deadline = Date.now() + 5_000;
    while (!(await bus.streams()).some(({ name }) => name === 'order.paid')) {
      assert.ok(Date.now() < deadline, 'the registry knows the stream again');
      await sleep(50);
    }
    assert.deepEqual((await bus.groups()).map(({ group: name }) => name).sort(), ['p.all', 'p.r']);
  });

  test('a server that is killed and comes back has every acknowledged event, and readers go on', async () => {
    const bus = await newBus();
    const group = await bus.openGroup(spec);
    const acknowledged: string[] = [];
    let stop = false;
    const publishing = (async () => {
      while (!stop) {
        const batch = Array.from({ length: 5 }, () => publication());
        for (let tries = 0; tries < 50; tries += 1) {
          const results = await bus.publish(batch).catch(() => undefined);
          if (results !== undefined) break;
          await sleep(50);
        }
        acknowledged.push(...batch.map(({ eventId }) => eventId));
        await sleep(1);
      }
    })();
    const seen = new Map<string, number>();
    const consume = async (): Promise<void> => {
      const entries = await group.read(50, never);
      const { entries: again } = await group.reclaim(1_500, 50, () => false).catch(() => ({ entries: [] }));
      const all = [...entries, ...again];
      for (const { body, meta } of all) {
        const { id } = decodeEvent(body, meta);
        seen.set(id, (seen.get(id) ?? 0) + 1);
      }
      await group.settle(all.map(ack), undefined).catch(() => undefined);
    };
    const consuming = (async () => {
      while (!stop) await consume();
    })();
    for (let round = 0; round < 3; round += 1) {
      await sleep(300);
      await server.kill();
      await sleep(200);
      await server.restart();
    }
    await sleep(500);
    stop = true;
    await Promise.all([publishing, consuming]);
    const end = Date.now() + 15_000;
    while (acknowledged.some((id) => !seen.has(id)) && Date.now() < end) await consume();
    assert.deepEqual(
      acknowledged.filter((id) => !seen.has(id)),
      [],
    );
    assert.ok(acknowledged.length > 50, `${acknowledged.length} were published`);
    assert.equal((await group.stats()).totals.accepted, acknowledged.length, 'and none of them twice');
  });

  test('a publication whose answer was lost with its link is sent again and stored once', async () => {
    const proxy = await newProxy();
    const bus = await newBus({}, atPort(server.url, proxy.port));
    await bus.publish([publication('first')]);
    proxy.mode = 'dropReplies';
    const item = publication('lost');
    const publishing = bus.publish([item]);
    await sleep(200);
    proxy.mode = 'pass';
    proxy.cut();
    assert.equal((await publishing)[0]?.kind, 'duplicate', 'the client has repeated it');
    assert.equal((await bus.publish([item]))[0]?.kind, 'duplicate');
    assert.equal(await admin.xlen(events), 2);
  });

  test('a publisher hears within its deadline that the outcome is unknown, and may repeat', async () => {
    const proxy = await newProxy();
    const bus = await newBus({}, atPort(server.url, proxy.port));
    await bus.publish([publication('first')]);
    proxy.mode = 'dropReplies';
    const item = publication('second');
    const from = Date.now();
    await assert.rejects(bus.publish([item]), { code: 'EF5010', message: /publishing the same events again is safe/ });
    assert.ok(Date.now() - from < 3_000, `after ${Date.now() - from} ms`);
    assert.ok(faults.some(({ kind }) => kind === 'timeout'));
    proxy.mode = 'pass';
    proxy.cut();
    assert.equal((await bus.publish([item]))[0]?.kind, 'duplicate');
    assert.equal(await admin.xlen(events), 2);
  });

  test('the first event of a stream keeps to the deadline as well', async () => {
    const proxy = await newProxy();
    const bus = await newBus({}, atPort(server.url, proxy.port));
    proxy.mode = 'black';
    const from = Date.now();
    await assert.rejects(bus.publish([publication()]), { code: 'EF5012' });
    assert.ok(Date.now() - from < 3_000, `after ${Date.now() - from} ms`);
    assert.equal(await admin.xlen(events), 0);
  });

  test('a reader on a half-open link comes back by itself and gets what was published meanwhile', async () => {
    const proxy = await newProxy();
    const far = await newBus({}, atPort(server.url, proxy.port));
    const near = await newBus();
    const group = await far.openGroup(spec);
    const reading = group.read(10, never);
    await sleep(100);
    proxy.mode = 'black';
    await near.publish([publication('x')]);
    assert.deepEqual(await reading, [], 'no answer, but no hanging either');
    await sleep(1_000);
    proxy.mode = 'pass';
    const end = Date.now() + 20_000;
    const got: Entry[] = [];
    while (got.length === 0 && Date.now() < end) {
      got.push(...(await group.read(10, never)));
      if (got.length === 0)
        got.push(...(await group.reclaim(2_000, 10, () => false).catch(() => ({ entries: [] }))).entries);
    }
    assert.deepEqual(ids(got), ['x']);
    assert.ok(faults.some(({ kind }) => kind === 'connection' || kind === 'timeout'));
  });

  test('an aborted read on a dead link ends soon', async () => {
    const proxy = await newProxy();
    const bus = await newBus({}, atPort(server.url, proxy.port));
    const group = await bus.openGroup(spec);
    const stop = new AbortController();
    const reading = group.read(10, stop.signal);
    await sleep(50);
    proxy.mode = 'black';
    const from = Date.now();
    stop.abort();
    assert.deepEqual(await reading, []);
    assert.ok(Date.now() - from < 1_000, `after ${Date.now() - from} ms`);
    proxy.mode = 'pass';
    proxy.cut();
  });

  test('out of memory, publishing is refused and says so, while settling goes on', async () => {
    const bus = await newBus();
    const group = await bus.openGroup(spec);
    await bus.publish([publication(), publication()]);
    const [one, two] = await readAll(group, 2);
    assert.ok(one && two);
    await admin.config('SET', 'maxmemory', '1');
    try {
      await assert.rejects(bus.publish([publication()]), { code: 'EF5011', message: /OOM/ });
      assert.ok(faults.some(({ kind }) => kind === 'oom'));
      const retry = { kind: 'retry', entry: one, delayMs: 0, state: { attempt: 2, attempts: [] } } as const;
      assert.deepEqual(await group.settle([retry, ack(two)], '[]'), ['done', 'done']);
      await sleep(2);
      assert.equal(await group.promote(10), 1);
      assert.equal((await readAll(group, 1))[0]?.origin, one.origin);
    } finally {
      await admin.config('SET', 'maxmemory', '0');
    }
    assert.equal((await bus.publish([publication()]))[0]?.kind, 'accepted');
  });

  test('durability is guaranteed only with an append-only file that is synced always', async () => {
    const bus = await newBus();
    assert.equal((await bus.durability()).level, 'guaranteed');
    assert.deepEqual(faults, []);
    await admin.config('SET', 'appendfsync', 'everysec');
    try {
      const { level, reason } = await bus.durability();
      assert.equal(level, 'best_effort');
      assert.match(reason ?? '', /appendfsync everysec.*set `appendfsync always`/);
      // Whoever opened the bus asks and tells; it is a state and no fault.
      await newBus();
      assert.deepEqual(faults, []);
    } finally {
      await admin.config('SET', 'appendfsync', 'always');
    }
  });

  test('with replicated durability nothing counts as published while replicas are missing', async () => {
    const bus = await newBus({ durability: { mode: 'replicated', replicas: 1 } });
    assert.equal((await bus.durability()).level, 'best_effort');
    const item = publication();
    await assert.rejects(bus.publish([item]), { code: 'EF5010', message: /expected 1 replicas/ });
    const replica = await startRedisProcess({ args: ['--replicaof', `127.0.0.1 ${server.port}`] });
    try {
      const deadline = Date.now() + 10_000;
      while ((await bus.durability()).level !== 'guaranteed') {
        assert.ok(Date.now() < deadline, 'the replica connects');
        await sleep(100);
      }
      assert.equal((await bus.publish([item]))[0]?.kind, 'duplicate');
      assert.equal((await bus.publish([publication()]))[0]?.kind, 'accepted');
    } finally {
      await replica.stop();
    }
  });

  test('nobody at the address is an error that names it without its password', async () => {
    const url = 'redis://user:secret@127.0.0.1:1/0';
    await assert.rejects(openRedisBus(url, {}), (error: Error & { code: string }) => {
      assert.equal(error.code, 'EF5001');
      assert.match(error.message, /redis:\/\/127\.0\.0\.1:1\/0/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });

  test('other URLs, and queries that would change how the client works, are refused', async () => {
    for (const url of ['http://x', 'redis://h/notanumber', 'redis://h/0?enableOfflineQueue=true', 'nonsense']) {
      await assert.rejects(openRedisBus(url, {}), { code: 'EF5003' });
    }
  });

  test('two buses with different prefixes on one server know nothing of each other', async () => {
    const [one, two] = [await newBus({ prefix: 'one' }), await newBus({ prefix: 'two' })];
    await one.publish([publication('k')]);
    assert.equal((await two.publish([publication('k')]))[0]?.kind, 'accepted');
    assert.deepEqual(await two.groups(), []);
    const keys = await admin.keys('*');
    assert.ok(
      keys.every((key) => /^(one|two):/.test(key)),
      keys.join(' '),
    );
  });

  test('the consumers of a closed group are gone from the server', async () => {
    const bus = await newBus();
    const group = await bus.openGroup(spec);
    await bus.publish([publication()]);
    const [entry] = await readAll(group, 1);
    assert.ok(entry);
    await group.settle([ack(entry)], undefined);
    await group.close();
    assert.deepEqual(await admin.xinfo('CONSUMERS', events, 'p.r'), []);
  });
});
