/** Who has which routes: names that change, routes that go, and what is left behind. */
import assert from 'node:assert/strict';
import type { Bus, Group, GroupSpec, JournalLine, SettleItem } from '../../../engine/bus/bus.ts';
import {
  ack,
  dead,
  eventually,
  longLease,
  origins,
  type Room,
  read,
  readOne,
  readSoon,
  residue,
  retry,
  type Scenario,
  takeOver,
} from './room.ts';

/** `p.b<p.a`: the route p.b, which was p.a before. */
function claim(room: Room, ...routes: readonly string[]) {
  const claims = routes.map((route) => {
    const [group = '', previous] = route.split('<');
    return { group, previous };
  });
  return room.bus.claim({ routes: claims, generation: 1, hash: 'h' });
}

const groupNames = async (bus: Bus): Promise<readonly string[]> =>
  (await bus.groups()).map(({ group }) => group).sort();

/** A group with one delivery of each kind: dead, retrying, pending, waiting, and one that was delivered. */
async function lived(room: Room, name: string, more: Partial<GroupSpec> = {}): Promise<Group> {
  const group = await room.group(name, ['a'], more);
  await room.publishMany('a', 4);
  const [first, second, third] = await read(group, 3);
  assert.ok(first && second && third);
  await group.settle([ack(first), retry(second, 3_600_000, 3), dead(third)], '["told"]');
  await readOne(group);
  await room.publish('a');
  return group;
}

async function journalOf(bus: Bus): Promise<readonly JournalLine[]> {
  const lines: JournalLine[] = [];
  for await (const line of bus.journal()) lines.push(line);
  return lines;
}

