/** What routes with ordering ask: whose turn it is, what is in which hands, what rests, and calling it back. */
import assert from 'node:assert/strict';
import type { Entry, Group, Resting } from '../../../engine/bus/bus.ts';
import {
  ack,
  dead,
  origins,
  postpone,
  publication,
  read,
  readSoon,
  residue,
  retry,
  type Scenario,
  sleep,
} from './room.ts';

const hour = 3_600_000;
const none = (): boolean => false;

async function resting(group: Group): Promise<readonly Resting[]> {
  const all: Resting[] = [];
  for await (const some of group.order.resting()) all.push(...some);
  return all.sort((a, b) => Number.parseInt(a.origin, 10) - Number.parseInt(b.origin, 10));
}

export function orderScenarios(scenario: Scenario): void {
  scenario('one consumer at a time has the turn, and who gives it back lets the next one have it', async (room) => {
    const [one, two] = [await room.group('p.r', ['a']), await room.group('p.r', ['a'])];
    const first = await one.order.hold(hour);
    assert.equal(first.held, true);
    assert.ok(first.term > 0);
    assert.deepEqual(await one.order.hold(hour), first, 'renewed');
    assert.deepEqual(await two.order.hold(hour), { held: false, term: first.term });
    await two.order.giveBack();
    assert.equal((await two.order.hold(hour)).held, false, 'only who has it gives it back');
    await one.order.giveBack();
    const second = await two.order.hold(hour);
    assert.equal(second.held, true);
    assert.ok(second.term > first.term);
    assert.deepEqual(await one.order.hold(hour), { held: false, term: second.term });
  });

  scenario(
    'a turn that has run out goes to whoever asks, and comes back with its term when nobody has',
    async (room) => {
      const [one, two] = [await room.group('p.r', ['a']), await room.group('p.r', ['a'])];
      const first = await one.order.hold(20);
      await sleep(40);
      assert.deepEqual(await one.order.hold(20), first, 'nobody had it meanwhile');
      await sleep(40);
      const second = await two.order.hold(20);
      assert.equal(second.held, true);
      await sleep(40);
      const third = await one.order.hold(20);
      assert.ok(third.term > second.term && second.term > first.term);
    },
  );

  scenario('a turn goes with its group when that is purged', async (room) => {
    const one = await room.group('p.r', ['a']);
    assert.equal((await one.order.hold(hour)).held, true);
    await one.close();
    assert.ok(await room.bus.purge('p.r', { by: 'ada', reason: 'gone' }));
    const two = await room.group('p.r', ['a']);
    assert.equal((await two.order.hold(hour)).held, true);
  });

  scenario('each group has a turn of its own', async (room) => {
    const [one, two] = [await room.group('p.r', ['a']), await room.group('p.s', ['a'])];
    assert.equal((await one.order.hold(hour)).held, true);
    assert.equal((await two.order.hold(hour)).held, true);
  });

  scenario('what is in other hands, or was handed back, is known', async (room) => {
    const [one, two] = [await room.group('p.r', ['a']), await room.group('p.r', ['a'])];
    assert.equal(await one.order.elsewhere(), false);
    await room.publish('a', 'a');
    const held = await read(one, 2);
    assert.deepEqual([await one.order.elsewhere(), await two.order.elsewhere()], [false, true]);
    await one.release(held.slice(0, 1));
    assert.equal(await one.order.elsewhere(), true);
    const { entries } = await two.reclaim(hour, 10, none);
    await two.settle(entries.map(ack), undefined);
    assert.equal(await one.order.elsewhere(), false);
    await one.settle([retry(held[1] as Entry, 0)], undefined);
    assert.deepEqual([await one.order.elsewhere(), await two.order.elsewhere()], [false, false]);
  });

  scenario(
    'what a consumer holds without knowing is given to it again, in its order, and nothing else',
    async (room) => {
      const [one, two] = [await room.group('p.r', ['a']), await room.group('p.r', ['a'])];
      await room.publishMany('a', 12);
      const held = await read(one, 10);
      const [theirs] = await read(two, 2);
      const known = new Set(held.slice(3, 5).map(({ id }) => id));
      const missed = await one.order.missed((id) => known.has(id));
      assert.deepEqual(origins(missed.entries), origins(held.filter(({ id }) => !known.has(id))));
      assert.deepEqual([missed.lost, one.order.mayHaveMissed], [[], false]);
      assert.ok(missed.entries.every(({ starts }) => starts === 2));
      const all = [...held.slice(3, 5), ...missed.entries];
      assert.deepEqual(new Set(await one.settle(all.map(ack), undefined)), new Set(['done']));
      assert.deepEqual((await one.order.missed(none)).entries, []);
      assert.ok(theirs);
      assert.deepEqual(await two.settle([retry(theirs, 0)], undefined), ['done'], 'a peer keeps its own');
    },
  );

  scenario('what rests is told as it was, with the time at which it comes back if it has one', async (room) => {
    const group = await room.group('p.r', ['a']);
    const meta = { form: 'event', attributes: { id: 'x' } } as const;
    await room.bus.publish([publication('a', { event: { body: '~{"n":1}\n', meta } })]);
    await room.publishMany('a', 4);
    const held = await read(group, 5);
    const [one, two, three, four] = held as [Entry, Entry, Entry, Entry, Entry];
    await group.settle([postpone(one, hour), retry(two, hour), retry(three, 0), dead(four)], undefined);
    await sleep(5);
    await group.promote(10);
    const [letter] = await room.bus.deadLetters.list({ limit: 1 });
    await room.bus.deadLetters.redrive([letter?.id ?? '']);
    const all = await resting(group);
    assert.deepEqual(
      all.map(({ origin }) => origin),
      origins([one, two, three, four]),
    );
    const [first, second, third, fourth] = all as [Resting, Resting, Resting, Resting];
    assert.deepEqual([first.body, JSON.parse(first.meta ?? ''), first.stream], [one.body, meta, 'a']);
    assert.equal(first.publishedAt, one.publishedAt);
    assert.deepEqual([first.dueAt, first.state?.attempt], [undefined, 1]);
    assert.ok((second.dueAt ?? 0) > Date.now() + hour / 2);
    assert.deepEqual([second.state?.attempt, third.state?.attempt], [2, 2]);
    assert.ok((third.dueAt ?? hour) <= Date.now());
    assert.equal(fourth.state?.redrivenFrom, letter?.id);
  });

  scenario('many that rest are all told', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publishMany('a', 1_300);
    const held = await read(group, 1_300);
    await group.settle(
      held.map((entry, at) => (at % 2 === 0 ? postpone(entry, hour) : retry(entry, 0))),
      undefined,
    );
    await sleep(5);
    await group.promote(2_000);
    assert.deepEqual([...new Set((await resting(group)).map(({ origin }) => origin))].sort(), origins(held).toSorted());
  });

  scenario('what was postponed is called back before its time, and a retry is not', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publishMany('a', 5);
    const held = await read(group, 5);
    const [one, two, three] = held as [Entry, Entry, Entry, Entry, Entry];
    const items = [retry(one, hour), ...held.slice(1).map((entry) => postpone(entry, hour))];
    await group.settle(items, undefined);
    await group.order.recall([two, three, one, { stream: 'a', origin: '1-0' }]);
    assert.deepEqual(origins(await read(group, 2)), origins([two, three]));
    assert.deepEqual(await readSoon(group, 50), []);
    const stats = await group.stats();
    assert.deepEqual([stats.retrying, stats.postponed, stats.due, stats.pending, residue(stats)], [3, 2, 0, 2, 0]);
    await group.order.recall([two]);
    assert.deepEqual(await readSoon(group, 50), [], 'it is in our hands');
  });
}
