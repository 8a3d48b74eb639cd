/** What only the embedded bus promises: one owner, a file that outlives any death, and answers for bad files. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { Bus, Publication } from '../../engine/bus/bus.ts';
import { openBus } from '../../engine/bus/open.ts';
import { openSqliteBus, readOwner } from '../../engine/bus/sqlite/bus.ts';
import { ack, longLease, postpone, publication, read, readOne, residue, retry, sleep } from './exam/room.ts';

const deadLetter = { retention: 3_600_000, maxEntries: 1_000_000, onFull: 'pause' } as const;
const spec = { group: 'p.r', patterns: ['a'], startFrom: 'new', deadLetter } as const;

const inFolder = (sentence: string, proof: (path: string, folder: string) => Promise<void>): void => {
  void test(sentence, { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'eventflow-embedded-'));
    try {
      await proof(join(folder, 'bus.db'), folder);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
};

interface Fact {
  readonly fact: 'open' | 'accepted' | 'settled';
  readonly id: string;
}

/** Starts a process that owns the file; resolves when it does. `facts` grows. */
async function startEngine(path: string): Promise<{ readonly engine: ChildProcess; readonly facts: readonly Fact[] }> {
  const script = join(import.meta.dirname, 'fixtures', 'embedded-engine.ts');
  const engine = spawn(process.execPath, ['--conditions=eventflow-source', script, `sqlite:${path}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const facts: Fact[] = [];
  const lines = createInterface({ input: engine.stdout });
  lines.on('line', (line) => facts.push(JSON.parse(line) as Fact));
  await once(lines, 'line');
  return { engine, facts };
}

async function kill(engine: ChildProcess): Promise<void> {
  const closed = once(engine, 'close');
  engine.kill('SIGKILL');
  await closed;
}

inFolder('a second process is refused and told whom to ask', async (path) => {
  const { engine } = await startEngine(path);
  try {
    await assert.rejects(openSqliteBus(`sqlite:${path}`), (error: Error & { code: string }) => {
      assert.equal(error.code, 'EF5002');
      assert.match(
        error.message,
        new RegExp(`process ${engine.pid} has it: talk to it at http://127\\.0\\.0\\.1:8788`),
      );
      return true;
    });
    const owner = await readOwner(path);
    assert.deepEqual([owner?.pid, owner?.admin], [engine.pid, 'http://127.0.0.1:8788']);
  } finally {
    await kill(engine);
  }
});

inFolder('the file of a killed process is taken over at once', async (path) => {
  const { engine } = await startEngine(path);
  await kill(engine);
  assert.equal(await readOwner(path), undefined);
  const bus = await openSqliteBus(`sqlite:${path}`);
  assert.equal((await readOwner(path))?.pid, process.pid);
  await bus.close();
  assert.equal(await readOwner(path), undefined);
});

inFolder('the same process cannot open a file twice', async (path) => {
  const bus = await openSqliteBus(`sqlite:${path}`);
  await assert.rejects(openSqliteBus(`sqlite:${path}`), {
    code: 'EF5002',
    message: new RegExp(`process ${process.pid} `),
  });
  await bus.close();
  await (await openSqliteBus(`sqlite:${path}`)).close();
});

inFolder('a lock file that names a process of another time names nobody', async (path) => {
  await writeFile(`${path}.lock`, JSON.stringify({ pid: process.pid, started: '1' }));
  assert.equal(await readOwner(path), undefined);
  await writeFile(`${path}.lock`, 'half a li');
  assert.equal(await readOwner(path), undefined);
  const bus = await openSqliteBus(`sqlite:${path}`);
  assert.equal((await readOwner(path))?.pid, process.pid);
  await bus.close();
});

inFolder('a closed bus leaves one file, without log or lock', async (path, folder) => {
  const bus = await openSqliteBus(`sqlite:${path}`);
  await bus.publish([publication('a')]);
  await bus.close();
  assert.deepEqual(await readdir(folder), ['bus.db']);
});

