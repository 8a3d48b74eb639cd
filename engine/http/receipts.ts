/** What publishers are told about their events, and what the observer is told about publishers. */
import type { PublishResult } from '../bus/bus.ts';
import { IngestFault } from '../core/ingest-fault.ts';
import type { Prepared } from '../core/prepare.ts';
import type { Observer } from '../observe/signals.ts';
import { problemOf } from './problem.ts';

/** An event that passed every check, with what its schema only warns about. */
export interface Checked {
  readonly prepared: Prepared;
  readonly warnings: readonly string[];
}

/** What became of one event of a request. */
export type Outcome = (Checked & { readonly result: PublishResult }) | IngestFault;

export const conflictOf = (eventId: string): IngestFault =>
  new IngestFault('idempotency_mismatch', `expected the content that was published before as ${eventId}, got another`);

export interface Receipt {
  /** Of the first one, when this is a repeat. */
  readonly id: string;
  readonly duplicate: boolean;
  /** How many routes want it. */
  readonly routes: number;
  readonly warnings?: readonly string[];
}

/** A conflict is a fault. */
export function receiptOf(
  { prepared, warnings, result }: Exclude<Outcome, IngestFault>,
  routes: number,
): Receipt | IngestFault {
  switch (result.kind) {
    case 'conflict':
      return conflictOf(result.eventId);
    case 'duplicate':
      return withWarnings({ id: result.eventId, duplicate: true, routes }, warnings);
    case 'accepted':
      return withWarnings({ id: prepared.eventId, duplicate: false, routes }, warnings);
  }
}

const withWarnings = (receipt: Receipt, warnings: readonly string[]): Receipt =>
  warnings.length === 0 ? receipt : { ...receipt, warnings };

/** One entry of the answer to several events. */
export function entryOf(index: number, receipt: Receipt | IngestFault) {
  if (!(receipt instanceof IngestFault)) return { index, status: 202, ...receipt };
  const problem = problemOf(receipt);
  return { index, status: problem.status, problem };
}

/** Tells what was published: runs of one type and source as one signal, repeats one by one. */
export function tell(observer: Observer, outcomes: readonly Outcome[]): void {
  let run: { readonly eventType: string; readonly source: string; count: number } | undefined;
  const end = (): void => {
    if (run !== undefined) observer({ kind: 'published', ...run });
    run = undefined;
  };
  for (const outcome of outcomes) {
    if (outcome instanceof IngestFault || outcome.result.kind === 'conflict') continue;
    const { type: eventType, source, eventId } = outcome.prepared;
    if (outcome.result.kind === 'duplicate') {
      end();
      observer({ kind: 'duplicate_suppressed', eventType });
      continue;
    }
    if (outcome.warnings.length > 0) observer({ kind: 'data_warning', eventType, eventId, faults: outcome.warnings });
    if (run !== undefined && run.eventType === eventType && run.source === source) run.count++;
    else {
      end();
      run = { eventType, source, count: 1 };
    }
  }
  end();
}
