/** What was expected against what happened. Pure. */
import type { PathStep } from '../config/diagnostic.ts';
import { suggestion } from '../config/suggest.ts';
import type { Generation, Route } from '../core/route.ts';
import { decodeEvent } from '../event.ts';
import { compare, type Mismatch } from './compare.ts';
import type { PlannedEvent } from './events.ts';
import { letterFailures } from './letters.ts';
import { findRoute } from './names.ts';
import type { CountOrIds, CountOrTimes, Expect } from './test-file.generated.ts';
import type { Timeline } from './timeline.ts';
import { fateOf, type Verdict, verdictOf, waitingIn } from './verdicts.ts';
import { formatTime, isWithin, parseSpan } from './words.ts';

export interface Happened {
  readonly generation: Generation;
  readonly events: readonly PlannedEvent[];
  readonly timeline: Timeline;
  /** See `target.ts`. */
  readonly targetOf: (route: Route) => string | undefined;
}

type Path = readonly PathStep[];

/** Names were checked before. */
function routeNamed({ generation }: Happened, name: string): Route {
  const choice = findRoute(generation, name);
  if (choice.kind !== 'found') throw new Error(`expected a route under test, got ${name}`);
  return choice.route;
}

const list = (texts: readonly string[], none = 'none'): string => (texts.length === 0 ? none : texts.join(', '));

/** Each field of a map by route. */
function perRoute<T>(
  happened: Happened,
  expected: Readonly<Record<string, T>> | undefined,
  path: Path,
  judge: (route: Route, value: T, path: Path) => readonly Mismatch[],
): Mismatch[] {
  return Object.entries(expected ?? {}).flatMap(([name, value]) =>
    judge(routeNamed(happened, name), value, [...path, name]),
  );
}

// ── routes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const isVerdict = (expected: string, { word }: Verdict): boolean =>
  word === expected || (expected === 'unmatched' && word.startsWith('unmatched'));

function matchFailures(happened: Happened, expect: Expect, path: Path): Mismatch[] {
  const { events, timeline } = happened;
  const judge = (route: Route, event: PlannedEvent, expected: string, at: Path): Mismatch[] => {
    const verdict = verdictOf(route, event, timeline);
    if (isVerdict(expected, verdict)) return [];
    const why = verdict.why === '' ? '' : ` (${verdict.why})`;
    return [{ path: at, message: `expected ${event.id} to be ${expected}, got ${verdict.word}${why}` }];
  };
  return perRoute(happened, expect.routes, path, (route, value, at) =>
    events.flatMap((event) => {
      const expected = typeof value === 'string' ? value : value[event.id];
      if (expected === undefined) return [];
      return judge(route, event, expected, typeof value === 'string' ? at : [...at, event.id]);
    }),
  );
}

function rejectedFailures({ timeline }: Happened, { rejected }: Expect, path: Path): Mismatch[] {
  const refused = timeline.of('rejected');
  const expected = Array.isArray(rejected) ? rejected : Object.keys(rejected ?? {});
  const missing = expected.flatMap((id, index): Mismatch[] => {
    const at = [...path, Array.isArray(rejected) ? index : id];
    const found = refused.find(({ event }) => event === id);
    if (found === undefined) return [{ path: at, message: `expected ${id} to be rejected, it was published` }];
    const part = Array.isArray(rejected) ? '' : (rejected?.[id] ?? '');
    return found.why.includes(part)
      ? []
      : [{ path: at, message: `expected "${part}" in the reason, got: ${found.why}` }];
  });
  const unexpected = refused.filter(({ event }) => !expected.includes(event));
  return [
    ...missing,
    ...unexpected.map(({ event, why }) => ({
      path,
      message: `expected ${event} to be published, it was rejected: ${why}`,
    })),
  ];
}

// ── attempts ───────────────────────────────────────────────────────────────────────────────────────────────────────

function optionFailures(happened: Happened, expect: Expect, path: Path): Mismatch[] {
  return perRoute(happened, expect.options, path, (route, value, at) => {
    const starts = happened.timeline.of('started', route.group).filter(({ attempt }) => attempt === 1);
    const seen = starts.map(({ options }) => options);
    if (Array.isArray(value)) {
      const none = seen.map(() => ({}));
      return value.length === seen.length
        ? compare(value, seen, at)
        : [{ path: at, message: `expected the options of ${value.length} events, got those of ${none.length}` }];
    }
    if (seen.length === 0)
      return [{ path: at, message: `expected the handler to be run, it was not (${whyIdle(happened, route)})` }];
    return seen.flatMap((options) => compare(value, options, at));
  });
}

