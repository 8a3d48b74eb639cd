/**
 * From outcome to settlement: what a delivery's end means for its route. Tells the breaker, the observer and the journal,
 * and hands the settler what the bus is to do.
 *
 *   executor ─ended─▶ ┐                  ┌▶ ack
 *   consumer ─judge─▶ ├▶ Outcomes ─▶ settler ─▶ retry      ─settled─▶ Outcomes ─▶ observer
 *   sweep ─crashed──▶ ┘                  └▶ dead
 */
import type { Entry, SettleItem, SettleResult } from '../bus/bus.ts';
import type { Admitted } from '../core/admit.ts';
import type { BreakerState } from '../core/breaker.ts';
import type { Attempt, DeadReason, DeliveryState } from '../core/delivery.ts';
import { countsAgainstTarget } from '../core/faults.ts';
import type { JournalRow } from '../core/journal.ts';
import type { Fault, Outcome } from '../core/outcome.ts';
import type { Route } from '../core/route.ts';
import { settle } from '../core/settle.ts';
import type { EventEnvelope } from '../event.ts';
import type { Observer } from '../observe/signals.ts';
import type { BreakerGate } from './breaker-gate.ts';
import type { ConsumerDeps } from './consumer.ts';
import { attemptOf, lastWords, rowOf, unrunRow } from './records.ts';
import type { RunningDelivery } from './running.ts';
import type { ShortCircuit } from './short-circuit.ts';
import { maxCrashes } from './suspects.ts';

export type Verdict = Parameters<ConsumerDeps['judge']>[1];

export interface OutcomesDeps {
  readonly route: Route;
  readonly observer: Observer;
  readonly random: () => number;
  /** The bus's clock, ms since the epoch. */
  readonly now: () => number;
  /** `failures`: rows of plain successes are left out. */
  readonly journal: 'all' | 'failures' | 'off';
  readonly gate: BreakerGate | undefined;
  readonly breakerState: () => BreakerState;
  readonly shortCircuit: ShortCircuit | undefined;
  /** Reads an entry without running it. */
  readonly admit: (entry: Entry) => Admitted;
  readonly settle: (item: SettleItem, row: JournalRow | undefined) => void;
  /** A slot is free. */
  readonly freed: (success: boolean) => void;
  /** Look again at what may start. */
  readonly wake: () => void;
  /** Nothing more may start while the DLQ is full. */
  readonly pause: (paused: boolean) => void;
  /** A retry of ours is due in so many ms. */
  readonly dueIn: (ms: number) => void;
}

export class Outcomes {
  #deps: OutcomesDeps;
  #full = false;

  constructor(deps: OutcomesDeps) {
    this.#deps = deps;
  }

  /** A handler ended. */
  ended(delivery: RunningDelivery, outcome: Outcome, endedAt: number): void {
    const { route, observer } = this.#deps;
    const fault = outcome.kind === 'failed' ? outcome.fault : undefined;
    observer({
      kind: 'attempt',
      route,
      eventType: delivery.event.type,
      outcome: outcome.kind,
      fault,
      seconds: (endedAt - delivery.startedAt) / 1_000,
      latency: (endedAt - delivery.publishedAt) / 1_000,
      attempt: delivery.attempt,
      eventId: delivery.event.id,
    });
    this.#tellBreaker(delivery, fault, outcome.kind === 'failed' && outcome.permanent);
    if (outcome.kind === 'failed') this.#failed(delivery, outcome, endedAt);
    else this.#succeeded(delivery, outcome.kind, endedAt);
    this.#deps.freed(fault === undefined);
  }

