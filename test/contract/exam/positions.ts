/** Where a group starts, and that it goes on where it stopped. */
import assert from 'node:assert/strict';
import { ack, eventually, origins, read, readOne, type Scenario, takeOver } from './room.ts';

export function positionScenarios(scenario: Scenario): void {
  scenario('a new group starts after what its streams hold', async (room) => {
    await room.publishMany('a', 3);
    const group = await room.group('p.r', ['a']);
    const [marker] = await room.publish('a');
    assert.equal((await readOne(group)).origin, marker?.entryId);
    assert.equal((await group.stats()).totals.accepted, 1);
  });

  scenario('a new group that starts at the beginning gets what its streams still hold', async (room) => {
    const published = await room.publishMany('a', 3);
    const group = await room.group('p.r', ['a'], { startFrom: 'beginning' });
    const later = await room.publish('a');
    assert.deepEqual(
      origins(await read(group, 4)),
      [...published, ...later].map(({ entryId }) => entryId),
    );
    assert.equal((await group.stats()).totals.accepted, 4);
  });

  scenario('what is published right after a group was opened reaches it, in a stream that never was', async (room) => {
    const group = await room.group('p.r', ['a']);
    const [published] = await room.publish('a');
    assert.equal((await readOne(group)).origin, published?.entryId);
  });

  scenario('a known group goes on where it stopped, whatever it says about its start', async (room) => {
    const before = await room.group('p.r', ['a']);
    await room.publish('a', 'a');
    await before.settle((await read(before, 2)).map(ack), undefined);
    await before.close();
    const [meanwhile] = await room.publish('a');
    await room.restart();
    for (const startFrom of ['new', 'beginning'] as const) {
      const group = await room.group('p.r', ['a'], { startFrom });
      const [entry] = startFrom === 'new' ? await read(group, 1) : await takeOver(group, 1);
      assert.equal(entry?.origin, meanwhile?.entryId);
      await group.close();
    }
  });

  scenario('a known group meets a stream that appeared while it was away at its beginning', async (room) => {
    await (await room.group('p.r', ['order.*'])).close();
    const published = await room.publish('order.late', 'order.late');
    await room.restart();
    const group = await room.group('p.r', ['order.*']);
    assert.deepEqual(
      origins(await read(group, 2)),
      published.map(({ entryId }) => entryId),
    );
    assert.equal((await group.stats()).totals.accepted, 2);
  });

  scenario('a group extended to an existing stream starts there after what it holds', async (room) => {
    await (await room.group('p.r', ['a'])).close();
    await room.publish('b', 'b');
    const group = await room.group('p.r', ['a', 'b']);
    const [marker] = await room.publish('b');
    assert.equal((await readOne(group)).origin, marker?.entryId);
  });

  scenario('a group extended to an existing stream starts there at its beginning when told so', async (room) => {
    await (await room.group('p.r', ['a'])).close();
    const published = await room.publish('b', 'b');
    const group = await room.group('p.r', ['a', 'b'], { startFrom: 'beginning' });
    assert.deepEqual(
      origins(await read(group, 2)),
      published.map(({ entryId }) => entryId),
    );
  });

  scenario('an extended group keeps its place in the streams that it had', async (room) => {
    await (await room.group('p.r', ['a'])).close();
    const [old] = await room.publish('a');
    const group = await room.group('p.r', ['a', 'b']);
    assert.equal((await readOne(group)).origin, old?.entryId);
  });

  scenario('an extended group meets streams that appear after that at their beginning', async (room) => {
    await (await room.group('p.r', ['a'])).close();
    await (await room.group('p.r', ['a', 'b.*'])).close();
    const published = await room.publish('b.x', 'b.x');
    const group = await room.group('p.r', ['a', 'b.*']);
    assert.deepEqual(
      origins(await read(group, 2)),
      published.map(({ entryId }) => entryId),
    );
  });

  scenario('the bus knows its groups, their patterns and streams, open or not', async (room) => {
    const from = room.bus.now();
    const group = await room.group('p.one', ['order.*', 'a']);
    await room.group('p.two', ['b']);
    await room.publish('a', 'order.new', 'b', 'c');
    await read(group, 2);
    await group.close();
    const joined = await eventually(
      async () => (await room.bus.groups()).find((known) => known.group === 'p.one'),
      (info) => info?.streams.length === 2,
      'the group joins both streams',
    );
    assert.deepEqual([...(joined?.patterns ?? [])].sort(), ['a', 'order.*']);
    assert.deepEqual([...(joined?.streams ?? [])].sort(), ['a', 'order.new']);
    assert.ok(Math.abs((joined?.activatedAt ?? 0) - from) < 5000);
    assert.equal((await room.bus.groups()).length, 2);
    assert.equal(await room.bus.groupStats('p.three'), undefined);
  });
}