/** Why a route's handler was not run. */
function whyIdle({ events, timeline }: Happened, route: Route): string {
  const verdicts = events.map((event) => ({ event, verdict: verdictOf(route, event, timeline) }));
  const said = verdicts.map(({ event, verdict: { word, why } }) =>
    word === 'matched' ? `${event.id}: ${fateOf(route, event.id, timeline)}` : `${event.id}: ${word} (${why})`,
  );
  return list(said);
}

/** `times` against when something happened; `what` names the things. */
function timeFailures(times: readonly string[], got: readonly number[], what: string, path: Path): Mismatch[] {
  const open = times.at(-1) === '...';
  const expected = open ? times.slice(0, -1) : times;
  const shown = list(got.map(formatTime));
  if (open ? got.length < expected.length : got.length !== expected.length) {
    const least = open ? 'at least ' : '';
    return [
      { path, message: `expected ${least}${expected.length} ${what} (${list(times)}), got ${got.length} (${shown})` },
    ];
  }
  const wrong = expected.findIndex((text, index) => !isWithin(got[index] as number, parseSpan(text)));
  if (wrong === -1) return [];
  const message = `expected ${expected[wrong]}, got ${formatTime(got[wrong] as number)} (all ${what}: ${shown})`;
  return [{ path: [...path, wrong], message }];
}

function attemptFailures(happened: Happened, expect: Expect, path: Path): Mismatch[] {
  const judge = (expected: CountOrTimes, got: readonly number[], at: Path): Mismatch[] => {
    if (Array.isArray(expected)) return timeFailures(expected, got, 'attempts', at);
    if (got.length === expected) return [];
    return [{ path: at, message: `expected ${expected} attempts, got ${got.length} (${list(got.map(formatTime))})` }];
  };
  return perRoute(happened, expect.attempts, path, (route, value, at) => {
    const starts = happened.timeline.of('started', route.group);
    if (typeof value === 'number' || Array.isArray(value)) {
      return judge(
        value,
        starts.map((one) => one.at),
        at,
      );
    }
    return Object.entries(value).flatMap(([event, expected]) => {
      const own = starts.filter((one) => one.event === event).map((one) => one.at);
      return judge(expected, own, [...at, event]);
    });
  });
}

function orderFailures(happened: Happened, expect: Expect, path: Path): Mismatch[] {
  return perRoute(happened, expect.order, path, (route, expected, at) => {
    const got = happened.timeline.of('started', route.group).map(({ event }) => event);
    const wrong = expected.findIndex((event, index) => got[index] !== event);
    if (wrong === -1 && got.length === expected.length) return [];
    const where = wrong === -1 ? at : [...at, wrong];
    return [{ path: where, message: `expected the handlers to start as ${list(expected)}, got ${list(got)}` }];
  });
}

/** The most handlers of a route that ran at once. One that ended and one that began at the same moment did not. */
function mostAtOnce(timeline: Timeline, group: string): number {
  let [now, most] = [0, 0];
  for (const one of timeline.happenings) {
    if (one.kind === 'started' && one.route === group) now += 1;
    if (one.kind === 'ended' && one.route === group) now -= 1;
    most = Math.max(most, now);
  }
  return most;
}

// ── breakers ───────────────────────────────────────────────────────────────────────────────────────────────────────

function breakerFailures(happened: Happened, expect: Expect, path: Path): Mismatch[] {
  return perRoute(happened, expect.breakers, path, (route, expected, at) => {
    if (route.breaker === undefined) return [{ path: at, message: 'expected a circuit breaker, the route has none' }];
    const changes = happened.timeline.of('breaker', route.group);
    if (Array.isArray(expected)) return stateFailures(expected, changes, at);
    const { scope } = route.breaker;
    if (scope === 'route' || scope === 'handler') {
      return [{ path: at, message: `expected a list of states, since the ${scope} has one breaker, got a map` }];
    }
    const keys = breakerKeys(happened, route, changes);
    return Object.entries(expected).flatMap(([key, states]) => {
      const own = changes.filter((one) => one.key === key);
      return keys.includes(key) ? stateFailures(states, own, [...at, key]) : [unknownKey(key, keys, [...at, key])];
    });
  });
}

/** Those that events of the run have, and those of breakers that several share. */
function breakerKeys(
  { events, timeline, targetOf }: Happened,
  route: Route,
  changes: readonly { readonly key: string | undefined }[],
): string[] {
  const scope = route.breaker?.scope;
  const keyOf = ({ envelope }: PlannedEvent): string[] => {
    if (typeof scope !== 'object') return [targetOf(route) ?? []].flat();
    try {
      return [scope.key(decodeEvent(JSON.stringify(envelope), undefined))];
    } catch {
      // As the worker calls it.
      return ['(none)'];
    }
  };
  const taken = events.filter((event) => verdictOf(route, event, timeline).word === 'matched');
  return [...new Set([...taken.flatMap(keyOf), ...changes.flatMap(({ key }) => key ?? [])])];
}

