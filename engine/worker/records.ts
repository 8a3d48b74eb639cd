/** What is written down about a delivery: its journal row, its attempt, its last words. */
import { createHash } from 'node:crypto';
import type { Entry } from '../bus/bus.ts';
import type { Attempt, DeadReason, LastWords } from '../core/delivery.ts';
import { faultShape } from '../core/faults.ts';
import type { JournalRow } from '../core/journal.ts';
import type { Fault } from '../core/outcome.ts';
import type { Route } from '../core/route.ts';
import type { EventEnvelope } from '../event.ts';
import type { RunningDelivery } from './running.ts';

export const attemptOf = (delivery: RunningDelivery, fault: Fault, endedAt: number): Attempt => ({
  n: delivery.attempt,
  at: delivery.startedAt,
  ms: Math.round(endedAt - delivery.startedAt),
  fault,
});

/** The journal row of an attempt that ran. */
export function rowOf(
  delivery: RunningDelivery,
  endedAt: number,
  how: Pick<JournalRow, 'status'> & Partial<Pick<JournalRow, 'nextAt' | 'reason' | 'fault'>>,
): JournalRow {
  return {
    eventId: delivery.event.id,
    eventType: delivery.event.type,
    publishedAt: delivery.publishedAt,
    attempt: delivery.attempt,
    status: how.status,
    startedAt: Math.round(delivery.startedAt),
    ms: endedAt - delivery.startedAt,
    nextAt: how.nextAt === undefined ? undefined : Math.round(how.nextAt),
    reason: how.reason,
    fault: how.fault,
  };
}

/** The journal row of an entry that was dead-lettered without running. */
export function unrunRow(
  entry: Entry,
  event: EventEnvelope | undefined,
  reason: DeadReason,
  fault: Fault,
  now: number,
): JournalRow {
  return {
    eventId: event?.id ?? entry.origin,
    eventType: event?.type ?? entry.stream,
    publishedAt: entry.publishedAt,
    attempt: entry.state?.attempt ?? 1,
    status: 'dead',
    startedAt: Math.round(now),
    ms: 0,
    nextAt: undefined,
    reason,
    fault,
  };
}

const fingerprintOf = (reason: DeadReason, fault: Fault): string =>
  createHash('sha256')
    .update(`${reason} ${faultShape(fault)}`)
    .digest('hex')
    .slice(0, 16);

export function lastWords(
  route: Pick<Route, 'handler' | 'hash'>,
  entry: Entry,
  event: EventEnvelope | undefined,
  reason: DeadReason,
  fault: Fault,
  attempts: readonly Attempt[],
): LastWords {
  return {
    reason,
    handler: route.handler,
    eventId: event?.id,
    eventType: event?.type,
    fault,
    fingerprint: fingerprintOf(reason, fault),
    attempts,
    configHash: route.hash,
    ...(event?.traceparent === undefined ? {} : { traceparent: event.traceparent }),
    ...(entry.state?.redrivenFrom === undefined ? {} : { redrivenFrom: entry.state.redrivenFrom }),
  };
}