export function claimScenarios(scenario: Scenario): void {
  scenario('a renamed group keeps everything that it had, under its new name', async (room) => {
    await claim(room, 'p.a');
    const old = await lived(room, 'p.a');
    await old.close();
    await room.restart();
    assert.deepEqual((await claim(room, 'p.b<p.a')).renamed, [{ from: 'p.a', to: 'p.b' }]);
    const group = await room.group('p.b', ['a']);
    assert.equal(group.name, 'p.b');
    assert.deepEqual(await groupNames(room.bus), ['p.b']);
    const stats = await room.stats('p.b');
    assert.deepEqual([stats.retrying, stats.dead, stats.totals.delivered, stats.totals.retries], [1, 1, 1, 1]);
    assert.equal(residue(stats), 0);
    assert.equal((await takeOver(group, 2)).length, 2, 'what was pending and what was waiting');
    const [letter] = await room.bus.deadLetters.list({ group: 'p.b', limit: 10 });
    assert.equal(letter?.group, 'p.b');
    assert.equal((await room.bus.deadLetters.get(letter?.id ?? ''))?.group, 'p.b');
    assert.deepEqual(
      (await journalOf(room.bus)).map((line) => line.group),
      ['p.b'],
    );
    assert.deepEqual(await room.bus.deadLetters.redrive([letter?.id ?? '']), [letter?.id]);
    assert.equal((await readOne(group)).state?.redrivenFrom, letter?.id);
  });

  scenario('a retry keeps its attempts when its route gets another name', async (room) => {
    await claim(room, 'p.a');
    const old = await room.group('p.a', ['a']);
    const [published] = await room.publish('a');
    await old.settle([retry(await readOne(old), 0, 4)], undefined);
    await old.close();
    await claim(room, 'q.b<p.a');
    const group = await room.group('q.b', ['a']);
    await eventually(
      () => group.promote(10),
      (moved) => moved === 1,
      'the retry is due',
    );
    const entry = await readOne(group);
    assert.deepEqual([entry.origin, entry.state?.attempt], [published?.entryId, 4]);
  });

  scenario('under the old and the new name at once, each delivery goes to one of them', async (room) => {
    await claim(room, 'p.a');
    const old = await room.group('p.a', ['a']);
    await claim(room, 'p.b<p.a');
    const group = await room.group('p.b', ['a']);
    const published = await room.publishMany('a', 20);
    const seen: string[] = [];
    while (seen.length < published.length) {
      for (const door of [old, group]) {
        const entries = await door.read(3, AbortSignal.timeout(50));
        await door.settle(entries.map(ack), undefined);
        seen.push(...origins(entries));
      }
    }
    assert.deepEqual([...seen].sort(), published.map(({ entryId }) => entryId).sort());
    assert.equal(old.storage, group.storage);
    assert.equal((await room.stats('p.a')).totals.delivered, 20, 'the old name still leads there');
    assert.equal((await room.stats('p.b')).totals.delivered, 20);
  });

  scenario('the old name given to a new route starts with nothing', async (room) => {
    await claim(room, 'p.a');
    await (await lived(room, 'p.a')).close();
    await claim(room, 'p.b<p.a');
    await (await room.group('p.b', ['a'])).close();
    await room.restart();
    await claim(room, 'p.a', 'p.b');
    const fresh = await room.group('p.a', ['a']);
    const renamed = await room.group('p.b', ['a']);
    assert.notEqual(fresh.storage, renamed.storage);
    assert.deepEqual(await groupNames(room.bus), ['p.a', 'p.b']);
    assert.equal((await room.stats('p.a')).totals.accepted, 0);
    assert.equal((await room.stats('p.b')).totals.accepted, 5);
    assert.deepEqual(await room.bus.deadLetters.list({ group: 'p.a', limit: 10 }), []);
    const [published] = await room.publish('a');
    assert.equal((await readOne(fresh)).origin, published?.entryId);
  });

  scenario('a rename that is taken back leads to the same state', async (room) => {
    await claim(room, 'p.a');
    await (await lived(room, 'p.a')).close();
    await claim(room, 'p.b<p.a');
    await (await room.group('p.b', ['a'])).close();
    await room.restart();
    await claim(room, 'p.a');
    const back = await room.group('p.a', ['a']);
    assert.deepEqual(await groupNames(room.bus), ['p.a']);
    assert.equal((await room.stats('p.a')).totals.delivered, 1);
    assert.equal((await takeOver(back, 2)).length, 2);
  });

  scenario('a previous name that nobody knows is told', async (room) => {
    assert.deepEqual((await claim(room, 'p.b<p.typo')).unknown, [{ group: 'p.b', previous: 'p.typo' }]);
    assert.equal((await room.group('p.b', ['a'])).storage, 'p.b');
  });

  scenario('an engine is known while it lives, and so are its routes', async (room) => {
    await claim(room, 'p.a');
    await room.group('p.a', ['a']);
    const [engine] = await room.bus.engines();
    assert.deepEqual([engine?.generation, engine?.hash], [1, 'h']);
    assert.deepEqual(
      (await room.bus.groups()).map(({ engines }) => engines),
      [[engine?.name]],
    );
    await claim(room, 'p.other');
    assert.deepEqual(
      (await room.bus.groups()).map(({ engines }) => engines),
      [[]],
    );
  });

  scenario('a group whose route is disabled is known as such', async (room) => {
    await claim(room, 'p.a');
    await room.group('p.a', ['a']);
    const told = async () => (await room.bus.groups()).map(({ engines, disabled }) => [engines.length, disabled]);
    assert.deepEqual(await told(), [[1, false]]);
    await room.bus.claim({ routes: [{ group: 'p.a', disabled: true }], generation: 2, hash: 'h' });
    assert.deepEqual(await told(), [[1, true]]);
    await claim(room);
    assert.deepEqual(await told(), [[0, false]]);
  });

  scenario('that a route is removed is noted, over restarts, until its group is opened again', async (room) => {
    await claim(room, 'p.a');
    await (await room.group('p.a', ['a'])).close();
    await room.bus.markRemoved('p.a', 1_700_000_000_000);
    await room.restart();
    assert.deepEqual(
      (await room.bus.groups()).map(({ removedAt }) => removedAt),
      [1_700_000_000_000],
    );
    await room.group('p.a', ['a']);
    assert.deepEqual(
      (await room.bus.groups()).map(({ removedAt }) => removedAt),
      [undefined],
    );
  });

  scenario(
    "the door of a removed group gives what is due again and what was in somebody's hands, and nothing else",
    async (room) => {
      const left = await room.group('p.a', ['a']);
      await room.publishMany('a', 3);
      const [first, second] = await read(left, 2);
      assert.ok(first && second);
      await left.settle([retry(first, 0)], undefined);
      await left.close();
      const door = await room.bus.openRemoved('p.a');
      assert.ok(door !== undefined);
      assert.equal(door.storage, left.storage);
      assert.deepEqual(await readSoon(door), [], 'nothing is due');
      await eventually(
        () => door.promote(10),
        (moved) => moved === 1,
        'the retry is due',
      );
      const due = await readOne(door);
      assert.equal(due.origin, first.origin);
      const { entries } = await door.reclaim(longLease, 10, () => false);
      assert.deepEqual(origins(entries), [second.origin]);
      assert.deepEqual(
        await door.settle(
          [due, ...entries].map((entry) => dead(entry)),
          undefined,
        ),
        ['done', 'done'],
      );
      const stats = await room.stats('p.a');
      assert.deepEqual([stats.dead, stats.retrying, stats.pending, stats.lag[0]?.entries], [2, 0, 0, 1]);
      assert.equal(residue(stats), 0);
      assert.equal(await room.bus.openRemoved('p.none'), undefined);
    },
  );

  scenario('a purged group is gone with all that rested in it, and holds up no trimming', async (room) => {
    await claim(room, 'p.a');
    await (await lived(room, 'p.a')).close();
    const note = { by: 'ada', reason: 'nobody wants it' };
    await assert.rejects(room.bus.purge('p.a', note), { code: 'EF6030' });
    await claim(room);
    assert.deepEqual(await room.bus.purges(), []);
    const before = (await room.bus.groupStats('p.a'))?.totals ?? assert.fail('no group');
    const purged = (await room.bus.purge('p.a', note)) ?? assert.fail('no group');
    const { at, ...rest } = purged;
    assert.ok(at <= room.bus.now() && at > room.bus.now() - 60_000);
    const resting = { waiting: 1, pending: 1, retrying: 1, due: 0, dead: 1 };
    const settled = before.accepted - 4;
    assert.deepEqual(rest, { group: 'p.a', ...note, accepted: before.accepted, settled, ...resting });
    assert.deepEqual(await room.bus.purges(), [purged]);
    assert.deepEqual(await room.bus.groups(), []);
    assert.equal(await room.bus.groupStats('p.a'), undefined);
    assert.deepEqual(await room.bus.deadLetters.list({ limit: 10 }), []);
    assert.equal(await room.bus.purge('p.a', note), undefined);
    const again = await room.group('p.a', ['a']);
    assert.equal((await again.stats()).totals.accepted, 0, 'a route of that name starts with nothing');
    await again.close();
    await claim(room);
    await room.bus.purge('p.a', { ...note, reason: 'again' });
    assert.deepEqual(
      (await room.bus.purges()).map(({ reason }) => reason),
      ['again', 'nobody wants it'],
      'each life of a group has its note',
    );
  });

  scenario('what was in hand when its group was purged goes to no other group', async (room) => {
    await claim(room, 'p.a');
    const old = await room.group('p.a', ['a']);
    await room.publishMany('a', 3);
    const [first, second, third] = await read(old, 3);
    assert.ok(first && second && third);
    await claim(room);
    assert.equal((await room.bus.purge('p.a', { by: 'ada', reason: 'gone' }))?.pending, 3);
    // A bus may also say that there is no such group.
    const settle = (item: SettleItem) => old.settle([item], '["told"]').catch(() => ['fenced'] as const);
    assert.deepEqual(await settle(retry(first, 0)), ['fenced']);
    const other = await room.group('p.b', ['a']);
    assert.deepEqual(await settle(retry(second, 0)), ['fenced']);
    assert.deepEqual(await settle(dead(third)), ['fenced']);
    await old.close();
    assert.equal(await other.promote(10), 0);
    assert.deepEqual(await readSoon(other), []);
    const stats = await room.stats('p.b');
    assert.deepEqual([stats.totals.accepted, stats.retrying, stats.dead, residue(stats)], [0, 0, 0, 0]);
    assert.deepEqual(await journalOf(room.bus), []);
    assert.deepEqual(await groupNames(room.bus), ['p.b']);
  });

  scenario('of two purges at once one is noted', async (room) => {
    await (await lived(room, 'p.a')).close();
    const purges = ['ann', 'bob'].map((by) => room.bus.purge('p.a', { by, reason: 'both want it' }));
    const told = (await Promise.all(purges)).filter((record) => record !== undefined);
    const [noted, ...more] = await room.bus.purges();
    assert.deepEqual([noted?.accepted, more], [5, []]);
    assert.ok(told.length > 0);
    for (const record of told) assert.deepEqual(record, noted);
    assert.deepEqual(await room.bus.groups(), []);
  });
}
