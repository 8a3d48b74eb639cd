/** The numbers of a group, summed over its streams. */
import type { GroupStats, GroupTotals } from '../bus.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import { scripts } from './scripts.ts';

/** Unread entries are counted one by one up to here, where Redis does not know their number. */
const mostToCount = 5_000;

/** Reply of `stats.lua`. */
type Reply = readonly [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  string,
  number,
  readonly string[],
];

interface Part {
  readonly stream: string;
  readonly reply: Reply;
  readonly counters: ReadonlyMap<string, number>;
}

export async function readStats(
  commands: Connection,
  keys: Keys,
  group: string,
  streams: readonly string[],
): Promise<GroupStats> {
  const parts = await Promise.all(
    streams.map(async (stream): Promise<Part> => {
      const route = keys.route(stream, group);
      const at = [keys.stream(stream).events, route.due, route.totals, route.retry, route.dead];
      const reply = (await commands.eval(scripts.stats, at, [group, mostToCount])) as Reply;
      return { stream, reply, counters: counters(reply[10]) };
    }),
  );
  const sum = (at: 2 | 4 | 6 | 7): number => parts.reduce((total, { reply }) => total + reply[at], 0);
  const most = (at: 3 | 5): number => parts.reduce((highest, { reply }) => Math.max(highest, reply[at]), 0);
  const oldest = parts.filter(({ reply }) => reply[8] !== '').map(({ reply }) => Number(reply[8]));
  return {
    lag: parts.map(({ stream, reply }) => ({ stream, entries: reply[0], known: reply[1] === 1 })),
    pending: sum(2),
    pendingOldestMs: most(3),
    retrying: sum(4),
    postponed: Math.min(sum(4), counted(parts, 'postponed')),
    retryOverdueMs: most(5),
    due: sum(6),
    dead: sum(7),
    deadOldestAt: oldest.length === 0 ? undefined : Math.min(...oldest),
    totals: totals(parts),
  };
}

function counters(flat: readonly string[]): ReadonlyMap<string, number> {
  const map = new Map<string, number>();
  for (let at = 0; at + 1 < flat.length; at += 2) map.set(flat[at] as string, Number(flat[at + 1]));
  return map;
}

const counted = (parts: readonly Part[], field: string): number =>
  parts.reduce((total, { counters: of }) => total + (of.get(field) ?? 0), 0);

function totals(parts: readonly Part[]): GroupTotals {
  const sum = (field: string): number => counted(parts, field);
  const added = parts.reduce((total, { reply }) => total + reply[9], 0);
  return {
    accepted: added - sum('base'),
    delivered: sum('delivered'),
    skipped: sum('skipped'),
    unmatched: sum('unmatched'),
    dead: sum('dead'),
    redriven: sum('redriven'),
    discarded: sum('discarded'),
    dropped: sum('dropped'),
    retries: sum('retries'),
  };
}
