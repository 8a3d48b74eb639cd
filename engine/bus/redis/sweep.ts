/**
 * Finds entries whose lease has run out, whoever held them, and hands them out again. Goes on where it stopped, so that
 * a long pending list costs a little in each pass.
 */
import type { Entry, Reclaimed } from '../bus.ts';
import type { Connection } from './connection.ts';
import { type RawFields, type Source, toEntry } from './entry.ts';
import { faultKind } from './faults.ts';
import { scripts } from './scripts.ts';

/** Entries that were handed out so often are suspects: they are shown first and counted when they start. */
const suspectAfter = 3;
/** Looks into the pending lists per pass; each covers ten times as many entries as are wanted. */
const mostLooks = 64;

export interface SweepDeps {
  readonly name: string;
  readonly consumer: string;
  readonly commands: Connection;
}

/** Reply of XAUTOCLAIM … JUSTID. */
type Claimed = readonly [next: string, ids: readonly string[], deleted: readonly string[]];
/** Reply of `take.lua`. */
type Taken = readonly [
  entries: readonly (readonly [id: Buffer, starts: number, counted: number, fields: RawFields])[],
  lost: readonly Buffer[],
];

const start = '0-0';

export class Sweep {
  readonly #deps: SweepDeps;
  #at = 0;
  #cursor = start;

  constructor(deps: SweepDeps) {
    this.#deps = deps;
  }

  /** `readAhead` gives up an entry that was read but not handed out: it needs no second start. */
  async run(
    sources: readonly Source[],
    minIdleMs: number,
    limit: number,
    owned: (id: string) => boolean,
    readAhead: (id: string) => Entry | undefined,
  ): Promise<Reclaimed> {
    const entries: Entry[] = [];
    const lost: string[] = [];
    let swept = 0;
    const most = Math.max(mostLooks, sources.length);
    for (let looks = 0; looks < most && swept < sources.length && entries.length < limit; looks += 1) {
      const source = sources[this.#at % sources.length] as Source;
      const [next, ids, deleted] = await this.#claim(source, minIdleMs, limit - entries.length);
      for (const id of deleted) lost.push(source.tag + id);
      const free: string[] = [];
      for (const id of ids) {
        if (owned(source.tag + id)) continue;
        const entry = readAhead(source.tag + id);
        if (entry === undefined) free.push(id);
        else entries.push(entry);
      }
      if (free.length > 0) await this.#take(source, free, entries, lost);
      this.#cursor = next;
      if (next !== start) continue;
      this.#at = (this.#at + 1) % sources.length;
      swept += 1;
    }
    return { entries, lost };
  }

  /** The owner changes here and the lease begins, but nothing is counted and no body travels yet. */
  async #claim(source: Source, minIdleMs: number, count: number): Promise<Claimed> {
    const { commands, consumer, name } = this.#deps;
    const args = [source.key, name, consumer, minIdleMs, this.#cursor, 'COUNT', count, 'JUSTID'];
    try {
      return (await commands.call('XAUTOCLAIM', args)) as Claimed;
    } catch (error) {
      // A lost group is made again by the reader; the rest of the sweep need not wait for it.
      if (faultKind(error as Error) !== 'nogroup') throw error;
      return [start, [], []];
    }
  }

  async #take(source: Source, ids: readonly string[], entries: Entry[], lost: string[]): Promise<void> {
    const { commands, consumer, name } = this.#deps;
    const args = [name, consumer, suspectAfter, ...ids];
    const [taken, gone] = (await commands.evalRaw(scripts.take, [source.key], args)) as Taken;
    const seenAt = Math.floor(performance.now());
    for (const [id, starts, counted, fields] of taken) {
      entries.push(toEntry(source, id, fields, starts, counted === 1, seenAt));
    }
    for (const id of gone) lost.push(source.tag + id.toString('latin1'));
  }
}
