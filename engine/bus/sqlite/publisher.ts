/** Publishing: the dedupe key and the entry in one transaction, both or neither. */
import type { Publication, PublishResult } from '../bus.ts';
import type { Commits, Transaction } from './commits.ts';
import type { Database } from './database.ts';
import { span } from './schema.ts';
import { type State, type Stream, wake } from './state.ts';

interface KeyRow {
  readonly at: number;
  readonly entry: number;
  readonly fingerprint: string;
  readonly event: string;
}

export class Publisher {
  readonly #database: Database;
  readonly #commits: Commits;
  readonly #state: State;
  readonly #keys: Keys;

  constructor(database: Database, commits: Commits, state: State, windowMs: number) {
    this.#database = database;
    this.#commits = commits;
    this.#state = state;
    this.#keys = new Keys(database, windowMs);
  }

  publish(items: readonly Publication[]): Promise<readonly PublishResult[]> {
    return this.#commits.run('durable', (transaction) => this.#store(items, transaction));
  }

  #store(items: readonly Publication[], transaction: Transaction): readonly PublishResult[] {
    const now = Date.now();
    const touched = new Set<Stream>();
    this.#keys.turn(now);
    const results = items.map((item) => {
      const stream = this.#state.streamFor(item.type, transaction);
      if (!touched.has(stream)) this.#touch(stream, touched, transaction);
      return this.#storeOne(item, stream, now);
    });
    transaction.onCommit(() => {
      for (const stream of touched) announce(stream);
    });
    return results;
  }

  #touch(stream: Stream, touched: Set<Stream>, transaction: Transaction): void {
    const { last } = stream;
    touched.add(stream);
    transaction.onUndo(() => {
      stream.last = last;
    });
  }

  #storeOne(item: Publication, stream: Stream, now: number): PublishResult {
    const n = stream.last + 1;
    const id = stream.id * span + n;
    const before = this.#keys.claim(item, id, now);
    if (before !== undefined) return this.#repeated(item, before);
    const { body, meta } = item.event;
    this.#database
      .sql('INSERT INTO entry (id, at, body, meta) VALUES (?, ?, ?, ?)')
      .run(id, now, body, meta === undefined ? null : JSON.stringify(meta));
    stream.last = n;
    return { kind: 'accepted', stream: stream.name, entryId: String(n) };
  }

  #repeated(item: Publication, before: KeyRow): PublishResult {
    if (before.fingerprint !== item.fingerprint) return { kind: 'conflict', eventId: before.event };
    const id = Math.floor(before.entry / span);
    const name = this.#database.sql('SELECT name FROM stream WHERE id = ?').get(id)?.['name'];
    return { kind: 'duplicate', stream: String(name), entryId: String(before.entry % span), eventId: before.event };
  }
}

/** Lets the groups of a stream know that there is more to read. */
function announce(stream: Stream): void {
  for (const cursor of stream.cursors) {
    cursor.group.ready.add(cursor);
    wake(cursor.group);
  }
}

/**
 * Keys of the dedupe window. They lie in two tables, the window that is being filled and the one before; when the older
 * one is past, it is emptied and filled next.
 */
class Keys {
  readonly #database: Database;
  readonly #windowMs: number;
  #current: 0 | 1;
  #since: number;

  constructor(database: Database, windowMs: number) {
    this.#database = database;
    this.#windowMs = windowMs;
    const row = database.sql('SELECT current, since FROM dedupe_window').get();
    this.#current = row?.['current'] === 1 ? 1 : 0;
    this.#since = Number(row?.['since'] ?? 0);
  }

  turn(now: number): void {
    if (now - this.#since < this.#windowMs) return;
    const next = this.#current === 0 ? 1 : 0;
    this.#database.sql(`DELETE FROM dedupe${next}`).run();
    this.#database.sql('UPDATE dedupe_window SET current = ?, since = ?').run(next, now);
    this.#current = next;
    this.#since = now;
  }

  /** Takes the key for `entry`, or gives back who has it. */
  claim(item: Publication, entry: number, now: number): KeyRow | undefined {
    const before = this.#alive(this.#current === 0 ? 1 : 0, item.dedupeKey, now);
    if (before !== undefined) return before;
    const { changes } = this.#database
      .sql(
        `INSERT INTO dedupe${this.#current} (key, at, entry, fingerprint, event) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (key) DO UPDATE SET at = excluded.at, entry = excluded.entry, fingerprint = excluded.fingerprint,
           event = excluded.event WHERE at <= ?`,
      )
      .run(item.dedupeKey, now, entry, item.fingerprint, item.eventId, now - this.#windowMs);
    return changes === 1 ? undefined : this.#alive(this.#current, item.dedupeKey, now);
  }

  #alive(table: 0 | 1, key: string, now: number): KeyRow | undefined {
    const row = this.#database.sql(`SELECT at, entry, fingerprint, event FROM dedupe${table} WHERE key = ?`).get(key);
    const found = row as unknown as KeyRow | undefined;
    return found !== undefined && found.at > now - this.#windowMs ? found : undefined;
  }
}
