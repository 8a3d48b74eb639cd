/** One route's door to the bus: a consumer of its own on every stream of the group and on the streams of its retries. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EventFlowError } from '../../errors.ts';
import type { Entry, Group, GroupStats, Reclaimed, SettleItem, SettleResult } from '../bus.ts';
import type { Connection } from './connection.ts';
import { type Slot, type Source, slotOf, toEntry } from './entry.ts';
import { type FaultLog, faultKind } from './faults.ts';
import { readStats } from './group-stats.ts';
import type { Keys } from './keys.ts';
import { blockMs, type Reader } from './reader.ts';
import { scripts } from './scripts.ts';
import { type SettleContext, Settlement } from './settlement.ts';
import { Sweep } from './sweep.ts';

/** Holds entries that were handed back, until a reclaim takes them. */
const nobody = '~released';
/** Longer than any lease, ms. */
const longIdle = 30 * 24 * 3_600_000;
/** Ids in one script call: more would exceed what Lua can unpack. */
const maxIds = 1_000;
const pauseAfterFault = 200;
/** What was read ahead may be handed out without asking again for so long, ms. */
const freshMs = 1_000;

export interface GroupDeps {
  readonly name: string;
  readonly consumer: string;
  readonly commands: Connection;
  readonly reader: Reader;
  readonly keys: Keys;
  readonly faults: FaultLog;
  readonly journalMax: number;
  readonly deadLetter: { readonly maxEntries: number; readonly onFull: 'pause' | 'dropOldest' };
  /** Makes lost groups again on all streams of this group. */
  readonly restore: () => Promise<void>;
  /** Takes the group off the bus's books. */
  readonly onClose: () => void;
}

/** Reply of XREADGROUP, XCLAIM and the like. */
type RawEntry = readonly [id: Buffer, fields: readonly Buffer[] | null];
type RawRead = readonly (readonly [key: Buffer, entries: readonly RawEntry[]])[] | null | undefined;

export class RedisGroup implements Group {
  readonly name: string;
  readonly #deps: GroupDeps;
  #streams: readonly string[] = [];
  #sources: readonly Source[] = [];
  #byKey = new Map<string, Source>();
  #tail: readonly string[] = [];
  #buffer: Entry[] = [];
  #flight: Promise<void> | undefined;
  /** Streams that had something to say in the last read; a COUNT counts for each of them. */
  #busy = 1;
  #closed = false;
  readonly #sweep: Sweep;

  constructor(deps: GroupDeps) {
    this.name = deps.name;
    this.#deps = deps;
    this.#sweep = new Sweep(deps);
  }

  get streams(): readonly string[] {
    return this.#streams;
  }

  /** From now on these are read; a read that blocks on fewer is ended. */
  setStreams(streams: readonly string[]): void {
    if (streams.length === this.#streams.length) return;
    const { keys, name } = { keys: this.#deps.keys, name: this.name };
    this.#streams = streams;
    const events = streams.map((stream) => ({
      stream,
      key: keys.stream(stream).events,
      due: false,
      tag: `${stream}/`,
    }));
    const due = streams.map((stream) => ({
      stream,
      key: keys.route(stream, name).due,
      due: true,
      tag: `${stream}/due/`,
    }));
    this.#sources = [...events, ...due];
    this.#byKey = new Map(this.#sources.map((source) => [source.key, source]));
    this.#tail = [...this.#sources.map(({ key }) => key), ...this.#sources.map(() => '>')];
    if (this.#flight !== undefined) void this.#interrupt();
  }

  async read(limit: number, signal: AbortSignal): Promise<readonly Entry[]> {
    this.#assertOpen();
    if (this.#buffer.length > 0 || signal.aborted) return await this.#fromBuffer(limit);
    this.#flight ??= this.#begin(limit).finally(() => {
      this.#flight = undefined;
    });
    await this.#landing(this.#flight, signal);
    if (this.#buffer.length > limit) return this.#buffer.splice(0, limit);
    const entries = this.#buffer;
    this.#buffer = [];
    return entries;
  }

  async settle(items: readonly SettleItem[], journal: string | undefined): Promise<readonly SettleResult[]> {
    const results = new Array<SettleResult>(items.length);
    for (let from = 0; from < items.length; from += maxIds) {
      await this.#settleSome(
        items,
        from,
        Math.min(from + maxIds, items.length),
        from === 0 ? journal : undefined,
        results,
      );
    }
    return results;
  }

  async extend(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const lost = await this.#prove([...entries, ...this.#buffer]);
    if (lost.size === 0) return [];
    this.#buffer = this.#buffer.filter((entry) => !lost.has(entry));
    return entries.filter((entry) => lost.has(entry));
  }

  async release(entries: readonly Entry[]): Promise<void> {
    const { commands, consumer } = this.#deps;
    await this.#bySource(entries, async (source, some) => {
      const ids = some.flatMap(({ slot }) => [(slot as Slot).id, (slot as Slot).counted ? 1 : 0]);
      await commands.eval(scripts.release, [source.key], [this.name, consumer, nobody, longIdle, ...ids]);
    });
  }

