/** Settling: a batch in one transaction, each item by its own rule of ownership. */
import type { DeliveryState } from '../../core/delivery.ts';
import type { DroppedLetter, Entry, GroupSpec, SettleItem, SettleResult, Tally } from '../bus.ts';
import type { Commits, Transaction } from './commits.ts';
import type { Database } from './database.ts';
import { letterName } from './dead-letters.ts';
import type { Journal } from './journal.ts';
import { isLater, storedText } from './rows.ts';
import type { GroupState, Lease, State, StoredTotals } from './state.ts';

/** What goes to the retry set. */
type Retry = Extract<SettleItem, { kind: 'retry' | 'postpone' }>;
type Dead = Extract<SettleItem, { kind: 'dead' }>;
type Ack = Extract<SettleItem, { kind: 'ack' }>;

const firstState: DeliveryState = { attempt: 1, attempts: [] };

/** What one batch has done so far. */
interface Batch {
  readonly now: number;
  readonly totals: StoredTotals;
  /** Leases that ended; a rollback puts them back. */
  readonly ended: Lease[];
  readonly dropped: DroppedLetter[];
}

export class Settler {
  readonly #database: Database;
  readonly #commits: Commits;
  readonly #state: State;
  readonly #journal: Journal;
  readonly #group: GroupState;
  readonly #holder: object;
  readonly #policy: GroupSpec['deadLetter'];
  readonly #onDropped: (letters: readonly DroppedLetter[]) => void;

  constructor(parts: {
    readonly database: Database;
    readonly commits: Commits;
    readonly state: State;
    readonly journal: Journal;
    readonly group: GroupState;
    readonly holder: object;
    readonly policy: GroupSpec['deadLetter'];
    readonly onDropped: (letters: readonly DroppedLetter[]) => void;
  }) {
    this.#database = parts.database;
    this.#commits = parts.commits;
    this.#state = parts.state;
    this.#journal = parts.journal;
    this.#group = parts.group;
    this.#holder = parts.holder;
    this.#policy = parts.policy;
    this.#onDropped = parts.onDropped;
  }

  settle(items: readonly SettleItem[], line: string | undefined): Promise<readonly SettleResult[]> {
    return this.#commits.run('durable', (transaction) => {
      if (!this.#state.has(this.#group)) return items.map(() => 'fenced');
      const batch = this.#begin(transaction);
      const results = items.map((item) => this.#settleOne(item, batch));
      this.#removePending(batch.ended);
      if (line !== undefined) this.#journal.append(this.#group, line, batch.now);
      return results;
    });
  }

  #begin(transaction: Transaction): Batch {
    const before = { ...this.#group.totals };
    const ended: Lease[] = [];
    transaction.onUndo(() => {
      Object.assign(this.#group.totals, before);
      for (const lease of ended) this.#group.pending.set(lease.id, lease);
    });
    const dropped: DroppedLetter[] = [];
    transaction.onCommit(() => {
      if (dropped.length > 0) this.#onDropped(dropped);
    });
    return { now: this.#database.now(), totals: this.#state.totals(this.#group, transaction), ended, dropped };
  }

  #settleOne(item: SettleItem, batch: Batch): SettleResult {
    const lease = this.#group.pending.get((item.entry.slot as Lease).id);
    if (lease === undefined) return 'fenced';
    if (item.kind === 'ack') return this.#ack(item, lease, batch);
    if (lease !== item.entry.slot || lease.holder !== this.#holder) return 'fenced';
    return item.kind === 'dead' ? this.#bury(item, lease, batch) : this.#retry(item, lease, batch);
  }

  /** Whoever holds it now: delivered is delivered. */
  #ack(item: Ack, lease: Lease, batch: Batch): SettleResult {
    this.#end(lease, batch);
    if (isLater(lease)) this.#database.sql('DELETE FROM later WHERE id = ?').run(lease.id);
    batch.totals[item.status] += 1;
    for (const tally of item.tallies ?? []) this.#tally(tally);
    return 'done';
  }

  #tally({ name, bucket, key, by }: Tally): void {
    this.#database
      .sql(
        `INSERT INTO tally (name, bucket, key, sum) VALUES (?, ?, ?, ?)
         ON CONFLICT (name, bucket, key) DO UPDATE SET sum = sum + excluded.sum`,
      )
      .run(name, bucket, storedText(key), by);
  }

