/**
 * The embedded bus against bare node:sqlite: publish 100, read 100, acknowledge 100, each step on disk before the next.
 * Ours does what the port promises on the way (dedupe keys, totals, journal, ownership); the bare loop inserts, claims
 * and deletes rows in three transactions. Both on a file in the same folder, rounds interleaved, medians.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Publication } from '../../engine/bus/bus.ts';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import { encodeLine } from '../../engine/core/journal.ts';

const batch = 100;
const cycles = 300;
const rounds = 5;
const bodyBytes = 300;

export interface BenchResult {
  readonly name: string;
  readonly bar: number;
  readonly goal: number;
  readonly ratio: number;
  /** Full cycles of one event, per second. */
  readonly ours: number;
  readonly theirs: number;
}

interface Contender {
  cycle(): Promise<void> | void;
  close(): Promise<void> | void;
}

async function ours(folder: string): Promise<Contender> {
  const bus = await openSqliteBus(`sqlite:${join(folder, 'ours.db')}`);
  const deadLetter = { retention: 3_600_000, maxEntries: 100, onFull: 'pause' } as const;
  const group = await bus.openGroup({ group: 'bench.route', patterns: ['order.paid'], startFrom: 'new', deadLetter });
  const signal = new AbortController().signal;
  return {
    async cycle() {
      const items = publications();
      await bus.publish(items);
      const entries = await group.read(batch, signal);
      if (entries.length !== batch) throw new Error(`expected ${batch} entries, got ${entries.length}`);
      const rows = items.map(({ eventId, type }) => ({ ...row, eventId, eventType: type }));
      const acks = entries.map((entry) => ({ kind: 'ack', entry, status: 'delivered' }) as const);
      await group.settle(acks, encodeLine(rows));
    },
    close: () => bus.close(),
  };
}

const row = {
  publishedAt: 1_700_000_000_000,
  attempt: 1,
  status: 'delivered',
  startedAt: 1_700_000_000_001,
  ms: 1,
  nextAt: undefined,
  reason: undefined,
  fault: undefined,
} as const;

function publications(): readonly Publication[] {
  return Array.from({ length: batch }, () => {
    const id = randomUUID();
    const head = `{"specversion":"1.0","id":"${id}","source":"/bench","type":"order.paid","data":{"note":"`;
    const event = { body: `${head.padEnd(bodyBytes - 3, 'x')}"}}`, meta: undefined };
    return { type: 'order.paid', event, dedupeKey: `/bench ${id}`, fingerprint: id, eventId: id };
  });
}

function theirs(folder: string): Contender {
  const db = new DatabaseSync(join(folder, 'bare.db'));
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE entry (seq INTEGER PRIMARY KEY, at INTEGER, body TEXT);
    CREATE TABLE pending (seq INTEGER PRIMARY KEY, at INTEGER, starts INTEGER);`);
  const insert = db.prepare('INSERT INTO entry (at, body) VALUES (?, ?)');
  const claim = db.prepare('SELECT seq, body FROM entry WHERE seq > ? ORDER BY seq LIMIT ?');
  const mark = db.prepare('INSERT INTO pending (seq, at, starts) VALUES (?, ?, 1)');
  const ack = db.prepare('DELETE FROM pending WHERE seq = ?');
  const transact = (work: () => void): void => {
    db.exec('BEGIN IMMEDIATE');
    work();
    db.exec('COMMIT');
  };
  let last = 0;
  let rows: { seq: number }[] = [];
  return {
    cycle() {
      const items = publications();
      transact(() => {
        for (const { event } of items) insert.run(Date.now(), event.body);
      });
      transact(() => {
        rows = claim.all(last, batch) as { seq: number }[];
        for (const { seq } of rows) mark.run(seq, Date.now());
        last = rows.at(-1)?.seq ?? last;
      });
      if (rows.length !== batch) throw new Error(`expected ${batch} rows, got ${rows.length}`);
      transact(() => {
        for (const { seq } of rows) ack.run(seq);
      });
    },
    close: () => db.close(),
  };
}

async function perSecond(contender: Contender): Promise<number> {
  const from = performance.now();
  for (let cycle = 0; cycle < cycles; cycle += 1) await contender.cycle();
  return (cycles * batch * 1000) / (performance.now() - from);
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;

export async function benchEmbedded(): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-bench-'));
  const contenders = [await ours(folder), theirs(folder)] as const;
  const speeds: [number[], number[]] = [[], []];
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const at of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
        const speed = await perSecond(contenders[at]);
        if (round > 0) speeds[at].push(speed);
      }
    }
  } finally {
    for (const contender of contenders) await contender.close();
    await rm(folder, { recursive: true });
  }
  const [mine, bare] = [median(speeds[0]), median(speeds[1])];
  return {
    name: 'embedded bus, full cycle ÷ bare node:sqlite in batches of 100, FULL',
    bar: 0.5,
    goal: 0.8,
    ratio: mine / bare,
    ours: mine,
    theirs: bare,
  };
}

if (process.argv[1] === import.meta.filename) {
  const { name, bar, goal, ratio, ours: mine, theirs: bare } = await benchEmbedded();
  console.log(name);
  console.log(`ours ${Math.round(mine)}/s, bare ${Math.round(bare)}/s`);
  console.log(`ratio ${ratio.toFixed(2)} (bar ${bar}, goal ${goal})`);
}
