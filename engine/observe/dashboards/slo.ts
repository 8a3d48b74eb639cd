/** Panels of a route with an `slo`: how well it is kept, and what is left of its error budget. */
import type { ServiceLevel } from '../../core/route.ts';
import { duration, increase, type Scope, within } from '../promql.ts';
import { graph, type Panel, type Threshold, worseFrom } from './panel.ts';

/** Deliveries that miss the objective, as a share of all that ended within `range`. */
function missed(range: string, scope: Scope): string {
  const over = (matchers: readonly string[]): string =>
    increase('eventflow_slo_deliveries_total', [], { ...within(scope, ...matchers), range });
  return `${over(['result!="good"'])} / (${over([])} > 0)`;
}

/** Red at nothing left, then a warning. */
const left: readonly Threshold[] = [
  { from: undefined, color: 'red' },
  { from: 0, color: 'orange' },
  { from: 0.25, color: 'green' },
];

export function sloPanels({ target, latency }: ServiceLevel, scope: Scope): readonly Panel[] {
  const budget = Number(((100 - target) / 100).toPrecision(6));
  const objective = `${target} % of all deliveries${latency === undefined ? '' : ` within ${duration(latency)} of publishing`}`;
  return [
    graph('eventflow_slo_deliveries_total', [{ expr: missed('1h', scope), legend: 'missed' }], {
      description: `The objective is ${objective}. The share that missed it in the last hour: late, or dead-lettered.`,
      unit: 'percentunit',
      thresholds: worseFrom(budget, Math.min(1, 14.4 * budget)),
    }),
    graph('eventflow_slo_deliveries_total', [{ expr: `1 - (${missed('30d', scope)}) / ${budget}`, legend: 'left' }], {
      key: 'slo/budget',
      title: 'Error budget left',
      description: `Of the deliveries of 30 days, ${Number((100 - target).toPrecision(6))} % may miss the objective. What is left of that; below 0 it is broken.`,
      unit: 'percentunit',
      signed: true,
      thresholds: left,
    }),
    graph(
      'eventflow_slo_deliveries_total',
      [
        { expr: `(${missed('1h', scope)}) / ${budget}`, legend: '1 hour' },
        { expr: `(${missed('6h', scope)}) / ${budget}`, legend: '6 hours' },
      ],
      {
        key: 'slo/burn',
        title: 'Burn rate',
        description:
          'How many times faster the budget goes than in 30 days. Alerts begin at 6 over six hours and 14.4 over one.',
        unit: 'short',
        thresholds: worseFrom(6, 14.4),
      },
    ),
  ];
}
