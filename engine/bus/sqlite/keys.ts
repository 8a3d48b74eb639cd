/**
 * The dedupe window. A tree ordered by keys would touch a page of its own for nearly every event, and each commit would
 * write them all: that costs three quarters of the throughput. So keys are appended to a log, and where they are is kept
 * in memory, in 8 to 16 bytes a key; an answer from memory is always checked against the log.
 *
 * There are two logs, the window that is being filled and the one before. When the older one is past, it is emptied in
 * one stroke and filled next.
 */
import { randomInt } from 'node:crypto';
import type { Publication } from '../bus.ts';
import { BulkInsert } from './bulk-insert.ts';
import type { Transaction } from './commits.ts';
import type { Database } from './database.ts';
import { storedText } from './rows.ts';

/** Who has a key. */
export interface KeyRow {
  readonly at: number;
  readonly entry: number;
  readonly fingerprint: string;
  readonly event: string;
}

/** Whole texts: putting one together for each event costs more than running it. */
const select = {
  dedupe0: 'SELECT at, entry, fingerprint, event FROM dedupe0 WHERE n = ? AND key = ? AND at > ?',
  dedupe1: 'SELECT at, entry, fingerprint, event FROM dedupe1 WHERE n = ? AND key = ? AND at > ?',
} as const;

const columns = ['n', 'at', 'key', 'entry', 'fingerprint', 'event'];

interface Log {
  readonly table: keyof typeof select;
  readonly rows: BulkInsert;
  last: number;
  readonly index: KeyIndex;
}

export class Keys {
  readonly #database: Database;
  readonly #windowMs: number;
  #current: Log;
  #before: Log;
  #since: number;

  constructor(database: Database, windowMs: number) {
    this.#database = database;
    this.#windowMs = windowMs;
    const row = database.sql('SELECT current, since FROM dedupe_window').get();
    const loaded = [this.#load('dedupe0'), this.#load('dedupe1')] as const;
    this.#current = loaded[row?.['current'] === 1 ? 1 : 0];
    this.#before = loaded[row?.['current'] === 1 ? 0 : 1];
    this.#since = Number(row?.['since'] ?? 0);
  }

  /** Forgets the older window when it is past. */
  turn(now: number, transaction: Transaction): void {
    if (now - this.#since < this.#windowMs) return;
    const [current, before, since] = [this.#current, this.#before, this.#since];
    this.#database.sql(`DELETE FROM ${before.table}`).run();
    this.#database.sql('UPDATE dedupe_window SET current = ?, since = ?').run(before.table === 'dedupe1' ? 1 : 0, now);
    this.#current = { ...before, last: 0, index: new KeyIndex() };
    this.#before = current;
    this.#since = now;
    transaction.onUndo(() => {
      this.#current = current;
      this.#before = before;
      this.#since = since;
    });
  }

  /**
   * Takes the key for `entry`, or gives back who has it. A rollback need not be told to the index: what it then finds in
   * the log is not the key.
   */
  claim(item: Publication, entry: number, now: number): KeyRow | undefined {
    const hash = hashOf(item.dedupeKey);
    const holder =
      this.#find(this.#current, item.dedupeKey, hash, now) ?? this.#find(this.#before, item.dedupeKey, hash, now);
    if (holder !== undefined) return holder;
    const log = this.#current;
    log.last += 1;
    log.rows.add(log.last, now, item.dedupeKey, entry, item.fingerprint, storedText(item.eventId));
    log.index.add(hash, log.last);
    return undefined;
  }

  /** Writes the keys that were claimed since; before the end of the transaction. */
  flush(): void {
    this.#current.rows.flush();
  }

  /** Forgets claims of a transaction that was taken back. */
  clear(): void {
    this.#current.rows.clear();
    this.#before.rows.clear();
  }

  #find({ table, rows, index }: Log, key: string, hash: number, now: number): KeyRow | undefined {
    return index.find(hash, (n) => {
      rows.flush();
      const row = this.#database.sql(select[table]).get(n, key, now - this.#windowMs);
      return row as unknown as KeyRow | undefined;
    });
  }

  #load(table: Log['table']): Log {
    const rows = new BulkInsert(this.#database, table, columns);
    const log: Log = { table, rows, last: 0, index: new KeyIndex() };
    for (const { n, key } of this.#database.db.prepare(`SELECT n, key FROM ${table} ORDER BY n`).iterate()) {
      log.last = Number(n);
      log.index.add(hashOf(String(key)), log.last);
    }
    return log;
  }
}

/** From hashes to numbers, many to many: open addressing, a hash and a number in each slot, number 0 for a free one. */
class KeyIndex {
  #slots = new Uint32Array(2048);
  #size = 0;

  /** The first answer that `check` gives for a number under this hash. */
  find<T>(hash: number, check: (n: number) => T | undefined): T | undefined {
    const slots = this.#slots;
    for (let at = place(hash, slots); slots[at + 1] !== 0; at = next(at, slots)) {
      if (slots[at] !== hash) continue;
      const found = check(slots[at + 1] ?? 0);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  add(hash: number, n: number): void {
    this.#size += 1;
    if (this.#size * 4 > this.#slots.length) this.#grow();
    insert(this.#slots, hash, n);
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] !== 0) insert(this.#slots, old[at] ?? 0, old[at + 1] ?? 0);
    }
  }
}

function insert(slots: Uint32Array, hash: number, n: number): void {
  let at = place(hash, slots);
  while (slots[at + 1] !== 0) at = next(at, slots);
  slots[at] = hash;
  slots[at + 1] = n;
}

const place = (hash: number, slots: Uint32Array): number => (hash & ((slots.length >> 1) - 1)) << 1;
const next = (at: number, slots: Uint32Array): number => (at + 2) & (slots.length - 1);

// Publishers choose the keys: with a seed of our own they cannot choose the hashes.
const seed = randomInt(2 ** 32 - 1);

/** FNV-1a over UTF-16, mixed at the end as MurmurHash3 does. */
function hashOf(text: string): number {
  let hash = seed;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
