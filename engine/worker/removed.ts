/**
 * What is left of routes that were taken out of the files. Retries, and deliveries that were in somebody's hands, find no
 * route when their time comes: they are dead-lettered as `route_removed`, and a redrive brings them back once the route is
 * there again. What was never read stays in the streams, with the group that waits for it.
 */
import type { Bus, Entry, Group, GroupInfo, SettleItem } from '../bus/bus.ts';
import { encodeLine, type JournalRow } from '../core/journal.ts';
import { matchAny } from '../core/match.ts';
import type { Fault } from '../core/outcome.ts';
import { decodeEvent, type EventEnvelope } from '../event.ts';
import { lastWords, unrunRow } from './records.ts';

/** Entries that are taken up, and settled, together. */
const batch = 200;
/** In one go; the rest waits for the next look. */
const mostRounds = 25;

const fault: Fault = {
  code: 'route_removed',
  message: 'its route was taken out of the pipelines; redrive it when the route is back',
  kind: 'error',
};
const nobody = { handler: 'none', hash: '' };

export interface ClearDeps {
  readonly bus: Bus;
  /** Leases of those who had the route must have run out, ms. */
  readonly leaseMs: number;
  /** Asked before each batch: whether the route is still gone. */
  readonly isGone: () => Promise<boolean>;
}

function eventOf(entry: Entry): EventEnvelope | undefined {
  try {
    return decodeEvent(entry.body, entry.meta);
  } catch {
    return undefined;
  }
}

interface Buried {
  readonly item: SettleItem;
  readonly row: JournalRow | undefined;
}

/** What the route would not have wanted is no loss to it. */
function bury(entry: Entry, wants: (type: string) => boolean, now: number): Buried {
  const event = eventOf(entry);
  if (event !== undefined && !wants(event.type)) {
    return { item: { kind: 'ack', entry, status: 'unmatched' }, row: undefined };
  }
  const words = lastWords(nobody, entry, event, 'route_removed', fault, entry.state?.attempts ?? []);
  return { item: { kind: 'dead', entry, words }, row: unrunRow(entry, event, 'route_removed', fault, now) };
}

/** Everything of the group whose time has come. An entry that another engine took first is none of ours. */
async function takeUp(group: Group, leaseMs: number): Promise<readonly Entry[]> {
  await group.promote(batch);
  const { entries } = await group.reclaim(leaseMs, batch, () => false);
  const due = await group.read(batch, new AbortController().signal);
  // As they came: so they lie in the dead letters, and so they are redriven.
  return [...entries, ...due].sort((a, b) => a.publishedAt - b.publishedAt);
}

/**
 * Resolves to the number of deliveries that were dead-lettered. Any engine may do it, several at a time: each delivery is
 * taken by one of them, who proves that it holds it when it settles. Stops where the dead letters have no room.
 */
export async function clearRemoved(deps: ClearDeps, info: GroupInfo): Promise<number> {
  const wants = matchAny(info.patterns);
  const group = await deps.bus.openRemoved(info.group);
  if (group === undefined) return 0;
  let cleared = 0;
  try {
    for (let round = 0; round < mostRounds; round += 1) {
      const entries = await takeUp(group, deps.leaseMs);
      if (entries.length === 0) break;
      // A route that came back meanwhile gets them: closing the group hands them back.
      if (!(await deps.isGone())) break;
      const now = deps.bus.now();
      const buried = entries.map((entry) => bury(entry, wants, now));
      const rows = buried.flatMap(({ row }) => row ?? []);
      const results = await group.settle(
        buried.map(({ item }) => item),
        rows.length === 0 ? undefined : encodeLine(rows),
      );
      cleared += results.filter((result, at) => result === 'done' && buried[at]?.item.kind === 'dead').length;
      if (results.includes('full')) break;
    }
  } finally {
    await group.close();
  }
  return cleared;
}
