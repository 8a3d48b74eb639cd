/**
 * Every metric that an engine exports: the single source of the registry, the dashboards, the alert rules and the docs.
 * A row that is added here does not compile until `collect.ts` feeds it.
 *
 * `scope` says how the numbers of N engines become one. `engine`: each engine counts its own part, so they are summed.
 * `bus`: each engine reports what it read from the one bus, so they are the same number and the highest is taken.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** Units as Grafana names them. */
export type Unit = 'short' | 's' | 'reqps' | 'percentunit' | 'bytes' | 'bool' | 'dateTimeFromNow';

export interface Metric {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds in ascending order, without `+Inf`; of a histogram only. */
  readonly buckets?: readonly number[];
  /** Of the number itself; a counter is shown as a rate. */
  readonly unit: Unit;
  readonly scope: 'engine' | 'bus';
  /** Title of the panel that shows this metric by itself. */
  readonly panel?: string;
  /** Alerts whose expression reads it. */
  readonly alerts: readonly string[];
}

const perRoute = ['pipeline', 'route', 'handler'] as const;
const perStream = ['consumer_group', 'pipeline', 'route', 'stream'] as const;
const handlerBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** From publish to the end, so waits for retries are in it. */
const latencyBuckets = [...handlerBuckets, 30, 60, 300, 900, 3600];

