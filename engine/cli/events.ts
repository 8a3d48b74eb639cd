/** `eventflow events show ID`: what became of one event, on every route. */
import type { Command } from 'commander';
import type { Fault } from '../core/outcome.ts';
import type { DeliveryStatus, Timeline, TimelineAttempt, TimelineDelivery } from '../operations/operations.ts';
import { exit, Failure } from './exit.ts';
import { type TargetFlags, withTarget } from './options.ts';
import { inert, paint, print, printJson, shorten, time } from './output.ts';

const colours = {
  delivered: 'green',
  skipped: 'green',
  retrying: 'yellow',
  waiting: 'yellow',
  dead: 'red',
  unknown: 'dim',
} as const satisfies Record<DeliveryStatus, string>;

const faultText = (fault: Fault | undefined): string =>
  fault === undefined ? '' : `  ${fault.code}: ${shorten(inert(fault.message), 120)}`;

const attemptLine = ({ attempt, at, ms, outcome, fault }: TimelineAttempt): string =>
  `  ${time(at)}  attempt ${attempt} ${outcome} in ${Math.round(ms)} ms${faultText(fault)}`;

function ending({ status, nextAt, deadReason, deadLetterId }: TimelineDelivery): string {
  if (status === 'retrying' && nextAt !== undefined) return `, next attempt ${time(nextAt)}`;
  if (status === 'dead') return ` (${deadReason ?? 'unknown'}), dead letter ${deadLetterId ?? 'gone'}`;
  return '';
}

const deliveryText = (delivery: TimelineDelivery): string =>
  [
    `${paint('bold', delivery.group)}  ${paint(colours[delivery.status], delivery.status)}${ending(delivery)}`,
    ...delivery.attempts.map(attemptLine),
  ].join('\n');

function timelineText({ eventId, eventType, publishedAt, deliveries }: Timeline): string {
  const head = `${paint('bold', inert(eventId))}  ${inert(eventType ?? 'of unknown type')}, published ${time(publishedAt)}`;
  return [head, ...deliveries.map(deliveryText)].join('\n');
}

async function show(id: string, flags: TargetFlags): Promise<void> {
  const { withOperations } = await import('./target.ts');
  const timeline = await withOperations(flags, (operations) => operations.timeline(id));
  if (flags.json) printJson(timeline);
  else if (timeline.deliveries.length > 0) print(timelineText(timeline));
  if (timeline.deliveries.length > 0) return;
  throw new Failure(
    exit.failed,
    `no trace of event ${JSON.stringify(id)}: it was never settled, no route wants it, or the journal has dropped it`,
  );
}

export function define(program: Command): void {
  const events = program.command('events').description('single events');
  withTarget(
    events.command('show').description('every delivery and attempt of one event').argument('<id>', 'id of the event'),
  ).action(show);
}
