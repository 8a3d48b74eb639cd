/** The dead letters that were expected against those that there are. Pure. */
import type { PathStep } from '../config/diagnostic.ts';
import type { Route } from '../core/route.ts';
import type { Mismatch } from './compare.ts';
import type { DeadLetter, Expect } from './test-file.generated.ts';
import type { Happening, Timeline } from './timeline.ts';
import { formatTime, isWithin, parseSpan } from './words.ts';

type Letter = Extract<Happening, { kind: 'dead' }>;

interface Fault {
  readonly field: keyof DeadLetter;
  readonly message: string;
}

/** What differs; the route is the same. */
function differences(expected: DeadLetter, got: Letter): Fault[] {
  const differs = <Field extends keyof DeadLetter>(
    field: Field,
    fits: (value: NonNullable<DeadLetter[Field]>) => boolean,
    shown: string,
  ): Fault[] => {
    const value = expected[field];
    if (value === undefined || fits(value)) return [];
    return [{ field, message: `expected ${String(value)}, got ${shown}` }];
  };
  return [
    ...differs('reason', (reason) => reason === got.reason, got.reason),
    ...differs('event', (event) => event === got.event, got.event),
    ...differs('attempts', (attempts) => attempts === got.attempts, String(got.attempts)),
    ...differs('at', (at) => isWithin(got.at, parseSpan(at)), formatTime(got.at)),
    ...differs('code', (code) => code === got.fault.code, got.fault.code),
    ...differs('message', (message) => got.fault.message.includes(message), got.fault.message),
  ];
}

/** Those that are still there: a letter that was redriven went on. */
function lettersIn(timeline: Timeline): Letter[] {
  return timeline.of('dead').filter((letter) => {
    const later = timeline.happenings.slice(timeline.happenings.indexOf(letter) + 1);
    return !later.some(
      (one) => 'event' in one && 'route' in one && one.route === letter.route && one.event === letter.event,
    );
  });
}

const told = ({ route, event, reason, at, fault }: Letter): string =>
  `${route}: ${event}, ${reason} at ${formatTime(at)} (${fault.code}: ${fault.message})`;

export function letterFailures(
  { timeline }: { readonly timeline: Timeline },
  expected: Expect['deadLetters'],
  path: readonly PathStep[],
  routeNamed: (name: string) => Route,
): Mismatch[] {
  if (expected === 'any') return [];
  const left = lettersIn(timeline);
  const unmet: { index: number; letter: DeadLetter; group: string }[] = [];
  for (const [index, letter] of (expected ?? []).entries()) {
    const { group } = routeNamed(letter.route);
    const at = left.findIndex((one) => one.route === group && differences(letter, one).length === 0);
    if (at === -1) unmet.push({ index, letter, group });
    else left.splice(at, 1);
  }
  const failures = unmet.flatMap(({ index, letter, group }): Mismatch[] => {
    const near = left.findIndex(({ route }) => route === group);
    const [other] = near === -1 ? [] : left.splice(near, 1);
    if (other === undefined)
      return [{ path: [...path, index], message: `expected a dead letter of ${group}, got none` }];
    return differences(letter, other).map(({ field, message }) => ({ path: [...path, index, field], message }));
  });
  return [...failures, ...left.map((one) => ({ path, message: `expected no other dead letter, got ${told(one)}` }))];
}
