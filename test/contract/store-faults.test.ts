/** What Redis can say when something is wrong with it, and what the bus makes of each: nothing is lost, and it recovers. */
import assert from 'node:assert/strict';
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import type { Bus, BusFault, Entry, Group } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { storeFault } from '../../engine/ingest/store-fault.ts';
import { eventually } from '../support/eventually.ts';
import { TcpProxy } from '../support/proxy.ts';
import { atPort, type RedisProcess, startRedisProcess } from '../support/redis.ts';
import { ack, events, ids, never, publication, readAll, spec } from '../support/redis-entries.ts';

describe('what Redis says when something is wrong', { timeout: 120_000 }, () => {
  let server: RedisProcess;
  let admin: Redis;
  let bus: Bus;
  let group: Group;
  let faults: BusFault[] = [];

  before(async () => {
    server = await startRedisProcess({
      args: ['--appendonly', 'yes', '--appendfsync', 'always', '--key-load-delay', '500'],
    });
    admin = new Redis(server.adminUrl);
    admin.on('error', () => undefined);
  });
  after(async () => {
    admin.disconnect();
    await server.stop();
  });
  afterEach(async () => {
    await bus.close();
    await admin.flushall();
  });

  async function open(url = server.url): Promise<void> {
    faults = [];
    bus = await openRedisBus(url, { onFault: (fault) => faults.push(fault) });
    group = await bus.openGroup(spec);
  }

  const told = (kind: string): BusFault[] => faults.filter((fault) => fault.kind === kind && fault.over === undefined);

  /** A publication is refused for a reason that says that nothing was stored, and the publisher hears `word`. */
  async function assertRefused(pattern: RegExp, word: string): Promise<void> {
    const before = await admin.xlen(events);
    await assert.rejects(bus.publish([publication()]), (error: Error & { code: string }) => {
      assert.deepEqual([error.code, pattern.test(error.message)], ['EF5011', true], error.message);
      const fault = storeFault(error);
      assert.equal(fault.word, word);
      return true;
    });
    assert.equal(await admin.xlen(events), before, 'and nothing was');
  }

  /** Takes events in and hands them out again, once each, whatever was before. */
  async function assertWorks(): Promise<void> {
    const item = publication();
    await eventually('a publication is taken', () => bus.publish([item]).then(Boolean, () => false));
    const entries: Entry[] = [];
    await eventually('it is handed out', async () => {
      entries.push(...(await group.read(10, never)));
      return ids(entries).includes(item.eventId);
    });
    assert.deepEqual(
      await group.settle(entries.map(ack), undefined),
      entries.map(() => 'done'),
    );
  }

  test('READONLY: a server that became a replica is told once, refuses events, and goes on as a master', async () => {
    await open();
    await assertWorks();
    const other = await startRedisProcess();
    try {
      await admin.replicaof('127.0.0.1', other.port);
      await assertRefused(/READONLY/, 'store_readonly');
      // The client looks for the new master meanwhile, so this one may not even be sent.
      await assert.rejects(bus.publish([publication()]));
      assert.equal(told('readonly').length, 1);
    } finally {
      await admin.replicaof('NO', 'ONE');
      await other.stop();
    }
    await assertWorks();
  });

  test('LOADING: while the server loads its data nobody gets a wrong answer, and readers go on afterwards', async () => {
    await open();
    const [before, during] = [publication(), publication()];
    await bus.publish([before]);
    const pipeline = admin.pipeline();
    for (let n = 0; n < 6_000; n += 1) pipeline.set(`filler:${n}`, 'x');
    await pipeline.exec();
    await server.kill();
    const restarted = server.restart();
    const raw = new Redis(server.adminUrl, { enableReadyCheck: false });
    raw.on('error', () => undefined);
    try {
      await eventually('the server loads', () =>
        raw.get('x').then(
          () => false,
          ({ message }) => /^LOADING/.test(message),
        ),
      );
    } finally {
      raw.disconnect();
    }
    const stored = await bus.publish([during]).then(
      () => true,
      (error: Error & { code: string }) => {
        assert.ok(['EF5001', 'EF5011', 'EF5014'].includes(error.code), `${error.code} ${error.message}`);
        return false;
      },
    );
    await restarted;
    assert.deepEqual(
      ids(await readAll(group, stored ? 2 : 1, 30_000)),
      [before, ...(stored ? [during] : [])].map(({ eventId }) => eventId).sort(),
    );
    await assertWorks();
  });

  test('MISCONF: a server that cannot write its snapshot refuses events and keeps what is settled for later', async () => {
    await open();
    await bus.publish([publication()]);
    const [entry] = await readAll(group, 1);
    assert.ok(entry);
    const inTheWay = join(server.dir, 'dump.rdb');
    await mkdir(join(inTheWay, 'x'), { recursive: true });
    await admin.config('SET', 'save', '3600 1');
    try {
      await admin.bgsave();
      await eventually('the snapshot fails', async () =>
        /rdb_last_bgsave_status:err/.test(await admin.info('persistence')),
      );
      await assertRefused(/MISCONF/, 'store_degraded');
      await assert.rejects(group.settle([ack(entry)], undefined), { code: 'EF5011' });
      assert.equal(told('misconf').length, 1);
    } finally {
      await admin.config('SET', 'save', '');
      await rmdir(join(inTheWay, 'x'));
      await rmdir(inTheWay);
      await admin.bgsave();
      await eventually('a snapshot', async () => /rdb_last_bgsave_status:ok/.test(await admin.info('persistence')));
    }
    assert.deepEqual(await group.settle([ack(entry)], undefined), ['done']);
    await assertWorks();
  });

  test('NOREPLICAS: a server that wants replicas and has none refuses events', async () => {
    await open();
    await assertWorks();
    await admin.config('SET', 'min-replicas-to-write', '1');
    try {
      await assertRefused(/NOREPLICAS/, 'store_degraded');
      assert.equal(told('noreplicas').length, 1);
    } finally {
      await admin.config('SET', 'min-replicas-to-write', '0');
    }
    await assertWorks();
  });

  test('NOPERM: a right that was taken away is told by its name, and what it held back goes on when it is back', async () => {
    await open();
    await assertWorks();
    await admin.call('ACL', 'SETUSER', 'limited', 'on', 'nopass', '+@all', '~*', '&*');
    await bus.close();
    await open(server.adminUrl.replace('redis://', 'redis://limited:x@'));
    await admin.call('ACL', 'SETUSER', 'limited', '-eval', '-evalsha');
    await assertRefused(/NOPERM/, 'store_unavailable');
    assert.match(told('noperm')[0]?.message ?? '', /NOPERM.*eval/i);
    await admin.call('ACL', 'SETUSER', 'limited', '+eval', '+evalsha');
    await assertWorks();
  });

  test('NOSCRIPT: scripts that the server forgot are sent again, and nobody notices', async () => {
    await open();
    await assertWorks();
    await admin.script('FLUSH');
    await assertWorks();
    assert.deepEqual(faults, []);
  });

  test('slow replies make everything slower and nothing else', async () => {
    await open();
    const proxy = await TcpProxy.start(server.port);
    try {
      await bus.close();
      proxy.delayMs = 150;
      await open(atPort(server.url, proxy.port));
      await Promise.all(Array.from({ length: 5 }, () => bus.publish([publication()])));
      const entries = await readAll(group, 5);
      assert.deepEqual(new Set(await group.settle(entries.map(ack), undefined)), new Set(['done']));
      const { totals, pending } = await group.stats();
      assert.deepEqual([totals.accepted, totals.delivered, pending, faults], [5, 5, 0, []]);
    } finally {
      await bus.close();
      await proxy.stop();
    }
  });

  test('a lost reply to a settlement is asked for again, and settles once', async () => {
    await open();
    const proxy = await TcpProxy.start(server.port);
    try {
      await bus.close();
      await open(atPort(server.url, proxy.port));
      await bus.publish([publication(), publication()]);
      const [one, two] = await readAll(group, 2);
      assert.ok(one && two);
      proxy.mode = 'dropReplies';
      const retry = { kind: 'retry', entry: one, delayMs: 60_000, state: { attempt: 2, attempts: [] } } as const;
      const settling = group.settle([retry, ack(two)], undefined);
      await eventually(
        'the server has settled',
        async () => (await admin.hget('ef:{order.paid:0}:r:p.r:totals', 'retries')) === '1',
      );
      proxy.mode = 'pass';
      proxy.cut();
      assert.equal((await settling).length, 2);
      const { totals, retrying, pending } = await group.stats();
      assert.deepEqual([totals.delivered, totals.retries, retrying, pending], [1, 1, 1, 0]);
    } finally {
      await bus.close();
      await proxy.stop();
    }
  });

  for (const [what, strike] of [
    ['FLUSHALL', () => admin.flushall()],
    ['DEL of a stream', () => admin.del(events)],
    ['XGROUP DESTROY', () => admin.xgroup('DESTROY', events, 'p.r')],
    ["XGROUP DESTROY of a route's own stream", () => admin.xgroup('DESTROY', 'ef:{order.paid:0}:r:p.r:due', 'p.r')],
  ] as const) {
    test(`${what} by an operator is told as a store reset, and what is published then is delivered within 5 s`, async () => {
      await open();
      await assertWorks();
      const reading = group.read(10, never);
      await strike();
      const from = Date.now();
      const item = publication();
      await bus.publish([item]);
      const entries = [...(await reading)];
      await eventually(
        'the event is handed out',
        async () => {
          if (!ids(entries).includes(item.eventId)) entries.push(...(await group.read(10, never)));
          return ids(entries).includes(item.eventId);
        },
        5_000,
      );
      await eventually('the reset is told', () => told('store_reset').length > 0);
      assert.ok(Date.now() - from < 5_000, `took ${Date.now() - from} ms`);
      assert.equal(told('store_reset').length, 1);
      assert.match(told('store_reset')[0]?.message ?? '', /^p\.r was gone from order\.paid: made again where it was/);
      assert.deepEqual(
        await group.settle(entries.map(ack), undefined),
        entries.map(() => 'done'),
      );
    });
  }
});
