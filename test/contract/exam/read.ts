/** Reading: in order, shared between consumers, ended by a signal. */
import assert from 'node:assert/strict';
import type { Entry } from '../../../engine/bus/bus.ts';
import { ack, longLease, origins, publication, read, readOne, readSoon, type Scenario, sleep } from './room.ts';

export function readScenarios(scenario: Scenario): void {
  scenario('entries of a stream come in the order in which they were published', async (room) => {
    const group = await room.group('p.r', ['a']);
    const published = [...(await room.publishMany('a', 60)), ...(await room.publishMany('a', 60))];
    assert.deepEqual(
      origins(await read(group, 120)),
      published.map(({ entryId }) => entryId),
    );
  });

  scenario('an entry tells where and when it was published and that this is its first start', async (room) => {
    const group = await room.group('p.r', ['order.paid']);
    const before = room.bus.now();
    const [published] = await room.publish('order.paid');
    const entry = await readOne(group);
    assert.equal(entry.stream, published?.stream);
    assert.equal(entry.origin, published?.entryId);
    assert.equal(entry.starts, 1);
    assert.equal(entry.state, undefined);
    assert.ok(Math.abs(entry.publishedAt - before) < 5000, `published at ${entry.publishedAt}, about ${before}`);
  });

  scenario('a read gives no more than its limit', async (room) => {
    const group = await room.group('p.r', ['a', 'b']);
    await room.publish('a', 'b', 'a', 'b', 'a');
    assert.ok((await group.read(2, AbortSignal.timeout(5000))).length <= 2);
  });

  scenario('a waiting read gets what is published meanwhile, soon', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    await readOne(group);
    const reading = group.read(10, AbortSignal.timeout(5000));
    await sleep(50);
    const from = Date.now();
    await room.publish('a');
    assert.equal((await reading).length, 1);
    assert.ok(Date.now() - from < 1000, `after ${Date.now() - from} ms`);
  });

  scenario('a read of nothing ends by itself after about 2 s', async (room) => {
    const group = await room.group('p.r', ['a']);
    const from = Date.now();
    assert.deepEqual(await group.read(10, new AbortController().signal), []);
    assert.ok(Date.now() - from < 5000, `after ${Date.now() - from} ms`);
  });

  scenario('a read ends at once when its signal aborts', async (room) => {
    const group = await room.group('p.r', ['a']);
    const stop = new AbortController();
    const reading = group.read(10, stop.signal);
    await sleep(50);
    const from = Date.now();
    stop.abort();
    assert.deepEqual(await reading, []);
    assert.ok(Date.now() - from < 500, `after ${Date.now() - from} ms`);
    assert.deepEqual(await group.read(10, AbortSignal.abort()), []);
  });

  scenario('reads that are aborted while events arrive lose none', async (room) => {
    const group = await room.group('p.r', ['a']);
    const got: Entry[] = [];
    for (let round = 0; round < 30; round += 1) {
      const stop = new AbortController();
      const reading = group.read(10, stop.signal);
      const publishing = room.publish('a');
      if (round % 3 === 0) await publishing;
      if (round % 3 === 1) await sleep(1);
      stop.abort();
      got.push(...(await reading));
      await publishing;
    }
    while (got.length < 30) {
      const before = got.length;
      got.push(...(await readSoon(group)));
      const owned = new Set(got.map(({ id }) => id));
      got.push(...(await group.reclaim(0, 100, (id) => owned.has(id))).entries);
      assert.ok(got.length > before, `${got.length} of 30 came`);
    }
    assert.equal(new Set(origins(got)).size, 30);
  });

  scenario('two consumers of a group share its entries, each to one of them', async (room) => {
    const one = await room.group('p.r', ['a']);
    const two = await room.group('p.r', ['a']);
    await room.publishMany('a', 40);
    const entries = [
      ...(await one.read(10, AbortSignal.timeout(5000))),
      ...(await two.read(10, AbortSignal.timeout(5000))),
    ];
    entries.push(...(await read(one, 40 - entries.length)));
    assert.equal(new Set(origins(entries)).size, 40);
    assert.deepEqual(await readSoon(two), []);
  });

  scenario('every group gets every event of its streams', async (room) => {
    const one = await room.group('p.one', ['a']);
    const two = await room.group('p.two', ['a', 'b']);
    const published = await room.publish('a', 'b', 'a');
    assert.equal((await read(one, 2)).length, 2);
    const all = await read(two, 3);
    assert.deepEqual([...origins(all)].sort(), published.map(({ entryId }) => entryId).sort());
  });

  scenario('a group reads the streams that it asked for and no other', async (room) => {
    const group = await room.group('p.r', ['order.*', '**.paid']);
    await room.publish('order.new', 'user.new', 'shop.order.paid', 'order.x.y', 'paid');
    const entries = await read(group, 3);
    assert.deepEqual(entries.map(({ stream }) => stream).sort(), ['order.new', 'paid', 'shop.order.paid']);
    assert.deepEqual(await readSoon(group), []);
  });

  scenario('a wildcard joins a stream that appears later within a second, from its beginning', async (room) => {
    const group = await room.group('p.r', ['order.*']);
    assert.deepEqual(await readSoon(group, 50), []);
    const from = Date.now();
    const published = await room.publish('order.new', 'order.new', 'order.other');
    const entries = await read(group, 3);
    assert.ok(Date.now() - from < 1500, `joined after ${Date.now() - from} ms`);
    assert.deepEqual([...origins(entries)].sort(), published.map(({ entryId }) => entryId).sort());
  });

  scenario('one busy stream does not keep a group from its other streams', async (room) => {
    const group = await room.group('p.r', ['busy', 'calm']);
    await room.publishMany('busy', 500);
    await room.publish('calm');
    for (let round = 0; round < 40; round += 1) {
      const entries = await group.read(10, AbortSignal.timeout(5000));
      await group.settle(entries.map(ack), undefined);
      if (entries.some(({ stream }) => stream === 'calm')) return;
    }
    assert.fail('40 reads, none of the calm stream');
  });

  scenario('a group reads while other calls of it are under way', async (room) => {
    const group = await room.group('p.r', ['a']);
    const reading = group.read(10, AbortSignal.timeout(5000));
    await Promise.all([group.stats(), group.promote(10), group.reclaim(longLease, 10, () => true)]);
    await room.bus.publish([publication('a')]);
    assert.equal((await reading).length, 1);
  });
}
