/** From signals to numbers. Runs once per attempt, so it only looks up and adds. */
import { deadReasons } from '../core/delivery.ts';
import type { Generation, Route } from '../core/route.ts';
import { Budget, namedTypes, planRoutes } from './plan.ts';
import { addTo, HistogramCells, RouteSeries, type TypeSeries } from './series.ts';
import type { Signal } from './signals.ts';
import { metricOf, other } from './table.ts';

export const busErrorKinds: readonly string[] = [
  'connection',
  'timeout',
  'loading',
  'readonly',
  'oom',
  'misconf',
  'noreplicas',
  'noperm',
  'cluster',
  'disk',
  'nogroup',
  'store_reset',
  'clock',
  'breaker',
  'worker',
  other,
];

/** Why new events are refused. */
export const closures = ['memory', 'lag'] as const;

export const reloadResults = ['changed', 'unchanged', 'rejected'] as const;

/** What publishers sent of one event type. */
export class PublishedSeries {
  readonly bySource: Map<string, { count: number }>;
  duplicates = 0;
  warned = 0;

  constructor(sources: readonly string[]) {
    this.bySource = new Map([...sources, other].map((source) => [source, { count: 0 }]));
  }

  add(source: string, count: number): void {
    const cell = this.bySource.get(source) ?? this.bySource.get(other);
    if (cell !== undefined) cell.count += count;
  }
}

interface ConfigState {
  readonly hash: string;
  readonly generation: number;
}

export class Recorder {
  /** By group; what is here is exported. */
  routes: ReadonlyMap<string, RouteSeries> = new Map();
  published: ReadonlyMap<string, PublishedSeries>;
  /** By plugin. */
  readonly lateErrors = new Map<string, number>();
  config: ConfigState | undefined;
  lastReloadOk = false;
  /** ms since the epoch; 0: never. */
  lastGoodReloadAt = 0;
  busUp = false;
  unsafe = false;
  rolledBack = false;
  detached: { readonly groups: number; readonly entries: number } = { groups: 0, entries: 0 };
  removed = 0;
  /** 1: closed, in the order of `closures`. */
  readonly closed = new Float64Array(closures.length);
  durability: { readonly mode: string; readonly guaranteed: boolean } | undefined;
  readonly reloads = new Float64Array(reloadResults.length);
  readonly swaps = new HistogramCells(metricOf('eventflow_config_swap_seconds').buckets ?? []);
  readonly busErrors = new Float64Array(busErrorKinds.length);
  readonly budget: Budget;
  readonly #sources: readonly string[];
  readonly #now: () => number;
  /** By identity: a route that a reload left as it was goes on signalling as the object of its first generation. */
  #resolved = new Map<Route, RouteSeries>();

