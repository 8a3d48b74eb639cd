/** What holds after every step, read from the store as it stands. */
import { provenResidue, residueOf, termsOf } from '../../engine/observe/conservation.ts';
import type { Ledger } from './ledger.ts';
import type { BusModel } from './model/bus-model.ts';
import type { ModelGroup } from './model/state.ts';
import type { Pair } from './pairs.ts';
import type { Run } from './run.ts';

export function checkStore(model: BusModel, ledger: Ledger, run: Run, now: number): void {
  for (const group of model.groups.values()) {
    conserves(model, group, run, now);
    keepsItsLimit(group, run);
    accountsForAll(model, group, ledger, run);
  }
}

function conserves(model: BusModel, { name }: ModelGroup, run: Run, now: number): void {
  const stats = model.stats(name, now);
  if (provenResidue(stats) === 0) return;
  const residue = residueOf(stats.totals.accepted, termsOf(stats));
  run.fail('accepted = settled + resting', `${name}: ${residue} of ${stats.totals.accepted} are missing`);
}

function keepsItsLimit({ name, dead, policy }: ModelGroup, run: Run): void {
  if (dead.size <= policy.maxEntries) return;
  run.fail('a DLQ is never above its limit', `${name}: ${dead.size} of ${policy.maxEntries}`);
}

/** Every open delivery is in one place, and nothing that is settled is anywhere. */
function accountsForAll(model: BusModel, group: ModelGroup, ledger: Ledger, run: Run): void {
  const open = ledger.open.get(group.name) ?? new Map<string, Pair>();
  const seen = new Set<string>();
  for (const [origin, where] of places(model, group)) {
    const place = `${origin} for ${group.name}, ${where}`;
    if (!open.has(origin)) run.fail('what is settled rests nowhere', place);
    if (seen.has(origin)) run.fail('a delivery is in one place', place);
    seen.add(origin);
  }
  if (seen.size >= open.size) return;
  for (const origin of open.keys()) {
    if (!seen.has(origin)) run.fail('an acknowledged event is never gone', `${origin} for ${group.name}`);
  }
}

function* places(model: BusModel, group: ModelGroup): Iterable<readonly [origin: string, where: string]> {
  for (const { entry, later } of group.pending.values()) {
    const there = later !== undefined || model.streams.placeOf(entry.stream, entry.n) >= 0;
    if (there) yield [entry.origin, 'pending'];
  }
  for (const origin of group.retrying.keys()) yield [origin, 'retrying'];
  for (const { entry } of group.due) yield [entry.origin, 'due'];
  for (const { entry } of group.dead.values()) yield [entry.origin, 'dead'];
  for (const stream of group.cursors.keys()) {
    for (const entry of model.streams.unread(group, stream)) yield [entry.origin, 'waiting'];
  }
}
