/** The dead letters of all groups. */
import { holdingOf } from '../../core/claims.ts';
import type { DeadLetter, LastWords } from '../../core/delivery.ts';
import type { DeadLetterFilter, DeadLetterStore } from '../bus.ts';
import type { Commits, Transaction } from './commits.ts';
import type { Database } from './database.ts';
import { givenText } from './rows.ts';
import { type GroupState, type State, wake } from './state.ts';

interface DeadRow {
  readonly id: number;
  readonly grp: string;
  readonly at: number;
  readonly stream: string;
  readonly published: number;
  readonly body: string;
  readonly meta: string | null;
  readonly words: string;
}

const columns = `SELECT dead.id, grp.name AS grp, dead.at, dead.stream, dead.published, dead.body, dead.meta, dead.words
  FROM dead JOIN grp ON grp.id = dead.grp`;

export class DeadLetters implements DeadLetterStore {
  readonly #database: Database;
  readonly #commits: Commits;
  readonly #state: State;

  constructor(database: Database, commits: Commits, state: State) {
    this.#database = database;
    this.#commits = commits;
    this.#state = state;
  }

  async list(filter: DeadLetterFilter): Promise<readonly DeadLetter[]> {
    this.#commits.assertOpen();
    const group = filter.group === undefined ? undefined : this.#nameOf(filter.group);
    const wanted = { group, reason: filter.reason, event: filter.eventId, type: filter.eventType };
    const given = Object.entries(wanted).filter((pair): pair is [keyof typeof tests, string] => pair[1] !== undefined);
    const where = given.length === 0 ? '' : `WHERE ${given.map(([name]) => tests[name]).join(' AND ')}`;
    const select = this.#database.sql(`${columns} ${where} ORDER BY dead.id DESC LIMIT ?`);
    const rows = select.all(...given.map(([, value]) => value), filter.limit);
    return (rows as unknown as DeadRow[]).map(letter);
  }

  async get(id: string): Promise<DeadLetter | undefined> {
    this.#commits.assertOpen();
    const row = this.#database.sql(`${columns} WHERE dead.id = ?`).get(rowId(id));
    return row === undefined ? undefined : letter(row as unknown as DeadRow);
  }

  redrive(ids: readonly string[]): Promise<readonly string[]> {
    return this.#take(ids, 'redriven', (id, group) => {
      const state = JSON.stringify({ attempt: 1, attempts: [], redrivenFrom: id });
      this.#database
        .sql(
          `INSERT INTO later (id, grp, phase, due, stream, origin, published, body, meta, state)
           SELECT ?, grp, 1, ?, stream, origin, published, body, meta, ? FROM dead WHERE id = ?`,
        )
        .run(this.#state.nextLater(), this.#database.now(), state, rowId(id));
      group.due = true;
    });
  }

  discard(ids: readonly string[]): Promise<readonly string[]> {
    return this.#take(ids, 'discarded', () => undefined);
  }

  /** Inside a transaction: removes what is past its group's retention. */
  expire(now: number, transaction: Transaction): void {
    for (const group of this.#state.groups.values()) {
      const { changes } = this.#database
        .sql('DELETE FROM dead WHERE grp = ?1 AND at < ?2 - (SELECT retention FROM grp WHERE id = ?1)')
        .run(group.id, now);
      if (changes !== 0) this.#count(group, 'dropped', Number(changes), transaction);
    }
  }

  /** Takes letters out, each with what becomes of it, and counts them. */
  #take(
    ids: readonly string[],
    total: 'redriven' | 'discarded',
    act: (id: string, group: GroupState) => void,
  ): Promise<readonly string[]> {
    return this.#commits.run('durable', (transaction) =>
      ids.filter((id) => {
        const group = this.#groupOf(id);
        if (group === undefined) return false;
        act(id, group);
        this.#database.sql('DELETE FROM dead WHERE id = ?').run(rowId(id));
        this.#count(group, total, 1, transaction);
        transaction.onCommit(() => wake(group));
        return true;
      }),
    );
  }

  /** Letters are found under every name that their group had. */
  #nameOf(name: string): string {
    return holdingOf([...this.#state.groups.values()], name)?.name ?? name;
  }

  #groupOf(id: string): GroupState | undefined {
    const row = this.#database
      .sql('SELECT grp.name FROM dead JOIN grp ON grp.id = dead.grp WHERE dead.id = ?')
      .get(rowId(id));
    return row && this.#state.groups.get(String(row['name']));
  }

  #count(group: GroupState, total: 'redriven' | 'discarded' | 'dropped', by: number, transaction: Transaction): void {
    const totals = this.#state.totals(group, transaction);
    totals[total] += by;
    transaction.onUndo(() => {
      totals[total] -= by;
    });
  }
}

const tests = { group: 'grp.name = ?', reason: 'dead.reason = ?', event: 'dead.event = ?', type: 'dead.type = ?' };

export const letterName = (row: number): string => `d${row}`;

/** Letters are `d1`, `d2` …; anything else is no letter of this bus. */
const rowId = (id: string): number => (/^d[1-9]\d{0,14}$/.test(id) ? Number(id.slice(1)) : 0);

const letter = (row: DeadRow): DeadLetter => {
  const words = JSON.parse(row.words) as LastWords;
  return {
    ...words,
    eventId: words.eventId,
    eventType: words.eventType,
    id: letterName(row.id),
    group: row.grp,
    stream: row.stream,
    body: givenText(row.body),
    meta: row.meta ?? undefined,
    publishedAt: row.published,
    deadAt: row.at,
  };
};
