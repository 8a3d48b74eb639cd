/** One consumer's door to its group. */
import type { DroppedLetter, Entry, Group, GroupSpec, Reclaimed, SettleItem, SettleResult } from '../bus.ts';
import type { Commits } from './commits.ts';
import type { Database } from './database.ts';
import type { Journal } from './journal.ts';
import { Leases } from './leases.ts';
import { SqliteOrder } from './order.ts';
import { Reader } from './reader.ts';
import { Settler } from './settler.ts';
import { type GroupState, type State, wake } from './state.ts';
import { groupStats } from './stats.ts';

export interface GroupParts {
  readonly database: Database;
  readonly commits: Commits;
  readonly state: State;
  readonly journal: Journal;
  readonly group: GroupState;
  /** What the group was called when it was opened. */
  readonly label: string;
  /** `read` gives only what is due again. */
  readonly dueOnly: boolean;
  readonly policy: GroupSpec['deadLetter'];
  readonly onDropped: (letters: readonly DroppedLetter[]) => void;
}

export class SqliteGroup implements Group {
  readonly name: string;
  readonly storage: string;
  readonly order: SqliteOrder;
  readonly #parts: GroupParts;
  readonly #reader: Reader;
  readonly #settler: Settler;
  readonly #leases: Leases;
  #closed: Promise<void> | undefined;

  constructor(parts: GroupParts) {
    const { database, commits, state, group } = parts;
    this.name = parts.label;
    this.storage = group.storage;
    this.#parts = parts;
    this.#reader = new Reader(database, commits, state, group, this);
    this.#settler = new Settler({ ...parts, holder: this });
    this.#leases = new Leases(database, commits, state, group, this);
    this.order = new SqliteOrder({ database, commits, group, leases: this.#leases, holder: this });
  }

  async read(limit: number, signal: AbortSignal): Promise<readonly Entry[]> {
    this.#parts.commits.assertOpen();
    return this.#parts.dueOnly ? this.#reader.readDue(limit) : this.#reader.read(limit, signal);
  }

  async settle(items: readonly SettleItem[], journal: string | undefined): Promise<readonly SettleResult[]> {
    return items.length === 0 ? [] : this.#settler.settle(items, journal);
  }

  async extend(entries: readonly Entry[]): Promise<readonly Entry[]> {
    this.#parts.commits.assertOpen();
    return this.#leases.extend(entries);
  }

  async release(entries: readonly Entry[]): Promise<void> {
    if (entries.length > 0) await this.#leases.release(entries);
  }

  async promote(limit: number): Promise<number> {
    const { database, commits, group } = this.#parts;
    if (!this.#someDue()) return 0;
    return commits.run('quick', (transaction) => {
      const { changes } = database
        .sql(
          `UPDATE later SET phase = 1 WHERE id IN
             (SELECT id FROM later WHERE grp = ? AND phase = 0 AND due <= ? ORDER BY due, id LIMIT ?)`,
        )
        .run(group.id, database.now(), limit);
      if (changes !== 0) group.due = true;
      transaction.onCommit(() => wake(group));
      return Number(changes);
    });
  }

  #someDue(): boolean {
    const { database, commits, group } = this.#parts;
    commits.assertOpen();
    const first = database.sql('SELECT min(due) AS due FROM later WHERE grp = ? AND phase = 0').get(group.id)?.['due'];
    return typeof first === 'number' && first <= database.now();
  }

  async reclaim(minIdleMs: number, limit: number, owned: (id: string) => boolean): Promise<Reclaimed> {
    this.#parts.commits.assertOpen();
    return this.#leases.reclaim(minIdleMs, limit, owned);
  }

  countStart(entry: Entry): Promise<number | undefined> {
    return this.#leases.countStart(entry);
  }

  async stats(): ReturnType<Group['stats']> {
    this.#parts.commits.assertOpen();
    return groupStats(this.#parts.database, this.#parts.group);
  }

  close(): Promise<void> {
    this.#reader.close();
    this.#closed ??= this.#leases.releaseAll();
    return this.#closed;
  }
}