  constructor(options: { maxSeries: number; sources: readonly string[]; now: () => number }) {
    this.budget = new Budget(options.maxSeries);
    this.#sources = options.sources;
    this.#now = options.now;
    this.published = new Map([[other, new PublishedSeries(this.#sources)]]);
  }

  setGeneration(generation: Generation, number: number, loadedAt: number): void {
    this.budget.reset();
    this.published = this.#planPublished(generation);
    this.routes = planRoutes(generation, this.routes, this.budget);
    this.#resolved = new Map();
    const isFirst = this.config === undefined;
    this.config = { hash: generation.hash, generation: number };
    // Of later ones their reload tells: a rollback may put one in force while the files are refused.
    if (!isFirst) return;
    this.lastReloadOk = true;
    this.lastGoodReloadAt = loadedAt;
  }

  #planPublished(generation: Generation): ReadonlyMap<string, PublishedSeries> {
    const perType = this.#sources.length + 3;
    const types = [...namedTypes(generation)].sort().filter(() => this.budget.take(perType));
    const fresh = (): PublishedSeries => new PublishedSeries(this.#sources);
    return new Map([...types, other].map((type) => [type, this.published.get(type) ?? fresh()]));
  }

  readonly observe = (signal: Signal): void => {
    switch (signal.kind) {
      case 'attempt':
        return this.#attempt(signal);
      case 'published':
        return this.#publisher(signal.eventType).add(signal.source, signal.count);
      case 'duplicate_suppressed':
        this.#publisher(signal.eventType).duplicates++;
        return;
      case 'data_warning':
        this.#publisher(signal.eventType).warned++;
        return;
      case 'retry_scheduled':
        this.series(signal.route).retries++;
        return;
      case 'dead_lettered':
        return this.#dead(signal);
      case 'unmatched':
        this.series(signal.route).unmatched += signal.count;
        return;
      case 'rate_limited':
        this.series(signal.route).rateLimited += signal.count;
        return;
      case 'unkeyed':
        this.series(signal.route).unkeyed++;
        return;
      case 'misbehaved':
        this.series(signal.route).misbehaved++;
        return;
      case 'late_error':
        return this.#lateError(signal.plugin ?? other);
      case 'batch':
        return this.series(signal.route).batches.observe(signal.events);
      case 'reclaimed':
        this.series(signal.route).reclaimed += signal.count;
        return;
      case 'fenced':
        this.series(signal.route).fenced += signal.count;
        return;
      case 'lost':
        this.series(signal.route).lost += signal.ids.length;
        return;
      case 'breaker':
        return this.#breaker(signal);
      case 'dlq_full':
        return this.#held(this.series(signal.route), signal.full);
      case 'reloaded':
        this.rolledBack = signal.pinned !== undefined;
        return this.#reloaded(signal);
      case 'detached':
        this.detached = signal;
        return;
      case 'route_removed':
        this.removed += signal.count;
        return;
      case 'swapped':
        return this.swaps.observe(signal.seconds);
      case 'bus_up':
        this.busUp = signal.up;
        return;
      case 'bus_error':
        return this.#busError(signal.errorKind);
      case 'durability':
        this.durability = { mode: signal.mode, guaranteed: signal.level === 'guaranteed' };
        return;
      case 'store_hazards':
        this.unsafe = signal.hazards.length > 0;
        return;
      case 'ingest':
        this.closed[closures.indexOf(signal.reason)] = signal.closed ? 1 : 0;
        return;
      // The bus counts redrives and drops, whoever makes them; the others are for people, not for numbers.
      case 'redriven':
      case 'dlq_dropped':
      case 'bus_recovered':
      case 'leaking':
      case 'route_started':
      case 'route_stopped':
      case 'group_renamed':
      case 'purged':
      case 'previous_unknown':
        return;
    }
  };

  /** A route that is in no generation (it is being drained) counts into numbers that nobody exports. */
  series(route: Route): RouteSeries {
    return this.#resolved.get(route) ?? this.#resolve(route);
  }

  #resolve(route: Route): RouteSeries {
    const current = this.routes.get(route.group);
    const series = current?.describes(route) === true ? current : new RouteSeries(route);
    this.#resolved.set(route, series);
    return series;
  }

  #attempt(signal: Extract<Signal, { kind: 'attempt' }>): void {
    const series = this.series(signal.route);
    const type = typeOf(series, signal.eventType);
    const { outcome } = signal;
    addTo(type.processed, outcome === 'delivered' ? 0 : outcome === 'skipped' ? 1 : 2);
    type.processing.observe(signal.seconds);
    series.attempted(outcome, signal.fault);
    if (outcome === 'failed') return;
    series.latency.observe(signal.latency);
    if (series.hasSlo) series.arrived(signal.latency, signal.route.slo?.latency);
  }

  #dead(signal: Extract<Signal, { kind: 'dead_lettered' }>): void {
    const series = this.series(signal.route);
    addTo(typeOf(series, signal.eventType).processed, 3);
    addTo(series.dead, deadReasons.indexOf(signal.reason));
    if (series.hasSlo) addTo(series.slo, 2);
    series.latency.observe(signal.latency);
  }

  #breaker(signal: Extract<Signal, { kind: 'breaker' }>): void {
    const series = this.series(signal.route);
    series.turned(signal.from, signal.to);
    if (series.holdsWhenOpen) this.#held(series, signal.to !== 'closed');
  }

  #held(series: RouteSeries, held: boolean): void {
    series.heldSince = held ? (series.heldSince ?? this.#now()) : undefined;
  }

  /** A rollback is counted, and says nothing about the files. */
  #reloaded({ result, why }: Extract<Signal, { kind: 'reloaded' }>): void {
    addTo(this.reloads, reloadResults.indexOf(result));
    if (why === 'rollback') return;
    this.lastReloadOk = result !== 'rejected';
    if (this.lastReloadOk) this.lastGoodReloadAt = this.#now();
  }

  #lateError(plugin: string): void {
    this.lateErrors.set(plugin, (this.lateErrors.get(plugin) ?? 0) + 1);
  }

  #busError(kind: string): void {
    const at = busErrorKinds.indexOf(kind);
    addTo(this.busErrors, at === -1 ? busErrorKinds.indexOf(other) : at);
  }

  #publisher(eventType: string): PublishedSeries {
    return this.published.get(eventType) ?? (this.published.get(other) as PublishedSeries);
  }
}

const typeOf = (series: RouteSeries, eventType: string): TypeSeries => series.types.get(eventType) ?? series.other;