inFolder(
  'kill -9 at any moment loses nothing that was acknowledged to a publisher and repeats no settlement',
  async (path) => {
    const accepted = new Set<string>();
    const settled = new Set<string>();
    for (const wait of [30, 120, 5, 260, 70]) {
      const { engine, facts } = await startEngine(path);
      await sleep(wait);
      await kill(engine);
      for (const { fact, id } of facts) {
        if (fact === 'accepted') accepted.add(id);
        if (fact === 'settled') settled.add(id);
      }
    }
    const bus = await openSqliteBus(`sqlite:${path}`);
    const stats = await bus.groupStats('p.r');
    assert.ok(stats !== undefined && accepted.size > 0 && settled.size > 0);
    assert.equal(residue(stats), 0, JSON.stringify(stats));
    assert.ok(stats.totals.accepted >= accepted.size, `${stats.totals.accepted} of at least ${accepted.size}`);
    const left = await remaining(bus);
    for (const id of accepted) assert.ok(left.has(id) || Number(id) <= stats.totals.accepted, id);
    for (const id of settled) assert.ok(!left.has(id), `${id} was acknowledged and came again`);
    assert.equal(left.size, stats.totals.accepted - stats.totals.delivered);
    await bus.close();
  },
);

/** Origins of all that is not settled, each once. */
async function remaining(bus: Bus): Promise<ReadonlySet<string>> {
  const left = new Set<string>();
  const group = await bus.openGroup(spec);
  const letters = await bus.deadLetters.list({ limit: 1_000_000 });
  await bus.deadLetters.redrive(letters.map(({ id }) => id));
  for (;;) {
    await group.promote(1000);
    const { entries, lost } = await group.reclaim(longLease, 1000, () => false);
    assert.deepEqual(lost, []);
    const { lag, due, retrying } = await group.stats();
    const more = due + retrying + lag.reduce((sum, stream) => sum + stream.entries, 0) > 0;
    const batch = [...entries, ...(more ? await group.read(1000, AbortSignal.timeout(1000)) : [])];
    if (batch.length === 0 && !more) return left;
    for (const { origin } of batch) assert.ok(!left.has(origin), `${origin} is there twice`);
    for (const { origin } of batch) left.add(origin);
    await group.settle(batch.map(ack), undefined);
  }
}

inFolder('what a dead process held is there at once, whatever its lease', async (path) => {
  const { engine, facts } = await startEngine(path);
  while (!facts.some(({ fact }) => fact === 'settled')) await sleep(5);
  await kill(engine);
  const bus = await openSqliteBus(`sqlite:${path}`);
  const group = await bus.openGroup(spec);
  const { pending } = await group.stats();
  const { entries } = await group.reclaim(longLease, 10_000, () => false);
  assert.ok(pending > 0);
  assert.equal(entries.length, pending);
  assert.ok(entries.every(({ starts }) => starts === 2));
  await bus.close();
});

