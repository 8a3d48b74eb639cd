/** What the model answers to routes with ordering. */
import type { Entry, Resting, Turn } from '../../../engine/bus/bus.ts';
import type { Bug } from './bugs.ts';
import type { Later, ModelGroup } from './state.ts';

export function hold(group: ModelGroup, holder: string, ttlMs: number, now: number, bug?: Bug): Turn {
  const { turn } = group;
  if (turn.holder !== holder) {
    const taken = turn.holder !== undefined && turn.ends > now;
    if (taken && bug !== 'everybody has the turn') return { held: false, term: turn.term };
    turn.term = Math.max(turn.term + 1, now);
    turn.holder = holder;
  }
  turn.ends = now + ttlMs;
  return { held: true, term: turn.term };
}

export function giveBack({ turn }: ModelGroup, holder: string): void {
  if (turn.holder === holder) turn.holder = undefined;
}

export const elsewhere = (group: ModelGroup, holder: string): boolean =>
  [...group.pending.values()].some((lease) => lease.holder !== holder);

const told = ({ entry, state }: Later, dueAt: number | undefined): Resting => ({
  ...{ stream: entry.stream, origin: String(entry.n), publishedAt: entry.at, body: entry.body, meta: entry.meta },
  ...{ state, dueAt },
});

export function resting(group: ModelGroup): readonly Resting[] {
  const handedOut = [...group.pending.values()].flatMap(({ later }) => later ?? []);
  return [
    ...[...group.retrying.values()].map((later) => told(later, later.postponed === true ? undefined : later.due)),
    ...[...group.due, ...handedOut].map((later) => told(later, 0)),
  ];
}

/** Returns what comes back to life, so that it gets new ids. */
export function recall(group: ModelGroup, deliveries: readonly Pick<Entry, 'stream' | 'origin'>[]): readonly Later[] {
  return deliveries.flatMap(({ stream, origin }) => {
    const name = `${stream}/${origin}`;
    const later = group.retrying.get(name);
    if (later?.postponed !== true) return [];
    group.retrying.delete(name);
    return [later];
  });
}
