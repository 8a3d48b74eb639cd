/** Trimming: entries leave from the old end of a stream, up to what the neediest group still needs. */
import type { Commits, Transaction } from './commits.ts';
import type { Database } from './database.ts';
import { span } from './schema.ts';
import type { GroupState, State, Stream } from './state.ts';

/** Entries that leave in one transaction: everybody else waits for so long, a few ms. */
const portion = 2000;

export class Trimmer {
  readonly #database: Database;
  readonly #commits: Commits;
  readonly #state: State;
  readonly #retentionMs: number;

  constructor(database: Database, commits: Commits, state: State, retentionMs: number) {
    this.#database = database;
    this.#commits = commits;
    this.#state = state;
    this.#retentionMs = retentionMs;
  }

  async trim(): Promise<number> {
    let removed = 0;
    for (const stream of this.#state.streams.values()) {
      for (let portionRemoved = portion; portionRemoved === portion; removed += portionRemoved) {
        if (stream.base === stream.last) break;
        portionRemoved = await this.#commits.run('quick', (transaction) => this.#trimPortion(stream, transaction));
      }
    }
    return removed;
  }

  #trimPortion(stream: Stream, transaction: Transaction): number {
    const { base } = stream;
    const to = Math.min(this.#spareUpTo(stream), base + portion);
    if (to <= base) return 0;
    const { changes } = this.#database
      .sql('DELETE FROM entry WHERE id BETWEEN ? AND ?')
      .run(stream.id * span + base + 1, stream.id * span + to);
    this.#database.sql('UPDATE stream SET base = ? WHERE id = ?').run(to, stream.id);
    stream.base = to;
    transaction.onUndo(() => {
      stream.base = base;
    });
    return Number(changes);
  }

  /** The highest n that nobody needs any more. */
  #spareUpTo(stream: Stream): number {
    if (stream.cursors.size === 0) return this.#expiredUpTo(stream);
    let needed = stream.last + 1;
    for (const { group, next } of stream.cursors) needed = Math.min(needed, next, lowestPending(group, stream));
    return needed - 1;
  }

  /** Events that no group wants are kept for groups to come, for a while. */
  #expiredUpTo(stream: Stream): number {
    const young = this.#database
      .sql('SELECT id FROM entry WHERE id BETWEEN ? AND ? AND at >= ? ORDER BY id LIMIT 1')
      .get(
        stream.id * span + stream.base + 1,
        stream.id * span + stream.last,
        this.#database.now() - this.#retentionMs,
      );
    return young === undefined ? stream.last : Number(young['id']) - stream.id * span - 1;
  }
}

function lowestPending(group: GroupState, stream: Stream): number {
  let lowest = Number.POSITIVE_INFINITY;
  const from = stream.id * span;
  for (const id of group.pending.keys()) if (id > from && id < from + span && id < lowest) lowest = id;
  return lowest - from;
}
