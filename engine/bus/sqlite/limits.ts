/** Permits of rate limits, a row for each key. They outlive the process: a limit by the day is one for restarts too. */
import { endOf, noPermits, type PermitRequest, type PermitState, type Permits, take } from '../../core/rate-limit.ts';
import type { LimitStore } from '../bus.ts';
import type { Commits } from './commits.ts';
import type { Database } from './database.ts';

export class Limits implements LimitStore {
  readonly #database: Database;
  readonly #commits: Commits;

  constructor(database: Database, commits: Commits) {
    this.#database = database;
    this.#commits = commits;
  }

  take(key: string, request: PermitRequest): Promise<Permits> {
    return this.#commits.run('quick', () => {
      const stored = this.#database.sql('SELECT state FROM permits WHERE key = ?').get(key)?.['state'];
      const before = stored === undefined ? noPermits : (JSON.parse(String(stored)) as PermitState);
      const { state, permits } = take(before, request, this.#database.now());
      this.#database
        .sql(
          `INSERT INTO permits (key, ends, state) VALUES (?, ?, ?)
           ON CONFLICT (key) DO UPDATE SET ends = excluded.ends, state = excluded.state`,
        )
        .run(key, Math.ceil(endOf(state)), JSON.stringify(state));
      return permits;
    });
  }

  /** Removes the keys that say nothing any more. Part of a transaction. */
  expire(now: number): void {
    this.#database.sql('DELETE FROM permits WHERE ends <= ?').run(now);
  }
}
