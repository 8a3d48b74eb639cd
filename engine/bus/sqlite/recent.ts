/**
 * The newest entries in memory. Most groups keep up, so what is published is read at once, often by several groups: they
 * need not ask the disk for what just passed by.
 */
import type { EntryRow } from './rows.ts';
import type { Stream } from './state.ts';

const maxCharacters = 4 * 1024 * 1024;
/** What an entry costs besides its text, about. */
const overhead = 200;

/** Neighbours: the row of n is at `n - from`. */
interface Tail {
  readonly from: number;
  readonly rows: EntryRow[];
}

export class Recent {
  readonly #tails = new Map<Stream, Tail>();
  #characters = 0;

  /** `n`: the row's place in its stream, one more than that of the row before. */
  add(stream: Stream, n: number, row: EntryRow): void {
    this.#characters += row.body.length + (row.meta?.length ?? 0) + overhead;
    if (this.#characters > maxCharacters) this.clear();
    const tail = this.#tails.get(stream);
    if (tail === undefined) this.#tails.set(stream, { from: n, rows: [row] });
    else tail.rows.push(row);
  }

  /** `count` rows from n `from` on, or undefined when one of them is not here. */
  range(stream: Stream, from: number, count: number): readonly EntryRow[] | undefined {
    const tail = this.#tails.get(stream);
    if (tail === undefined || from < tail.from) return undefined;
    const rows = tail.rows.slice(from - tail.from, from - tail.from + count);
    return rows.length === count ? rows : undefined;
  }

  clear(): void {
    this.#tails.clear();
    this.#characters = 0;
  }
}
