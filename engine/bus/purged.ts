/** The books of a group that is thrown away, as both buses keep them. */
import type { PurgeNote, PurgeRecord } from '../core/purge.ts';
import type { GroupStats } from './bus.ts';

export function purgeRecordOf(group: string, at: number, note: PurgeNote, stats: GroupStats): PurgeRecord {
  const { lag, pending, retrying, due, dead, totals } = stats;
  const settled = totals.delivered + totals.skipped + totals.unmatched + totals.discarded + totals.dropped;
  const waiting = lag.reduce((sum, { entries }) => sum + entries, 0);
  const { by, reason } = note;
  return { group, at, by, reason, accepted: totals.accepted, settled, waiting, pending, retrying, due, dead };
}