inFolder('of publishes in one tick only the one at fault is refused', async (path) => {
  const bus = await openSqliteBus(`sqlite:${path}`);
  const group = await bus.openGroup(spec);
  const broken = { ...publication('a'), event: { body: {}, meta: undefined } } as unknown as Publication;
  const results = await Promise.allSettled([
    bus.publish([publication('a')]),
    bus.publish([publication('a'), broken, publication('b')]),
    bus.publish([publication('a'), publication('a')]),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  const entries = await read(group, 3);
  assert.deepEqual(
    entries.map(({ origin }) => origin),
    ['1', '2', '3'],
  );
  assert.deepEqual(await bus.streams(), [{ name: 'a', entries: 3 }]);
  assert.equal(residue(await group.stats()), 0);
  await bus.close();
});

inFolder('a publish that was refused can be made again', async (path) => {
  const bus = await openSqliteBus(`sqlite:${path}`);
  const item = publication('a');
  const broken = { ...publication('a'), event: { body: {}, meta: undefined } } as unknown as Publication;
  await assert.rejects(bus.publish([item, broken]));
  assert.deepEqual(
    (await bus.publish([item, item])).map(({ kind }) => kind),
    ['accepted', 'duplicate'],
  );
  await bus.close();
});

inFolder('many keys are told apart over many turns of the window and a restart', async (path) => {
  const options = { dedupeWindowMs: 3_600_000 };
  let bus = await openSqliteBus(`sqlite:${path}`, options);
  const items = Array.from({ length: 5000 }, (_, n) => publication('a', { dedupeKey: `k${n}`, fingerprint: 'f' }));
  assert.ok((await bus.publish(items)).every(({ kind }) => kind === 'accepted'));
  await bus.close();
  bus = await openSqliteBus(`sqlite:${path}`, options);
  assert.ok((await bus.publish(items)).every(({ kind }) => kind === 'duplicate'));
  await bus.close();
  bus = await openSqliteBus(`sqlite:${path}`, { dedupeWindowMs: 50 });
  for (let turn = 0; turn < 4; turn += 1) {
    await sleep(60);
    const kinds = (await bus.publish([...items.slice(0, 100), ...items.slice(0, 100)])).map(({ kind }) => kind);
    assert.deepEqual([kinds.indexOf('duplicate'), kinds.lastIndexOf('accepted')], [100, 99]);
  }
  await bus.close();
});

inFolder('a group that reads a stream no more leaves its waiting entries, and the numbers add up', async (path) => {
  const bus = await openSqliteBus(`sqlite:${path}`);
  const wide = await bus.openGroup({ ...spec, patterns: ['a', 'b'] });
  await bus.publish(['a', 'b', 'b', 'b'].map((type) => publication(type)));
  const [first] = await read(wide, 1);
  assert.ok(first);
  const narrow = await bus.openGroup({ ...spec, patterns: ['a'] });
  const stats = await narrow.stats();
  assert.deepEqual(
    stats.lag.map(({ stream }) => stream),
    ['a'],
  );
  assert.equal(residue(stats), 0);
  assert.deepEqual(await wide.settle([ack(first)], undefined), ['done']);
  assert.equal(residue(await narrow.stats()), 0);
  await bus.close();
});

inFolder('the journal shows no more lines than it may', async (path) => {
  const bus = await openSqliteBus(`sqlite:${path}`, {
    journal: { keep: 'all', retentionMs: 3_600_000, maxEntries: 5 },
  });
  const group = await bus.openGroup(spec);
  await bus.publish(Array.from({ length: 9 }, () => publication('a')));
  for (const [at, entry] of (await read(group, 9)).entries()) await group.settle([ack(entry)], `[${at}]`);
  const lines: string[] = [];
  for await (const { line } of bus.journal()) lines.push(line);
  assert.deepEqual(lines, ['[8]', '[7]', '[6]', '[5]', '[4]']);
  await bus.close();
});

inFolder('a file of the first schema is brought up to the last with what it holds', async (path) => {
  const before = await openSqliteBus(`sqlite:${path}`);
  const group = await before.openGroup(spec);
  await before.publish([publication('a')]);
  await group.settle([retry(await readOne(group), 3_600_000)], undefined);
  await before.close();
  const db = new DatabaseSync(path);
  db.exec('DROP TABLE permits; DROP INDEX later_postponed; ALTER TABLE later DROP COLUMN postponed');
  db.exec('DROP INDEX grp_storage; ALTER TABLE grp DROP COLUMN storage; ALTER TABLE grp DROP COLUMN former');
  db.exec('ALTER TABLE grp DROP COLUMN removed; DROP TABLE purge');
  const made = String(db.prepare("SELECT sql FROM sqlite_master WHERE name = 'grp'").get()?.['sql']);
  db.exec(made.replace('"grp"', 'first').replace(' AUTOINCREMENT', ''));
  db.exec('INSERT INTO first SELECT * FROM grp; DROP TABLE grp; ALTER TABLE first RENAME TO grp');
  // What a worker wrote that was still at a group with the number 2 when that was purged.
  db.exec("INSERT INTO later VALUES (77, 2, 1, 0, 'a', '1', 0, '{}', NULL, '{}')");
  db.exec('PRAGMA user_version = 1');
  db.close();
  const after = await openSqliteBus(`sqlite:${path}`);
  const stats = await after.groupStats(spec.group);
  assert.deepEqual([stats?.retrying, stats?.postponed], [1, 0]);
  const again = await after.openGroup(spec);
  await after.publish([publication('a')]);
  await again.settle([postpone(await readOne(again), 3_600_000)], undefined);
  assert.equal((await again.stats()).postponed, 1);
  const second = await after.openGroup({ ...spec, group: 'p.second' });
  assert.equal((await second.stats()).due, 0);
  await after.close();
});

inFolder('an open door to a purged group leads to nothing, and its number is never given again', async (path) => {
  const bus = await openSqliteBus(`sqlite:${path}`);
  const old = await bus.openGroup(spec);
  await bus.publish([publication('a'), publication('a')]);
  const [first, second] = await read(old, 2);
  assert.ok(first && second);
  const broken = { ...publication('a'), event: { body: {}, meta: undefined } } as unknown as Publication;
  const [purged] = await Promise.allSettled([bus.purge('p.r', { by: 'ada', reason: 'gone' }), bus.publish([broken])]);
  assert.ok(purged.status === 'fulfilled');
  assert.equal(purged.value?.pending, 2, 'also after the try that was taken back with the publish');
  assert.deepEqual(await old.settle([ack(first), retry(second, 0)], '["told"]'), ['fenced', 'fenced']);
  assert.deepEqual(await old.extend([first]), [first]);
  assert.equal(await old.countStart(first), undefined);
  assert.deepEqual(await old.reclaim(0, 10, () => false), { entries: [], lost: [] });
  await old.release([first]);
  assert.equal(await old.promote(10), 0);
  assert.deepEqual(await old.read(10, AbortSignal.timeout(20)), []);
  await old.close();
  await bus.close();
  const again = await openSqliteBus(`sqlite:${path}`);
  const next = await again.openGroup(spec);
  assert.equal((await next.stats()).totals.accepted, 0);
  await again.close();
  const db = new DatabaseSync(path);
  const count = (table: string, what: string): unknown =>
    db.prepare(`SELECT ${what} AS value FROM ${table}`).get()?.['value'];
  assert.equal(count('grp', 'min(id)'), 2);
  for (const table of ['later', 'dead', 'pending', 'journal']) assert.equal(count(table, 'count(*)'), 0, table);
  db.close();
});

inFolder('a file of a newer version is refused and left as it is', async (path) => {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA user_version = 99');
  db.close();
  await assert.rejects(openSqliteBus(`sqlite:${path}`), {
    code: 'EF5021',
    message: `expected a bus file of schema 6 or older, got schema 99, in ${path}: start the EventFlow version that wrote it, or name another file`,
  });
});

inFolder('a file that is no database is refused and left as it is', async (path) => {
  const text = 'not a database at all, but long enough to be looked at by somebody who expects one\n'.repeat(20);
  await writeFile(path, text);
  await assert.rejects(openSqliteBus(`sqlite:${path}`), { code: 'EF5022', message: /file is not a database/ });
  assert.equal(await readFile(path, 'utf8'), text);
});

inFolder('a path that is a folder, or below a file, is refused with the reason', async (path, folder) => {
  await assert.rejects(openSqliteBus(`sqlite:${folder}`), { code: 'EF5022', message: /unable to open database file/ });
  await writeFile(path, '');
  await chmod(path, 0o600);
  await assert.rejects(openSqliteBus(`sqlite:${join(path, 'bus.db')}`), { code: 'EF5022', message: /ENOTDIR|EEXIST/ });
});

inFolder('durability is told as it is', async (path) => {
  const told = async (url: string, mode: 'fsync' | 'replicated' | 'none'): Promise<string> => {
    const bus = await openBus(url, { durability: { mode } });
    const durability = await bus.durability();
    await bus.publish([publication('a')]);
    await bus.close();
    return `${durability.mode} ${durability.level} ${durability.reason ?? ''}`.trim();
  };
  assert.equal(await told(`sqlite:${path}`, 'fsync'), 'fsync guaranteed');
  assert.match(await told(`sqlite:${path}`, 'none'), /^none best_effort switched off by `durability\.mode: none`/);
  assert.match(await told(`sqlite:${path}`, 'replicated'), /^replicated best_effort an embedded bus has one disk/);
  assert.match(await told('sqlite::memory:', 'fsync'), /^fsync best_effort sqlite::memory: keeps nothing/);
});

for (const [url, shown] of [
  ['', '""'],
  ['bus.db', '"bus.db"'],
  ['postgres://ann:secret@db/x?token=y', '"postgres://db/x"'],
  ['sqlite:', '"sqlite:"'],
  ['sqlite://bus.db', '"sqlite://bus.db"'],
] as const) {
  void test(`the URL ${shown} names no bus, and the answer says what would`, async () => {
    await assert.rejects(openBus(url), (error: Error & { code: string }) => {
      assert.equal(error.code, 'EF5003');
      assert.match(error.message, /expected (a bus URL \()?sqlite:PATH/);
      assert.ok(error.message.includes(shown), error.message);
      assert.ok(!error.message.includes('secret'));
      return true;
    });
  });
}