  async promote(limit: number): Promise<number> {
    let moved = 0;
    for (const stream of this.#streams) {
      const route = this.#deps.keys.route(stream, this.name);
      const keys = [route.due, route.retry, route.retryBody];
      let batch = Math.min(limit - moved, maxIds);
      while (batch > 0) {
        const count = (await this.#deps.commands.eval(scripts.promote, keys, [batch])) as number;
        moved += count;
        if (count < batch) break;
        batch = Math.min(limit - moved, maxIds);
      }
    }
    return moved;
  }

  async reclaim(minIdleMs: number, limit: number, owned: (id: string) => boolean): Promise<Reclaimed> {
    return await this.#sweep.run(this.#sources, minIdleMs, limit, owned, (id) => this.#takeBuffered(id));
  }

  async countStart(entry: Entry): Promise<number | undefined> {
    const slot = slotOf(entry);
    const args = [this.name, this.#deps.consumer, slot.id];
    const starts = (await this.#deps.commands.eval(scripts.start, [slot.source.key], args)) as number;
    if (starts === 0) return undefined;
    slot.counted = true;
    slot.seenAt = performance.now();
    return starts;
  }

  stats(): Promise<GroupStats> {
    return readStats(this.#deps.commands, this.#deps.keys, this.name, this.#streams);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#deps.onClose();
    if (this.#flight !== undefined) {
      void this.#interrupt();
      await Promise.race([this.#flight, sleep(2 * pauseAfterFault)]);
    }
    this.#deps.reader.close();
    await this.#leave();
  }

  #assertOpen(): void {
    if (this.#closed) throw new EventFlowError('EF5024', `the group ${this.name} was closed`);
  }

  // ── read ──

  async #begin(limit: number): Promise<void> {
    const { reader, consumer, faults } = this.#deps;
    const count = Math.max(1, Math.floor(limit / this.#busy));
    const args = ['GROUP', this.name, consumer, 'COUNT', count, 'BLOCK', blockMs, 'STREAMS', ...this.#tail];
    try {
      this.#land((await reader.read(args)) as RawRead);
      faults.clear(`read ${this.name}`);
    } catch (error) {
      if (!this.#closed) await this.#recover(error as Error);
    }
  }

  #land(reply: RawRead): void {
    if (reply === null || reply === undefined) {
      this.#busy = 1;
      return;
    }
    this.#busy = reply.length;
    const seenAt = Math.floor(performance.now());
    for (const [key, entries] of reply) {
      const source = this.#byKey.get(key.toString());
      if (source === undefined) continue;
      for (const [id, fields] of entries) this.#buffer.push(toEntry(source, id, fields ?? [], 1, true, seenAt));
    }
  }

  /** A lost stream or group is made again where it began; anything else is waited out. */
  async #recover(error: Error): Promise<void> {
    const kind = faultKind(error);
    this.#deps.faults.report(`read ${this.name}`, kind, `${this.name}: ${error.message}`);
    try {
      if (kind === 'nogroup') await this.#deps.restore();
      else await sleep(pauseAfterFault);
    } catch (failure) {
      this.#deps.faults.report(`restore ${this.name}`, faultKind(failure as Error), (failure as Error).message);
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

  /** What came late or was too much. It may have waited for so long that somebody else has it. */
  async #fromBuffer(limit: number): Promise<readonly Entry[]> {
    const now = performance.now();
    const old = this.#buffer.filter((entry) => now - slotOf(entry).seenAt > freshMs);
    if (old.length > 0) {
      const lost = await this.#prove(old);
      this.#buffer = this.#buffer.filter((entry) => !lost.has(entry));
    }
    return this.#buffer.splice(0, limit);
  }

  #takeBuffered(id: string): Entry | undefined {
    const at = this.#buffer.findIndex((entry) => entry.id === id);
    return at < 0 ? undefined : this.#buffer.splice(at, 1)[0];
  }

  // ── settle ──

  async #settleSome(
    items: readonly SettleItem[],
    from: number,
    to: number,
    journal: string | undefined,
    results: SettleResult[],
  ): Promise<void> {
    const settlements = new Map<string, Settlement>();
    for (let at = from; at < to; at += 1) {
      const item = items[at] as SettleItem;
      const { stream } = item.entry;
      let settlement = settlements.get(stream);
      if (settlement === undefined) {
        settlement = new Settlement(stream);
        settlements.set(stream, settlement);
      }
      if (!settlement.add(item, at)) results[at] = 'fenced';
    }
    let line = journal;
    const calls: Promise<void>[] = [];
    for (const settlement of settlements.values()) {
      calls.push(this.#settleOne(settlement, line, results));
      line = undefined;
    }
    await Promise.all(calls);
  }

  async #settleOne(settlement: Settlement, journal: string | undefined, results: SettleResult[]): Promise<void> {
    const { deadLetter, journalMax, keys, consumer, commands } = this.#deps;
    const context: SettleContext = {
      keys,
      group: this.name,
      consumer,
      journalMax,
      maxLetters: deadLetter.maxEntries,
      onFull: deadLetter.onFull,
      lettersElsewhere: settlement.hasLetters ? await this.#lettersElsewhere(settlement.stream) : 0,
    };
    const call = settlement.call(context, journal);
    call.decode((await commands.eval(scripts.settle, call.keys, call.args)) as number[], results);
  }

  /** The DLQ's limit is the route's, and its letters rest beside their streams. */
  async #lettersElsewhere(stream: string): Promise<number> {
    const others = this.#streams.filter((other) => other !== stream);
    const counts = await Promise.all(
      others.map((other) => this.#deps.commands.call('ZCARD', [this.#deps.keys.route(other, this.name).dead])),
    );
    return (counts as number[]).reduce((sum, count) => sum + count, 0);
  }

  // ── leases ──

  /** Renews what is ours; returns what is not. */
  async #prove(entries: readonly Entry[]): Promise<ReadonlySet<Entry>> {
    const { commands, consumer } = this.#deps;
    const lost = new Set<Entry>();
    await this.#bySource(entries, async (source, some) => {
      const args = [this.name, consumer, ...some.map((entry) => slotOf(entry).id)];
      const gone = new Set((await commands.eval(scripts.extend, [source.key], args)) as string[]);
      const now = Math.floor(performance.now());
      for (const entry of some) {
        const slot = slotOf(entry);
        if (gone.has(slot.id)) lost.add(entry);
        else slot.seenAt = now;
      }
    });
    return lost;
  }

  async #bySource(
    entries: readonly Entry[],
    each: (source: Source, entries: readonly Entry[]) => Promise<void>,
  ): Promise<void> {
    const sorted = new Map<Source, Entry[]>();
    for (const entry of entries) {
      const { source } = slotOf(entry);
      const some = sorted.get(source);
      if (some === undefined) sorted.set(source, [entry]);
      else some.push(entry);
    }
    const calls: Promise<void>[] = [];
    for (const [source, some] of sorted) {
      for (let from = 0; from < some.length; from += maxIds) calls.push(each(source, some.slice(from, from + maxIds)));
    }
    await Promise.all(calls);
  }

  /** Hands back what is still pending here, and ends this consumer. */
  async #leave(): Promise<void> {
    const { commands, consumer } = this.#deps;
    await Promise.all(
      this.#sources.map(async ({ key }) => {
        const args = [this.name, consumer, nobody, longIdle, maxIds];
        while (((await commands.eval(scripts.leave, [key], args)) as number) === maxIds);
      }),
    );
  }
}
