/** Leases: heartbeat, hand-back and take-over. Time and holders are in memory; only the number of starts is stored. */
import { firstSuspectStart } from '../../core/delivery.ts';
import type { Entry, Reclaimed } from '../bus.ts';
import type { Commits, Transaction } from './commits.ts';
import type { Database } from './database.ts';
import { type EntryRow, isLater, type LaterRow, laterColumns, laterEntry, newEntry } from './rows.ts';
import { span } from './schema.ts';
import type { GroupState, Lease, State } from './state.ts';

export class Leases {
  readonly #database: Database;
  readonly #commits: Commits;
  readonly #state: State;
  readonly #group: GroupState;
  readonly #holder: object;
  /** Where the last sweep stopped. */
  #swept = 0;

  constructor(database: Database, commits: Commits, state: State, group: GroupState, holder: object) {
    this.#database = database;
    this.#commits = commits;
    this.#state = state;
    this.#group = group;
    this.#holder = holder;
  }

  /** Renews what is ours; returns what is not. */
  extend(entries: readonly Entry[]): readonly Entry[] {
    const now = this.#database.now();
    return entries.filter(({ slot }) => {
      const lease = slot as Lease;
      if (!this.#owns(lease)) return true;
      lease.at = now;
      return false;
    });
  }

  release(entries: readonly Entry[]): Promise<void> {
    return this.#handBack(() => entries.map(({ slot }) => slot as Lease));
  }

  /** Hands back everything that this consumer holds. */
  releaseAll(): Promise<void> {
    return this.#handBack(() => [...this.#group.pending.values()]);
  }

  #handBack(leases: () => readonly Lease[]): Promise<void> {
    return this.#commits.run('quick', (transaction) => {
      for (const lease of leases()) {
        if (!this.#owns(lease)) continue;
        const starts = lease.starts - 1;
        this.#replace(
          lease,
          { id: lease.id, holder: undefined, at: this.#database.now(), starts, counted: true },
          transaction,
        );
      }
    });
  }

  countStart(entry: Entry): Promise<number | undefined> {
    return this.#commits.run('quick', (transaction) => {
      const lease = entry.slot as Lease;
      if (!this.#owns(lease)) return undefined;
      if (lease.counted) return lease.starts;
      lease.counted = true;
      transaction.onUndo(() => Object.assign(lease, { counted: false }));
      this.#storeStarts(lease);
      return lease.starts;
    });
  }

  async reclaim(minIdleMs: number, limit: number, owned: (id: string) => boolean): Promise<Reclaimed> {
    if (this.#candidates(minIdleMs, owned).length === 0) return { entries: [], lost: [] };
    return this.#commits.run('quick', (transaction) => {
      const taken = this.#candidates(minIdleMs, owned).slice(0, limit);
      this.#swept = taken.at(-1)?.id ?? 0;
      return this.#take(taken, transaction);
    });
  }

  /** What this consumer holds and `owned` does not know. */
  async missed(owned: (id: string) => boolean): Promise<Reclaimed> {
    const unknown = (): readonly Lease[] =>
      [...this.#group.pending.values()]
        .filter(({ id, holder }) => holder === this.#holder && !owned(String(id)))
        .sort((a, b) => a.id - b.id);
    if (unknown().length === 0) return { entries: [], lost: [] };
    return this.#commits.run('quick', (transaction) => this.#take(unknown(), transaction));
  }

  /** What may be taken, in the order of ids, from where the last sweep stopped. */
  #candidates(minIdleMs: number, owned: (id: string) => boolean): readonly Lease[] {
    const latest = this.#database.now() - minIdleMs;
    const free = [...this.#group.pending.values()].filter(
      ({ id, holder, at }) => (holder === undefined || at <= latest) && !owned(String(id)),
    );
    const sorted = free.sort((a, b) => a.id - b.id);
    return [...sorted.filter(({ id }) => id > this.#swept), ...sorted.filter(({ id }) => id <= this.#swept)];
  }

  #take(leases: readonly Lease[], transaction: Transaction): Reclaimed {
    const entries: Entry[] = [];
    const lost: string[] = [];
    for (const old of leases) {
      const starts = countedStarts(old) + 1;
      const counted = starts < firstSuspectStart;
      const lease = { id: old.id, holder: this.#holder, at: this.#database.now(), starts, counted };
      const entry = this.#find(lease);
      if (entry === undefined) lost.push(String(old.id));
      else entries.push(entry);
      if (entry === undefined) this.#drop(old, transaction);
      else this.#replace(old, lease, transaction);
    }
    return { entries, lost };
  }

  #find(lease: Lease): Entry | undefined {
    if (isLater(lease)) {
      const row = this.#database.sql(`${laterColumns} WHERE id = ?`).get(lease.id) as unknown as LaterRow | undefined;
      return row && laterEntry(row, lease);
    }
    const row = this.#database.sql('SELECT id, at, body, meta FROM entry WHERE id = ?').get(lease.id);
    const stream = this.#streamName(Math.floor(lease.id / span));
    return row === undefined || stream === undefined ? undefined : newEntry(row as unknown as EntryRow, stream, lease);
  }

  #streamName(id: number): string | undefined {
    for (const stream of this.#state.streams.values()) if (stream.id === id) return stream.name;
    return undefined;
  }

  #replace(old: Lease, lease: Lease, transaction: Transaction): void {
    this.#group.pending.set(old.id, lease);
    transaction.onUndo(() => this.#group.pending.set(old.id, old));
    if (countedStarts(lease) !== countedStarts(old)) this.#storeStarts(lease);
  }

  #drop(lease: Lease, transaction: Transaction): void {
    this.#group.pending.delete(lease.id);
    transaction.onUndo(() => this.#group.pending.set(lease.id, lease));
    this.#database.sql('DELETE FROM pending WHERE grp = ? AND id = ?').run(this.#group.id, lease.id);
  }

  #storeStarts(lease: Lease): void {
    this.#database
      .sql('UPDATE pending SET starts = ? WHERE grp = ? AND id = ?')
      .run(countedStarts(lease), this.#group.id, lease.id);
  }

  #owns(lease: Lease): boolean {
    return lease.holder === this.#holder && this.#group.pending.get(lease.id) === lease;
  }
}

const countedStarts = ({ starts, counted }: Lease): number => (counted ? starts : starts - 1);
