/** The conservation law in numbers. Pure. */
import type { GroupStats } from '../bus/bus.ts';
import type { GroupBalance, Verification } from './operations.ts';

const terms = [
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

export function balanceOf(group: string, stats: GroupStats): GroupBalance {
  const { totals, pending, retrying, due, dead, lag } = stats;
  const parts = {
    delivered: totals.delivered,
    skipped: totals.skipped,
    unmatched: totals.unmatched,
    waiting: lag.reduce((sum, { entries }) => sum + entries, 0),
    pending,
    retrying,
    due,
    dead,
    discarded: totals.discarded,
    dropped: totals.dropped,
  };
  const known = terms.reduce((sum, term) => sum + parts[term], 0);
  const exact = lag.every((one) => one.known);
  return { group, accepted: totals.accepted, ...parts, residue: totals.accepted - known, exact };
}

/** Residues are summed without their signs: a loss in one group does not cancel a surplus in another. */
export function verificationOf(groups: readonly GroupBalance[]): Verification {
  const sum = (term: 'accepted' | (typeof terms)[number]): number =>
    groups.reduce((total, one) => total + one[term], 0);
  const parts = Object.fromEntries(terms.map((term) => [term, sum(term)])) as Record<(typeof terms)[number], number>;
  const residue = groups.reduce((total, one) => total + Math.abs(one.residue), 0);
  return { groups, total: { accepted: sum('accepted'), ...parts, residue, exact: groups.every((one) => one.exact) } };
}
