/**
 * PromQL from the metric table. How N engines become one number is decided here and nowhere else: what each engine
 * counts by itself is summed; what each engine read from the one bus is the same number, so the highest is taken.
 */
import { type MetricName, metricOf } from './table.ts';

export interface Scope {
  /** Label matchers that every selector carries, such as `job=~"$job"`. */
  readonly matchers: readonly string[];
  /** Range of rates. */
  readonly range: string;
}

const quote = (text: string): string => JSON.stringify(text);

/** `label="value"`. */
export const is = (label: string, value: string): string => `${label}=${quote(value)}`;

export const within = (scope: Scope, ...matchers: readonly string[]): Scope => ({
  ...scope,
  matchers: [...scope.matchers, ...matchers],
});

export function select(name: string, scope: Scope): string {
  return scope.matchers.length === 0 ? name : `${name}{${scope.matchers.join(',')}}`;
}

export const by = (aggregate: string, labels: readonly string[], inner: string): string =>
  labels.length === 0 ? `${aggregate}(${inner})` : `${aggregate} by (${labels.join(', ')}) (${inner})`;

/** The labels that tell one number of the bus from another. */
const identityOf = (name: MetricName): readonly string[] => metricOf(name).labels;

/** Over all engines: `inner` is made of one metric and keeps its labels. */
function overEngines(name: MetricName, labels: readonly string[], inner: string): string {
  if (metricOf(name).scope === 'engine') return by('sum', labels, inner);
  const identity = identityOf(name);
  if (identity.every((label) => labels.includes(label))) return by('max', labels, inner);
  return by('sum', labels, by('max', identity, inner));
}

/** A counter as a number per second, summed to `labels`. */
export const rate = (name: MetricName, labels: readonly string[], scope: Scope): string =>
  overEngines(name, labels, `rate(${select(name, scope)}[${scope.range}])`);

/** What a counter grew by. */
export const increase = (name: MetricName, labels: readonly string[], scope: Scope): string =>
  overEngines(name, labels, `increase(${select(name, scope)}[${scope.range}])`);

/** A gauge, summed to `labels`. */
export const level = (name: MetricName, labels: readonly string[], scope: Scope): string =>
  overEngines(name, labels, select(name, scope));

/** The highest, for ages and states, which do not add up. */
export const highest = (name: MetricName, labels: readonly string[], scope: Scope): string =>
  by('max', labels, select(name, scope));

export const lowest = (name: MetricName, labels: readonly string[], scope: Scope): string =>
  by('min', labels, select(name, scope));

/** Growth of a gauge per second over the range. */
export const slope = (name: MetricName, labels: readonly string[], scope: Scope): string =>
  overEngines(name, labels, `deriv(${select(name, scope)}[${scope.range}])`);

export const quantile = (share: number, name: MetricName, labels: readonly string[], scope: Scope): string =>
  `histogram_quantile(${share}, ${by('sum', ['le', ...labels], `rate(${select(`${name}_bucket`, scope)}[${scope.range}])`)})`;

/** Nothing, instead of 0 / 0, where there was no traffic. */
export const ratio = (part: string, whole: string): string => `${part} / (${whole} > 0)`;

/** ms as Prometheus writes durations: the largest unit that divides it. */
export function duration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1_000));
  const units = [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
  ] as const;
  const fitting = units.find(([, length]) => seconds % length === 0);
  return fitting === undefined ? `${seconds}s` : `${seconds / fitting[1]}${fitting[0]}`;
}
