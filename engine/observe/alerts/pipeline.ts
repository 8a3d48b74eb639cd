/** Alerts about the routes of one pipeline. Where a threshold comes from a route's own policy, the route has its own rule. */
import type { Pipeline, Route } from '../../core/route.ts';
import { by, duration, highest, increase, is, level, type Scope, select, slope, within } from '../promql.ts';
import { type AlertRule, hours, minutes, thisRoute } from './rule.ts';
import { sloAlerts } from './slo.ts';

const perRoute = ['pipeline', 'route'] as const;
const perHandler = ['pipeline', 'route', 'handler'] as const;

/** Fewer events than this behind is nothing to wake somebody for. */
const lagWorthTelling = 100;

export function pipelineAlerts(pipeline: Pipeline): readonly AlertRule[] {
  const scope: Scope = { matchers: [is('pipeline', pipeline.name)], range: '10m' };
  const routes = pipeline.routes.filter((route) => route.enabled);
  if (routes.length === 0) return [];
  return [
    ...consumption(scope),
    ...losses(scope),
    flapping(scope),
    ...routes.flatMap((route) => routeAlerts(route, within(scope, is('route', route.id)))),
  ];
}

// ── the same for every route ─────────────────────────────────────────────────────────────────────────────────────

function consumption(scope: Scope): readonly AlertRule[] {
  const lag = level('eventflow_consumer_lag', perRoute, scope);
  const held = `${highest('eventflow_held_deliveries', perRoute, scope)} > 0`;
  const limited = `${highest('eventflow_rate_limited', perRoute, scope)} > 0`;
  const attempts = increase('eventflow_attempts_total', perRoute, scope);
  const unmatched = increase('eventflow_unmatched_total', perRoute, scope);
  return [
    {
      alert: 'EventFlowNoConsumer',
      expr: `${level('eventflow_route_running', perRoute, scope)} == 0`,
      pendingFor: minutes(5),
      keepFiringFor: 0,
      severity: 'critical',
      summary: 'No engine consumes for a route.',
      description: `Engines are up, but none of them runs ${thisRoute}: its events wait.`,
    },
    {
      alert: 'EventFlowNothingMoves',
      expr: `${lag} > 0 and ${attempts} + ${unmatched} == 0 unless ${held} unless ${limited}`,
      pendingFor: minutes(10),
      keepFiringFor: minutes(5),
      severity: 'critical',
      summary: 'Events wait and nothing is attempted.',
      description: `{{ $value }} events wait for ${thisRoute}, whose circuit is not open and whose rate limit has permits, and no attempt was made in 10 minutes.`,
    },
    {
      alert: 'EventFlowLagGrowing',
      expr: `${lag} > ${lagWorthTelling} and ${slope('eventflow_consumer_lag', perRoute, scope)} > 0`,
      pendingFor: minutes(15),
      keepFiringFor: minutes(5),
      severity: 'warning',
      summary: 'A route falls behind.',
      description: `{{ $value }} events wait for ${thisRoute}, and their number has been growing for 15 minutes.`,
    },
    {
      alert: 'EventFlowRetriesOverdue',
      expr: `${highest('eventflow_retry_overdue_seconds', perHandler, scope)} > 60`,
      pendingFor: minutes(5),
      keepFiringFor: minutes(5),
      severity: 'warning',
      summary: 'Retries are not put back into play in time.',
      description: `The most overdue retry of ${thisRoute} is {{ $value | humanizeDuration }} late.`,
    },
  ];
}

function losses(scope: Scope): readonly AlertRule[] {
  const depth = select('eventflow_dlq_depth', scope);
  const residue = `min_over_time(${select('eventflow_conservation_residue', scope)}[15m])`;
  return [
    {
      alert: 'EventFlowEntriesLost',
      expr: `${increase('eventflow_lost_total', perHandler, { ...scope, range: '15m' })} > 0`,
      pendingFor: 0,
      keepFiringFor: hours(1),
      severity: 'critical',
      summary: 'Deliveries are gone from the bus.',
      description: `Deliveries of ${thisRoute} were pending and their entries no longer exist: something else trims or deletes on the bus.`,
    },
    {
      alert: 'EventFlowConservationResidue',
      expr: `${by('max', perHandler, residue)} > 0`,
      pendingFor: minutes(5),
      keepFiringFor: minutes(15),
      severity: 'critical',
      summary: 'Accepted events are in no state at all.',
      description: `{{ $value }} events that ${thisRoute} had to deliver are neither settled nor anywhere; \`eventflow verify\` shows the count.`,
    },
    {
      alert: 'EventFlowDlqGrowing',
      expr: `${by('max', perHandler, depth)} - ${by('max', perHandler, `${depth} offset 15m`)} > 0`,
      pendingFor: minutes(5),
      keepFiringFor: minutes(10),
      severity: 'warning',
      summary: 'Dead letters are piling up.',
      description: `${thisRoute} has {{ $value }} dead letters more than 15 minutes ago.`,
    },
    {
      alert: 'EventFlowDlqDropped',
      expr: `${increase('eventflow_dlq_dropped_total', perHandler, { ...scope, range: '15m' })} > 0`,
      pendingFor: 0,
      keepFiringFor: minutes(15),
      severity: 'warning',
      summary: 'Dead letters were dropped.',
      description: `{{ $value | humanize }} dead letters of ${thisRoute} were dropped in 15 minutes: there were too many, or nobody decided in time. The log names those that had no room.`,
    },
  ];
}

