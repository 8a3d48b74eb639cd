/**
 * Group commit: what is asked for in one tick goes into one transaction, and transactions that end while the disk is
 * busy wait for it together. A piece of work is
 * synchronous and may run twice: when one of a batch fails, the whole batch is taken back and each piece runs alone, so
 * that only the one at fault rejects.
 */
import { EventFlowError } from '../../errors.ts';
import type { Barrier } from './barrier.ts';
import type { Database } from './database.ts';

export interface Transaction {
  /** Takes back a change of memory when the transaction is rolled back. Run in reverse order. */
  onUndo(undo: () => void): void;
  /** Runs once, after the commit, before any promise resolves. */
  onCommit(act: () => void): void;
  /** Runs once per `key` just before the commit. */
  beforeCommit(key: object, act: () => void): void;
}

/** `durable`: must outlive the machine's death. `quick`: losing it only makes somebody do it again. */
export type Weight = 'durable' | 'quick';

interface Job {
  readonly weight: Weight;
  readonly work: (transaction: Transaction) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class Commits {
  #database: Database;
  #barrier: Barrier;
  #onFault: (error: EventFlowError) => void;
  #queue: Job[] = [];
  #closed = false;

  constructor(database: Database, barrier: Barrier, onFault: (error: EventFlowError) => void) {
    this.#database = database;
    this.#barrier = barrier;
    this.#onFault = onFault;
  }

  /** Resolves after the commit. Rejects with `EF5023` when nothing of it was stored, `EF5024` when the bus is closed. */
  run<T>(weight: Weight, work: (transaction: Transaction) => T): Promise<T> {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      if (this.#queue.length === 0) this.#database.time.soon(() => this.#flush());
      this.#queue.push({ weight, work, resolve: resolve as (value: unknown) => void, reject });
    });
  }

  /** Commits what was asked for until now; everything later is refused. */
  async close(): Promise<void> {
    this.#flush();
    this.#closed = true;
    await this.#barrier.close();
  }

  assertOpen(): void {
    if (this.#closed) throw closedError();
  }

  #flush(): void {
    const jobs = this.#queue;
    if (jobs.length === 0) return;
    this.#queue = [];
    try {
      this.#commit(jobs);
    } catch (error) {
      const [only] = jobs;
      if (jobs.length === 1 && only !== undefined) this.#refuse(only, error);
      else for (const job of jobs) this.#commitAlone(job);
    }
  }

  #commitAlone(job: Job): void {
    try {
      this.#commit([job]);
    } catch (error) {
      this.#refuse(job, error);
    }
  }

  #commit(jobs: readonly Job[]): void {
    const steps = new Steps();
    const { db } = this.#database;
    const results: unknown[] = [];
    try {
      this.#database.sql('BEGIN IMMEDIATE').run();
      for (const job of jobs) results.push(job.work(steps));
      for (const act of steps.last.values()) act();
      this.#database.sql('COMMIT').run();
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      for (const undo of steps.undo.reverse()) undo();
      throw error;
    }
    for (const act of steps.after) act();
    this.#answer(jobs, results);
  }

  #answer(jobs: readonly Job[], results: readonly unknown[]): void {
    const durable = jobs.some(({ weight }) => weight === 'durable') ? this.#barrier.passed() : undefined;
    for (const [at, job] of jobs.entries()) {
      if (job.weight === 'quick' || durable === undefined) job.resolve(results[at]);
      else
        void durable.then(
          () => job.resolve(results[at]),
          (error: unknown) => this.#refuse(job, error),
        );
    }
  }

  #refuse(job: Job, cause: unknown): void {
    const { code, message: text, syscall } = cause as NodeJS.ErrnoException;
    if (code !== 'ERR_SQLITE_ERROR' && syscall === undefined) return job.reject(cause);
    const stored =
      syscall === undefined ? 'nothing of this call was stored' : 'whether this call is on the disk is not known';
    const message = `expected to write the bus file, got "${text}"; ${stored}`;
    const refusal = new EventFlowError('EF5023', message, { cause });
    this.#onFault(refusal);
    job.reject(refusal);
  }
}

class Steps implements Transaction {
  readonly undo: (() => void)[] = [];
  readonly after: (() => void)[] = [];
  readonly last = new Map<object, () => void>();

  onUndo(undo: () => void): void {
    this.undo.push(undo);
  }

  onCommit(act: () => void): void {
    this.after.push(act);
  }

  beforeCommit(key: object, act: () => void): void {
    if (!this.last.has(key)) this.last.set(key, act);
  }
}

const closedError = (): EventFlowError =>
  new EventFlowError('EF5024', 'expected an open bus, got one that was closed: open it again');
