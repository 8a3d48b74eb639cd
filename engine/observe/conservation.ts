/** The conservation law over one group: every accepted entry is settled or rests somewhere. Pure. */
import type { GroupStats } from '../bus/bus.ts';

/** 0: nothing is lost and nothing counted twice. Undefined: the bus does not know the lag exactly, so neither do we. */
export function residueOf(stats: GroupStats): number | undefined {
  if (stats.lag.some((stream) => !stream.known)) return undefined;
  const { totals } = stats;
  const waiting = stats.lag.reduce((sum, stream) => sum + stream.entries, 0);
  const resting = waiting + stats.due + stats.pending + stats.retrying + stats.dead;
  const settled = totals.delivered + totals.skipped + totals.unmatched + totals.discarded + totals.dropped;
  return totals.accepted - resting - settled;
}
