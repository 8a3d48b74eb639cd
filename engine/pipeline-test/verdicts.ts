/** Whether a route took an event, and what became of it. */
import { matchAny } from '../core/match.ts';
import type { Route } from '../core/route.ts';
import { decodeEvent } from '../event.ts';
import type { PlannedEvent } from './events.ts';
import type { Timeline } from './timeline.ts';
import { formatTime } from './words.ts';

export interface Verdict {
  /**
   * As tests write it: `matched`, `unmatched: type` …; `rejected` when no route saw the event, `unpublished` when none has
   * yet.
   */
  readonly word: string;
  readonly why: string;
}

/** What the workers did decides; what they need not be asked for is worked out. */
export function verdictOf(route: Route, event: PlannedEvent, timeline: Timeline): Verdict {
  const { id, type } = event;
  const refused = timeline.of('rejected').find((one) => one.event === id);
  if (refused !== undefined) return { word: 'rejected', why: refused.why };
  if (!timeline.hasTried(id)) return { word: 'unpublished', why: `its time is ${formatTime(event.at)}` };
  if (!route.enabled) return { word: 'unmatched: disabled', why: 'the route says enabled: false' };
  if (!matchAny(route.on)(type)) {
    return { word: 'unmatched: type', why: `the route takes ${route.on.join(', ')}, and this is ${type}` };
  }
  const passed = timeline.of('settled', route.group).some((one) => one.event === id && one.status === 'unmatched');
  return passed ? { word: 'unmatched: when', why: whyNot(route, event) } : { word: 'matched', why: '' };
}

/** What decided, in the words of the condition. */
function whyNot({ when }: Route, { envelope }: PlannedEvent): string {
  if (when === undefined) return 'its condition is false';
  return when.why(decodeEvent(JSON.stringify(envelope), undefined)).join(', ');
}

/** What became of an event that the route took, in a few words. */
export function fateOf(route: Route, id: string, timeline: Timeline): string {
  const { group } = route;
  const settled = timeline.of('settled', group).find(({ event }) => event === id);
  if (settled !== undefined) return settled.status;
  const dead = timeline.letters(group).find(({ event }) => event === id);
  return dead === undefined ? 'waiting' : `dead (${dead.reason})`;
}

/** Deliveries that are not settled, by the ids of their events. */
export function waitingIn(route: Route, events: readonly PlannedEvent[], timeline: Timeline): string[] {
  const published = new Set(timeline.of('published').map(({ event }) => event));
  return events
    .filter((event) => published.has(event.id) && verdictOf(route, event, timeline).word === 'matched')
    .filter(({ id }) => fateOf(route, id, timeline) === 'waiting')
    .map(({ id }) => id);
}
