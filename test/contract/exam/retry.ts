/** The retry set: every retry comes back to its own group, not early, once, as it was. */
import assert from 'node:assert/strict';
import type { Entry, Group, SettleItem } from '../../../engine/bus/bus.ts';
import {
  ack,
  dead,
  eventually,
  origins,
  postpone,
  publication,
  read,
  readOne,
  readSoon,
  residue,
  retry,
  type Scenario,
  sleep,
} from './room.ts';

export function retryScenarios(scenario: Scenario): void {
  scenario('a retry comes back with its bytes, its identity and its state', async (room) => {
    const group = await room.group('p.r', ['a']);
    const meta = { form: 'event', attributes: { id: 'x' } } as const;
    await room.bus.publish([publication('a', { event: { body: '{"n":1.0}', meta } })]);
    const first = await readOne(group);
    const item = retry(first, 0);
    await group.settle([item], undefined);
    await eventually(
      () => group.promote(10),
      (promoted) => promoted === 1,
      'the retry is promoted',
    );
    assert.equal((await group.stats()).due, 1);
    const second = await readOne(group);
    const { stream, origin, body, publishedAt } = first;
    assert.deepEqual(
      { stream: second.stream, origin: second.origin, body: second.body, publishedAt: second.publishedAt },
      { stream, origin, body, publishedAt },
    );
    assert.deepEqual(JSON.parse(second.meta ?? ''), meta);
    assert.deepEqual(second.state, item.kind === 'retry' ? item.state : undefined);
    assert.equal(second.starts, 1);
    const stats = await group.stats();
    assert.deepEqual([stats.due, stats.retrying, stats.pending], [0, 0, 1]);
  });

  scenario('state that is rewritten by each retry survives any number of them', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    const origin = (await readOneSettling(group, (entry) => retry(entry, 0, 2))).origin;
    for (let attempt = 3; attempt < 8; attempt += 1) {
      await eventually(
        () => group.promote(10),
        (promoted) => promoted === 1,
        'the retry is promoted',
      );
      const entry = await readOneSettling(group, (due) => retry(due, 0, attempt));
      assert.equal(entry.state?.attempt, attempt - 1);
      assert.equal(entry.origin, origin);
    }
    assert.equal((await group.stats()).totals.retries, 6);
    assert.equal((await group.stats()).totals.accepted, 1);
  });

  scenario('nothing is promoted before it is due', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a', 'a');
    const [soon, never] = await read(group, 2);
    assert.ok(soon && never);
    const from = performance.now();
    await group.settle([retry(soon, 300), retry(never, 3_600_000)], undefined);
    await eventually(
      () => group.promote(10),
      (promoted) => promoted === 1,
      'the retry is promoted',
    );
    assert.ok(performance.now() - from >= 299, `promoted after ${performance.now() - from} ms`);
    assert.deepEqual(origins(await read(group, 1)), [soon.origin]);
    assert.equal(await group.promote(10), 0);
    assert.equal((await group.stats()).retrying, 1);
  });

  scenario('a waiting read gets a retry as soon as it is promoted', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    await group.settle([retry(await readOne(group), 0)], undefined);
    const reading = group.read(10, AbortSignal.timeout(5000));
    await sleep(50);
    const from = Date.now();
    assert.equal(await group.promote(10), 1);
    assert.equal((await reading).length, 1);
    assert.ok(Date.now() - from < 1000, `after ${Date.now() - from} ms`);
  });

  scenario('promoting moves no more than its limit, the longest due first', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publishMany('a', 3);
    const [one, two, three] = await read(group, 3);
    assert.ok(one && two && three);
    await group.settle([retry(one, 30), retry(two, 0), retry(three, 15)], undefined);
    await sleep(60);
    assert.equal(await group.promote(2), 2);
    assert.deepEqual(origins(await read(group, 2)), [two.origin, three.origin]);
    assert.equal(await group.promote(2), 1);
    assert.equal(await group.promote(2), 0);
  });

  scenario('several promoters at once bring every retry back once', async (room) => {
    const group = await room.group('p.r', ['a']);
    const peer = await room.group('p.r', ['a']);
    await room.publishMany('a', 200);
    await group.settle(
      (await read(group, 200)).map((entry) => retry(entry, 0)),
      undefined,
    );
    await sleep(5);
    const promoters = [group, peer, group, peer, group];
    const promote = async (): Promise<number> =>
      (await Promise.all(promoters.map((promoter) => promoter.promote(17)))).reduce((sum, moved) => sum + moved, 0);
    let moved = 0;
    await eventually(
      async () => (moved += await promote()),
      (sum) => sum >= 200,
      'all are promoted',
    );
    assert.equal(moved, 200);
    const entries = await read(peer, 200);
    assert.equal(new Set(origins(entries)).size, 200);
    assert.deepEqual(await readSoon(group), []);
    assert.ok((await peer.settle(entries.map(ack), undefined)).every((result) => result === 'done'));
  });

  scenario('a retry goes back to its own group only', async (room) => {
    const one = await room.group('p.one', ['a']);
    const two = await room.group('p.two', ['a']);
    await room.publish('a');
    await two.settle([ack(await readOne(two))], undefined);
    await one.settle([retry(await readOne(one), 0)], undefined);
    await sleep(5);
    assert.equal(await two.promote(10), 0);
    assert.equal(await one.promote(10), 1);
    assert.deepEqual(await readSoon(two), []);
    assert.equal((await readOne(one)).state?.attempt, 2);
  });

  scenario('a retry survives a restart', async (room) => {
    const before = await room.group('p.r', ['a']);
    await room.publish('a', 'a');
    const [one, two] = await read(before, 2);
    assert.ok(one && two);
    await before.settle([retry(one, 0), retry(two, 100)], undefined);
    await sleep(5);
    assert.equal(await before.promote(10), 1);
    await before.close();
    await room.restart();
    const group = await room.group('p.r', ['a']);
    assert.equal((await readOne(group)).origin, one.origin);
    await eventually(
      () => group.promote(10),
      (promoted) => promoted === 1,
      'the second retry is promoted',
    );
    assert.equal((await readOne(group)).origin, two.origin);
  });

  scenario('what is postponed comes back as it was, having spent no attempt', async (room) => {
    const group = await room.group('p.r', ['a']);
    const meta = { form: 'event', attributes: { id: 'x' } } as const;
    await room.bus.publish([publication('a', { event: { body: '~{"n":1.0}\n', meta } })]);
    const first = await readOne(group);
    assert.deepEqual(await group.settle([postpone(first, 0)], '[]'), ['done']);
    const waiting = await group.stats();
    assert.deepEqual([waiting.retrying, waiting.postponed, waiting.pending, waiting.totals.retries], [1, 1, 0, 0]);
    assert.equal(residue(waiting), 0);
    const second = await promoted(group);
    const { stream, origin, body, publishedAt } = first;
    assert.deepEqual(
      { stream: second.stream, origin: second.origin, body: second.body, publishedAt: second.publishedAt },
      { stream, origin, body, publishedAt },
    );
    assert.deepEqual(JSON.parse(second.meta ?? ''), meta);
    assert.deepEqual(second.state, { attempt: 1, attempts: [] });
    assert.equal(second.starts, 1);
    const stats = await group.stats();
    assert.deepEqual([stats.retrying, stats.postponed, stats.due, stats.pending], [0, 0, 0, 1]);
  });

  scenario('a retry that is postponed any number of times keeps its attempts', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    const item = retry(await readOne(group), 0, 3);
    await group.settle([item], undefined);
    for (let times = 0; times < 3; times += 1) await group.settle([postpone(await promoted(group), 0)], undefined);
    const entry = await promoted(group);
    assert.deepEqual(entry.state, item.kind === 'retry' ? item.state : undefined);
    const stats = await group.stats();
    assert.deepEqual([stats.totals.retries, stats.postponed, residue(stats)], [1, 0, 0]);
  });

  scenario('a redriven delivery that is postponed knows which letter it was', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    await group.settle([dead(await readOne(group))], undefined);
    const [letter] = await room.bus.deadLetters.list({ limit: 1 });
    assert.ok(letter);
    await room.bus.deadLetters.redrive([letter.id]);
    await group.settle([postpone(await readOne(group), 0)], undefined);
    assert.deepEqual((await promoted(group)).state, { attempt: 1, attempts: [], redrivenFrom: letter.id });
  });

  scenario('only the owner postpones, once, and nothing comes back before its time', async (room) => {
    const [one, two] = [await room.group('p.r', ['a']), await room.group('p.r', ['a'])];
    await room.publish('a');
    const entry = await readOne(one);
    const { entries } = await two.reclaim(0, 10, () => false);
    const [taken] = entries;
    assert.ok(taken);
    assert.deepEqual(await one.settle([postpone(entry, 0)], undefined), ['fenced']);
    assert.deepEqual(await two.settle([postpone(taken, 3_600_000)], undefined), ['done']);
    assert.deepEqual(await two.settle([postpone(taken, 0)], undefined), ['fenced']);
    assert.equal(await one.promote(10), 0);
    const stats = await one.stats();
    assert.deepEqual([stats.retrying, stats.postponed, stats.due], [1, 1, 0]);
  });

  scenario('what is postponed survives a restart', async (room) => {
    const before = await room.group('p.r', ['a']);
    await room.publish('a');
    const { origin } = await readOneSettling(before, (entry) => postpone(entry, 50));
    await before.close();
    await room.restart();
    const group = await room.group('p.r', ['a']);
    assert.equal((await room.stats('p.r')).postponed, 1);
    assert.equal((await promoted(group)).origin, origin);
  });
}

async function promoted(group: Group): Promise<Entry> {
  await eventually(
    () => group.promote(10),
    (count) => count === 1,
    'it is promoted',
  );
  return readOne(group);
}

async function readOneSettling(group: Group, item: (entry: Entry) => SettleItem): Promise<Entry> {
  const entry = await readOne(group);
  assert.deepEqual(await group.settle([item(entry)], undefined), ['done']);
  return entry;
}
