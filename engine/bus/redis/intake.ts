/**
 * Reading: one XREADGROUP under way on each feed of a group, which is one over all its streams but in a cluster. Its
 * COUNT counts for each stream, so a read may bring more than was wanted; and a read that was given up, or that another
 * feed was faster than, may answer later. All of that waits here for the next read.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Entry } from '../bus.ts';
import type { Connection } from './connection.ts';
import { type Source, slotOf, toEntry } from './entry.ts';
import { type FaultLog, faultKind } from './faults.ts';
import type { Feed, Feeds, StreamPair } from './feed.ts';
import { renew } from './leases.ts';
import type { StreamReply } from './read-reply.ts';
import { blockMs } from './reader.ts';

const pauseAfterFault = 200;
/** What waits here may be handed out without asking again for so long, ms. */
const freshMs = 1_000;
/** Feeds that wait on while nobody reads would take what a peer could run now, ms. */
const longestUnread = 50;

export interface IntakeDeps {
  readonly name: string;
  readonly consumer: string;
  readonly commands: Connection;
  readonly feeds: Feeds;
  readonly faults: FaultLog;
  /** Makes lost groups again on all streams of this group. */
  readonly restore: () => Promise<void>;
}

export class Intake {
  readonly #deps: IntakeDeps;
  #byKey = new Map<string, Source>();
  #waiting: Entry[] = [];
  readonly #flights = new Map<Feed, Promise<void>>();
  /** Streams that had something to say in the last read of each feed. */
  readonly #busy = new Map<Feed, number>();
  /** Told when a flight has landed. */
  #landed: (() => void) | undefined;
  #unread: NodeJS.Timeout | undefined;
  #closed = false;
  /** The answer to a read may have been lost, since `quiet` was called last. */
  gap = false;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** From now on these are read; a read that waits for fewer is ended. */
  setSources(sources: readonly Source[]): void {
    this.#byKey = new Map(sources.map((source) => [source.key, source]));
    this.#deps.feeds.follow(pairsOf(sources));
    this.#landed?.();
  }

  /** Read, but not handed out yet. */
  get waiting(): readonly Entry[] {
    return this.#waiting;
  }

  async read(limit: number, signal: AbortSignal): Promise<readonly Entry[]> {
    clearTimeout(this.#unread);
    if (signal.aborted) await this.#endFlights();
    if (this.#waiting.length > 0 || signal.aborted) return await this.#handOut(limit);
    this.#depart(limit);
    await this.#landing(signal);
    if (this.#flights.size > 0) this.#expectReader();
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

  /** Resolves when no read is under way. */
  async quiet(): Promise<void> {
    this.gap = false;
    await this.#endFlights();
  }

  /** Ends the reads that are under way, and their connections. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#unread);
    await this.#endFlights();
    this.#deps.feeds.close();
  }

  async #endFlights(): Promise<void> {
    if (this.#flights.size === 0) return;
    this.#interrupt();
    await Promise.race([Promise.all([...this.#flights.values()]), sleep(2 * pauseAfterFault)]);
  }

  #depart(limit: number): void {
    const feeds = this.#deps.feeds.all;
    if (this.#flights.size === feeds.length) return;
    let busy = 0;
    for (const streams of this.#busy.values()) busy += streams;
    const count = Math.max(1, Math.floor(limit / Math.max(1, busy)));
    for (const feed of feeds) if (!this.#flights.has(feed)) this.#flights.set(feed, this.#fly(feed, count));
  }

  async #fly(feed: Feed, count: number): Promise<void> {
    const { faults } = this.#deps;
    try {
      this.#land(feed, await feed.read(count));
      faults.clear(feed.scope);
    } catch (error) {
      this.gap = true;
      if (!this.#closed) await this.#recover(feed, error as Error);
    }
    this.#flights.delete(feed);
    this.#landed?.();
  }

  #land(feed: Feed, reply: StreamReply | null | undefined): void {
    if (reply === undefined) this.gap = true;
    if (reply === null || reply === undefined) {
      this.#busy.delete(feed);
      return;
    }
    this.#busy.set(feed, reply.length);
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
  async #recover({ scope }: Feed, error: Error): Promise<void> {
    const { name, faults, restore } = this.#deps;
    const kind = faultKind(error);
    faults.report(scope, kind, `${name}: ${error.message}`);
    try {
      if (kind === 'nogroup') await restore();
      else await sleep(pauseAfterFault);
    } catch (failure) {
      faults.report(`restore ${name}`, faultKind(failure as Error), `${name}: ${(failure as Error).message}`);
      await sleep(pauseAfterFault);
    }
  }

  /** Waits for one of the reads that are under way, but not after `signal`, and not for a server that is away. */
  #landing(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#landed = undefined;
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const abort = (): void => {
        this.#interrupt();
        clearTimeout(timer);
        timer = setTimeout(done, pauseAfterFault);
      };
      let timer = setTimeout(done, blockMs + 1_000);
      signal.addEventListener('abort', abort);
      this.#landed = done;
    });
  }

  #interrupt(): void {
    for (const feed of this.#flights.keys()) feed.interrupt();
  }

  /** Reads that wait on are ended unless somebody reads soon. */
  #expectReader(): void {
    this.#unread = setTimeout(() => this.#interrupt(), longestUnread);
    this.#unread.unref();
  }

  /** What waits may have waited for so long that somebody else has it. */
  async #handOut(limit: number): Promise<readonly Entry[]> {
    const now = performance.now();
    const old = this.#waiting.filter((entry) => now - slotOf(entry).seenAt > freshMs);
    if (old.length > 0) this.drop(await renew(this.#deps, old));
    if (this.#flights.size > 0) this.#expectReader();
    return this.#waiting.splice(0, limit);
  }
}

function pairsOf(sources: readonly Source[]): readonly StreamPair[] {
  const dues = new Map(sources.filter(({ due }) => due).map(({ stream, key }) => [stream, key]));
  return sources
    .filter(({ due }) => !due)
    .map(({ stream, key }) => ({ stream, events: key, due: dues.get(stream) as string }));
}
