/** Group commit by itself, with a disk that is full and one that fails. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Barrier, noBarrier } from '../../engine/bus/sqlite/barrier.ts';
import { Commits } from '../../engine/bus/sqlite/commits.ts';
import { type Database, openDatabase } from '../../engine/bus/sqlite/database.ts';

interface Bench {
  readonly database: Database;
  readonly faults: string[];
  readonly commits: (barrier?: Barrier) => Commits;
}

const onFile = (sentence: string, proof: (bench: Bench) => Promise<void>): void => {
  void test(sentence, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'eventflow-commits-'));
    const database = await openDatabase(join(folder, 'bus.db'));
    const faults: string[] = [];
    const commits = (barrier = noBarrier): Commits => new Commits(database, barrier, ({ code }) => faults.push(code));
    try {
      await proof({ database, faults, commits });
    } finally {
      database.db.close();
      await rm(folder, { recursive: true });
    }
  });
};

const write = (database: Database, key: string, size: number): void => {
  database.sql('INSERT INTO breaker (key, version, state) VALUES (?, 1, ?)').run(key, 'x'.repeat(size));
};

const keys = (database: Database): readonly unknown[] =>
  database
    .sql('SELECT key FROM breaker')
    .all()
    .map(({ key }) => key);

onFile('work of one tick is one transaction, and its promises resolve after it', async ({ database, commits }) => {
  const queue = commits();
  const order: string[] = [];
  const works = ['a', 'b', 'c'].map((key) =>
    queue
      .run('quick', (transaction) => {
        order.push(`run ${key}`);
        transaction.onCommit(() => order.push(`committed ${key} ${database.db.isTransaction}`));
        write(database, key, 10);
      })
      .then(() => order.push(`resolved ${key}`)),
  );
  await Promise.all(works);
  const of = (what: string, more = ''): string[] => ['a', 'b', 'c'].map((key) => `${what} ${key}${more}`);
  assert.deepEqual(order, [...of('run'), ...of('committed', ' false'), ...of('resolved')]);
});

onFile('on a full disk what does not fit is refused with a code, taken back, and the rest is stored', async (bench) => {
  const { database, faults } = bench;
  const queue = bench.commits();
  const pages = Number(database.value('PRAGMA page_count'));
  database.db.exec(`PRAGMA max_page_count = ${pages + 4}`);
  const undone: string[] = [];
  const work = (key: string, size: number): Promise<string> =>
    queue.run('durable', (transaction) => {
      transaction.onUndo(() => undone.push(key));
      write(database, key, size);
      return key;
    });
  const results = await Promise.allSettled([work('small', 10), work('huge', 1_000_000), work('other', 10)]);
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : (result.reason as Error).message)),
    [
      'small',
      'expected to write the bus file, got "database or disk is full"; nothing of this call was stored',
      'other',
    ],
  );
  assert.deepEqual(undone, ['huge', 'small', 'huge'], 'the batch from its end, then the one at fault');
  assert.deepEqual(faults, ['EF5023']);
  assert.deepEqual(keys(database), ['other', 'small']);
});

onFile('a failed sync refuses what asked for it, and nothing else', async ({ database, faults, commits }) => {
  const failure = Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO', syscall: 'fdatasync' });
  const queue = commits({ passed: () => Promise.reject(failure), close: () => Promise.resolve() });
  const results = await Promise.allSettled([
    queue.run('quick', () => write(database, 'quick', 1)),
    queue.run('durable', () => write(database, 'durable', 1)),
  ]);
  assert.equal(results[0]?.status, 'fulfilled');
  assert.equal(results[1]?.status === 'rejected' && (results[1].reason as { code: string }).code, 'EF5023');
  assert.deepEqual(faults, ['EF5023']);
});

onFile('closing commits what was asked for and refuses what comes', async ({ database, commits }) => {
  const queue = commits();
  const asked = queue.run('durable', () => write(database, 'asked', 1));
  await queue.close();
  await asked;
  await assert.rejects(
    queue.run('quick', () => undefined),
    { code: 'EF5024' },
  );
  assert.throws(() => queue.assertOpen(), { code: 'EF5024' });
  assert.deepEqual(keys(database), ['asked']);
});
