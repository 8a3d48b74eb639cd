/** Inserts rows many at a time: a statement for 64 rows costs half of 64 statements. */
import type { SQLInputValue } from 'node:sqlite';
import type { Database } from './database.ts';

const chunks = [64, 8, 1] as const;

export class BulkInsert {
  readonly #database: Database;
  readonly #width: number;
  readonly #texts: readonly string[];
  #values: SQLInputValue[] = [];

  constructor(database: Database, table: string, columns: readonly string[]) {
    this.#database = database;
    this.#width = columns.length;
    const row = `(${columns.map(() => '?').join(', ')})`;
    const head = `INSERT INTO ${table} (${columns.join(', ')}) VALUES`;
    this.#texts = chunks.map((size) => `${head} ${Array.from({ length: size }, () => row).join(', ')}`);
  }

  /** One value for each column. The row is in the table after the next `flush`. */
  add(...row: readonly SQLInputValue[]): void {
    this.#values.push(...row);
  }

  flush(): void {
    const values = this.#values;
    let at = 0;
    for (const [which, size] of chunks.entries()) {
      const step = size * this.#width;
      for (; values.length - at >= step; at += step) {
        this.#database.sql(this.#texts[which] ?? '').run(...values.slice(at, at + step));
      }
    }
    this.#values = [];
  }

  /** Forgets rows of a transaction that was taken back. */
  clear(): void {
    this.#values = [];
  }
}
