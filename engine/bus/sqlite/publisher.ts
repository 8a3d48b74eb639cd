/** Publishing: the dedupe key and the entry in one transaction, both or neither. */
import type { Publication, PublishResult } from '../bus.ts';
import { BulkInsert } from './bulk-insert.ts';
import type { Commits, Transaction } from './commits.ts';
import type { Database } from './database.ts';
import { type KeyRow, Keys } from './keys.ts';
import { givenText, storedText } from './rows.ts';
import { span } from './schema.ts';
import { type State, type Stream, wake } from './state.ts';

export class Publisher {
  readonly #database: Database;
  readonly #commits: Commits;
  readonly #state: State;
  readonly #keys: Keys;
  readonly #entries: BulkInsert;

  constructor(database: Database, commits: Commits, state: State, windowMs: number) {
    this.#database = database;
    this.#commits = commits;
    this.#state = state;
    this.#keys = new Keys(database, windowMs);
    this.#entries = new BulkInsert(database, 'entry', ['id', 'at', 'body', 'meta']);
  }

  publish(items: readonly Publication[]): Promise<readonly PublishResult[]> {
    return this.#commits.run('durable', (transaction) => this.#store(items, transaction));
  }

  #store(items: readonly Publication[], transaction: Transaction): readonly PublishResult[] {
    const now = this.#database.now();
    const touched = new Set<Stream>();
    this.#begin(now, transaction);
    const results = items.map((item) => {
      const stream = this.#state.streamFor(item.type, transaction);
      if (!touched.has(stream)) this.#touch(stream, touched, transaction);
      return this.#storeOne(item, stream, now);
    });
    this.#entries.flush();
    this.#keys.flush();
    transaction.onCommit(() => {
      for (const stream of touched) announce(stream);
    });
    return results;
  }

  #begin(now: number, transaction: Transaction): void {
    transaction.onUndo(() => {
      this.#entries.clear();
      this.#keys.clear();
      this.#state.recent.clear();
    });
    this.#keys.turn(now, transaction);
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
    const row = { id, at: now, body: storedText(body), meta: meta === undefined ? null : JSON.stringify(meta) };
    this.#entries.add(row.id, row.at, row.body, row.meta);
    this.#state.recent.add(stream, n, row);
    stream.last = n;
    return { kind: 'accepted', stream: stream.name, entryId: String(n) };
  }

  #repeated(item: Publication, before: KeyRow): PublishResult {
    if (before.fingerprint !== item.fingerprint) return { kind: 'conflict', eventId: givenText(before.event) };
    const id = Math.floor(before.entry / span);
    const name = this.#database.sql('SELECT name FROM stream WHERE id = ?').get(id)?.['name'];
    return {
      kind: 'duplicate',
      stream: String(name),
      entryId: String(before.entry % span),
      eventId: givenText(before.event),
    };
  }
}

/** Lets the groups of a stream know that there is more to read. */
function announce(stream: Stream): void {
  for (const cursor of stream.cursors) {
    cursor.group.ready.add(cursor);
    wake(cursor.group);
  }
}
