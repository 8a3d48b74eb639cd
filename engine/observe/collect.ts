/** From numbers to samples, at scrape time: one function per metric of the table, checked by the compiler. */
import type { GroupStats } from '../bus/bus.ts';
import { deadReasons } from '../core/delivery.ts';
import type { BusReader } from './bus-reader.ts';
import { provenResidue } from './conservation.ts';
import { lagSamples } from './lag.ts';
import { busErrorKinds, closures, type Recorder, reloadResults } from './recorder.ts';
import { attemptSlots, circuitStates, type HistogramCells, type RouteSeries, sloResults, statuses } from './series.ts';
import type { RouteGauges } from './signals.ts';
import { type MetricName, metricOf, other } from './table.ts';

/** `shared` is the same object at every scrape, so its text is made once. */
export interface Sample {
  readonly value: number;
  readonly shared?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string | number>>;
  /** `bucket`, `sum` or `count` of a histogram. */
  readonly part?: 'bucket' | 'sum' | 'count';
}

/** All that a scrape shows, taken at one moment. */
export interface View {
  readonly recorder: Recorder;
  readonly bus: BusReader;
  /** By group. */
  readonly gauges: ReadonlyMap<string, RouteGauges>;
  readonly plugins: readonly { readonly name: string; readonly version: string }[];
  readonly version: string;
  /** ms since the epoch. */
  readonly now: number;
}

type Collector = (view: View) => readonly Sample[];

const routes = (view: View): readonly RouteSeries[] => [...view.recorder.routes.values()];

const perRoute =
  (read: (series: RouteSeries, view: View) => number | undefined): Collector =>
  (view) =>
    routes(view).flatMap((series) => {
      const value = read(series, view);
      return value === undefined ? [] : [{ shared: series.labels, value }];
    });

/** 0 until the bus has been read: `eventflow_bus_stats_age_seconds` and `…_lag_known` tell the difference. */
const perGroup = (read: (stats: GroupStats, view: View) => number | undefined): Collector =>
  perRoute((series, view) => {
    const stats = view.bus.stats.get(series.group);
    return stats === undefined ? 0 : read(stats, view);
  });

const single =
  (read: (view: View) => number): Collector =>
  (view) => [{ value: read(view) }];

const cells = (
  shared: Readonly<Record<string, string>>,
  label: string,
  names: readonly string[],
  counts: Float64Array,
): Sample[] => names.map((name, at) => ({ shared, labels: { [label]: name }, value: counts[at] ?? 0 }));

const none = Object.freeze({});

function histogram(name: MetricName, shared: Readonly<Record<string, string>>, numbers: HistogramCells): Sample[] {
  const bounds: readonly (number | string)[] = [...(metricOf(name).buckets ?? []), '+Inf'];
  let count = 0;
  const buckets = bounds.map((le, at): Sample => {
    count += numbers.counts[at] ?? 0;
    return { shared, labels: { le }, part: 'bucket', value: count };
  });
  return [...buckets, { shared, part: 'sum', value: numbers.sum }, { shared, part: 'count', value: count }];
}

function processingSamples(series: RouteSeries): Sample[] {
  const types = [...series.types.values()];
  const seen = series.other.processing.counts.some((count) => count > 0);
  if (series.otherExpected || seen) types.push(series.other);
  return types.flatMap((type) => histogram('eventflow_processing_seconds', type.labels, type.processing));
}

function transitionSamples(series: RouteSeries): Sample[] {
  if (!series.hasBreaker) return [];
  return circuitStates.flatMap((from, row) =>
    circuitStates.flatMap((to, column): Sample[] => {
      if (from === to) return [];
      const value = series.transitions[row * circuitStates.length + column] ?? 0;
      return [{ shared: series.labels, labels: { from, to }, value }];
    }),
  );
}

function openings(series: RouteSeries): number | undefined {
  if (!series.hasBreaker) return undefined;
  const open = circuitStates.indexOf('open');
  return circuitStates.reduce((sum, from, row) => {
    return from === 'open' ? sum : sum + (series.transitions[row * circuitStates.length + open] ?? 0);
  }, 0);
}

