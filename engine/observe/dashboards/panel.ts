/** What a dashboard shows, apart from how Grafana writes it down. */
import { type MetricName, metricOf, type Unit } from '../table.ts';

export interface Target {
  readonly expr: string;
  readonly legend: string;
}

export interface Threshold {
  /** From this value on; undefined: from the start. */
  readonly from: number | undefined;
  readonly color: 'green' | 'yellow' | 'orange' | 'red' | 'blue';
}

export interface Panel {
  /** Unique in its row; the panel's id is made of it, so that it survives what is added around it. */
  readonly key: string;
  readonly kind: 'stat' | 'timeseries' | 'state-timeline';
  readonly title: string;
  readonly description: string;
  readonly unit: Unit;
  readonly targets: readonly Target[];
  readonly thresholds: readonly Threshold[];
  /** Words for numbers. */
  readonly words: readonly { readonly value: number; readonly text: string; readonly color: Threshold['color'] }[];
  readonly stacked: boolean;
  /** Numbers below 0 are possible. */
  readonly signed: boolean;
  /** Of 24. */
  readonly width: number;
}

export interface Row {
  readonly key: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  /** The value of `$pipeline`; undefined: the reader chooses. */
  readonly pipeline: string | undefined;
  readonly rows: readonly Row[];
}

type Optional = Partial<Omit<Panel, 'targets' | 'kind'>>;

const defaults = (name: MetricName): Omit<Panel, 'kind' | 'targets'> => {
  const metric = metricOf(name);
  return {
    key: name,
    title: metric.panel ?? name,
    description: metric.help,
    unit: metric.type === 'counter' ? 'reqps' : metric.unit,
    thresholds: [],
    words: [],
    stacked: false,
    signed: false,
    width: 8,
  };
};

/** Title, unit and description come from the metric's row of the table unless they are given. */
export const graph = (name: MetricName, targets: readonly Target[], more: Optional = {}): Panel => ({
  ...defaults(name),
  ...more,
  kind: 'timeseries',
  targets,
});

export const stat = (name: MetricName, expr: string, more: Optional = {}): Panel => ({
  ...defaults(name),
  width: 4,
  ...more,
  kind: 'stat',
  targets: [{ expr, legend: more.title ?? metricOf(name).panel ?? name }],
});

export const timeline = (name: MetricName, targets: readonly Target[], more: Optional = {}): Panel => ({
  ...defaults(name),
  ...more,
  kind: 'state-timeline',
  targets,
});

/** Green below, red from `value` on. */
export const badFrom = (value: number): readonly Threshold[] => [
  { from: undefined, color: 'green' },
  { from: value, color: 'red' },
];

/** Green, then a warning, then red. */
export const worseFrom = (warn: number, bad: number): readonly Threshold[] => [
  { from: undefined, color: 'green' },
  { from: warn, color: 'orange' },
  { from: bad, color: 'red' },
];

/** Red at 0, green at 1. */
export const goodIsOne: readonly Threshold[] = [
  { from: undefined, color: 'red' },
  { from: 1, color: 'green' },
];
