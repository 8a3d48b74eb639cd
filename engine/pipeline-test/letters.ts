/** The dead letters that were expected against those that there are. Pure. */
import type { PathStep } from '../config/diagnostic.ts';
import type { Route } from '../core/route.ts';
import type { Mismatch } from './compare.ts';
import type { DeadLetter, Expect } from './test-file.generated.ts';
import type { Letter, Timeline } from './timeline.ts';
import { formatTime, isWithin, parseSpan } from './words.ts';

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

/** The one with the fewest differences; undefined: there is none at all. */
function nearestOf(expected: DeadLetter, letters: readonly Letter[]): Letter | undefined {
  const count = (one: Letter): number => differences(expected, one).length;
  return letters.toSorted((one, other) => count(one) - count(other))[0];
}

const told = ({ route, event, reason, at, fault }: Letter): string =>
  `${route}: ${event}, ${reason} at ${formatTime(at)} (${fault.code}: ${fault.message})`;

interface Wanted {
  readonly index: number;
  readonly letter: DeadLetter;
  readonly group: string;
}

const fits = ({ letter, group }: Wanted, got: Letter): boolean =>
  got.route === group && differences(letter, got).length === 0;

/** As many pairs as there can be, by augmenting paths: an expectation that fits several letters takes none from another. */
function pairs(wanted: readonly Wanted[], got: readonly Letter[]): ReadonlyMap<Letter, Wanted> {
  const taken = new Map<Letter, Wanted>();
  const place = (one: Wanted, seen: Set<Letter>): boolean => {
    const mayTake = (letter: Letter): boolean => {
      const holder = taken.get(letter);
      if (holder === undefined) return true;
      if (seen.has(letter)) return false;
      seen.add(letter);
      return place(holder, seen);
    };
    const choice =
      got.find((letter) => !taken.has(letter) && fits(one, letter)) ??
      got.find((letter) => fits(one, letter) && mayTake(letter));
    if (choice !== undefined) taken.set(choice, one);
    return choice !== undefined;
  };
  for (const one of wanted) place(one, new Set());
  return taken;
}

export function letterFailures(
  { timeline }: { readonly timeline: Timeline },
  expected: Expect['deadLetters'],
  path: readonly PathStep[],
  routeNamed: (name: string) => Route,
): Mismatch[] {
  if (expected === 'any') return [];
  const wanted = (expected ?? []).map((letter, index) => ({ index, letter, group: routeNamed(letter.route).group }));
  const letters = timeline.letters();
  const taken = pairs(wanted, letters);
  const met = new Set(taken.values());
  const unmet = wanted.filter((one) => !met.has(one));
  const left = letters.filter((one) => !taken.has(one));
  const failures = unmet.flatMap(({ index, letter, group }): Mismatch[] => {
    const other = nearestOf(
      letter,
      left.filter(({ route }) => route === group),
    );
    if (other === undefined)
      return [{ path: [...path, index], message: `expected a dead letter of ${group}, got none` }];
    left.splice(left.indexOf(other), 1);
    return differences(letter, other).map(({ field, message }) => ({ path: [...path, index, field], message }));
  });
  return [...failures, ...left.map((one) => ({ path, message: `expected no other dead letter, got ${told(one)}` }))];
}
