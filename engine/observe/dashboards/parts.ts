/** Panels and scopes that more than one dashboard has. */
import { by, highest, is, quantile, rate, ratio, type Scope, select, within } from '../promql.ts';
import type { MetricName } from '../table.ts';
import { graph, type Panel, type Target, timeline } from './panel.ts';

/** What a whole engine exports. */
export const engines: Scope = { matchers: ['job=~"$job"', 'instance=~"$instance"'], range: '$__rate_interval' };

/** What is exported per route. */
export const chosenRoutes = within(engines, 'pipeline=~"$pipeline"', 'route=~"$route"');

export const quantiles = (name: MetricName, scope: Scope): readonly Target[] =>
  [0.5, 0.95, 0.99].map((share) => ({ expr: quantile(share, name, [], scope), legend: `p${share * 100}` }));

/** Attempts that fail, as a share of all attempts. */
export function failureShare(labels: readonly string[], scope: Scope): string {
  const failed = rate('eventflow_attempts_total', labels, within(scope, is('outcome', 'failed')));
  return ratio(failed, rate('eventflow_attempts_total', labels, scope));
}

const circuitWords = [
  { value: 0, text: 'closed', color: 'green' },
  { value: 1, text: 'half open', color: 'yellow' },
  { value: 2, text: 'open', color: 'red' },
] as const;

/** 0 closed, 1 half open, 2 open, over time. */
export function circuitTimeline(labels: readonly string[], legend: string, scope: Scope, width: number): Panel {
  const state = (name: string): string => highest('eventflow_circuit_state', labels, within(scope, is('state', name)));
  return timeline('eventflow_circuit_state', [{ expr: `2 * ${state('open')} + ${state('half_open')}`, legend }], {
    description:
      'State of the circuit breakers. While one is open, events wait in their streams and spend no attempts.',
    unit: 'short',
    words: circuitWords,
    width,
  });
}

export const openCircuits = (scope: Scope): string =>
  by(
    'sum',
    [],
    by('max', ['pipeline', 'route'], select('eventflow_circuit_state', within(scope, 'state=~"open|half_open"'))),
  );

export const failedByError = (scope: Scope, width: number): Panel =>
  graph(
    'eventflow_attempts_total',
    [
      {
        expr: rate('eventflow_attempts_total', ['error_type'], within(scope, is('outcome', 'failed'))),
        legend: '{{error_type}}',
      },
    ],
    { stacked: true, description: 'Attempts that failed, per second, by class of error.', width },
  );

export const deadByReason = (scope: Scope, width: number): Panel =>
  graph(
    'eventflow_dead_letters_total',
    [{ expr: rate('eventflow_dead_letters_total', ['reason'], scope), legend: '{{reason}}' }],
    { stacked: true, width },
  );
