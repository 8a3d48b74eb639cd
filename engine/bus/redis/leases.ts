/** Who holds what: renewing the lease of entries, handing them back, and leaving. Ownership is proved in the script. */
import type { Entry } from '../bus.ts';
import type { Connection } from './connection.ts';
import { type Source, slotOf } from './entry.ts';
import { scripts } from './scripts.ts';

/** Holds entries that were handed back, until a reclaim takes them. */
const nobody = '~released';
/** Longer than any lease, ms. */
const longIdle = 30 * 24 * 3_600_000;
/** Ids in one script call: more would exceed what Lua can unpack. */
export const maxIds = 1_000;

export interface Holder {
  readonly name: string;
  readonly consumer: string;
  readonly commands: Connection;
}

/** Renews what is still ours; resolves to what is not. */
export async function renew(holder: Holder, entries: readonly Entry[]): Promise<ReadonlySet<Entry>> {
  const lost = new Set<Entry>();
  await bySource(entries, async (source, some) => {
    const args = [holder.name, holder.consumer, ...some.map((entry) => slotOf(entry).id)];
    const gone = new Set((await holder.commands.eval(scripts.extend, [source.key], args)) as string[]);
    const now = Math.floor(performance.now());
    for (const entry of some) {
      const slot = slotOf(entry);
      if (gone.has(slot.id)) lost.add(entry);
      else slot.seenAt = now;
    }
  });
  return lost;
}

/** Lets anyone take the entries at once; the start that was counted for this hand-out is taken back. */
export async function handBack(holder: Holder, entries: readonly Entry[]): Promise<void> {
  await bySource(entries, async (source, some) => {
    const ids = some.map(slotOf).flatMap(({ id, counted }) => [id, counted ? 1 : 0]);
    await holder.commands.eval(scripts.release, [source.key], [holder.name, holder.consumer, nobody, longIdle, ...ids]);
  });
}

/** Makes the entry's start count; undefined when it is not ours any more. */
export async function countStart(holder: Holder, entry: Entry): Promise<number | undefined> {
  const slot = slotOf(entry);
  const args = [holder.name, holder.consumer, slot.id, entry.starts];
  const starts = (await holder.commands.eval(scripts.start, [slot.source.key], args)) as number;
  if (starts === 0) return undefined;
  slot.counted = true;
  slot.seenAt = Math.floor(performance.now());
  return starts;
}

/** Hands back all that is still pending, and ends the consumer. */
export async function leave(holder: Holder, sources: readonly Source[]): Promise<void> {
  const args = [holder.name, holder.consumer, nobody, longIdle, maxIds];
  await Promise.all(
    sources.map(async ({ key }) => {
      while (((await holder.commands.eval(scripts.leave, [key], args)) as number) === maxIds);
    }),
  );
}

async function bySource(
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
