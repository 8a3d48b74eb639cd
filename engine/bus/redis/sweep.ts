/**
 * Finds entries whose lease has run out, whoever held them, and hands them out again. Goes on where it stopped, so that
 * a long pending list costs a little in each pass.
 */
import { firstSuspectStart } from '../../core/delivery.ts';
import type { Entry, Reclaimed } from '../bus.ts';
import { type Source, toEntry } from './entry.ts';
import { faultKind } from './faults.ts';
import type { Holder } from './leases.ts';
import type { RawEntry } from './read-reply.ts';
import { scripts } from './scripts.ts';

/** Looks into the pending lists per pass; each covers ten times as many entries as are wanted. */
const mostLooks = 64;
const start = '0-0';

/** Reply of XAUTOCLAIM … JUSTID. */
type Claimed = readonly [next: string, ids: readonly string[], deleted: readonly string[]];

/** What the worker has in hand, by `Entry.id`. */
export interface InHand {
  owned(id: string): boolean;
  /** Gives up an entry that was read but not handed out: it needs no second start. */
  readAhead(id: string): Entry | undefined;
}

export class Sweep {
  readonly #holder: Holder;
  #at = 0;
  #cursor = start;

  constructor(holder: Holder) {
    this.#holder = holder;
  }

  async run(sources: readonly Source[], minIdleMs: number, limit: number, inHand: InHand): Promise<Reclaimed> {
    const entries: Entry[] = [];
    const lost: string[] = [];
    let swept = 0;
    const most = Math.max(mostLooks, sources.length);
    for (let looks = 0; looks < most && swept < sources.length && entries.length < limit; looks += 1) {
      const source = sources[this.#at % sources.length] as Source;
      const [next, ids, deleted] = await this.#claim(source, minIdleMs, limit - entries.length);
      for (const id of deleted) lost.push(source.tag + id);
      const free = sortOut(source, ids, inHand, entries);
      if (free.length > 0) await this.#take(source, free, entries, lost);
      this.#cursor = next;
      if (next !== start) continue;
      this.#at = (this.#at + 1) % sources.length;
      swept += 1;
    }
    return { entries, lost };
  }

  /** The same for entries that are pending in our own name: an answer that held them was lost. */
  async own(
    source: Source,
    ids: readonly string[],
    inHand: InHand,
    into: { entries: Entry[]; lost: string[] },
  ): Promise<void> {
    const free = sortOut(source, ids, inHand, into.entries);
    if (free.length > 0) await this.#take(source, free, into.entries, into.lost);
  }

  /** The owner changes here and the lease begins, but nothing is counted and no body travels yet. */
  async #claim(source: Source, minIdleMs: number, count: number): Promise<Claimed> {
    const { commands, consumer, name } = this.#holder;
    const args = [source.key, name, consumer, minIdleMs, this.#cursor, 'COUNT', Math.min(count, 1_000), 'JUSTID'];
    try {
      return (await commands.call('XAUTOCLAIM', args)) as Claimed;
    } catch (error) {
      // A lost group is made again by the reader; the rest of the sweep need not wait for it.
      if (faultKind(error as Error) !== 'nogroup') throw error;
      return [start, [], []];
    }
  }

  async #take(source: Source, ids: readonly string[], entries: Entry[], lost: string[]): Promise<void> {
    const { commands, consumer, name } = this.#holder;
    const [starts, bodies] = await Promise.all([
      commands.eval(scripts.take, [source.key], [name, consumer, firstSuspectStart, ids.join(' ')]),
      this.#bodies(source, ids),
    ]);
    const seenAt = Math.floor(performance.now());
    for (let at = 0; at < ids.length; at += 1) {
      const id = ids[at] as string;
      const count = (starts as readonly (number | '')[])[at];
      const fields = bodies.get(id);
      if (count === '') lost.push(source.tag + id);
      // Deleted this moment: still pending, and reported by the next sweep.
      else if (fields === undefined || count === undefined || count === 0) continue;
      else entries.push(toEntry(source, id, fields, count, count < firstSuspectStart, seenAt));
    }
  }

  /** In one piece when the ids stand together, as a crash leaves them; those further apart one by one. */
  async #bodies(source: Source, ids: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const [first, last] = [ids[0] as string, ids.at(-1) as string];
    const found = new Map<string, readonly string[]>();
    await this.#range(source, first, last, ids.length + 16, found);
    const missing = ids.filter((id) => !found.has(id));
    await Promise.all(missing.map((id) => this.#range(source, id, id, 1, found)));
    return found;
  }

  async #range(
    source: Source,
    from: string,
    to: string,
    count: number,
    into: Map<string, readonly string[]>,
  ): Promise<void> {
    const args = [source.key, from, to, 'COUNT', count];
    for (const [id, fields] of (await this.#holder.commands.call('XRANGE', args)) as RawEntry[]) {
      into.set(id, fields ?? []);
    }
  }
}

/** Resolves to what is nobody's; what was read ahead goes to `entries` as it is. */
function sortOut(source: Source, ids: readonly string[], inHand: InHand, entries: Entry[]): string[] {
  const free: string[] = [];
  for (const id of ids) {
    const name = source.tag + id;
    if (inHand.owned(name)) continue;
    const entry = inHand.readAhead(name);
    if (entry === undefined) free.push(id);
    else entries.push(entry);
  }
  return free;
}