export const table = [
  // ── events ─────────────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'eventflow_events_published_total',
    type: 'counter',
    help: 'Events accepted by this engine, after the durability barrier.',
    labels: ['event_type', 'source'],
    unit: 'short',
    scope: 'engine',
    panel: 'Events published',
    alerts: [],
  },
  {
    name: 'eventflow_events_processed_total',
    type: 'counter',
    help: 'Attempts by what came of them (delivered, skipped, failed), and deliveries that gave up (dead).',
    labels: ['pipeline', 'route', 'event_type', 'handler', 'status'],
    unit: 'short',
    scope: 'engine',
    panel: 'Events processed',
    alerts: [],
  },
  {
    name: 'eventflow_processing_seconds',
    type: 'histogram',
    help: 'Time that the handler took for one attempt.',
    labels: ['pipeline', 'route', 'event_type', 'handler'],
    buckets: handlerBuckets,
    unit: 's',
    scope: 'engine',
    panel: 'Handler time',
    alerts: [],
  },
  {
    name: 'eventflow_delivery_latency_seconds',
    type: 'histogram',
    help: 'Time from publish to the end of the delivery: delivered, skipped or dead-lettered; waits for retries included.',
    labels: perRoute,
    buckets: latencyBuckets,
    unit: 's',
    scope: 'engine',
    panel: 'Delivery latency',
    alerts: [],
  },
  {
    name: 'eventflow_attempts_total',
    type: 'counter',
    help: 'Attempts by outcome and class of error (none when there was no error).',
    labels: [...perRoute, 'outcome', 'error_type'],
    unit: 'short',
    scope: 'engine',
    panel: 'Failed attempts by error',
    alerts: ['EventFlowNothingMoves'],
  },
  {
    name: 'eventflow_duplicates_suppressed_total',
    type: 'counter',
    help: 'Publications of an event that was already there.',
    labels: ['event_type'],
    unit: 'short',
    scope: 'engine',
    panel: 'Duplicates suppressed',
    alerts: [],
  },
  {
    name: 'eventflow_unmatched_total',
    type: 'counter',
    help: 'Events that the route read from one of its streams and does not want.',
    labels: perRoute,
    unit: 'short',
    scope: 'engine',
    alerts: ['EventFlowNothingMoves'],
  },

  // ── what waits and what runs ───────────────────────────────────────────────────────────────────────────────────
  {
    name: 'eventflow_consumer_lag',
    type: 'gauge',
    help: 'Events published to the stream that the route has not been handed yet.',
    labels: perStream,
    unit: 'short',
    scope: 'bus',
    panel: 'Consumer lag',
    alerts: ['EventFlowLagGrowing', 'EventFlowNothingMoves'],
  },
  {
    name: 'eventflow_consumer_lag_known',
    type: 'gauge',
    help: '1 when eventflow_consumer_lag is exact, 0 when it is a lower bound or could not be read yet.',
    labels: perStream,
    unit: 'bool',
    scope: 'bus',
    alerts: [],
  },
  {
    name: 'eventflow_in_flight',
    type: 'gauge',
    help: 'Handlers that run at this moment in this engine.',
    labels: perRoute,
    unit: 'short',
    scope: 'engine',
    panel: 'Handlers running',
    alerts: [],
  },
  {
    name: 'eventflow_route_running',
    type: 'gauge',
    help: '1 while this engine consumes for the route.',
    labels: perRoute,
    unit: 'bool',
    scope: 'engine',
    panel: 'Engines that consume',
    alerts: ['EventFlowNoConsumer'],
  },
  {
    name: 'eventflow_pending_entries',
    type: 'gauge',
    help: 'Deliveries handed out and not settled, over all engines.',
    labels: perRoute,
    unit: 'short',
    scope: 'bus',
    panel: 'Pending',
    alerts: [],
  },
  {
    name: 'eventflow_pending_oldest_seconds',
    type: 'gauge',
    help: 'Longest time that a pending delivery has shown no sign of life; 0 when none is pending.',
    labels: perRoute,
    unit: 's',
    scope: 'bus',
    panel: 'Oldest pending without a sign of life',
    alerts: [],
  },
  {
    name: 'eventflow_reclaimed_total',
    type: 'counter',
    help: 'Deliveries taken over from a consumer that gave no sign of life.',
    labels: perRoute,
    unit: 'short',
    scope: 'engine',
    panel: 'Reclaimed',
    alerts: [],
  },
  {
    name: 'eventflow_fenced_total',
    type: 'counter',
    help: 'Deliveries that somebody else owned when this engine came to settle or renew them.',
    labels: perRoute,
    unit: 'short',
    scope: 'engine',
    panel: 'Fenced',
    alerts: [],
  },
  {
    name: 'eventflow_lost_total',
    type: 'counter',
    help: 'Deliveries that were pending and whose entry is gone from the bus: proof of loss.',
    labels: perRoute,
    unit: 'short',
    scope: 'engine',
    panel: 'Lost entries',
    alerts: ['EventFlowEntriesLost'],
  },
  {
    name: 'eventflow_conservation_residue',
    type: 'gauge',
    help: 'Accepted events that are in no state at all (below 0: counted twice); 0 at rest, absent while the lag is not exact.',
    labels: perRoute,
    unit: 'short',
    scope: 'bus',
    panel: 'Conservation residue',
    alerts: ['EventFlowConservationResidue'],
  },

  // ── retries ────────────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'eventflow_retries_scheduled_total',
    type: 'counter',
    help: 'Failed attempts that will be tried again.',
    labels: perRoute,
    unit: 'short',
    scope: 'engine',
    panel: 'Retries scheduled',
    alerts: [],
  },
  {
    name: 'eventflow_retry_backlog',
    type: 'gauge',
    help: 'Deliveries that wait for their next attempt.',
    labels: perRoute,
    unit: 'short',
    scope: 'bus',
    panel: 'Retry backlog',
    alerts: [],
  },
  {
    name: 'eventflow_retry_overdue_seconds',
    type: 'gauge',
    help: 'How late the most overdue retry is; 0 when none is late.',
    labels: perRoute,
    unit: 's',
    scope: 'bus',
    panel: 'Most overdue retry',
    alerts: ['EventFlowRetriesOverdue'],
  },

  // ── dead letters ───────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'eventflow_dead_letters_total',
    type: 'counter',
    help: 'Deliveries that gave up, by reason.',
    labels: [...perRoute, 'reason'],
    unit: 'short',
    scope: 'engine',
    panel: 'New dead letters by reason',
    alerts: [],
  },
  {
    name: 'eventflow_dlq_depth',
    type: 'gauge',
    help: 'Dead letters at rest.',
    labels: perRoute,
    unit: 'short',
    scope: 'bus',
    panel: 'Dead letters',
    alerts: ['EventFlowDlqGrowing', 'EventFlowDlqNearlyFull'],
  },
  {
    name: 'eventflow_dlq_oldest_seconds',
    type: 'gauge',
    help: 'Age of the oldest dead letter; 0 when there is none.',
    labels: perRoute,
    unit: 's',
    scope: 'bus',
    panel: 'Oldest dead letter',
    alerts: ['EventFlowDlqOldestTooOld'],
  },
  {
    name: 'eventflow_redriven_total',
    type: 'counter',
    help: 'Dead letters sent again since the route was activated, by whomever, as the bus counted them.',
    labels: perRoute,
    unit: 'short',
    scope: 'bus',
    panel: 'Redriven',
    alerts: [],
  },

  // ── circuits ───────────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'eventflow_circuit_opened_total',
    type: 'counter',
    help: 'Changes of the circuit to open, from closed or after a failed probe, counted by the engine that made them.',
    labels: perRoute,
    unit: 'short',
    scope: 'engine',
    panel: 'Circuit openings',
    alerts: [],
  },
  {
    name: 'eventflow_circuit_state',
    type: 'gauge',
    help: '1 for the state that the circuit is in, 0 for the others; all 0 while the route does not run here.',
    labels: [...perRoute, 'state'],
    unit: 'bool',
    scope: 'bus',
    panel: 'Circuits',
    alerts: ['EventFlowCircuitOpen'],
  },
  {
    name: 'eventflow_circuit_transitions_total',
    type: 'counter',
    help: 'Changes of the circuit, counted by the engine that made them.',
    labels: [...perRoute, 'from', 'to'],
    unit: 'short',
    scope: 'engine',
    panel: 'Circuit transitions',
    alerts: ['EventFlowCircuitFlapping'],
  },
  {
    name: 'eventflow_held_deliveries',
    type: 'gauge',
    help: 'Deliveries that wait in the streams of a route held by its circuit or a full DLQ; 0 while it is not held.',
    labels: perRoute,
    unit: 'short',
    scope: 'bus',
    panel: 'Held deliveries',
    alerts: ['EventFlowNothingMoves'],
  },
  {
    name: 'eventflow_held_oldest_seconds',
    type: 'gauge',
    help: 'How long the route has been held while deliveries wait: the oldest of them has been held at most this long.',
    labels: perRoute,
    unit: 's',
    scope: 'bus',
    panel: 'Held for',
    alerts: ['EventFlowHeldTooLong'],
  },

  // ── configuration ──────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'eventflow_config_last_reload_successful',
    type: 'gauge',
    help: '1 when the last load of the pipelines succeeded; after 0 the generation before goes on.',
    labels: [],
    unit: 'bool',
    scope: 'engine',
    panel: 'Last reload',
    alerts: ['EventFlowConfigReloadFailed'],
  },
  {
    name: 'eventflow_config_last_reload_success_timestamp_seconds',
    type: 'gauge',
    help: 'Time of the last load of the pipelines that succeeded, in seconds since the epoch.',
    labels: [],
    unit: 'dateTimeFromNow',
    scope: 'engine',
    panel: 'Last good reload',
    alerts: [],
  },
  {
    name: 'eventflow_config_reloads_total',
    type: 'counter',
    help: 'Reloads by result.',
    labels: ['result'],
    unit: 'short',
    scope: 'engine',
    panel: 'Reloads',
    alerts: [],
  },
  {
    name: 'eventflow_config_info',
    type: 'gauge',
    help: 'Always 1; the labels tell which generation runs.',
    labels: ['hash', 'generation'],
    unit: 'short',
    scope: 'engine',
    panel: 'Generations',
    alerts: ['EventFlowGenerationsDiffer'],
  },

  // ── the bus and the engine itself ──────────────────────────────────────────────────────────────────────────────
  {
    name: 'eventflow_bus_up',
    type: 'gauge',
    help: '1 when the bus answered this engine the last time it was asked.',
    labels: [],
    unit: 'bool',
    scope: 'engine',
    panel: 'Bus',
    alerts: ['EventFlowBusDown'],
  },
  {
    name: 'eventflow_bus_stats_age_seconds',
    type: 'gauge',
    help: 'Age of the numbers that were read from the bus; grows while the bus does not answer.',
    labels: [],
    unit: 's',
    scope: 'engine',
    panel: 'Age of the numbers from the bus',
    alerts: [],
  },
  {
    name: 'eventflow_bus_errors_total',
    type: 'counter',
    help: 'What went wrong between this engine and the bus, by kind.',
    labels: ['kind'],
    unit: 'short',
    scope: 'engine',
    panel: 'Bus errors',
    alerts: [],
  },
  {
    name: 'eventflow_bus_durability',
    type: 'gauge',
    help: '1 when what the durability mode promises was verified against the bus, 0 when it is best effort.',
    labels: ['mode'],
    unit: 'bool',
    scope: 'engine',
    panel: 'Durability',
    alerts: ['EventFlowDurabilityBestEffort'],
  },
  {
    name: 'eventflow_plugin_info',
    type: 'gauge',
    help: 'Always 1; the labels tell which plugins are loaded.',
    labels: ['plugin', 'version'],
    unit: 'short',
    scope: 'engine',
    panel: 'Plugins',
    alerts: [],
  },
  {
    name: 'eventflow_build_info',
    type: 'gauge',
    help: 'Always 1; the labels tell which engine runs on which Node.js.',
    labels: ['version', 'node'],
    unit: 'short',
    scope: 'engine',
    panel: 'Engines',
    alerts: ['EventFlowEngineAbsent'],
  },
  {
    name: 'eventflow_series_dropped_total',
    type: 'counter',
    help: 'Series that the cap kept out; their counts are in the series labelled other.',
    labels: [],
    unit: 'short',
    scope: 'engine',
    panel: 'Series dropped',
    alerts: [],
  },
] as const satisfies readonly Metric[];

export type MetricName = (typeof table)[number]['name'];

const byName: ReadonlyMap<string, Metric> = new Map(table.map((metric) => [metric.name, metric]));

export const metricOf = (name: MetricName): Metric => byName.get(name) as Metric;

/** Of Node's default metrics those that the dashboards show; all of them are exported. */
export const nodeMetrics = [
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'nodejs_eventloop_lag_p99_seconds',
] as const;

/** What stands for every event type and source that the configuration does not name. */
export const other = 'other';

/** The name under which a handler's own counter is exported. */
export const pluginMetricName = (name: string): string => `eventflow_plugin_${name.replace(/_total$/, '')}_total`;
