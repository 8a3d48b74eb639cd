/**
 * What the owner of the file knows by heart: streams, groups, where each group stands, and what is handed out. It is
 * loaded once and moves with each transaction; a rollback takes it back. Leases are here alone: they end with their
 * process, so that a restarted engine need not wait for them.
 */
import { readsStream, type StreamRule, streamOf } from '../../core/match.ts';
import type { GroupSpec, GroupTotals } from '../bus.ts';
import type { Transaction } from './commits.ts';
import type { Database } from './database.ts';
import { Recent } from './recent.ts';
import { span } from './schema.ts';

export interface Stream {
  readonly id: number;
  readonly name: string;
  /** The highest n that was trimmed away. */
  base: number;
  /** The highest n that was given. */
  last: number;
  readonly cursors: Set<Cursor>;
}

/** A group's place in one stream. */
export interface Cursor {
  readonly group: GroupState;
  readonly stream: Stream;
  /** The n before the first entry that reached the group. */
  readonly start: number;
  /** The n that is read next. */
  next: number;
}

/** One handing-out of one entry. It is replaced, never changed hands: who holds the object in the map is the owner. */
export interface Lease {
  readonly id: number;
  readonly holder: object | undefined;
  /** Last sign of life, ms since the epoch. */
  at: number;
  /** This handing-out included; without a holder: how often it was handed out. */
  readonly starts: number;
  /** False for a suspect that has not been started yet: `starts` is not stored then. */
  counted: boolean;
}

export type StoredTotals = { -readonly [name in Exclude<keyof GroupTotals, 'accepted'>]: number };

export interface GroupState {
  readonly id: number;
  /** The same under every name. */
  readonly storage: string;
  name: string;
  /** Names that it had, the latest first. */
  former: readonly string[];
  /** Since when its route is gone, ms since the epoch. */
  removedAt: number | undefined;
  readonly activatedAt: number;
  patterns: readonly string[];
  /** Accepted entries of streams that the group does not read any more. */
  leftStreams: number;
  totals: StoredTotals;
  readonly cursors: Map<Stream, Cursor>;
  readonly pending: Map<number, Lease>;
  /** Streams that may have something to read; a hint. */
  readonly ready: Set<Cursor>;
  /** Whether the due stream may have something to read; a hint. */
  due: boolean;
  /** Readers that wait. */
  readonly waiting: Set<() => void>;
}

export class State {
  readonly streams = new Map<string, Stream>();
  readonly groups = new Map<string, GroupState>();
  readonly recent = new Recent();
  readonly #database: Database;
  readonly #rules: readonly StreamRule[];
  readonly #streamOf: (type: string) => string;
  #lastLater: number;

  constructor(database: Database, rules: readonly StreamRule[]) {
    this.#database = database;
    this.#rules = rules;
    this.#streamOf = streamOf(rules);
    this.#lastLater = Number(database.value('SELECT coalesce(max(id), 0) FROM later'));
    this.#loadStreams();
    this.#loadGroups();
    this.#loadCursors();
    this.#loadPending();
  }

  /** A new id in the `later` table. Never given twice while the process lives. */
  nextLater(): number {
    this.#lastLater += 1;
    return this.#lastLater;
  }

  /** The stream that events of `type` rest in; made when it is new, and joined by every group that wants it. */
  streamFor(type: string, transaction: Transaction): Stream {
    const name = this.#streamOf(type);
    return this.streams.get(name) ?? this.#addStream(name, transaction);
  }

  reads(patterns: readonly string[], stream: string): boolean {
    return readsStream(patterns, this.#rules, stream);
  }

  #addStream(name: string, transaction: Transaction): Stream {
    const { lastInsertRowid } = this.#database.sql('INSERT INTO stream (name, base) VALUES (?, 0)').run(name);
    const stream: Stream = { id: Number(lastInsertRowid), name, base: 0, last: 0, cursors: new Set() };
    this.streams.set(name, stream);
    transaction.onUndo(() => this.streams.delete(name));
    for (const group of this.groups.values()) {
      if (this.reads(group.patterns, name)) this.attach(group, stream, 0, transaction);
    }
    return stream;
  }

