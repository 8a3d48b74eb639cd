/** Trimming: what everybody has settled goes, what somebody needs stays. */
import assert from 'node:assert/strict';
import { ack, dead, origins, type Room, read, readOne, retry, type Scenario, sleep } from './room.ts';

export function trimScenarios(scenario: Scenario): void {
  scenario('what every group has settled is removed by a trim', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publishMany('a', 10);
    assert.deepEqual(await room.bus.streams(), [{ name: 'a', entries: 10 }]);
    await group.settle((await read(group, 10)).map(ack), undefined);
    assert.equal(await room.bus.trim(), 10);
    assert.equal(await resting(room, 'a'), 0);
    assert.equal(await room.bus.trim(), 0);
    const [next] = await room.publish('a');
    assert.equal((await readOne(group)).origin, next?.entryId);
    assert.equal((await group.stats()).totals.accepted, 11);
  });

  scenario('a trim removes nothing that is waiting or pending', async (room) => {
    const group = await room.group('p.r', ['a']);
    const published = await room.publishMany('a', 10);
    const entries = await read(group, 5);
    await group.settle(entries.slice(0, 3).map(ack), undefined);
    await room.bus.trim();
    assert.ok((await resting(room, 'a')) >= 7);
    const [taken] = (await group.reclaim(0, 1, () => false)).entries;
    assert.equal(taken?.body, entries[3]?.body);
    assert.deepEqual(
      origins(await read(group, 5)),
      published.slice(5).map(({ entryId }) => entryId),
    );
  });

  scenario('a trim waits for the slowest group', async (room) => {
    const quick = await room.group('p.quick', ['a']);
    const slow = await room.group('p.slow', ['*']);
    await room.publishMany('a', 10);
    await quick.settle((await read(quick, 10)).map(ack), undefined);
    await room.bus.trim();
    const entries = await read(slow, 10);
    await slow.settle(entries.slice(0, 9).map(ack), undefined);
    await slow.close();
    await room.bus.trim();
    assert.ok((await resting(room, 'a')) >= 1);
    const again = await room.group('p.slow', ['*']);
    const [last] = (await again.reclaim(0, 10, () => false)).entries;
    assert.equal(last?.body, entries[9]?.body);
  });

  scenario('a trim removes nothing of a group that is not open', async (room) => {
    await (await room.group('p.r', ['a'])).close();
    const published = await room.publishMany('a', 5);
    await room.bus.trim();
    await room.restart();
    await room.bus.trim();
    const group = await room.group('p.r', ['a']);
    assert.deepEqual(
      origins(await read(group, 5)),
      published.map(({ entryId }) => entryId),
    );
  });

  scenario(
    'a trim removes nothing that a group will meet when it joins a stream',
    async (room) => {
      await (await room.group('p.r', ['order.*'])).close();
      const published = await room.publishMany('order.late', 3);
      await room.bus.trim();
      const group = await room.group('p.r', ['order.*']);
      assert.deepEqual(
        origins(await read(group, 3)),
        published.map(({ entryId }) => entryId),
      );
    },
    { retentionMs: 1 },
  );

  scenario('retries and dead letters outlive the trimming of their stream', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a', 'a', 'a');
    const [one, two, three] = await read(group, 3);
    assert.ok(one && two && three);
    await group.settle([retry(one, 0), dead(two), ack(three)], undefined);
    await sleep(5);
    await room.bus.trim();
    assert.equal(await group.promote(10), 1);
    await room.bus.trim();
    assert.equal((await readOne(group)).body, one.body);
    await room.bus.trim();
    const [taken] = (await group.reclaim(0, 10, () => false)).entries;
    assert.equal(taken?.body, one.body);
    const [letter] = await room.bus.deadLetters.list({ limit: 1 });
    assert.equal(letter?.body, two.body);
    await room.bus.deadLetters.redrive([letter?.id ?? '']);
    await room.bus.trim();
    assert.equal((await readOne(group)).body, two.body);
  });

  scenario('events that no group wants are kept for a while, for groups to come', async (room) => {
    const published = await room.publish('a', 'a');
    assert.equal(await room.bus.trim(), 0);
    const group = await room.group('p.r', ['a'], { startFrom: 'beginning' });
    assert.deepEqual(
      origins(await read(group, 2)),
      published.map(({ entryId }) => entryId),
    );
  });

  scenario(
    'events that no group wants leave after their retention',
    async (room) => {
      await room.publish('a', 'a');
      await room.bus.trim();
      await sleep(250);
      assert.equal(await room.bus.trim(), 2);
      assert.equal(await resting(room, 'a'), 0);
    },
    { retentionMs: 200 },
  );

  scenario('trimming while others publish, read and settle loses nothing', async (room) => {
    const group = await room.group('p.r', ['a']);
    const got = new Set<string>();
    const consume = async (): Promise<void> => {
      while (got.size < 300) {
        const entries = await group.read(7, AbortSignal.timeout(5000));
        for (const { origin } of entries) got.add(origin);
        await group.settle(entries.map(ack), undefined);
      }
    };
    const publish = async (): Promise<void> => {
      for (let round = 0; round < 30; round += 1) {
        await room.publishMany('a', 10);
        await room.bus.trim();
      }
    };
    await Promise.all([consume(), publish()]);
    const { totals } = await group.stats();
    assert.deepEqual([got.size, totals.accepted, totals.delivered], [300, 300, 300]);
  });
}

const resting = async (room: Room, stream: string): Promise<number> =>
  (await room.bus.streams()).find(({ name }) => name === stream)?.entries ?? 0;
