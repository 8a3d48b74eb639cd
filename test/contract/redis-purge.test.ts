/** Purges on Redis that are cut short, and engines that come back while one is under way. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, mock, test } from 'node:test';
import { Redis } from 'ioredis';
import type { Bus, Group } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { Connection } from '../../engine/bus/redis/connection.ts';
import { type Script, scripts } from '../../engine/bus/redis/scripts.ts';
import { type RedisProcess, startRedisProcess } from '../support/redis.ts';
import { ack, ids, never, publication, readAll, spec } from '../support/redis-entries.ts';
import { residue } from './exam/room.ts';

const from = { ...spec, startFrom: 'beginning' } as const;
type Evaluate = Connection['eval'];

const ann = { by: 'ann', reason: 'gone' };
const bob = { by: 'bob', reason: 'still there' };

describe('purging on Redis', { timeout: 60_000 }, () => {
  let server: RedisProcess;
  let admin: Redis;
  const open: Bus[] = [];

  before(async () => {
    server = await startRedisProcess({ args: [] });
    admin = new Redis(server.adminUrl);
  });
  after(async () => {
    admin.disconnect();
    await server.stop();
  });
  afterEach(async () => {
    mock.restoreAll();
    await Promise.all(open.splice(0).map((bus) => bus.close()));
    await admin.flushall();
  });

  async function newBus(): Promise<Bus> {
    const bus = await openRedisBus(server.url, {});
    open.push(bus);
    return bus;
  }

  /** Two engines, of which none has the route any more; two events were delivered, one is pending, two wait. */
  async function abandoned(): Promise<{ readonly purger: Bus; readonly engine: Bus }> {
    const [purger, engine] = [await newBus(), await newBus()];
    const group = await engine.openGroup(from);
    await engine.publish(Array.from({ length: 5 }, () => publication()));
    const [first, second] = await readAll(group, 3);
    assert.ok(first && second);
    await group.settle([ack(first), ack(second)], undefined);
    await group.close();
    return { purger, engine };
  }

  async function comeBack(engine: Bus): Promise<Group> {
    await engine.claim({ routes: [{ group: 'p.r' }], generation: 1, hash: 'h' });
    return await engine.openGroup(from);
  }

  /** The purger may not do what `rule` takes away, as after a fault at that place. */
  async function cutShort(purger: Bus, command: string): Promise<void> {
    await admin.call('ACL', 'SETUSER', 'eventflow', `-${command}`);
    await assert.rejects(purger.purge('p.r', ann));
    await admin.call('ACL', 'SETUSER', 'eventflow', `+${command}`);
    assert.deepEqual(await purger.purges(), [], 'nothing is purged yet');
    assert.equal((await purger.groups()).length, 1);
  }

  for (const [place, command] of [
    ['before anything went', 'xgroup|destroy'],
    ['when only its name was left', 'hdel'],
  ] as const) {
    test(`a purge that was cut short ${place} can be repeated by anybody and tells what there was`, async () => {
      const { purger, engine } = await abandoned();
      await cutShort(purger, command);
      const told = await engine.purge('p.r', bob);
      assert.deepEqual([told?.by, told?.accepted, told?.settled], ['ann', 5, 2]);
      assert.deepEqual(await purger.purges(), [told]);
      assert.deepEqual(await purger.groups(), []);
      assert.equal(await purger.purge('p.r', bob), undefined);
    });

    test(`a purge that was cut short ${place} is over once an engine opens the group`, async () => {
      const { purger, engine } = await abandoned();
      await cutShort(purger, command);
      const group = await comeBack(engine);
      await engine.publish([publication(), publication(), publication()]);
      const stats = await group.stats();
      assert.deepEqual([stats.totals.accepted, residue(stats)], [8, 0]);
      await group.close();
      await engine.claim({ routes: [], generation: 2, hash: 'h' });
      const told = await purger.purge('p.r', bob);
      assert.deepEqual([told?.by, told?.accepted], ['bob', 8]);
      assert.deepEqual(await purger.purges(), [told]);
    });
  }

  /** Calls `act` once, just before the first script call for which `when` holds. */
  function justBefore(when: (script: Script, args: readonly unknown[]) => boolean, act: () => Promise<void>): void {
    const original = Reflect.get(Connection.prototype, 'eval') as Evaluate;
    let done = false;
    mock.method(Connection.prototype, 'eval', async function (this: Connection, ...call: Parameters<Evaluate>) {
      if (!done && when(call[0], call[2])) {
        done = true;
        await act();
      }
      return await original.apply(this, call);
    });
  }

  const moments = {
    'it is marked': (script: Script) => script === scripts.record,
    'its place in a stream goes': (script: Script) => script === scripts.purge,
    'its name goes': (script: Script, args: readonly unknown[]) => script === scripts.record && args[2] === '',
  } as const;
  for (const [moment, when] of Object.entries(moments)) {
    test(`an engine that comes back just before ${moment} keeps its group`, async () => {
      const { purger, engine } = await abandoned();
      let group: Group | undefined;
      justBefore(when, async () => {
        group = await comeBack(engine);
      });
      await assert.rejects(purger.purge('p.r', ann), { code: 'EF6030' });
      assert.ok(group);
      assert.deepEqual(
        (await purger.groups()).map((info) => [info.group, info.streams, info.engines.length]),
        [['p.r', ['order.paid'], 1]],
      );
      assert.deepEqual(await purger.purges(), []);
      await engine.publish([publication('fresh')]);
      const seen: string[] = [];
      while (!seen.includes('fresh')) {
        const entries = await group.read(10, never);
        await group.settle(entries.map(ack), undefined);
        seen.push(...ids(entries));
      }
      const stats = await group.stats();
      assert.deepEqual([stats.totals.accepted, residue(stats)], [6, 0]);
      await group.close();
      await engine.claim({ routes: [], generation: 2, hash: 'h' });
      const told = await purger.purge('p.r', bob);
      assert.deepEqual([told?.by, told?.accepted], ['bob', 6]);
      assert.deepEqual(await purger.purges(), [told]);
      assert.deepEqual(await purger.groups(), []);
    });
  }

  test('an engine that opens the group without a claim just before its name goes keeps it too', async () => {
    const { purger, engine } = await abandoned();
    justBefore(moments['its name goes'], async () => void (await engine.openGroup(from)));
    await assert.rejects(purger.purge('p.r', ann), { code: 'EF6030', message: /opened while it was purged/ });
    assert.deepEqual(
      (await purger.groups()).map((info) => [info.group, info.streams]),
      [['p.r', ['order.paid']]],
    );
  });

  test('a group that was purged under an engine that was silent is another one when that makes it again', async () => {
    const { purger, engine } = await abandoned();
    const group = await engine.openGroup(from);
    const told = await purger.purge('p.r', ann);
    assert.equal(told?.accepted, 5);
    await engine.publish([publication('fresh')]);
    assert.ok(ids(await readAll(group, 6)).includes('fresh'), 'what rests in the stream, from its beginning');
    assert.deepEqual(await purger.purges(), [told]);
    assert.deepEqual(
      (await purger.groups()).map((info) => [info.group, info.streams]),
      [['p.r', ['order.paid']]],
    );
    await group.close();
    await purger.purge('p.r', bob);
    assert.deepEqual(
      (await purger.purges()).map(({ by }) => by),
      ['bob', 'ann'],
    );
  });
});
