/**
 * Reading: one XREADGROUP over all streams of a group at a time. Its COUNT counts for each stream, so a read may bring
 * more than was wanted; and a read that was given up may answer later. Both wait here for the next read.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Entry } from '../bus.ts';
import type { Connection } from './connection.ts';
import { type Source, slotOf, toEntry } from './entry.ts';
import { type FaultLog, faultKind } from './faults.ts';
import { renew } from './leases.ts';
import type { StreamReply } from './read-reply.ts';
import { blockMs, type Reader } from './reader.ts';

const pauseAfterFault = 200;
/** What waits here may be handed out without asking again for so long, ms. */
const freshMs = 1_000;

export interface IntakeDeps {
  readonly name: string;
  readonly consumer: string;
  readonly commands: Connection;
  readonly reader: Reader;
  readonly faults: FaultLog;
  /** Makes lost groups again on all streams of this group. */
  readonly restore: () => Promise<void>;
}

export class Intake {
  readonly #deps: IntakeDeps;
  #byKey = new Map<string, Source>();
  #tail: readonly string[] = [];
  #waiting: Entry[] = [];
  #flight: Promise<void> | undefined;
  /** Streams that had something to say in the last read. */
  #busy = 1;
  #closed = false;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** From now on these are read; a read that blocks on fewer is ended. */
  setSources(sources: readonly Source[]): void {
    this.#byKey = new Map(sources.map((source) => [source.key, source]));
    this.#tail = [...sources.map(({ key }) => key), ...sources.map(() => '>')];
    if (this.#flight !== undefined) void this.#interrupt();
  }

  /** Read, but not handed out yet. */
  get waiting(): readonly Entry[] {
    return this.#waiting;
  }

  async read(limit: number, signal: AbortSignal): Promise<readonly Entry[]> {
    if (this.#waiting.length > 0 || signal.aborted) return await this.#handOut(limit);
    this.#flight ??= this.#begin(limit).finally(() => {
      this.#flight = undefined;
    });
    await this.#landing(this.#flight, signal);
    if (this.#waiting.length > limit) return this.#waiting.splice(0, limit);
    const entries = this.#waiting;
    this.#waiting = [];
    return entries;
  }

  /** Gives up one of those that wait. */
  take(id: string): Entry | undefined {
    if (this.#waiting.length === 0) return undefined;
    const at = this.#waiting.findIndex((entry) => entry.id === id);
    return at < 0 ? undefined : this.#waiting.splice(at, 1)[0];
  }

  drop(lost: ReadonlySet<Entry>): void {
    this.#waiting = this.#waiting.filter((entry) => !lost.has(entry));
  }

  /** Ends a read that is under way, and the connection. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#flight !== undefined) {
      void this.#interrupt();
      await Promise.race([this.#flight, sleep(2 * pauseAfterFault)]);
    }
    this.#deps.reader.close();
  }

  async #begin(limit: number): Promise<void> {
    const { reader, name, consumer, faults } = this.#deps;
    const count = Math.max(1, Math.floor(limit / this.#busy));
    const args = ['GROUP', name, consumer, 'COUNT', count, 'BLOCK', blockMs, 'STREAMS', ...this.#tail];
    try {
      this.#land(await reader.read(args));
      faults.clear(`read ${name}`);
    } catch (error) {
      if (!this.#closed) await this.#recover(error as Error);
    }
  }

  #land(reply: StreamReply | null | undefined): void {
    if (reply === null || reply === undefined) {
      this.#busy = 1;
      return;
    }
    this.#busy = reply.length;
    const seenAt = Math.floor(performance.now());
    for (const [key, entries] of reply) {
      const source = this.#byKey.get(key);
      if (source === undefined) continue;
      for (const [id, fields] of entries) {
        this.#waiting.push(toEntry(source, id, fields ?? [], 1, true, seenAt));
      }
    }
  }

  /** A lost stream or group is made again where it began; anything else is waited out. */
  async #recover(error: Error): Promise<void> {
    const { name, faults, restore } = this.#deps;
    const kind = faultKind(error);
    faults.report(`read ${name}`, kind, `${name}: ${error.message}`);
    try {
      if (kind === 'nogroup') await restore();
      else await sleep(pauseAfterFault);
    } catch (failure) {
      faults.report(`restore ${name}`, faultKind(failure as Error), `${name}: ${(failure as Error).message}`);
      await sleep(pauseAfterFault);
    }
  }

  /** Waits for a read that is under way, but not after `signal`, and not for a server that is away. */
  #landing(flight: Promise<void>, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const abort = (): void => {
        void this.#interrupt();
        clearTimeout(timer);
        timer = setTimeout(done, pauseAfterFault);
      };
      let timer = setTimeout(done, blockMs + 1_000);
      signal.addEventListener('abort', abort);
      void flight.then(done);
    });
  }

  /** Asks until the read is over, since the first time may come before the server blocks it. */
  async #interrupt(): Promise<void> {
    const { reader, commands } = this.#deps;
    const flight = this.#flight;
    for (let tries = 0; tries < 10 && flight !== undefined && this.#flight === flight; tries += 1) {
      await reader.unblock(commands).catch(() => false);
      await Promise.race([flight, sleep(20)]);
    }
  }

  /** What waits may have waited for so long that somebody else has it. */
  async #handOut(limit: number): Promise<readonly Entry[]> {
    const now = performance.now();
    const old = this.#waiting.filter((entry) => now - slotOf(entry).seenAt > freshMs);
    if (old.length > 0) this.drop(await renew(this.#deps, old));
    return this.#waiting.splice(0, limit);
  }
}
