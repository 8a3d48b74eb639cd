/** Names in tests that must lead somewhere: routes and events. */
import type { Diagnostic, PathStep } from '../config/diagnostic.ts';
import { suggestion } from '../config/suggest.ts';
import { nodeAt } from '../config/tree.ts';
import type { Generation, Route } from '../core/route.ts';
import { planEvents } from './events.ts';
import type { Expect, Test } from './test-file.generated.ts';
import { atKey, atValue, type OpenTestFile } from './test-file.ts';

export type RouteChoice =
  | { readonly kind: 'found'; readonly route: Route }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'ambiguous'; readonly groups: readonly string[] };

/** Which route a test means: `orders.receipt`, or `receipt` where there is one. */
export function findRoute(generation: Generation, name: string): RouteChoice {
  const whole = generation.routes.get(name);
  if (whole !== undefined) return { kind: 'found', route: whole };
  const named = [...generation.routes.values()].filter(({ id }) => id === name);
  const [only, ...others] = named;
  if (only === undefined) return { kind: 'unknown' };
  return others.length === 0
    ? { kind: 'found', route: only }
    : { kind: 'ambiguous', groups: named.map(({ group }) => group) };
}

interface Named {
  readonly path: readonly PathStep[];
  readonly at: 'key' | 'value';
  readonly name: string;
}

const keysOf = (value: object | undefined, path: readonly PathStep[]): Named[] =>
  Object.keys(value ?? {}).map((name) => ({ path: [...path, name], at: 'key', name }));

const itemsOf = (value: readonly string[], path: readonly PathStep[]): Named[] =>
  value.map((name, index) => ({ path: [...path, index], at: 'value', name }));

/** Names as the keys of a map, or as the items of a list. */
const either = (value: readonly string[] | object | undefined, path: readonly PathStep[]): Named[] =>
  Array.isArray(value) ? itemsOf(value as string[], path) : keysOf(value, path);

const lettersOf = ({ deadLetters }: Expect) => (Array.isArray(deadLetters) ? deadLetters : []);

function routesIn(expect: Expect, path: readonly PathStep[]): Named[] {
  const maps = ['routes', 'options', 'attempts', 'order', 'concurrent', 'breakers', 'waiting'] as const;
  return [
    ...maps.flatMap((field) => keysOf(expect[field], [...path, field])),
    ...either(expect.delivered, [...path, 'delivered']),
    ...either(expect.skipped, [...path, 'skipped']),
    ...lettersOf(expect).map(
      ({ route }, index): Named => ({ path: [...path, 'deadLetters', index, 'route'], at: 'value', name: route }),
    ),
  ];
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function eventsIn(expect: Expect, path: readonly PathStep[]): Named[] {
  const byRoute = (field: 'routes' | 'attempts' | 'order' | 'delivered' | 'skipped'): Named[] =>
    isMap(expect[field])
      ? Object.entries(expect[field]).flatMap(([route, value]) =>
          isMap(value) || Array.isArray(value) ? eventNames(value, [...path, field, route]) : [],
        )
      : [];
  return [
    ...(['routes', 'attempts', 'order', 'delivered', 'skipped'] as const).flatMap(byRoute),
    ...either(expect.rejected, [...path, 'rejected']),
    ...lettersOf(expect).flatMap(({ event }, index): Named[] =>
      event === undefined ? [] : [{ path: [...path, 'deadLetters', index, 'event'], at: 'value', name: event }],
    ),
  ];
}

/** A list under `attempts` holds times, not events. */
function eventNames(value: Record<string, unknown> | unknown[], path: readonly PathStep[]): Named[] {
  if (!Array.isArray(value)) return keysOf(value, path);
  return path.at(-2) === 'attempts' ? [] : itemsOf(value as string[], path);
}

function expectsOf(test: Test, path: readonly PathStep[]): [Expect, PathStep[]][] {
  const checks = (test.checks ?? []).map(({ expect }, index): [Expect, PathStep[]] => [
    expect,
    [...path, 'checks', index, 'expect'],
  ]);
  return [[test.expect, [...path, 'expect']], ...checks];
}

/** Answers for some events, by their path. */
const answersByEvent = (test: Test, path: readonly PathStep[]): Named[] =>
  Object.entries(test.answers ?? {}).flatMap(([route, answers]) =>
    isMap(answers) && isMap(answers['events']) ? keysOf(answers['events'], [...path, 'answers', route, 'events']) : [],
  );

function say(file: OpenTestFile, { path, at, name }: Named, what: string, words: readonly string[]): Diagnostic {
  const node = nodeAt(file.tree, path);
  const open = at === 'key' || node?.kind !== 'leaf' || node.references.length === 0;
  const help = open ? suggestion(name, words, `known ${what}s`) : undefined;
  const message = `expected ${what === 'event' ? 'an event of this test' : 'a route under test'}, got ${JSON.stringify(name)}`;
  const code = what === 'event' ? 'EF2103' : 'EF2102';
  return (at === 'key' ? atKey : atValue)(file, path, code, message, { help });
}

function checkRoute(file: OpenTestFile, named: Named, generation: Generation): Diagnostic[] {
  const choice = findRoute(generation, named.name);
  switch (choice.kind) {
    case 'found':
      return [];
    case 'unknown': {
      const routes = [...generation.routes.values()];
      const words = named.name.includes('.') ? routes.map(({ group }) => group) : routes.map(({ id }) => id);
      return [say(file, named, 'route', words)];
    }
    case 'ambiguous': {
      const message = `expected one route, got ${JSON.stringify(named.name)}, which several pipelines have`;
      const help = `write ${choice.groups.join(' or ')}`;
      return [(named.at === 'key' ? atKey : atValue)(file, named.path, 'EF2102', message, { help })];
    }
  }
}

/** Every name in the test at `index`. */
export function checkTestNames(file: OpenTestFile, index: number, generation: Generation): Diagnostic[] {
  const test = file.valid.tests[index] as Test;
  const path: PathStep[] = ['tests', index];
  const expects = expectsOf(test, path);
  const ids = planEvents(test.events, file.folder).map(({ id }) => id);
  const routes = [
    ...keysOf(test.answers, [...path, 'answers']),
    ...expects.flatMap(([expect, at]) => routesIn(expect, at)),
  ];
  const events = [...answersByEvent(test, path), ...expects.flatMap(([expect, at]) => eventsIn(expect, at))];
  return [
    ...routes.flatMap((named) => checkRoute(file, named, generation)),
    ...events.filter(({ name }) => !ids.includes(name)).map((named) => say(file, named, 'event', ids)),
  ];
}
