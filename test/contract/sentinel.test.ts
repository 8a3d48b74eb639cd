/** The bus behind Redis Sentinel: a master, two replicas and three sentinels as processes. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Bus, Group } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { eventflow } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { type RedisProcess, removeKeys } from '../support/redis.ts';
import { ack, events, publication, spec } from '../support/redis-entries.ts';
import { refusals } from '../support/redis-user.ts';
import { TestSentinel } from '../support/sentinel.ts';
import { Authority, tlsArgs } from '../support/tls.ts';
import { redisExam } from './exam-redis.ts';

const sentinel = await TestSentinel.start();
console.log(`# Redis ${sentinel.version} behind Sentinel`);
after(() => sentinel.stop());

redisExam('the bus behind Sentinel', sentinel.url, async (prefix) =>
  removeKeys((await sentinel.master()).adminUrl, prefix),
);

describe('behind Sentinel', () => {
  test('sentinels that know no master of that name are an error that says so', async () => {
    await assert.rejects(openRedisBus(sentinel.url.replace('/main/', '/maine/'), {}), {
      code: 'EF5001',
      message: `no answer from ${label().replace('/main/', '/maine/')}: no sentinel names a master: ERR No such master with that name`,
    });
  });

  test('sentinels that do not answer are an error that names them', async () => {
    await assert.rejects(openRedisBus('redis+sentinel://:hunter2@127.0.0.1:1/main/0', {}), {
      code: 'EF5001',
      // Whichever is heard first.
      message:
        /^no answer from redis\+sentinel:\/\/127\.0\.0\.1:1\/main\/0: (connect ECONNREFUSED 127\.0\.0\.1:1|no sentinel names a master: Connection is closed\.)$/,
    });
  });

  test('when the master dies, publishing and reading go on at the next one, and nothing acknowledged is lost', async () => {
    const own = await TestSentinel.start();
    const bus = await openRedisBus(own.url, { durability: { mode: 'replicated' } });
    try {
      const group = await bus.openGroup(spec);
      const read = new Set<string>();
      const reading = readInto(group, read);
      const acknowledged = new Set<string>();
      const stop = new AbortController();
      const publishing = publishInto(bus, acknowledged, stop.signal);
      await eventually('events before the fault', () => acknowledged.size >= 200 && read.size >= 100);
      const master = await own.master();
      await master.kill();
      const [published, seen] = [acknowledged.size, read.size];
      const next = await own.masterAfter(master);
      await eventually('events after the fault', () => acknowledged.size >= published + 200, 30_000);
      await eventually('reading after the fault', () => read.size >= seen + 200, 30_000);
      stop.abort();
      await publishing;
      const kept = await withAdmin(next, async (admin) => JSON.stringify(await admin.xrange(events, '-', '+')));
      assert.deepEqual(
        [...acknowledged].filter((id) => !kept.includes(id)),
        [],
      );
      await group.close();
      await reading;
    } finally {
      await bus.close();
      await own.stop();
    }
  });

  test('clients leave a master that was voted out, even while it still answers them', async () => {
    const own = await TestSentinel.start({ proxied: true });
    const old = await own.master();
    // We reach it directly, all others over a link that is about to break.
    const bus = await openRedisBus(`${own.url}?natMap=127.0.0.1:${old.announced}=127.0.0.1:${old.port}`, {});
    try {
      const group = await bus.openGroup(spec);
      const read = new Set<string>();
      const reading = readInto(group, read);
      assert.ok(old.proxy);
      old.proxy.mode = 'black';
      const next = await own.masterAfter(old);
      await eventually('an event at the new master', async () => {
        await bus.publish([publication(randomUUID())]).catch(() => undefined);
        return await withAdmin(next, async (admin) => (await admin.xlen(events)) > 0 && read.size > 0);
      });
      const seen = read.size;
      await bus.publish([publication(randomUUID())]);
      await eventually('it to be read there too', () => read.size > seen);
      await group.close();
      await reading;
    } finally {
      await bus.close();
      await own.stop();
    }
  });

  test('over TLS both Redis and the sentinels are asked by their certificates', async () => {
    const authority = await Authority.create();
    const certificate = await authority.sign('server', ['IP:127.0.0.1']);
    const own = await TestSentinel.start({ tls: (port) => tlsArgs(authority, certificate, port, true) });
    try {
      const url = own.url.replace('redis+', 'rediss+');
      const trusted = `${url}?ca=${authority.ca}&cert=${certificate.cert}&key=${certificate.key}`;
      const bus = await openRedisBus(trusted, { durability: { mode: 'replicated' } });
      assert.equal((await bus.publish([publication()]))[0]?.kind, 'accepted');
      await bus.close();
      await assert.rejects(openRedisBus(url, {}), { code: 'EF5001' });
    } finally {
      await own.stop();
      await authority.remove();
    }
  });

  test('the sentinels may ask for a user of their own, who may do no more than name the master', async () => {
    const password = 'sentinels';
    const { stdout } = await eventflow(['redis', 'acl', '--sentinel', '--user', 'asker']);
    const [command, ...words] = [...stdout.trim().split(' '), `>${password}`];
    for (const one of sentinel.sentinels) await withAdmin(one, (admin) => admin.call(command, ...words));
    const open = (secret: string): Promise<Bus> =>
      openRedisBus(`${sentinel.url}?sentinelUsername=asker&sentinelPassword=${secret}`, {});
    const faults: string[] = [];
    const bus = await openRedisBus(`${sentinel.url}?sentinelUsername=asker&sentinelPassword=${password}`, {
      onFault: ({ message }) => faults.push(message),
    });
    await bus.ping();
    await bus.close();
    assert.deepEqual(faults, []);
    for (const one of sentinel.sentinels) assert.deepEqual(await refusals(one.adminUrl, 'asker'), []);
    await assert.rejects(open('hunter2'), (error: Error) => {
      assert.match(error.message, /WRONGPASS|NOAUTH/);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    });
  });
});

/** Ten at a time, as fast as they are taken. */
async function publishInto(bus: Bus, acknowledged: Set<string>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const batch = Array.from({ length: 10 }, () => randomUUID());
    try {
      await bus.publish(batch.map((id) => publication(id)));
      for (const id of batch) acknowledged.add(id);
    } catch {
      // Nobody was told that these are stored.
    }
    await sleep(5);
  }
}

async function withAdmin<T>({ adminUrl }: RedisProcess, work: (admin: Redis) => Promise<T>): Promise<T> {
  const admin = new Redis(adminUrl, { maxRetriesPerRequest: 1 });
  admin.on('error', () => undefined);
  try {
    return await work(admin);
  } finally {
    admin.disconnect();
  }
}

async function readInto(group: Group, seen: Set<string>): Promise<void> {
  for (;;) {
    try {
      const entries = await group.read(100, AbortSignal.timeout(1_000));
      for (const { body } of entries) seen.add((JSON.parse(body) as { id: string }).id);
      if (entries.length > 0) await group.settle(entries.map(ack), undefined);
    } catch (error) {
      if ((error as { code?: string }).code === 'EF5024') return;
    }
  }
}
const label = (): string => sentinel.url.replace(/\/\/.*@/, '//');
