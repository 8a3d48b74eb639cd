/** What only a cluster does to a bus: slots that move, masters that fall, many slots in one route. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Bus, BusFault, BusOptions } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { Connection } from '../../engine/bus/redis/connection.ts';
import { FaultLog } from '../../engine/bus/redis/faults.ts';
import { Feeds } from '../../engine/bus/redis/feed.ts';
import { parseTarget } from '../../engine/bus/redis/target.ts';
import { BusLoad } from '../support/bus-load.ts';
import { type ClusterNode, TestCluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { TcpProxy } from '../support/proxy.ts';
import { ack, events, ids, never, publication, readAll, spec } from '../support/redis-entries.ts';
import { refusals } from '../support/redis-user.ts';

const types = Array.from({ length: 20 }, (_, at) => `order.t${at}`);
const keyOf = (stream: string, part = ':events'): string => `ef:{${stream}:0}${part}`;
const all = { ...spec, group: 'p.all', patterns: ['order.*'] };

describe('the bus on a Redis Cluster, when slots move and masters fall', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  let faults: BusFault[] = [];
  const open: Bus[] = [];

  before(async () => {
    cluster = await TestCluster.start({ replicas: true, args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
  });
  after(async () => {
    const refused = await Promise.all(cluster.nodes.map(({ process }) => refusals(process.adminUrl)));
    await cluster.stop();
    assert.deepEqual(refused.flat(), [], 'the user of least privilege may do all that was done here');
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((bus) => bus.close()));
    await cluster.removeKeys('ef');
    faults = [];
  });

  async function newBus(options: BusOptions = {}, url = cluster.url): Promise<Bus> {
    const bus = await openRedisBus(url, { onFault: (fault) => faults.push(fault), ...options });
    open.push(bus);
    return bus;
  }

  test('a route reads twenty streams in as many slots', async () => {
    const bus = await newBus();
    const group = await bus.openGroup(all);
    const items = types.flatMap((type) => Array.from({ length: 10 }, () => ({ ...publication(), type })));
    const publishing = bus.publish(items);
    const entries = await readAll(group, items.length);
    await publishing;
    assert.deepEqual(ids(entries), items.map(({ eventId }) => eventId).sort());
    assert.deepEqual(new Set(await group.settle(entries.map(ack), undefined)), new Set(['done']));
    const { totals, pending, lag } = await group.stats();
    assert.deepEqual([totals.accepted, totals.delivered, pending], [items.length, items.length, 0]);
    assert.ok(lag.every(({ entries: waiting }) => waiting === 0));
    const owners = await Promise.all(types.map((type) => cluster.ownerOf(keyOf(type))));
    assert.equal(new Set(owners.map(({ id }) => id)).size, 3, 'they rest on all masters');
  });

  test('a stream beyond those that are read over a connection of their own is read as well when the others are quiet', async () => {
    const bus = await newBus();
    await bus.publish(types.map((type) => ({ ...publication(), type })));
    const group = await bus.openGroup(all);
    for (const type of types) {
      const item = { ...publication(), type };
      await bus.publish([item]);
      assert.deepEqual(ids(await readAll(group, 1)), [item.eventId], type);
    }
    const clients = await Promise.all((await cluster.masters()).map(({ admin }) => admin.client('LIST')));
    const blocking = (clients as string[]).join('').match(/name=eventflow:p\.all /g)?.length;
    assert.equal(blocking, 8, 'connections of the route, over all nodes');
  });

  test('of many streams the busy ones are read over the connections that block', async () => {
    const bus = await newBus();
    await bus.publish(types.map((type) => ({ ...publication(), type })));
    await (await bus.openGroup(all)).close();
    const [target, log] = [parseTarget(cluster.url), new FaultLog(undefined)];
    const shared = { target, name: 'eventflow:test', faults: log };
    const commands = new Connection({ ...shared, deadlineMs: 10_000, silenceMs: 5_000 });
    await commands.connect();
    const feeds = new Feeds({ ...shared, commands, group: all.group, consumer: 'me' }, 0);
    try {
      const pairs = types.map((stream) => ({ stream, events: keyOf(stream), due: keyOf(stream, ':r:p.all:due') }));
      feeds.follow(pairs);
      await feeds.connect();
      const busy = feeds.all.at(-1)?.scope.split(' ').at(-1) as string;
      for (let times = 0; times < 2; times += 1) {
        await bus.publish([{ ...publication(), type: busy }]);
        const feed = feeds.all.find(({ scope }) => scope.endsWith(` ${busy}`));
        assert.equal((await feed?.read(10))?.[0]?.[0], keyOf(busy));
      }
      const blocking = feeds.all.slice(0, 8).find(({ scope }) => scope.endsWith(` ${busy}`));
      assert.ok(blocking, `${busy} is among ${feeds.all.map(({ scope }) => scope).join(', ')}`);
      await bus.publish([{ ...publication(), type: busy }]);
      assert.equal((await blocking.read(10))?.[0]?.[0], keyOf(busy));
    } finally {
      feeds.close();
      commands.close();
      log.close();
    }
  });

  test('what others forgot of the scripts is said again, on each node', async () => {
    const bus = await newBus();
    const group = await bus.openGroup(all);
    await bus.publish(types.map((type) => ({ ...publication(), type })));
    await group.settle((await readAll(group, types.length)).map(ack), undefined);
    await Promise.all((await cluster.masters()).map(({ admin }) => admin.script('FLUSH')));
    await bus.publish(types.map((type) => ({ ...publication(), type })));
    const entries = await readAll(group, types.length);
    assert.deepEqual(new Set(await group.settle(entries.map(ack), undefined)), new Set(['done']));
  });

  test('durability is guaranteed only when every master syncs', async () => {
    const bus = await newBus();
    assert.equal((await bus.durability()).level, 'guaranteed');
    const [, , last] = await cluster.masters();
    await last?.admin.config('SET', 'appendfsync', 'everysec');
    const { level, reason } = await bus.durability();
    await last?.admin.config('SET', 'appendfsync', 'always');
    assert.equal(level, 'best_effort');
    assert.match(reason ?? '', /appendfsync everysec/);
  });

  test('the slot of a stream moves under load: nothing is lost, nothing comes twice, nothing is taken for a loss', async () => {
    const bus = await newBus();
    const load = new BusLoad({ bus, group: await bus.openGroup(spec), types: ['order.paid'] });
    for (let turn = 0; turn < 6; turn += 1) {
      await load.goesOn(50);
      const to = await cluster.moveSlotOf(events, turn);
      assert.equal((await cluster.ownerOf(events)).id, to.id);
    }
    await load.goesOn(50);
    await load.end();
    assert.deepEqual([load.missing, load.repeated], [[], 0]);
    assert.deepEqual(faults, []);
  });

  test('a stream whose slot stays half moved is read; publishing to it is refused in time, and goes on after', async () => {
    const bus = await newBus();
    const group = await bus.openGroup(spec);
    await bus.publish([publication('before')]);
    const { finish } = await cluster.beginMoveOf(events);
    const late = publication('late');
    try {
      assert.deepEqual(ids(await readAll(group, 1)), ['before']);
      await assert.rejects(bus.publish([late]), { code: /^EF50/ });
    } finally {
      await finish();
    }
    await eventually('the publisher to be heard', () => bus.publish([late]).catch(() => false as const));
    assert.deepEqual(ids(await readAll(group, 1)), ['late']);
  });

  test('a half-open link to one node holds up nothing but its slots, and is noticed', async () => {
    const owner = await cluster.ownerOf(events);
    const proxy = await TcpProxy.start(owner.port);
    const bus = await newBus({}, `${cluster.url}?natMap=127.0.0.1:${owner.port}=127.0.0.1:${proxy.port}`);
    try {
      const group = await bus.openGroup(all);
      const far = await typeElsewhere(owner);
      await bus.publish([publication('first'), { ...publication('far'), type: far }]);
      assert.deepEqual(ids(await readAll(group, 2)), ['far', 'first']);
      proxy.mode = 'black';
      const late = publication('late');
      await assert.rejects(bus.publish([late]), { code: /^EF50/ });
      await bus.publish([{ ...publication('meanwhile'), type: far }]);
      assert.deepEqual(ids(await readAll(group, 1)), ['meanwhile']);
      await eventually('the silence to be told', () => faults.some(({ kind }) => kind === 'connection'), 20_000);
      proxy.mode = 'pass';
      await eventually('the link to work', () => bus.publish([late]).catch(() => false as const), 30_000);
      const got = await eventually(
        'the event',
        () => group.read(10, never).then((some) => some.length > 0 && some),
        30_000,
      );
      assert.deepEqual(ids(got), ['late']);
    } finally {
      await bus.close();
      await proxy.stop();
    }
  });

  async function typeElsewhere(owner: ClusterNode): Promise<string> {
    for (const type of types) if ((await cluster.ownerOf(keyOf(type))).id !== owner.id) return type;
    throw new Error('expected a stream on another node');
  }

  test('a failover by hand and the end of all nodes are followed by themselves', async () => {
    const bus = await newBus({ durability: { mode: 'replicated', replicas: 1 } });
    const load = new BusLoad({ bus, group: await bus.openGroup(all), types });
    await load.goesOn(100);
    const before = await cluster.ownerOf(events);
    await (await cluster.replicaOf(before)).admin.cluster('FAILOVER');
    await eventually('the replica to take over', async () => (await cluster.ownerOf(events)).id !== before.id, 30_000);
    await load.goesOn(100);
    await Promise.all(cluster.nodes.map(({ process }) => process.kill()));
    await Promise.all(cluster.nodes.map(({ process }) => process.restart()));
    await load.goesOn(100);
    await load.end();
    assert.deepEqual(load.missing, []);
  });

  test('a master that is killed is followed by its replica, and replicated durability loses nothing acknowledged', async () => {
    const bus = await newBus({ durability: { mode: 'replicated', replicas: 1 } });
    const group = await bus.openGroup(all);
    const load = new BusLoad({ bus, group, types });
    await load.goesOn(200);
    const fallen = await cluster.ownerOf(events);
    await fallen.process.kill();
    await eventually(
      'a replica to take its place',
      async () => (await cluster.ownerOf(events)).id !== fallen.id,
      60_000,
    );
    // Nothing is acknowledged for these slots until the new master has a replica of its own.
    await fallen.process.restart();
    await load.goesOn(200);
    await load.end();
    assert.deepEqual(load.missing, []);
  });
});
