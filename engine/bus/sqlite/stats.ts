/** A group in numbers. */
import type { GroupStats } from '../bus.ts';
import type { Database } from './database.ts';
import type { GroupState } from './state.ts';

export function groupStats(database: Database, group: GroupState): GroupStats {
  const now = database.now();
  const [retrying, firstDue] = laterIn(database, group, 0);
  const [due] = laterIn(database, group, 1);
  const dead = database.sql('SELECT id, at FROM dead WHERE grp = ? ORDER BY id LIMIT 1').get(group.id);
  const { delivered, skipped, unmatched, dead: died, redriven, discarded, dropped, retries } = group.totals;
  return {
    lag: [...group.cursors.values()].map(({ stream, next }) => ({
      stream: stream.name,
      entries: stream.last - next + 1,
      known: true,
    })),
    pending: group.pending.size,
    pendingOldestMs: oldestMs(group, now),
    retrying,
    postponed: Number(database.sql(postponedIn).get(group.id)?.['count']),
    retryOverdueMs: retrying === 0 ? 0 : Math.max(0, now - firstDue),
    due,
    dead: died - redriven - discarded - dropped,
    deadOldestAt: dead === undefined ? undefined : Number(dead['at']),
    totals: {
      accepted: accepted(group),
      ...{ delivered, skipped, unmatched, dead: died, redriven, discarded, dropped, retries },
    },
  };
}

const postponedIn = 'SELECT count(*) AS count FROM later WHERE grp = ? AND phase = 0 AND postponed = 1';

function laterIn(database: Database, group: GroupState, phase: 0 | 1): [count: number, first: number] {
  const row = database
    .sql('SELECT count(*) AS count, min(due) AS first FROM later WHERE grp = ? AND phase = ?')
    .get(group.id, phase);
  return [Number(row?.['count'] ?? 0), Number(row?.['first'] ?? 0)];
}

function oldestMs(group: GroupState, now: number): number {
  let oldest = now;
  for (const { at } of group.pending.values()) if (at < oldest) oldest = at;
  return now - oldest;
}

function accepted(group: GroupState): number {
  let sum = group.leftStreams;
  for (const { stream, start } of group.cursors.values()) sum += stream.last - start;
  return sum;
}
