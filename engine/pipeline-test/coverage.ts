/** Which routes have a test, and what the tests saw of them. Pure. */
import type { Route } from '../core/route.ts';
import type { FileResult } from './run.ts';
import type { Outcome, RouteUse } from './uses.ts';

export interface Coverage {
  /** By group, in alphabetical order. */
  readonly routes: readonly RouteUse[];
  /** Routes of which a test has seen an outcome. */
  readonly covered: number;
  /** 0 to 100. */
  readonly percent: number;
}

/** `others`: enabled routes that may have no test at all. */
export function coverageOf(results: readonly FileResult[], others: readonly Route[]): Coverage {
  const seen = new Map<string, RouteUse & { readonly outcomes: Set<Outcome> }>();
  const note = (use: RouteUse): void => {
    const { outcomes } = seen.get(use.group) ?? { outcomes: new Set<Outcome>() };
    seen.set(use.group, { ...use, outcomes: new Set([...outcomes, ...use.outcomes]) });
  };
  for (const { group, position } of others) {
    note({ group, file: position.file, line: position.line, outcomes: new Set() });
  }
  for (const { routes } of results) for (const use of routes) note(use);
  const routes = [...seen.values()].sort((a, b) => (a.group < b.group ? -1 : 1));
  const covered = routes.filter(({ outcomes }) => outcomes.size > 0).length;
  return { routes, covered, percent: routes.length === 0 ? 100 : (100 * covered) / routes.length };
}
