/** The journal: append only, cut at its old end. */
import type { BusOptions, JournalLine } from '../bus.ts';
import type { Database } from './database.ts';
import type { GroupState } from './state.ts';

export type JournalPolicy = NonNullable<BusOptions['journal']>;

export const defaultJournal: JournalPolicy = { keep: 'all', retentionMs: 86_400_000, maxEntries: 100_000 };

const page = 200;
const cutEvery = 256;

export class Journal {
  readonly #database: Database;
  readonly #policy: JournalPolicy;
  #appended = 0;

  constructor(database: Database, policy: JournalPolicy) {
    this.#database = database;
    this.#policy = policy;
  }

  /** Inside a transaction. */
  append(group: GroupState, line: string, now: number): void {
    if (this.#policy.keep === 'off') return;
    this.#database.sql('INSERT INTO journal (at, grp, line) VALUES (?, ?, ?)').run(now, group.id, line);
    this.#appended += 1;
    if (this.#appended % cutEvery === 0) this.cut(now);
  }

  /** Inside a transaction. Removes what is too old or too much. */
  cut(now: number): void {
    const { maxEntries, retentionMs } = this.#policy;
    this.#database.sql('DELETE FROM journal WHERE n <= (SELECT max(n) FROM journal) - ?').run(maxEntries);
    const young = this.#database.sql('SELECT n FROM journal WHERE at >= ? ORDER BY n LIMIT 1').get(now - retentionMs);
    if (young === undefined) this.#database.sql('DELETE FROM journal').run();
    else this.#database.sql('DELETE FROM journal WHERE n < ?').run(Number(young['n']));
  }

  /** Newest first; lines that are appended meanwhile are not in it. */
  async *lines(now: number): AsyncGenerator<JournalLine> {
    const select = this.#database.sql(
      `SELECT journal.n, journal.at, grp.name AS name, journal.line FROM journal JOIN grp ON grp.id = journal.grp
       WHERE journal.n < ? AND journal.n > ? AND journal.at >= ? ORDER BY journal.n DESC LIMIT ?`,
    );
    const last = Number(this.#database.value('SELECT coalesce(max(n), 0) FROM journal'));
    let before = last + 1;
    for (;;) {
      const rows = select.all(before, last - this.#policy.maxEntries, now - this.#policy.retentionMs, page);
      for (const { at, name, line } of rows) yield { at: Number(at), group: String(name), line: String(line) };
      if (rows.length < page) return;
      before = Number(rows.at(-1)?.['n']);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