  /** A retry gets a new id, so that nobody who held the delivery before can settle it after it came back. */
  #retry(item: Retry, lease: Lease, batch: Batch): SettleResult {
    const id = this.#state.nextLater();
    const due = batch.now + Math.max(0, Math.ceil(item.delayMs));
    const postponed = item.kind === 'postpone';
    const state = JSON.stringify(postponed ? (item.entry.state ?? firstState) : item.state);
    this.#end(lease, batch);
    if (!postponed) batch.totals.retries += 1;
    if (isLater(lease)) {
      this.#database
        .sql('UPDATE later SET id = ?, phase = 0, due = ?, state = ?, postponed = ? WHERE id = ?')
        .run(id, due, state, Number(postponed), lease.id);
    } else {
      this.#database
        .sql(
          `INSERT INTO later (id, grp, phase, due, stream, origin, published, body, meta, state, postponed)
           VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(id, this.#group.id, due, ...identity(item.entry), state, Number(postponed));
    }
    return 'done';
  }

  #bury({ entry, words }: Dead, lease: Lease, batch: Batch): SettleResult {
    if (!this.#makeRoom(batch)) return 'full';
    this.#end(lease, batch);
    if (isLater(lease)) this.#database.sql('DELETE FROM later WHERE id = ?').run(lease.id);
    batch.totals.dead += 1;
    this.#database
      .sql(
        `INSERT INTO dead (grp, at, reason, event, type, stream, origin, published, body, meta, words)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        this.#group.id,
        batch.now,
        words.reason,
        words.eventId ?? null,
        words.eventType ?? null,
        ...identity(entry),
        JSON.stringify(words),
      );
    return 'done';
  }

  /** False: the DLQ is full and stays as it is. */
  #makeRoom({ totals, dropped }: Batch): boolean {
    const resting = totals.dead - totals.redriven - totals.discarded - totals.dropped;
    const excess = resting - this.#policy.maxEntries + 1;
    if (excess <= 0) return true;
    if (this.#policy.onFull === 'pause' || this.#policy.maxEntries === 0) return false;
    const gone = this.#database
      .sql('DELETE FROM dead WHERE id IN (SELECT id FROM dead WHERE grp = ? ORDER BY id LIMIT ?) RETURNING id, event')
      .all(this.#group.id, excess) as unknown as { id: number; event: string | null }[];
    for (const { id, event } of gone) {
      dropped.push({ id: letterName(id), group: this.#group.name, eventId: event ?? undefined });
    }
    totals.dropped += gone.length;
    return true;
  }

  #end(lease: Lease, batch: Batch): void {
    this.#group.pending.delete(lease.id);
    batch.ended.push(lease);
  }

  /** Neighbours leave together: a read hands them out in runs, and mostly they end in runs. */
  #removePending(ended: readonly Lease[]): void {
    const remove = this.#database.sql('DELETE FROM pending WHERE grp = ? AND id BETWEEN ? AND ?');
    const ids = Float64Array.from(ended, ({ id }) => id).sort();
    for (let from = 0; from < ids.length; ) {
      let to = from;
      while (ids[to + 1] === (ids[to] ?? 0) + 1) to += 1;
      remove.run(this.#group.id, ids[from] ?? 0, ids[to] ?? 0);
      from = to + 1;
    }
  }
}

const identity = ({
  stream,
  origin,
  publishedAt,
  body,
  meta,
}: Entry): [string, string, number, string, string | null] => [
  stream,
  origin,
  publishedAt,
  storedText(body),
  meta ?? null,
];
