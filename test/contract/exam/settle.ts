/** Settling: one atomic step that proves ownership, and nothing the second time. */
import assert from 'node:assert/strict';
import { ack, dead, origins, read, readOne, readSoon, residue, retry, type Scenario, takeOver } from './room.ts';

export function settleScenarios(scenario: Scenario): void {
  scenario('an acknowledged entry is gone for its group', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    const entry = await readOne(group);
    assert.equal((await group.stats()).pending, 1);
    assert.deepEqual(await group.settle([ack(entry)], undefined), ['done']);
    const stats = await group.stats();
    assert.equal(stats.pending, 0);
    assert.equal(stats.totals.delivered, 1);
    assert.deepEqual((await group.reclaim(0, 10, () => false)).entries, []);
  });

  scenario('a batch settles acks, retries and dead letters together, answered in its order', async (room) => {
    const group = await room.group('p.r', ['a', 'b']);
    await room.publish('a', 'a', 'a', 'b', 'b');
    const [one, two, three, four, five] = await read(group, 5);
    assert.ok(one && two && three && four && five);
    const items = [
      retry(one, 60_000),
      ack(two),
      dead(three),
      { kind: 'ack', entry: four, status: 'skipped' },
      { kind: 'ack', entry: five, status: 'unmatched' },
    ] as const;
    assert.deepEqual(await group.settle(items, '[1]'), ['done', 'done', 'done', 'done', 'done']);
    const stats = await group.stats();
    assert.deepEqual(
      { pending: stats.pending, retrying: stats.retrying, dead: stats.dead, due: stats.due, totals: stats.totals },
      {
        pending: 0,
        retrying: 1,
        dead: 1,
        due: 0,
        totals: {
          accepted: 5,
          delivered: 1,
          skipped: 1,
          unmatched: 1,
          dead: 1,
          redriven: 0,
          discarded: 0,
          dropped: 0,
          retries: 1,
        },
      },
    );
  });

  scenario('settling nothing resolves to nothing', async (room) => {
    const group = await room.group('p.r', ['a']);
    assert.deepEqual(await group.settle([], undefined), []);
  });

  scenario('settling twice is fenced the second time and changes nothing', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    const entry = await readOne(group);
    await group.settle([ack(entry)], undefined);
    const before = await group.stats();
    for (const item of [ack(entry), retry(entry, 0), dead(entry)]) {
      assert.deepEqual(await group.settle([item], undefined), ['fenced'], item.kind);
    }
    assert.deepEqual(await group.stats(), before);
    assert.deepEqual(await room.bus.deadLetters.list({ limit: 10 }), []);
  });

  scenario('one entry twice in a batch is settled once', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    const entry = await readOne(group);
    assert.deepEqual(await group.settle([retry(entry, 0), dead(entry), ack(entry)], undefined), [
      'done',
      'fenced',
      'fenced',
    ]);
    assert.equal(residue(await group.stats()), 0);
  });

  scenario('a retry or a dead letter of a former owner is fenced and takes nothing from the new one', async (room) => {
    const former = await room.group('p.r', ['a']);
    const owner = await room.group('p.r', ['a']);
    await room.publish('a', 'a');
    const [first, second] = await read(former, 2);
    assert.ok(first && second);
    const taken = (await owner.reclaim(0, 10, () => false)).entries;
    assert.deepEqual(origins(taken), [first.origin, second.origin]);
    assert.deepEqual(await former.settle([retry(first, 0), dead(second)], undefined), ['fenced', 'fenced']);
    const stats = await owner.stats();
    assert.deepEqual([stats.pending, stats.retrying, stats.dead], [2, 0, 0]);
    assert.deepEqual(await owner.settle(taken.map(ack), undefined), ['done', 'done']);
  });

  scenario(
    'a late success of a former owner still acknowledges, and the new owner learns that it was settled',
    async (room) => {
      const former = await room.group('p.r', ['a']);
      const owner = await room.group('p.r', ['a']);
      await room.publish('a');
      const entry = await readOne(former);
      const [taken] = (await owner.reclaim(0, 10, () => false)).entries;
      assert.ok(taken);
      assert.deepEqual(await former.settle([ack(entry)], undefined), ['done']);
      assert.deepEqual(await owner.settle([ack(taken)], undefined), ['fenced']);
      assert.deepEqual(await owner.settle([retry(taken, 0)], undefined), ['fenced']);
      assert.equal((await owner.stats()).totals.delivered, 1);
    },
  );

  scenario('a failed first attempt of one group changes nothing for another group', async (room) => {
    const one = await room.group('p.one', ['a']);
    const two = await room.group('p.two', ['a']);
    await room.publish('a');
    await one.settle([dead(await readOne(one))], undefined);
    const entry = await readOne(two);
    assert.equal(entry.starts, 1);
    assert.deepEqual(await two.settle([ack(entry)], undefined), ['done']);
  });

  scenario('settlements survive a restart, and what was pending comes again', async (room) => {
    const before = await room.group('p.r', ['a']);
    await room.publish('a', 'a', 'a');
    const [one, two, three] = await read(before, 3);
    assert.ok(one && two && three);
    await before.settle([ack(one), retry(two, 0)], undefined);
    await before.close();
    await room.restart();
    const group = await room.group('p.r', ['a']);
    assert.deepEqual(origins(await takeOver(group, 1)), [three.origin]);
    assert.equal(await group.promote(10), 1);
    assert.deepEqual(origins(await read(group, 1)), [two.origin]);
    const { totals } = await group.stats();
    assert.deepEqual([totals.accepted, totals.delivered, totals.retries], [3, 1, 1]);
  });

  scenario('tallies move once, with the first acknowledgement, whoever sends it', async (room) => {
    const former = await room.group('p.r', ['a']);
    const owner = await room.group('p.r', ['a']);
    await room.publish('a', 'a');
    const [entry, other] = await read(former, 2);
    assert.ok(entry && other);
    const [taken] = (await owner.reclaim(0, 1, () => false)).entries;
    assert.equal(taken?.origin, entry.origin);
    const tallied = { ...ack(entry), tallies: [{ name: 'sales', bucket: 60_000, key: 'de|ü', by: 2.5 }] } as const;
    await former.settle([tallied, tallied], undefined);
    await owner.settle([{ ...tallied, entry: taken }], undefined);
    await former.settle([{ ...tallied, entry: other }], undefined);
    assert.deepEqual(await room.bus.tallies('sales', 0, 1e9), [{ name: 'sales', bucket: 60_000, key: 'de|ü', by: 5 }]);
  });

  scenario('tallies are summed by name, bucket and key, and asked for by a range of buckets', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    const tallies = [
      { name: 'sales', bucket: 1000, key: 'x', by: 1 },
      { name: 'sales', bucket: 1000, key: 'x', by: 2 },
      { name: 'sales', bucket: 1000, key: '', by: 7 },
      { name: 'sales', bucket: 2000, key: 'x', by: -1 },
      { name: 'sales', bucket: 3000, key: 'x', by: 9 },
      { name: 'users', bucket: 1000, key: 'x', by: 4 },
    ];
    await group.settle([{ ...ack(await readOne(group)), tallies } as const], undefined);
    const sums = await room.bus.tallies('sales', 1000, 3000);
    assert.deepEqual(sums.map(({ bucket, key, by }) => `${bucket} ${key} ${by}`).sort(), [
      '1000  7',
      '1000 x 3',
      '2000 x -1',
    ]);
    assert.deepEqual([...(await room.bus.tallyNames())].sort(), ['sales', 'users']);
    assert.deepEqual(await room.bus.tallies('nothing', 0, 1e12), []);
    assert.deepEqual(await readSoon(group, 50), []);
  });
}