  /** Lets `group` read `stream` from the entry after `start`. */
  attach(group: GroupState, stream: Stream, start: number, transaction: Transaction): void {
    this.#database
      .sql('INSERT INTO cursor (grp, stream, start, next) VALUES (?, ?, ?, ?)')
      .run(group.id, stream.id, start, start + 1);
    const cursor = this.#join({ group, stream, start, next: start + 1 });
    transaction.onUndo(() => this.#leave(cursor));
  }

  /** Ends the group's part in a stream: what it has not read there does not concern it any more. */
  detach(cursor: Cursor, transaction: Transaction): void {
    const { group, stream, start, next } = cursor;
    this.#database.sql('DELETE FROM cursor WHERE grp = ? AND stream = ?').run(group.id, stream.id);
    this.#database.sql('UPDATE grp SET left_streams = left_streams + ? WHERE id = ?').run(next - start - 1, group.id);
    this.#leave(cursor);
    group.leftStreams += next - start - 1;
    transaction.onUndo(() => {
      this.#join(cursor);
      group.leftStreams -= next - start - 1;
    });
  }

  addGroup(spec: GroupSpec, storage: string, now: number, transaction: Transaction): GroupState {
    const { lastInsertRowid } = this.#database
      .sql('INSERT INTO grp (name, storage, patterns, activated, retention) VALUES (?, ?, ?, ?, ?)')
      .run(spec.group, storage, JSON.stringify(spec.patterns), now, spec.deadLetter.retention);
    const group = newGroup(Number(lastInsertRowid), storage, spec.group, spec.patterns, now);
    this.groups.set(group.name, group);
    transaction.onUndo(() => this.groups.delete(group.name));
    return group;
  }

  rename(group: GroupState, name: string, former: readonly string[], transaction: Transaction): void {
    const before = { name: group.name, former: group.former };
    this.#database.sql('UPDATE grp SET name = ?, former = ? WHERE id = ?').run(name, JSON.stringify(former), group.id);
    const call = (as: typeof before): void => {
      this.groups.delete(group.name);
      Object.assign(group, as);
      this.groups.set(group.name, group);
    };
    call({ name, former });
    transaction.onUndo(() => call(before));
  }

  mark(group: GroupState, removedAt: number | undefined, transaction: Transaction): void {
    const before = group.removedAt;
    this.#database.sql('UPDATE grp SET removed = ? WHERE id = ?').run(removedAt ?? null, group.id);
    group.removedAt = removedAt;
    transaction.onUndo(() => {
      group.removedAt = before;
    });
  }

  /**
   * From memory; its rows are the caller's business. Doors that are still open find nothing to read and nothing that is
   * theirs.
   */
  remove(group: GroupState, transaction: Transaction): void {
    const { due } = group;
    const cursors = [...group.cursors.values()];
    const pending = [...group.pending];
    for (const cursor of cursors) this.#leave(cursor);
    group.pending.clear();
    group.due = false;
    this.groups.delete(group.name);
    transaction.onUndo(() => {
      this.groups.set(group.name, group);
      group.due = due;
      for (const [id, lease] of pending) group.pending.set(id, lease);
      for (const cursor of cursors) this.#join(cursor);
    });
  }

  /** False once the group was removed: a door to it may still be open. */
  has(group: GroupState): boolean {
    return this.groups.get(group.name) === group;
  }

  /** Gives the group's totals to be changed; they are stored with the transaction. */
  totals(group: GroupState, transaction: Transaction): StoredTotals {
    transaction.beforeCommit(group.totals, () => this.#storeTotals(group));
    return group.totals;
  }

  #storeTotals(group: GroupState): void {
    const { delivered, skipped, unmatched, dead, redriven, discarded, dropped, retries } = group.totals;
    this.#database
      .sql(
        `UPDATE grp SET delivered = ?, skipped = ?, unmatched = ?, dead = ?, redriven = ?, discarded = ?, dropped = ?,
           retries = ? WHERE id = ?`,
      )
      .run(delivered, skipped, unmatched, dead, redriven, discarded, dropped, retries, group.id);
  }

  #join(cursor: Cursor): Cursor {
    cursor.stream.cursors.add(cursor);
    cursor.group.cursors.set(cursor.stream, cursor);
    if (cursor.next <= cursor.stream.last) cursor.group.ready.add(cursor);
    return cursor;
  }

