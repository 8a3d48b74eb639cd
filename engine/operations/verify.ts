/** The conservation law in numbers. Pure. */
import type { GroupStats } from '../bus/bus.ts';
import { isExact, residueOf, type Terms, terms, termsOf } from '../observe/conservation.ts';
import type { GroupBalance, Verification } from './operations.ts';

export function balanceOf(group: string, stats: GroupStats): GroupBalance {
  const parts = termsOf(stats);
  const { accepted } = stats.totals;
  return { group, accepted, ...parts, residue: residueOf(accepted, parts), exact: isExact(stats) };
}

/** Residues are summed without their signs: a loss in one group does not cancel a surplus in another. */
export function verificationOf(groups: readonly GroupBalance[]): Omit<Verification, 'purges'> {
  const sum = (term: 'accepted' | keyof Terms): number => groups.reduce((total, one) => total + one[term], 0);
  const parts = Object.fromEntries(terms.map((term) => [term, sum(term)])) as Terms;
  const residue = groups.reduce((total, one) => total + Math.abs(one.residue), 0);
  return { groups, total: { accepted: sum('accepted'), ...parts, residue, exact: groups.every((one) => one.exact) } };
}
