/**
 * Burn-rate alerts of routes with an `slo`: several windows and several burn rates, as in the Site Reliability Workbook
 * (Beyer and others, O'Reilly 2018), chapter 5, "Multiwindow, Multi-Burn-Rate Alerts", table 5-8: a page when 2 % of the
 * budget of 30 days goes in an hour (14.4 times what it allows) or 5 % in six hours (6 times), a ticket when 10 % goes in
 * a day (3 times) or in three days (once). The short window, a twelfth of the long one, ends the alert soon after the fault.
 *
 * Every window is made from one recorded series: a rule that read counters of three days from each engine, once a minute,
 * would be most of what Prometheus does.
 */
import type { Pipeline, Route } from '../../core/route.ts';
import { by, duration, increase, is, rate, type Scope, select, within } from '../promql.ts';
import { type AlertRule, hours, minutes, type RecordingRule, thisRoute } from './rule.ts';

const recorded = 'eventflow:slo_deliveries:rate5m';
const perRoute = ['pipeline', 'route'] as const;
const bad = 'result!="good"';
/** One bad delivery of a quiet route is no burn. `increase` makes a little more than 1 of one. */
const worthTelling = 1.5;

interface Burn {
  readonly factor: number;
  readonly long: number;
  readonly short: number;
}

const fast: readonly Burn[] = [
  { factor: 14.4, long: hours(1), short: minutes(5) },
  { factor: 6, long: hours(6), short: minutes(30) },
];
const slow: readonly Burn[] = [
  { factor: 3, long: hours(24), short: hours(2) },
  { factor: 1, long: hours(72), short: hours(6) },
];

/** What the alerts of a pipeline read; none when no route has an `slo`. */
export function sloRecordings({ name, routes }: Pipeline): readonly RecordingRule[] {
  if (!routes.some(({ enabled, slo }) => enabled && slo !== undefined)) return [];
  const scope: Scope = { matchers: [is('pipeline', name)], range: '5m' };
  return [{ record: recorded, expr: rate('eventflow_slo_deliveries_total', [...perRoute, 'result'], scope) }];
}

/** The share of deliveries that miss the objective, over a window; nothing where there was no delivery. */
function missed(window: number, scope: Scope): string {
  const over = (series: string): string =>
    by('sum', perRoute, window === minutes(5) ? series : `sum_over_time(${series}[${duration(window)}])`);
  return `${over(select(recorded, within(scope, bad)))} / (${over(select(recorded, scope))} > 0)`;
}

/** As short as it can be written, without the digits that a division leaves behind. */
const number = (value: number): string => String(Number(value.toPrecision(6)));

/** Nothing burns faster than all of it: a rate that would need more cannot be reached, and is left out. */
function condition(burns: readonly Burn[], budget: number, scope: Scope): string | undefined {
  const reachable = burns.filter(({ factor }) => factor * budget < 1);
  const either = reachable.map(({ factor, long, short }) => {
    const most = number(factor * budget);
    return `(${missed(long, scope)} > ${most} and ${missed(short, scope)} > ${most})`;
  });
  return either.length === 0 ? undefined : either.join(' or ');
}

/** Of a route with an `slo`. */
export function sloAlerts({ slo }: Route, scope: Scope): readonly AlertRule[] {
  if (slo === undefined) return [];
  const budget = (100 - slo.target) / 100;
  const objective = `${slo.target} % delivered${slo.latency === undefined ? '' : ` within ${duration(slo.latency)}`}`;
  const told = (range: string): string =>
    `${increase('eventflow_slo_deliveries_total', perRoute, { ...within(scope, bad), range })} > ${worthTelling}`;
  const rules: readonly (readonly [string | undefined, string, Omit<AlertRule, 'expr'>])[] = [
    [
      condition(fast, budget, scope),
      '1h',
      {
        alert: 'EventFlowSloBurnsFast',
        pendingFor: minutes(2),
        keepFiringFor: minutes(5),
        severity: 'critical',
        summary: 'A route spends its error budget within days.',
        description: `{{ $value | humanizePercentage }} of the deliveries of ${thisRoute} miss its objective (${objective}): the budget of 30 days will be gone within five days, or within two.`,
      },
    ],
    [
      condition(slow, budget, scope),
      '6h',
      {
        alert: 'EventFlowSloBurnsSlowly',
        pendingFor: minutes(15),
        keepFiringFor: minutes(15),
        severity: 'warning',
        summary: 'A route spends its error budget before its time.',
        description: `{{ $value | humanizePercentage }} of the deliveries of ${thisRoute} miss its objective (${objective}): if it goes on, nothing is left of the budget of 30 days.`,
      },
    ],
  ];
  return rules.flatMap(([expr, range, rule]) =>
    expr === undefined ? [] : [{ ...rule, expr: `(${expr}) and ${told(range)}` }],
  );
}
