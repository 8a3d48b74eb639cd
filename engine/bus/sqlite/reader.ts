/** Reading: hands out what is due and what is new, and remembers that it did. */
import type { BusTime, Entry } from '../bus.ts';
import type { Commits, Transaction } from './commits.ts';
import type { Database } from './database.ts';
import { type EntryRow, type LaterRow, laterColumns, laterEntry, newEntry } from './rows.ts';
import { span } from './schema.ts';
import { type Cursor, type GroupState, type Lease, type State, type Stream, wake } from './state.ts';

/** How long a read waits for its first entry, ms. Everything that ends the wait sooner happens in this process. */
const patience = 2000;

export class Reader {
  readonly #database: Database;
  readonly #commits: Commits;
  readonly #state: State;
  readonly #group: GroupState;
  readonly #holder: object;
  /** Streams take turns to be first. */
  #turn = 0;
  #closed = false;

  constructor(database: Database, commits: Commits, state: State, group: GroupState, holder: object) {
    this.#database = database;
    this.#commits = commits;
    this.#state = state;
    this.#group = group;
    this.#holder = holder;
  }

  async read(limit: number, signal: AbortSignal): Promise<readonly Entry[]> {
    const { time } = this.#database;
    const end = time.now() + patience;
    while (!signal.aborted && !this.#closed) {
      if (this.#maybeMore()) {
        const entries = await this.#commits.run('quick', (transaction) => this.#claim(limit, transaction));
        if (entries.length > 0) return entries;
      } else {
        const left = end - time.now();
        if (left <= 0) return [];
        await woken(this.#group, left, signal, time);
      }
    }
    return [];
  }

  /** What is due again and nothing else; waits for none. */
  async readDue(limit: number): Promise<readonly Entry[]> {
    if (!this.#group.due) return [];
    return await this.#commits.run('quick', (transaction) => {
      const entries = this.#claimDue(limit, this.#database.now());
      transaction.onUndo(() => this.#forget(entries));
      return entries;
    });
  }

  /** Ends the reads that wait, and all that come. */
  close(): void {
    this.#closed = true;
    wake(this.#group);
  }

  #maybeMore(): boolean {
    return this.#group.due || this.#group.ready.size > 0;
  }

  #claim(limit: number, transaction: Transaction): readonly Entry[] {
    const now = this.#database.now();
    const cursors = [...this.#group.ready];
    const due = this.#group.due ? this.#claimDue(cursors.length > 0 ? Math.ceil(limit / 2) : limit, now) : [];
    const entries = [...due, ...this.#claimNew(cursors, limit - due.length, now, transaction)];
    transaction.onUndo(() => this.#forget(entries));
    return entries;
  }

  #forget(entries: readonly Entry[]): void {
    for (const { slot } of entries) this.#group.pending.delete((slot as Lease).id);
    this.#group.due = true;
  }

  #claimDue(limit: number, now: number): readonly Entry[] {
    const rows = this.#database.sql(`${laterColumns} WHERE grp = ? AND phase = 1 ORDER BY due, id LIMIT ?`);
    const entries = (rows.all(this.#group.id, limit) as unknown as LaterRow[]).map((row) => {
      this.#database.sql('UPDATE later SET phase = 2 WHERE id = ?').run(row.id);
      this.#database.sql('INSERT INTO pending (grp, id, starts) VALUES (?, ?, 1)').run(this.#group.id, row.id);
      return laterEntry(row, this.#lease(row.id, now));
    });
    if (entries.length < limit) this.#group.due = false;
    return entries;
  }

  /** Each stream gets a fair share of the room; what one leaves over goes to the next. */
  #claimNew(cursors: readonly Cursor[], limit: number, now: number, transaction: Transaction): readonly Entry[] {
    const entries: Entry[] = [];
    this.#turn += 1;
    for (let at = 0; at < cursors.length && entries.length < limit; at += 1) {
      const cursor = cursors[(at + this.#turn) % cursors.length];
      if (cursor === undefined) break;
      const share = Math.ceil((limit - entries.length) / (cursors.length - at));
      this.#claimFrom(cursor, share, now, entries, transaction);
    }
    return entries;
  }

  #claimFrom(cursor: Cursor, limit: number, now: number, into: Entry[], transaction: Transaction): void {
    const { stream, next } = cursor;
    const count = Math.min(limit, stream.last - next + 1);
    if (next + count > stream.last) this.#group.ready.delete(cursor);
    if (count <= 0) return;
    this.#markPending(stream.id * span + next, count);
    this.#database
      .sql('UPDATE cursor SET next = ? WHERE grp = ? AND stream = ?')
      .run(next + count, this.#group.id, stream.id);
    cursor.next = next + count;
    transaction.onUndo(() => {
      cursor.next = next;
      this.#group.ready.add(cursor);
    });
    for (const row of this.#entries(stream, next, count))
      into.push(newEntry(row, stream.name, this.#lease(row.id, now)));
  }

  #markPending(first: number, count: number): void {
    this.#database
      .sql('INSERT INTO pending (grp, id, starts) SELECT ?, id, 1 FROM entry WHERE id BETWEEN ? AND ?')
      .run(this.#group.id, first, first + count - 1);
  }

  #entries(stream: Stream, from: number, count: number): readonly EntryRow[] {
    const first = stream.id * span + from;
    return (
      this.#state.recent.range(stream, from, count) ??
      (this.#database
        .sql('SELECT id, at, body, meta FROM entry WHERE id BETWEEN ? AND ?')
        .all(first, first + count - 1) as unknown as EntryRow[])
    );
  }

  #lease(id: number, now: number): Lease {
    const lease: Lease = { id, holder: this.#holder, at: now, starts: 1, counted: true };
    this.#group.pending.set(id, lease);
    return lease;
  }
}

/** Resolves when the group may have more, after `ms`, or when the signal aborts. */
function woken(group: GroupState, ms: number, signal: AbortSignal, time: BusTime): Promise<void> {
  return new Promise((resolve) => {
    const resume = (): void => {
      time.cancel(timer);
      group.waiting.delete(resume);
      signal.removeEventListener('abort', resume);
      resolve();
    };
    const timer = time.after(ms, resume);
    group.waiting.add(resume);
    signal.addEventListener('abort', resume);
  });
}