  /** Settles an entry whose handler never ran. */
  judge(entry: Entry, verdict: Verdict): void {
    const { route, observer, settle: give, admit } = this.#deps;
    if (verdict.kind === 'unmatched') {
      observer({ kind: 'unmatched', route, count: 1 });
      return give({ kind: 'ack', entry, status: 'unmatched' }, undefined);
    }
    if (verdict.kind === 'dead') return this.#buryUnrun(entry, verdict.event, verdict.reason, verdict.fault);
    const admitted = admit(entry);
    if (admitted.kind !== 'run') return this.judge(entry, admitted);
    this.#buryUnrun(entry, admitted.event, 'breaker_open', {
      code: 'breaker_open',
      kind: 'error',
      message: 'the circuit breaker was open, and the route says onOpen: deadLetter',
    });
  }

  /** Started too often without an end: it goes to the DLQ as what kills its process. */
  crashed(entry: Entry): void {
    const message = `expected the delivery to end, its process died or it was never settled ${maxCrashes} times`;
    const admitted = this.#deps.admit(entry);
    const event = admitted.kind === 'unmatched' ? undefined : admitted.event;
    this.#buryUnrun(entry, event, 'crash_loop', { code: 'crash_loop', kind: 'error', message });
  }

  /** The bus has spoken. */
  settled(item: SettleItem, result: SettleResult): void {
    const { route, observer, shortCircuit, now } = this.#deps;
    if (result === 'full') return this.#dlqFull(true);
    if (result === 'fenced') return observer({ kind: 'fenced', route, count: 1 });
    // The wait began when the bus took it, so now is the time to plan for its end.
    if (item.kind === 'retry' || item.kind === 'postpone') this.#deps.dueIn(item.delayMs);
    if (item.kind !== 'dead') return;
    if (this.#full) this.#dlqFull(false);
    const { words, entry } = item;
    // It was on its way to the DLQ when the breaker closed, so the redrive of that moment has missed it.
    if (words.reason === 'breaker_open') shortCircuit?.buried(this.#deps.breakerState());
    observer({
      kind: 'dead_lettered',
      route,
      eventType: words.eventType ?? entry.stream,
      eventId: words.eventId,
      reason: words.reason,
      attempts: words.attempts.length,
      fault: words.fault,
      latency: (now() - entry.publishedAt) / 1_000,
    });
  }

  #tellBreaker(delivery: RunningDelivery, fault: Fault | undefined, permanently: boolean): void {
    const gate = delivery.gate ?? this.#deps.gate;
    if (gate === undefined || delivery.quiet) return;
    const counts = fault !== undefined && !permanently && countsAgainstTarget(fault, gate.policy.countOn);
    const failure = counts ? `${fault.code}: ${fault.message}` : undefined;
    if (delivery.probe === undefined) gate.report(delivery.period, failure);
    else void gate.probed(delivery.probe, delivery.period, failure).then(() => this.#deps.wake());
  }

  #succeeded(delivery: RunningDelivery, status: 'delivered' | 'skipped', endedAt: number): void {
    const { entry, tallies } = delivery;
    const row = this.#deps.journal === 'all' ? rowOf(delivery, endedAt, { status }) : undefined;
    this.#deps.settle(
      status === 'delivered' && tallies !== undefined
        ? { kind: 'ack', entry, status, tallies }
        : { kind: 'ack', entry, status },
      row,
    );
  }

  #failed(delivery: RunningDelivery, outcome: Extract<Outcome, { kind: 'failed' }>, endedAt: number): void {
    const { route, random, observer } = this.#deps;
    const { entry, event, attempt } = delivery;
    const attempts = [...(entry.state?.attempts ?? []), attemptOf(delivery, outcome.fault, endedAt)];
    const firstAt = attempts[0]?.at ?? delivery.startedAt;
    const verdict = settle(outcome, attempt, route.retry, { now: endedAt, firstAt, random });
    switch (verdict.kind) {
      case 'ack':
        return;
      case 'retry': {
        const { delayMs } = verdict;
        const state: DeliveryState = { ...entry.state, attempt: verdict.attempt, attempts };
        this.#deps.settle(
          { kind: 'retry', entry, delayMs, state },
          rowOf(delivery, endedAt, { status: 'retry', nextAt: endedAt + delayMs, fault: outcome.fault }),
        );
        observer({ kind: 'retry_scheduled', route, eventId: event.id, attempt, delayMs, fault: outcome.fault });
        return;
      }
      case 'dead': {
        const row = rowOf(delivery, endedAt, { status: 'dead', reason: verdict.reason, fault: outcome.fault });
        this.#bury(entry, event, verdict.reason, outcome.fault, attempts, row);
      }
    }
  }

  #buryUnrun(entry: Entry, event: EventEnvelope | undefined, reason: DeadReason, fault: Fault): void {
    const row = unrunRow(entry, event, reason, fault, this.#deps.now());
    this.#bury(entry, event, reason, fault, entry.state?.attempts ?? [], row);
  }

  #bury(
    entry: Entry,
    event: EventEnvelope | undefined,
    reason: DeadReason,
    fault: Fault,
    attempts: readonly Attempt[],
    row: JournalRow,
  ): void {
    const words = lastWords(this.#deps.route, entry, event, reason, fault, attempts);
    this.#deps.settle({ kind: 'dead', entry, words }, row);
  }

  #dlqFull(full: boolean): void {
    if (this.#full === full) return;
    this.#full = full;
    this.#deps.pause(full);
    this.#deps.observer({ kind: 'dlq_full', route: this.#deps.route, full });
  }
}
