/**
 * The durability barrier. A commit only hands its pages to the system; here they are waited for. A quick disk is waited
 * for on the spot, since handing the wait to another thread costs more than the wait; a slow one on a thread of Node's
 * pool, so that it holds up those who asked and nobody else. Whoever asks while a sync runs shares the next.
 */
import { fdatasync, fdatasyncSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';

export interface Barrier {
  /** Resolves when everything committed so far is on the disk. */
  passed(): Promise<void>;
  close(): Promise<void>;
}

/** Where there is nothing to wait for. */
export const noBarrier: Barrier = {
  passed: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** `wal`: the write-ahead log. SQLite itself syncs it, and then the database, before it overwrites the log. */
export const openBarrier = async (wal: string): Promise<Barrier> => new FileBarrier(await open(wal, 'r+'));

const sync = promisify(fdatasync);
/** What the event loop can be held up for, ms: less than a turning disk needs, more than any other. */
const quickMs = 5;

class FileBarrier implements Barrier {
  readonly #file: FileHandle;
  /** How long a sync takes, ms, smoothed. */
  #usualMs = 0;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async passed(): Promise<void> {
    if (this.#running === undefined && this.#usualMs < quickMs) return this.#syncHere();
    if (this.#running === undefined) return this.#syncAside();
    this.#next ??= this.#running.catch(() => undefined).then(() => this.#syncAside());
    return this.#next;
  }

  async close(): Promise<void> {
    await (this.#next ?? this.#running)?.catch(() => undefined);
    await this.#file.close();
  }

  #syncHere(): void {
    const from = performance.now();
    fdatasyncSync(this.#file.fd);
    this.#took(performance.now() - from);
  }

  #syncAside(): Promise<void> {
    const from = performance.now();
    this.#next = undefined;
    this.#running = sync(this.#file.fd).finally(() => {
      this.#took(performance.now() - from);
      this.#running = undefined;
    });
    return this.#running;
  }

  #took(ms: number): void {
    this.#usualMs += (ms - this.#usualMs) / 4;
  }
}
