/** Routes that nothing reaches, and routes that only repeat another one. */
import type { Diagnostic, PathStep } from './diagnostic.ts';
import { atKey, atValue, type OpenFile } from './pipeline-file.ts';
import { nodeAt, plain, type Tree } from './tree.ts';

const warning = { severity: 'warning' } as const;

const textOf = (tree: Tree | undefined): string | undefined =>
  tree?.kind === 'leaf' && typeof tree.value === 'string' && !tree.broken ? tree.value : undefined;

/** Longest type that events can have. */
const longestType = 128;

function fitsNoType(pattern: string): boolean {
  const literal = pattern.replace(/\*\*\.|\.\*\*/g, '').replaceAll('*', '');
  return literal.length > longestType || /^[._-]/.test(pattern);
}

function checkPatterns(file: OpenFile, route: readonly PathStep[]): Diagnostic[] {
  const list = nodeAt(file.tree, [...route, 'on']);
  return (list?.kind === 'list' ? list.items : []).flatMap((item, at) => {
    const pattern = textOf(item);
    if (pattern === undefined || !fitsNoType(pattern)) return [];
    const help = `a type has at most ${longestType} characters and starts with a letter or a digit`;
    return [
      atValue(file, [...route, 'on', at], 'EF2025', 'expected a pattern that some type fits', { ...warning, help }),
    ];
  });
}

function checkCondition(file: OpenFile, route: readonly PathStep[]): Diagnostic[] {
  const when = textOf(nodeAt(file.tree, [...route, 'when']));
  if (when === undefined || !/^\s*(false|!\s*true)\s*$/.test(when)) return [];
  const help = 'write enabled: false to switch the route off';
  const message = 'expected a condition that some event fulfils, got one that is always false';
  return [atValue(file, [...route, 'when'], 'EF2025', message, { ...warning, help })];
}

/** What a route does, without its name and how patiently it does it; undefined for one that is switched off. */
function workOf(tree: Tree): string | undefined {
  const route = plain(tree) as Record<string, unknown> | null;
  if (typeof route !== 'object' || route === null || route['enabled'] === false) return undefined;
  const { on, when, handler, transform, with: options } = route;
  if (!Array.isArray(on) || handler === undefined) return undefined;
  return JSON.stringify([[...on].map(String).sort(), when, handler, transform, options]);
}

function checkCopies(file: OpenFile, routes: readonly Tree[]): Diagnostic[] {
  const first = new Map<string, number>();
  return routes.flatMap((route, at): Diagnostic[] => {
    const work = workOf(route);
    if (work === undefined) return [];
    const earlier = first.get(work);
    if (earlier === undefined) {
      first.set(work, at);
      return [];
    }
    const name = textOf(nodeAt(file.tree, ['routes', earlier, 'id'])) ?? `routes[${earlier}]`;
    const message = `expected a route of its own, got one that does the same as ${name}: everything is delivered twice`;
    return [atKey(file, ['routes', at, 'id'], 'EF2026', message, warning)];
  });
}

/** Of a file of any shape. */
export function checkReach(file: OpenFile): Diagnostic[] {
  const list = nodeAt(file.tree, ['routes']);
  const routes = list?.kind === 'list' ? list.items : [];
  const each = routes.flatMap((_, at) => [
    ...checkPatterns(file, ['routes', at]),
    ...checkCondition(file, ['routes', at]),
  ]);
  return [...each, ...checkCopies(file, routes)];
}
