/** Shared breaker states, changed by compare and set. */
import { type BreakerState, closedBreaker } from '../../core/breaker.ts';
import type { BreakerStore, StoredBreaker } from '../bus.ts';
import type { Commits } from './commits.ts';
import type { Database } from './database.ts';

export class Breakers implements BreakerStore {
  readonly #database: Database;
  readonly #commits: Commits;

  constructor(database: Database, commits: Commits) {
    this.#database = database;
    this.#commits = commits;
  }

  async list(): Promise<readonly StoredBreaker[]> {
    this.#commits.assertOpen();
    return this.#database.sql('SELECT key, version, state FROM breaker ORDER BY key').all().map(stored);
  }

  swap(key: string, expected: number, state: BreakerState, version = expected + 1): ReturnType<BreakerStore['swap']> {
    return this.#commits.run('quick', () => {
      const row = this.#database.sql('SELECT key, version, state FROM breaker WHERE key = ?').get(key);
      const before = row === undefined ? { key, version: 0, state: closedBreaker(this.#database.now()) } : stored(row);
      if (before.version !== expected) return { won: false, stored: before };
      this.#database
        .sql(
          `INSERT INTO breaker (key, version, state) VALUES (?, ?, ?)
           ON CONFLICT (key) DO UPDATE SET version = excluded.version, state = excluded.state`,
        )
        .run(key, version, JSON.stringify(state));
      return { won: true, stored: { key, version, state } };
    });
  }

  forget(key: string, expected: number): Promise<void> {
    return this.#commits.run('quick', () => {
      this.#database.sql('DELETE FROM breaker WHERE key = ? AND version = ?').run(key, expected);
    });
  }
}

const stored = (row: Record<string, unknown>): StoredBreaker => ({
  key: String(row['key']),
  version: Number(row['version']),
  state: JSON.parse(String(row['state'])) as BreakerState,
});
