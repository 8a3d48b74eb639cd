/**
 * Every metric that an engine exports: the single source of the registry, the dashboards, the alert rules and the docs.
 * A row that is added here does not compile until `collect.ts` feeds it.
 *
 * `scope` says how the numbers of N engines become one. `engine`: each engine counts its own part, so they are summed.
 * `bus`: each engine reports what it read from the one bus, so they are the same number and the highest is taken.
 */
import { admissionMetrics } from './table/admission.ts';
import { engineMetrics } from './table/engine.ts';
import type { Metric } from './table/metric.ts';
import { routeMetrics } from './table/routes.ts';

export type { Metric, MetricType, Unit } from './table/metric.ts';

export const table = [...routeMetrics, ...admissionMetrics, ...engineMetrics] as const;

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
