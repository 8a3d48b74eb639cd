/** What a reload has to do: two generations in, routes to start, keep, change and stop out. Pure. */
import type { Generation, Route } from './route.ts';

export interface RouteChange {
  readonly before: Route;
  readonly after: Route;
}

/** Every route is in at most one list; routes that are disabled in both generations are in none. */
export interface GenerationDiff {
  /** Runs after, did not run before: new, or enabled again. */
  readonly start: readonly Route[];
  /** Runs in both with the same hash: its consumers, handler and breaker stay untouched. The route is the new one. */
  readonly keep: readonly Route[];
  /** Runs in both and behaves differently. */
  readonly change: readonly RouteChange[];
  /** Ran before, does not run after: gone, or disabled. */
  readonly stop: readonly Route[];
}

const running = (generation: Generation | undefined): Map<string, Route> =>
  new Map([...(generation?.routes ?? [])].filter(([, route]) => route.enabled));

/** Routes are the same when their group is; `before` is undefined at the first start. */
export function diffGenerations(before: Generation | undefined, after: Generation): GenerationDiff {
  const old = running(before);
  const now = running(after);
  const both = [...now.values()].flatMap((route): RouteChange[] => {
    const earlier = old.get(route.group);
    return earlier === undefined ? [] : [{ before: earlier, after: route }];
  });
  return {
    start: [...now.values()].filter((route) => !old.has(route.group)),
    keep: both.filter((pair) => pair.before.hash === pair.after.hash).map((pair) => pair.after),
    change: both.filter((pair) => pair.before.hash !== pair.after.hash),
    stop: [...old.values()].filter((route) => !now.has(route.group)),
  };
}
