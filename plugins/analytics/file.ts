/**
 * An NDJSON file that only grows, until it is set aside. Lines of deliveries that run at the same moment go to the disk
 * together: one write, one flush, and only then are they delivered.
 */
import { constants, existsSync, mkdirSync, realpathSync } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { unavailable } from 'eventflow/plugin';
import type { FileOptions } from './options.ts';

interface Line {
  readonly text: string;
  readonly done: () => void;
  readonly failed: (reason: Error) => void;
}

const isInside = (path: string, folder: string): boolean => path === folder || path.startsWith(folder + sep);

/** Symbolic links on the way are followed before it is judged where the path leads. */
function confine(path: string, folder: string): string {
  const base = realpathSync(folder);
  const file = resolve(base, path);
  let existing = dirname(file);
  while (!existsSync(existing)) existing = dirname(existing);
  if (file !== base && isInside(file, base) && isInside(realpathSync(existing), base)) return file;
  throw new Error(`expected file.path to stay below the folder of the pipeline file, got ${JSON.stringify(path)}`);
}

const openFlags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

export class NdjsonFile {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #keep: number;
  #file: FileHandle | undefined;
  #size = 0;
  #waiting: Line[] = [];
  #writing: Promise<void> | undefined;

  /** Throws when `path` leads out of `folder`. Makes the folders on the way. */
  constructor({ path, maxBytes = 100 * 1024 * 1024, keep = 10 }: FileOptions, folder: string) {
    this.#path = confine(path, folder);
    this.#maxBytes = maxBytes;
    this.#keep = keep;
    mkdirSync(dirname(this.#path), { recursive: true });
  }

  /** Resolves when the line is on the disk. A disk that does not take it counts as a target that is down. */
  append(text: string): Promise<void> {
    return new Promise((done, failed) => {
      this.#waiting.push({ text, done, failed });
      this.#writing ??= this.#drain();
    });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #drain(): Promise<void> {
    // What arrives in this turn of the loop belongs to the same write.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      await this.#write(lines);
    }
    this.#writing = undefined;
  }

  async #write(lines: readonly Line[]): Promise<void> {
    try {
      const bytes = Buffer.from(lines.map(({ text }) => `${text}\n`).join(''));
      await this.#writeBytes(bytes);
      for (const { done } of lines) done();
    } catch (error) {
      // The next attempt opens the file anew and looks how it ends.
      await this.#file?.close().catch(() => undefined);
      this.#file = undefined;
      for (const { failed } of lines) failed(unavailable(error));
    }
  }

  async #writeBytes(bytes: Buffer): Promise<void> {
    let file = await this.#opened();
    if (this.#size > 0 && this.#size + bytes.length > this.#maxBytes) file = await this.#rotate(file);
    await file.appendFile(bytes);
    this.#size += bytes.length;
    await file.datasync();
  }

  async #opened(): Promise<FileHandle> {
    if (this.#file !== undefined) return this.#file;
    const file = await open(this.#path, openFlags, 0o640);
    this.#file = file;
    this.#size = (await file.stat()).size;
    if (this.#size > 0 && !(await this.#endsWithNewline(file))) {
      await file.appendFile('\n');
      this.#size += 1;
    }
    return file;
  }

  /** A crash in the middle of a write leaves half a line; the next one must not be glued to it. */
  async #endsWithNewline(file: FileHandle): Promise<boolean> {
    const { buffer } = await file.read({ buffer: Buffer.alloc(1), position: this.#size - 1 });
    return buffer[0] === 10;
  }

  async #rotate(file: FileHandle): Promise<FileHandle> {
    // Another handler on the same path may have set it aside already: then ours is an old one, and only that.
    const [ours, there] = await Promise.all([file.stat(), stat(this.#path).catch(() => undefined)]);
    await file.close();
    this.#file = undefined;
    if (there?.ino === ours.ino) await this.#setAside();
    return this.#opened();
  }

  async #setAside(): Promise<void> {
    await rm(`${this.#path}.${this.#keep}`, { force: true });
    for (let n = this.#keep - 1; n >= 1; n -= 1) {
      if (existsSync(`${this.#path}.${n}`)) await rename(`${this.#path}.${n}`, `${this.#path}.${n + 1}`);
    }
    await rename(this.#path, `${this.#path}.1`);
  }
}
