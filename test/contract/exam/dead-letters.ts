/** Dead letters: kept whole, found, sent again, removed by people, never evicted in silence. */
import assert from 'node:assert/strict';
import type { DroppedLetter, Entry } from '../../../engine/bus/bus.ts';
import type { DeadLetter } from '../../../engine/core/delivery.ts';
import {
  ack,
  dead,
  origins,
  publication,
  type Room,
  read,
  readOne,
  readSoon,
  residue,
  type Scenario,
  sleep,
  words,
} from './room.ts';

export function deadLetterScenarios(scenario: Scenario): void {
  scenario('a dead letter keeps the bytes, the identity and the last words', async (room) => {
    const group = await room.group('p.r', ['a']);
    const meta = { form: 'event', attributes: { id: 'x' } } as const;
    await room.bus.publish([publication('a', { event: { body: '{"n":1.0}', meta } })]);
    const entry = await readOne(group);
    const before = room.bus.now();
    await group.settle([dead(entry)], undefined);
    const [letter] = await room.bus.deadLetters.list({ limit: 10 });
    assert.ok(letter);
    const { id, deadAt, meta: kept, ...rest } = letter;
    assert.deepEqual(rest, {
      ...words,
      group: 'p.r',
      stream: 'a',
      body: '{"n":1.0}',
      publishedAt: entry.publishedAt,
    });
    assert.deepEqual(JSON.parse(kept ?? ''), meta);
    assert.ok(Math.abs(deadAt - before) < 5000);
    assert.deepEqual(await room.bus.deadLetters.get(id), letter);
    assert.equal(await room.bus.deadLetters.get('nothing'), undefined);
  });

  scenario('what is no event and has no id can be a dead letter', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.bus.publish([publication('a', { event: { body: '\u0000<x>', meta: undefined } })]);
    const undecodable = { reason: 'undecodable', eventId: undefined, eventType: undefined, attempts: [] } as const;
    await group.settle([dead(await readOne(group), undecodable)], undefined);
    const [letter] = await room.bus.deadLetters.list({ limit: 10 });
    assert.deepEqual(
      [letter?.body, letter?.eventId, letter?.eventType, letter?.reason],
      ['\u0000<x>', undefined, undefined, 'undecodable'],
    );
  });

  scenario('letters are listed newest first and found by group, reason, event id and event type', async (room) => {
    const letters = await buryFive(room);
    const list = async (filter: Partial<Record<keyof DeadLetter, string>>, limit = 10): Promise<readonly string[]> =>
      (await room.bus.deadLetters.list({ ...filter, limit } as never)).map(({ fingerprint }) => fingerprint);
    assert.deepEqual(await list({}), ['5', '4', '3', '2', '1']);
    assert.deepEqual(await list({}, 2), ['5', '4']);
    assert.deepEqual(await list({ group: 'p.one' }), ['3', '2', '1']);
    assert.deepEqual(await list({ reason: 'expired' }), ['5', '2']);
    assert.deepEqual(await list({ eventId: 'e-3' }), ['3']);
    assert.deepEqual(await list({ eventType: 'order.new' }), ['5', '1']);
    assert.deepEqual(await list({ group: 'p.two', reason: 'expired', eventType: 'order.new' }), ['5']);
    assert.deepEqual(await list({ group: 'p.one', reason: 'expired' }, 1), ['2']);
    assert.deepEqual(await list({ group: 'p.three' }), []);
    assert.equal(new Set(letters.map(({ id }) => id)).size, 5);
  });

  scenario('a redriven letter comes back to its group as a first attempt that knows its letter', async (room) => {
    const group = await room.group('p.r', ['a']);
    const other = await room.group('p.other', ['a']);
    await room.publish('a', 'a');
    const [first, second] = await read(group, 2);
    assert.ok(first && second);
    await group.settle([dead(first), dead(second)], undefined);
    const [, letter] = await room.bus.deadLetters.list({ limit: 10 });
    assert.ok(letter);
    assert.deepEqual(await room.bus.deadLetters.redrive(['nothing', letter.id]), [letter.id]);
    assert.equal((await group.stats()).due, 1);
    const again = await readOne(group);
    const { stream, origin, body, publishedAt } = first;
    assert.deepEqual(
      { stream: again.stream, origin: again.origin, body: again.body, publishedAt: again.publishedAt },
      { stream, origin, body, publishedAt },
    );
    assert.deepEqual([again.state?.attempt, again.state?.redrivenFrom, again.starts], [1, letter.id, 1]);
    await group.settle([ack(again)], undefined);
    const stats = await group.stats();
    assert.deepEqual([stats.dead, stats.totals.dead, stats.totals.redriven, stats.totals.delivered], [1, 2, 1, 1]);
    assert.equal(residue(stats), 0);
    assert.equal((await read(other, 2)).length, 2);
    assert.deepEqual(await readSoon(other, 50), []);
  });

  scenario('one letter redriven from several places at once comes back once', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publishMany('a', 20);
    await group.settle(
      (await read(group, 20)).map((entry) => dead(entry)),
      undefined,
    );
    const ids = (await room.bus.deadLetters.list({ limit: 100 })).map(({ id }) => id);
    const answers = await Promise.all([1, 2, 3].map(() => room.bus.deadLetters.redrive(ids)));
    assert.equal(answers.flat().length, 20);
    assert.equal(new Set(origins(await read(group, 20))).size, 20);
    assert.deepEqual(await readSoon(group, 100), []);
  });

  scenario('a waiting read gets what is redriven', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    await group.settle([dead(await readOne(group))], undefined);
    const [letter] = await room.bus.deadLetters.list({ limit: 1 });
    const reading = group.read(10, AbortSignal.timeout(5000));
    await sleep(50);
    const from = Date.now();
    await room.bus.deadLetters.redrive([letter?.id ?? '']);
    assert.equal((await reading).length, 1);
    assert.ok(Date.now() - from < 1000, `after ${Date.now() - from} ms`);
  });

  scenario('a redriven letter that dies again is a letter again', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    await group.settle([dead(await readOne(group))], undefined);
    const [letter] = await room.bus.deadLetters.list({ limit: 1 });
    await room.bus.deadLetters.redrive([letter?.id ?? '']);
    const again = await readOne(group);
    await group.settle([dead(again, { redrivenFrom: letter?.id ?? '' })], undefined);
    const [next] = await room.bus.deadLetters.list({ limit: 10 });
    assert.equal(next?.redrivenFrom, letter?.id);
    assert.notEqual(next?.id, letter?.id);
    const stats = await group.stats();
    assert.deepEqual([stats.dead, stats.totals.dead, stats.totals.redriven, residue(stats)], [1, 2, 1, 0]);
  });

  scenario('a letter of a group that is not open waits for it after a redrive', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    await group.settle([dead(await readOne(group))], undefined);
    await group.close();
    await room.restart();
    const [letter] = await room.bus.deadLetters.list({ group: 'p.r', limit: 1 });
    assert.deepEqual(await room.bus.deadLetters.redrive([letter?.id ?? '']), [letter?.id]);
    const again = await readOne(await room.group('p.r', ['a']));
    assert.equal(again.state?.redrivenFrom, letter?.id);
  });

  scenario('a discarded letter is gone and counted', async (room) => {
    const letters = await buryFive(room);
    const ids = letters.slice(0, 2).map(({ id }) => id);
    assert.deepEqual([...(await room.bus.deadLetters.discard([...ids, 'nothing']))].sort(), [...ids].sort());
    assert.deepEqual(await room.bus.deadLetters.discard(ids), []);
    assert.deepEqual(await room.bus.deadLetters.redrive(ids), []);
    assert.equal((await room.bus.deadLetters.list({ limit: 10 })).length, 3);
    const stats = await room.stats('p.two');
    assert.deepEqual([stats.dead, stats.totals.discarded, residue(stats)], [0, 2, 0]);
  });

  scenario('a full DLQ that pauses refuses letters and leaves the entry with its owner', async (room) => {
    const deadLetter = { retention: 3_600_000, maxEntries: 2, onFull: 'pause' } as const;
    const group = await room.group('p.r', ['a'], { deadLetter });
    const peer = await room.group('p.free', ['a']);
    await room.publishMany('a', 4);
    const entries = await read(group, 4);
    assert.deepEqual(
      await group.settle(
        entries.map((entry) => dead(entry)),
        undefined,
      ),
      ['done', 'done', 'full', 'full'],
    );
    const [, , third, fourth] = entries;
    assert.ok(third && fourth);
    assert.deepEqual(await group.extend([third, fourth]), []);
    const stats = await group.stats();
    assert.deepEqual([stats.pending, stats.dead, stats.totals.dead, stats.totals.dropped], [2, 2, 2, 0]);
    assert.deepEqual(await group.settle([ack(third)], undefined), ['done']);
    const [letter] = await room.bus.deadLetters.list({ limit: 1 });
    await room.bus.deadLetters.discard([letter?.id ?? '']);
    assert.deepEqual(await group.settle([dead(fourth)], undefined), ['done']);
    assert.deepEqual(await peer.settle([dead(await readOne(peer))], undefined), ['done'], 'each group has its own DLQ');
  });

  const dropped: DroppedLetter[] = [];
  scenario(
    'a full DLQ that drops its oldest keeps the newest, counts what it dropped and names it',
    async (room) => {
      const deadLetter = { retention: 3_600_000, maxEntries: 2, onFull: 'dropOldest' } as const;
      const group = await room.group('p.r', ['a'], { deadLetter });
      await room.publishMany('a', 6);
      const entries = await read(group, 6);
      const items = entries.map((entry, at) => dead(entry, { fingerprint: String(at), eventId: `e-${at}` }));
      const done = await group.settle(items.slice(0, 2), undefined);
      const kept = await room.bus.deadLetters.list({ limit: 10 });
      const more = [ack(entries[5] as Entry), ...items.slice(2, 5)];
      assert.deepEqual(
        [...done, ...(await group.settle(more, undefined))],
        more.map(() => 'done').concat('done', 'done'),
      );
      const letters = await room.bus.deadLetters.list({ limit: 10 });
      assert.deepEqual(
        letters.map(({ fingerprint }) => fingerprint),
        ['4', '3'],
      );
      assert.deepEqual(
        dropped.map(({ group: of, eventId }) => [of, eventId]),
        [0, 1, 2].map((n) => ['p.r', `e-${n}`]),
      );
      assert.deepEqual(
        dropped.slice(0, 2).map(({ id }) => id),
        kept.map(({ id }) => id).toReversed(),
      );
      const stats = await group.stats();
      assert.deepEqual([stats.dead, stats.totals.dead, stats.totals.dropped, residue(stats)], [2, 5, 3, 0]);
    },
    { onDropped: (letters) => dropped.push(...letters) },
  );

  scenario('letters past their retention leave with a trim, counted as dropped', async (room) => {
    const deadLetter = { retention: 300, maxEntries: 10, onFull: 'pause' } as const;
    const group = await room.group('p.r', ['a'], { deadLetter });
    await room.publish('a', 'a');
    const [old, young] = await read(group, 2);
    assert.ok(old && young);
    await group.settle([dead(old)], undefined);
    await room.bus.trim();
    assert.equal((await group.stats()).dead, 1);
    await sleep(350);
    await group.settle([dead(young, { fingerprint: 'young' })], undefined);
    await room.bus.trim();
    const letters = await room.bus.deadLetters.list({ limit: 10 });
    assert.deepEqual(
      letters.map(({ fingerprint }) => fingerprint),
      ['young'],
    );
    const stats = await group.stats();
    assert.deepEqual([stats.dead, stats.totals.dropped, residue(stats)], [1, 1, 0]);
  });

  scenario('the oldest letter and its time are known, over a restart', async (room) => {
    const group = await room.group('p.r', ['a']);
    assert.equal((await group.stats()).deadOldestAt, undefined);
    await room.publish('a', 'a');
    const [one, two] = await read(group, 2);
    assert.ok(one && two);
    await group.settle([dead(one)], undefined);
    await sleep(20);
    await group.settle([dead(two)], undefined);
    await room.restart();
    const letters = await room.bus.deadLetters.list({ limit: 10 });
    assert.equal((await room.stats('p.r')).deadOldestAt, letters[1]?.deadAt);
    assert.equal((await room.stats('p.r')).dead, 2);
  });
}

/** Letters 1, 2, 3 of `p.one` and 4, 5 of `p.two`, in this order; returned newest first. */
async function buryFive(room: Room): Promise<readonly DeadLetter[]> {
  const one = await room.group('p.one', ['a']);
  const two = await room.group('p.two', ['b']);
  await room.publish('a', 'a', 'a', 'b', 'b');
  const kinds = ['exhausted', 'expired', 'permanent', 'exhausted', 'expired'] as const;
  const entries = [...(await read(one, 3)), ...(await read(two, 2))];
  for (const [at, entry] of entries.entries()) {
    const n = at + 1;
    const eventType = n % 4 === 1 ? 'order.new' : 'order.paid';
    const reason = kinds[at] ?? 'exhausted';
    const item = dead(entry, { fingerprint: String(n), eventId: `e-${n}`, eventType, reason });
    await (n <= 3 ? one : two).settle([item], undefined);
    await sleep(3);
  }
  return room.bus.deadLetters.list({ limit: 10 });
}
