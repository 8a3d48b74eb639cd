/** The conservation law over one group: every accepted entry is settled or rests somewhere. Pure. */
import type { GroupStats } from '../bus/bus.ts';

/** Where an accepted entry can have gone, in the order in which people read it. */
export const terms = [
  'delivered',
  'skipped',
  'unmatched',
  'waiting',
  'pending',
  'retrying',
  'due',
  'dead',
  'discarded',
  'dropped',
] as const;

export type Terms = Readonly<Record<(typeof terms)[number], number>>;

export function termsOf({ totals, lag, pending, retrying, due, dead }: GroupStats): Terms {
  const { delivered, skipped, unmatched, discarded, dropped } = totals;
  const waiting = lag.reduce((sum, { entries }) => sum + entries, 0);
  return { delivered, skipped, unmatched, waiting, pending, retrying, due, dead, discarded, dropped };
}

export const residueOf = (accepted: number, parts: Terms): number =>
  terms.reduce((left, term) => left - parts[term], accepted);

/** False: a lag is a lower bound, so a residue is no proof. */
export const isExact = ({ lag }: GroupStats): boolean => lag.every(({ known }) => known);

/** 0: nothing is lost and nothing counted twice. Undefined: the bus does not know the lag exactly, so neither do we. */
export const provenResidue = (stats: GroupStats): number | undefined =>
  isExact(stats) ? residueOf(stats.totals.accepted, termsOf(stats)) : undefined;
