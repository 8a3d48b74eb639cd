/** Which series a generation asks for, within the cap. Pure but for the budget it spends. */
import { isKeyed } from '../core/breaker.ts';
import { matchAny } from '../core/match.ts';
import type { Generation, Route } from '../core/route.ts';
import { RouteSeries, seriesPerRoute, seriesPerType, TypeSeries } from './series.ts';

/** A hard cap on series, and how many it refused. */
export class Budget {
  readonly #cap: number;
  #used = 0;
  refused = 0;

  constructor(cap: number) {
    this.#cap = cap;
  }

  /** All or nothing. */
  take(series: number): boolean {
    if (this.tryTake(series)) return true;
    this.refused += series;
    return false;
  }

  /** The same, but a refusal is not counted here. */
  tryTake(series: number): boolean {
    if (this.#used + series > this.#cap) return false;
    this.#used += series;
    return true;
  }

  /** A new generation starts from nothing; what was refused stays counted. */
  reset(): void {
    this.#used = 0;
  }
}

/**
 * The event types that keep their name in a label: those of the catalogue; without any catalogue, those that a route
 * names without a wildcard. Everything else is `other`, so that publishers cannot make series.
 */
export function namedTypes(generation: Generation): ReadonlySet<string> {
  if (generation.eventTypes.size > 0) return new Set(generation.eventTypes.keys());
  const patterns = Array.from(generation.routes.values(), (route) => route.on).flat();
  return new Set(patterns.filter((pattern) => !pattern.includes('*')));
}

/** Series of every enabled route. What was counted before is kept where the labels are the same. */
export function planRoutes(
  generation: Generation,
  before: ReadonlyMap<string, RouteSeries>,
  budget: Budget,
): ReadonlyMap<string, RouteSeries> {
  const named = [...namedTypes(generation)].sort();
  const planned = new Map<string, RouteSeries>();
  for (const route of generation.routes.values()) {
    if (!route.enabled || !budget.take(seriesPerRoute + seriesPerType)) continue;
    const old = before.get(route.group);
    const series = old?.describes(route) === true ? old : new RouteSeries(route);
    planTypes(series, route, named, budget);
    planned.set(route.group, series);
  }
  return planned;
}

function planTypes(series: RouteSeries, route: Route, named: readonly string[], budget: Budget): void {
  const wanted = named.filter(matchAny(route.on));
  const kept = wanted.filter(() => budget.take(seriesPerType));
  const types = kept.map(
    (type) => series.types.get(type) ?? new TypeSeries(Object.freeze({ ...series.labels, event_type: type })),
  );
  series.streams.clear();
  series.types = new Map(types.map((type) => [type.labels.event_type, type]));
  series.otherExpected = kept.length < wanted.length || route.on.some((pattern) => !series.types.has(pattern));
  series.hasBatches = route.batch !== undefined;
  series.hasSlo = route.slo !== undefined;
  series.hasBreaker = route.breaker !== undefined;
  // The breaker of a key holds no route.
  series.holdsWhenOpen = route.breaker?.onOpen === 'hold' && !isKeyed(route.breaker);
}
