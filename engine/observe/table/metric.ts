/** The shape of a row of the metric table. */

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

/** Labels of what is told once per route. */
export const perRoute = ['pipeline', 'route', 'handler'] as const;