const openKeys = (series: RouteSeries, view: View): number | undefined =>
  series.hasBreaker ? (view.gauges.get(series.group)?.openKeys ?? 0) : undefined;

function stateSamples(series: RouteSeries, view: View): Sample[] {
  if (!series.hasBreaker) return [];
  const current = view.gauges.get(series.group)?.breaker.kind;
  return circuitStates.map((state) => ({
    shared: series.labels,
    labels: { state },
    value: state === current ? 1 : 0,
  }));
}

/** Deliveries that a held route has not read: what its streams and its due stream hold for it. */
function heldDeliveries(series: RouteSeries, view: View): number {
  const stats = view.bus.stats.get(series.group);
  if (series.heldSince === undefined || stats === undefined) return 0;
  return stats.lag.reduce((sum, stream) => sum + stream.entries, stats.due);
}

const heldSeconds = (series: RouteSeries, view: View): number =>
  heldDeliveries(series, view) === 0 ? 0 : Math.max(0, (view.now - (series.heldSince ?? view.now)) / 1_000);

export const collectors: { readonly [Name in MetricName]: Collector } = {
  eventflow_events_published_total: ({ recorder }) =>
    [...recorder.published].flatMap(([event_type, series]) =>
      Array.from(series.bySource, ([source, { count }]) => ({ labels: { event_type, source }, value: count })),
    ),
  eventflow_events_processed_total: (view) =>
    routes(view).flatMap((series) =>
      [...series.types.values(), series.other].flatMap((type) =>
        cells(type.labels, 'status', statuses, type.processed),
      ),
    ),
  eventflow_processing_seconds: (view) => routes(view).flatMap(processingSamples),
  eventflow_delivery_latency_seconds: (view) =>
    routes(view).flatMap((series) => histogram('eventflow_delivery_latency_seconds', series.labels, series.latency)),
  eventflow_batch_events: (view) =>
    routes(view).flatMap((series) =>
      series.hasBatches ? histogram('eventflow_batch_events', series.labels, series.batches) : [],
    ),
  eventflow_slo_deliveries_total: (view) =>
    routes(view).flatMap((series) => (series.hasSlo ? cells(series.labels, 'result', sloResults, series.slo) : [])),
  eventflow_attempts_total: (view) =>
    routes(view).flatMap((series) =>
      attemptSlots.map((labels, at) => ({ shared: series.labels, labels, value: series.attempts[at] ?? 0 })),
    ),
  eventflow_duplicates_suppressed_total: ({ recorder }) =>
    Array.from(recorder.published, ([event_type, series]) => ({ labels: { event_type }, value: series.duplicates })),
  eventflow_data_warnings_total: ({ recorder }) =>
    Array.from(recorder.published, ([event_type, series]) => ({ labels: { event_type }, value: series.warned })),
  eventflow_unmatched_total: perRoute((series) => series.unmatched),
  eventflow_rate_limited_total: perRoute((series) => series.rateLimited),
  eventflow_rate_limited: perRoute((series, view) => (view.gauges.get(series.group)?.limited === true ? 1 : 0)),
  eventflow_unkeyed_total: perRoute((series) => series.unkeyed),

  eventflow_consumer_lag: (view) => lagSamples(view, (stream) => stream.entries),
  eventflow_consumer_lag_known: (view) => lagSamples(view, (stream) => (stream.known ? 1 : 0)),
  eventflow_in_flight: perRoute((series, view) => view.gauges.get(series.group)?.inFlight ?? 0),
  eventflow_route_running: perRoute((series, view) => (view.gauges.has(series.group) ? 1 : 0)),
  eventflow_pending_entries: perGroup((stats) => stats.pending),
  eventflow_pending_oldest_seconds: perGroup((stats) => stats.pendingOldestMs / 1_000),
  eventflow_reclaimed_total: perRoute((series) => series.reclaimed),
  eventflow_misbehaved_total: perRoute((series) => series.misbehaved),
  eventflow_leaked_handlers: perRoute((series, view) => view.gauges.get(series.group)?.leaked ?? 0),
  eventflow_fenced_total: perRoute((series) => series.fenced),
  eventflow_lost_total: perRoute((series) => series.lost),
  eventflow_conservation_residue: perGroup(provenResidue),

  eventflow_retries_scheduled_total: perRoute((series) => series.retries),
  eventflow_postponed: perGroup((stats) => stats.postponed),
  eventflow_retry_backlog: perGroup((stats) => stats.retrying),
  eventflow_retry_overdue_seconds: perGroup((stats) => stats.retryOverdueMs / 1_000),

  eventflow_dead_letters_total: (view) =>
    routes(view).flatMap((series) => cells(series.labels, 'reason', deadReasons, series.dead)),
  eventflow_dlq_depth: perGroup((stats) => stats.dead),
  eventflow_dlq_oldest_seconds: perGroup(({ deadOldestAt }, { now }) =>
    deadOldestAt === undefined ? 0 : Math.max(0, (now - deadOldestAt) / 1_000),
  ),
  eventflow_redriven_total: perGroup((stats) => stats.totals.redriven),
  eventflow_dlq_dropped_total: perGroup((stats) => stats.totals.dropped),

  eventflow_circuit_opened_total: perRoute(openings),
  eventflow_circuit_state: (view) => routes(view).flatMap((series) => stateSamples(series, view)),
  eventflow_circuit_open_keys: perRoute(openKeys),
  eventflow_circuit_transitions_total: (view) => routes(view).flatMap(transitionSamples),
  eventflow_held_deliveries: perRoute(heldDeliveries),
  eventflow_held_oldest_seconds: perRoute(heldSeconds),

  eventflow_config_last_reload_successful: single(({ recorder }) => (recorder.lastReloadOk ? 1 : 0)),
  eventflow_config_last_reload_success_timestamp_seconds: single(({ recorder }) => recorder.lastGoodReloadAt / 1_000),
  eventflow_config_reloads_total: ({ recorder }) => cells(none, 'result', reloadResults, recorder.reloads),
  eventflow_config_swap_seconds: ({ recorder }) => histogram('eventflow_config_swap_seconds', none, recorder.swaps),
  eventflow_config_info: ({ recorder: { config } }) =>
    config === undefined ? [] : [{ labels: { hash: config.hash, generation: config.generation }, value: 1 }],
  eventflow_config_rolled_back: single(({ recorder }) => (recorder.rolledBack ? 1 : 0)),
  eventflow_detached_groups: single(({ recorder }) => recorder.detached.groups),
  eventflow_detached_entries: single(({ recorder }) => recorder.detached.entries),
  eventflow_route_removed_total: single(({ recorder }) => recorder.removed),

  eventflow_bus_up: single(({ recorder }) => (recorder.busUp ? 1 : 0)),
  eventflow_bus_stats_age_seconds: single(({ bus, now }) => Math.max(0, (now - bus.readAt) / 1_000)),
  eventflow_bus_errors_total: ({ recorder }) => cells(none, 'kind', busErrorKinds, recorder.busErrors),
  eventflow_bus_durability: ({ recorder: { durability } }) =>
    durability === undefined ? [] : [{ labels: { mode: durability.mode }, value: durability.guaranteed ? 1 : 0 }],
  eventflow_bus_unsafe: single(({ recorder }) => (recorder.unsafe ? 1 : 0)),
  eventflow_bus_fill_ratio: single(({ bus: { fill } }) => (fill === undefined ? 0 : fill.used / fill.limit)),
  eventflow_ingest_closed: ({ recorder }) => cells(none, 'reason', closures, recorder.closed),
  eventflow_plugin_info: ({ plugins }) =>
    plugins.map(({ name, version }) => ({ labels: { plugin: name, version }, value: 1 })),
  eventflow_late_errors_total: ({ plugins, recorder: { lateErrors } }) =>
    [...new Set([...plugins.map(({ name }) => name), other])].map((plugin) => ({
      labels: { plugin },
      value: lateErrors.get(plugin) ?? 0,
    })),
  eventflow_build_info: ({ version }) => [{ labels: { version, node: process.versions.node }, value: 1 }],
  eventflow_series_dropped_total: single(({ recorder }) => recorder.budget.refused),
};