  #leave(cursor: Cursor): void {
    cursor.stream.cursors.delete(cursor);
    cursor.group.cursors.delete(cursor.stream);
    cursor.group.ready.delete(cursor);
  }

  #loadStreams(): void {
    const highest = this.#database.sql('SELECT max(id) AS id FROM entry WHERE id BETWEEN ? AND ?');
    for (const { id, name, base } of rows<{ id: number; name: string; base: number }>(this.#database, 'stream')) {
      const found = highest.get(id * span, (id + 1) * span - 1)?.['id'];
      const last = typeof found === 'number' ? found - id * span : base;
      this.streams.set(name, { id, name, base, last, cursors: new Set() });
    }
  }

  #loadGroups(): void {
    for (const row of rows<GroupRow>(this.#database, 'grp')) {
      const group = newGroup(row.id, row.storage, row.name, JSON.parse(row.patterns) as string[], row.activated);
      group.leftStreams = row.left_streams;
      group.former = JSON.parse(row.former) as string[];
      group.removedAt = row.removed ?? undefined;
      const { delivered, skipped, unmatched, dead, redriven, discarded, dropped, retries } = row;
      group.totals = { delivered, skipped, unmatched, dead, redriven, discarded, dropped, retries };
      this.groups.set(row.name, group);
    }
  }

  #loadCursors(): void {
    const streams = byId(this.streams.values());
    const groups = byId(this.groups.values());
    type CursorRow = { grp: number; stream: number; start: number; next: number };
    for (const { grp, stream, start, next } of rows<CursorRow>(this.#database, 'cursor')) {
      const [group, joined] = [groups.get(grp), streams.get(stream)];
      if (group !== undefined && joined !== undefined) this.#join({ group, stream: joined, start, next });
    }
  }

  #loadPending(): void {
    const groups = byId(this.groups.values());
    const at = this.#database.now();
    for (const row of rows<{ grp: number; id: number; starts: number }>(this.#database, 'pending')) {
      groups
        .get(row.grp)
        ?.pending.set(row.id, { id: row.id, holder: undefined, at, starts: row.starts, counted: true });
    }
  }
}

type GroupRow = StoredTotals & {
  readonly id: number;
  readonly name: string;
  readonly storage: string;
  readonly former: string;
  readonly removed: number | null;
  readonly patterns: string;
  readonly activated: number;
  readonly left_streams: number;
};

const rows = <T>(database: Database, table: string): Iterable<T> =>
  database.db.prepare(`SELECT * FROM ${table}`).iterate() as Iterable<unknown> as Iterable<T>;

const byId = <T extends { readonly id: number }>(values: Iterable<T>): ReadonlyMap<number, T> =>
  new Map([...values].map((value) => [value.id, value]));

function newGroup(
  id: number,
  storage: string,
  name: string,
  patterns: readonly string[],
  activatedAt: number,
): GroupState {
  return {
    id,
    storage,
    name,
    former: [],
    removedAt: undefined,
    activatedAt,
    patterns,
    leftStreams: 0,
    totals: { delivered: 0, skipped: 0, unmatched: 0, dead: 0, redriven: 0, discarded: 0, dropped: 0, retries: 0 },
    cursors: new Map(),
    pending: new Map(),
    ready: new Set(),
    due: true,
    waiting: new Set(),
  };
}

export function wake(group: GroupState): void {
  for (const resume of group.waiting) resume();
}
