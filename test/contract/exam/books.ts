/** What the bus keeps besides events: journal, breakers, numbers; and the bus as a whole. */
import assert from 'node:assert/strict';
import type { Bus, JournalLine } from '../../../engine/bus/bus.ts';
import { closedBreaker } from '../../../engine/core/breaker.ts';
import { ack, read, readOne, retry, type Scenario, sleep } from './room.ts';

export function bookScenarios(scenario: Scenario): void {
  scenario('the journal gives its lines newest first, with group and time', async (room) => {
    const one = await room.group('p.one', ['a']);
    const two = await room.group('p.two', ['a']);
    await room.publishMany('a', 3);
    const before = room.bus.now();
    for (const [at, entry] of (await read(one, 3)).entries()) await one.settle([ack(entry)], `[${at}]`);
    await two.settle((await read(two, 3)).map(ack), '["ü"]');
    const lines = await journal(room.bus);
    assert.deepEqual(
      lines.map(({ group, line }) => `${group} ${line}`),
      ['p.two ["ü"]', 'p.one [2]', 'p.one [1]', 'p.one [0]'],
    );
    assert.ok(lines.every(({ at }) => Math.abs(at - before) < 5000));
    await room.restart();
    assert.deepEqual(await journal(room.bus), lines);
  });

  scenario('a settlement without a line leaves none', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    await group.settle([ack(await readOne(group))], undefined);
    assert.deepEqual(await journal(room.bus), []);
  });

  scenario(
    'a journal that is off keeps nothing',
    async (room) => {
      const group = await room.group('p.r', ['a']);
      await room.publish('a');
      await group.settle([ack(await readOne(group))], '[1]');
      assert.deepEqual(await journal(room.bus), []);
    },
    { journal: { keep: 'off', retentionMs: 3_600_000, maxEntries: 10 } },
  );

  scenario(
    'the journal is capped and keeps the newest lines',
    async (room) => {
      const group = await room.group('p.r', ['a']);
      await room.publishMany('a', 600);
      const entries = await read(group, 600);
      for (const [at, entry] of entries.entries()) await group.settle([ack(entry)], `[${at}]`);
      await room.bus.trim();
      const lines = (await journal(room.bus)).map(({ line }) => line);
      assert.ok(lines.length >= 20 && lines.length <= 250, `about 20 of 600 lines are left, got ${lines.length}`);
      assert.deepEqual(
        lines,
        Array.from({ length: lines.length }, (_, back) => `[${599 - back}]`),
      );
    },
    { journal: { keep: 'all', retentionMs: 3_600_000, maxEntries: 20 } },
  );

  scenario('a long journal can be left in the middle', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publishMany('a', 300);
    for (const [at, entry] of (await read(group, 300)).entries()) await group.settle([ack(entry)], `[${at}]`);
    const lines: string[] = [];
    for await (const { line } of room.bus.journal()) {
      lines.push(line);
      if (lines.length === 250) break;
    }
    assert.deepEqual([lines[0], lines[249], new Set(lines).size], ['[299]', '[50]', 250]);
  });

  scenario('a breaker is stored by compare and set, and the loser learns what is stored', async (room) => {
    const { breakers } = room.bus;
    assert.deepEqual(await breakers.list(), []);
    const closed = closedBreaker(1);
    const open = { kind: 'open', period: 1, since: 2, until: 3, openFor: 1, why: 'ü' } as const;
    const first = { key: 'p.r', version: 1, state: closed };
    assert.deepEqual(await breakers.swap('p.r', 0, closed), { won: true, stored: first });
    assert.deepEqual(await breakers.swap('p.r', 0, open), { won: false, stored: first });
    assert.deepEqual(await breakers.swap('p.r', 2, open), { won: false, stored: first });
    const second = { key: 'p.r', version: 2, state: open };
    assert.deepEqual(await breakers.swap('p.r', 1, open), { won: true, stored: second });
    await room.restart();
    assert.deepEqual(await room.bus.breakers.list(), [second]);
  });

  scenario('of several who change a breaker at once exactly one wins', async (room) => {
    const swaps = Array.from({ length: 10 }, (_, at) => room.bus.breakers.swap('k', 0, closedBreaker(at)));
    const answers = await Promise.all(swaps);
    const winners = answers.filter(({ won }) => won);
    assert.equal(winners.length, 1);
    assert.ok(answers.every(({ stored }) => stored.version === 1));
    assert.deepEqual((await room.bus.breakers.list())[0], winners[0]?.stored);
  });

  scenario('a breaker is forgotten only as it was seen, and begins anew', async (room) => {
    const { breakers } = room.bus;
    await breakers.swap('k', 0, closedBreaker(1));
    await breakers.forget('k', 0);
    assert.equal((await breakers.list()).length, 1);
    await breakers.forget('k', 1);
    assert.deepEqual(await breakers.list(), []);
    await breakers.forget('k', 1);
    assert.equal((await breakers.swap('k', 0, closedBreaker(2))).won, true);
  });

  scenario('numbers of a group tell what waits, is pending, retrying and due', async (room) => {
    const group = await room.group('p.r', ['a', 'b']);
    const empty = await group.stats();
    assert.deepEqual([empty.pending, empty.retrying, empty.due, empty.dead, empty.retryOverdueMs], [0, 0, 0, 0, 0]);
    assert.ok(Object.values(empty.totals).every((total) => total === 0));
    await room.publish('a', 'a', 'a', 'a', 'b');
    const entries = [...(await read(group, 5))];
    // A bus may read on for a moment after it has answered, but not after this.
    await group.read(1, AbortSignal.abort());
    await room.publish('b', 'b');
    const [one, two, three] = entries;
    assert.ok(one && two && three);
    await group.settle([retry(one, 0), retry(two, 0), retry(three, 60_000)], undefined);
    await sleep(30);
    const late = await group.stats();
    assert.ok(late.retryOverdueMs >= 20 && late.retryOverdueMs < 10_000, `${late.retryOverdueMs} ms overdue`);
    assert.equal(await group.promote(1), 1);
    const stats = await room.stats('p.r');
    const waiting = stats.lag.filter(({ known }) => known).reduce((sum, { entries: count }) => sum + count, 0);
    assert.deepEqual([stats.pending, stats.retrying, stats.due, waiting], [2, 2, 1, 2]);
    assert.equal(stats.totals.accepted, 7);
  });

  scenario('numbers of a group survive a restart', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publishMany('a', 5);
    await group.settle((await read(group, 3)).map(ack), undefined);
    const before = await group.stats();
    await room.restart();
    const after = await room.stats('p.r');
    assert.deepEqual({ ...after, pendingOldestMs: 0 }, { ...before, pendingOldestMs: 0 });
  });

  scenario('the bus tells its streams, its clock, its label, its durability, and that it is there', async (room) => {
    await room.publish('b', 'a', 'b');
    const streams = [...(await room.bus.streams())].sort((x, y) => x.name.localeCompare(y.name));
    assert.deepEqual(streams, [
      { name: 'a', entries: 1 },
      { name: 'b', entries: 2 },
    ]);
    assert.ok(Math.abs(room.bus.now() - Date.now()) < 60_000);
    assert.match(room.bus.label, /^[a-z+]+:/);
    const durability = await room.bus.durability();
    assert.ok(durability.level === 'guaranteed' ? durability.reason === undefined : (durability.reason ?? '') !== '');
    await room.bus.ping();
  });

  scenario('a bus closes twice as well as once, and reads that wait end', async (room) => {
    const group = await room.group('p.r', ['a']);
    const reading = group.read(10, AbortSignal.timeout(10_000)).catch((error: { code?: string }) => error.code ?? '');
    await sleep(30);
    const from = Date.now();
    await Promise.all([room.bus.close(), room.bus.close()]);
    const answer = await reading;
    assert.ok(typeof answer === 'string' ? answer.startsWith('EF5') : answer.length === 0, JSON.stringify(answer));
    assert.ok(Date.now() - from < 5000);
    await assert.rejects(room.bus.ping());
  });
}

async function journal(bus: Bus): Promise<readonly JournalLine[]> {
  const lines: JournalLine[] = [];
  for await (const line of bus.journal()) lines.push(line);
  return lines;
}