function unknownKey(key: string, keys: readonly string[], path: Path): Mismatch {
  const help = suggestion(key, keys, 'keys of this run') ?? 'no event came to the route';
  return { path, message: `expected the key of an event, got ${JSON.stringify(key)} (${help})` };
}

interface Change {
  readonly to: string;
  readonly at: number;
}

function stateFailures(expected: readonly string[], changes: readonly Change[], path: Path): Mismatch[] {
  const got = [{ to: 'closed', at: 0 }, ...changes];
  const shown = list(got.map(({ to, at }, index) => (index === 0 ? to : `${to} at ${formatTime(at)}`)));
  const wrong = expected.findIndex((text, index) => {
    const [state = '', when] = text.split(' at ');
    const one = got[index];
    return one?.to !== state || (when !== undefined && !isWithin(one.at, parseSpan(when)));
  });
  if (wrong === -1 && got.length === expected.length) return [];
  return [{ path: wrong === -1 ? path : [...path, wrong], message: `expected ${list(expected)}, got ${shown}` }];
}

// ── ends ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function settledFailures(
  happened: Happened,
  expected: Expect['delivered'],
  status: 'delivered' | 'skipped',
  path: Path,
): Mismatch[] {
  const { events, timeline } = happened;
  if (Array.isArray(expected)) {
    return expected.flatMap((name, index) => {
      const route = routeNamed(happened, name);
      const at = [...path, index];
      const taken = events.filter((event) => verdictOf(route, event, timeline).word === 'matched');
      if (taken.length === 0)
        return [{ path: at, message: `expected events to be ${status}, got none (${whyIdle(happened, route)})` }];
      const others = taken.filter(({ id }) => fateOf(route, id, timeline) !== status);
      const shown = list(others.map(({ id }) => `${id}: ${fateOf(route, id, timeline)}`));
      return others.length === 0 ? [] : [{ path: at, message: `expected every event to be ${status}, got ${shown}` }];
    });
  }
  return perRoute<CountOrIds>(happened, expected, path, (route, value, at) => {
    const ids = timeline.of('settled', route.group).flatMap((one) => (one.status === status ? [one.event] : []));
    const same = Array.isArray(value)
      ? JSON.stringify([...value].sort()) === JSON.stringify([...ids].sort())
      : value === ids.length;
    const wanted = Array.isArray(value) ? list(value) : String(value);
    return same ? [] : [{ path: at, message: `expected ${wanted} to be ${status}, got ${ids.length} (${list(ids)})` }];
  });
}

function waitingFailures(happened: Happened, expect: Expect, path: Path): Mismatch[] {
  return perRoute(happened, expect.waiting, path, (route, expected, at) => {
    const got = waitingIn(route, happened.events, happened.timeline);
    if (got.length === expected) return [];
    return [{ path: at, message: `expected ${expected} to wait, got ${got.length} (${list(got)})` }];
  });
}

function concurrentFailures(happened: Happened, expect: Expect, path: Path): Mismatch[] {
  return perRoute(happened, expect.concurrent, path, (route, expected, at) => {
    const got = mostAtOnce(happened.timeline, route.group);
    return got === expected ? [] : [{ path: at, message: `expected ${expected} at once, got ${got}` }];
  });
}

/**
 * Everything that is not as expected, with the path of the expectation. `complete`: dead letters and rejections that
 * nobody expects are failures too.
 */
export function failuresOf(expect: Expect, path: Path, happened: Happened, complete: boolean): Mismatch[] {
  const at = (field: keyof Expect): Path => (expect[field] === undefined ? path : [...path, field]);
  const asked = (field: keyof Expect): boolean => complete || expect[field] !== undefined;
  return [
    ...matchFailures(happened, expect, at('routes')),
    ...(asked('rejected') ? rejectedFailures(happened, expect, at('rejected')) : []),
    ...optionFailures(happened, expect, at('options')),
    ...attemptFailures(happened, expect, at('attempts')),
    ...orderFailures(happened, expect, at('order')),
    ...concurrentFailures(happened, expect, at('concurrent')),
    ...breakerFailures(happened, expect, at('breakers')),
    ...settledFailures(happened, expect.delivered, 'delivered', at('delivered')),
    ...settledFailures(happened, expect.skipped, 'skipped', at('skipped')),
    ...waitingFailures(happened, expect, at('waiting')),
    ...(asked('deadLetters')
      ? letterFailures(happened, expect.deadLetters, at('deadLetters'), (name) => routeNamed(happened, name))
      : []),
  ];
}
