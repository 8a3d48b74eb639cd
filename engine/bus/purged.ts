/** Groups that are thrown away: their books, and who must not have them, as both buses see it. */
import type { PurgeNote, PurgeRecord } from '../core/purge.ts';
import { EventFlowError } from '../errors.ts';
import type { GroupStats } from './bus.ts';

/** EF6030 when there are `users`, engines that have the group's route. */
export function assertUnused(group: string, users: readonly string[]): void {
  if (users.length > 0) throw inUse(group, `${users.join(', ')} has`);
}

export const inUse = (group: string, how: string): EventFlowError =>
  new EventFlowError('EF6030', `expected a group that no engine has a route for, got ${group}, which ${how}`);

export function purgeRecordOf(group: string, at: number, note: PurgeNote, stats: GroupStats): PurgeRecord {
  const { lag, pending, retrying, due, dead, totals } = stats;
  const settled = totals.delivered + totals.skipped + totals.unmatched + totals.discarded + totals.dropped;
  const waiting = lag.reduce((sum, { entries }) => sum + entries, 0);
  const { by, reason } = note;
  return { group, at, by, reason, accepted: totals.accepted, settled, waiting, pending, retrying, due, dead };
}