const flapping = (scope: Scope): AlertRule => ({
  alert: 'EventFlowCircuitFlapping',
  expr: `${increase(
    'eventflow_circuit_transitions_total',
    perHandler,
    within({ ...scope, range: '30m' }, is('from', 'closed'), is('to', 'open')),
  )} > 3`,
  pendingFor: 0,
  keepFiringFor: minutes(15),
  severity: 'warning',
  summary: 'A circuit opens and closes again and again.',
  description: `The circuit of ${thisRoute} opened {{ $value | humanize }} times in 30 minutes: its target answers probes but not the load, or the breaker is too sharp.`,
});

// ── from the route's own policies ────────────────────────────────────────────────────────────────────────────────

function routeAlerts(route: Route, scope: Scope): readonly AlertRule[] {
  const rules = [
    ...deadLetterAlerts(route, scope),
    ...(route.breaker === undefined ? [] : [circuitOpen(route.breaker.maxOpenFor, scope)]),
    ...(route.maxAge === undefined ? [] : [heldTooLong(route.maxAge, scope)]),
    ...sloAlerts(route, scope),
  ];
  return rules.map((rule) => ({ ...rule, labels: { pipeline: route.pipeline, route: route.id } }));
}

function deadLetterAlerts({ deadLetter }: Route, scope: Scope): readonly AlertRule[] {
  const { retention, maxEntries } = deadLetter;
  const patience = Math.min(hours(24), retention / 2);
  const oldest = highest('eventflow_dlq_oldest_seconds', perHandler, scope);
  return [
    {
      alert: 'EventFlowDlqOldestTooOld',
      expr: `${oldest} > ${Math.round(patience / 1_000)}`,
      pendingFor: minutes(5),
      keepFiringFor: minutes(5),
      severity: 'warning',
      summary: 'A dead letter waits for a decision.',
      description: `The oldest dead letter of ${thisRoute} is {{ $value | humanizeDuration }} old; after ${duration(retention)} it is removed.`,
    },
    {
      alert: 'EventFlowDlqNearlyFull',
      expr: `${highest('eventflow_dlq_depth', perHandler, scope)} > ${Math.floor(maxEntries * 0.8)}`,
      pendingFor: minutes(5),
      keepFiringFor: minutes(5),
      severity: deadLetter.onFull === 'pause' ? 'critical' : 'warning',
      summary: 'The dead letters of a route are nearly full.',
      description: `${thisRoute} has {{ $value }} dead letters and room for ${maxEntries}; when full, ${deadLetter.onFull === 'pause' ? 'the route stops' : 'the oldest are dropped'}.`,
    },
  ];
}

const circuitOpen = (maxOpenFor: number, scope: Scope): AlertRule => ({
  alert: 'EventFlowCircuitOpen',
  expr: `${highest('eventflow_circuit_state', perHandler, within(scope, 'state=~"open|half_open"'))} == 1`,
  pendingFor: maxOpenFor,
  keepFiringFor: minutes(2),
  severity: 'critical',
  summary: 'A circuit has been open for longer than it may stay open between two probes.',
  description: `The target of ${thisRoute} (handler {{ $labels.handler }}) has failed every probe for ${duration(maxOpenFor)}.`,
});

const heldTooLong = (maxAge: number, scope: Scope): AlertRule => ({
  alert: 'EventFlowHeldTooLong',
  expr: `${highest('eventflow_held_oldest_seconds', perHandler, scope)} > ${Math.round(maxAge / 2_000)}`,
  pendingFor: minutes(1),
  keepFiringFor: minutes(2),
  severity: 'critical',
  summary: 'Held deliveries will soon be too old.',
  description: `${thisRoute} has been held for {{ $value | humanizeDuration }}; deliveries older than ${duration(maxAge)} are dead-lettered as expired.`,
});
