/**
 * One running route: a consumer, an executor and a settler around the route's group, and the loops that keep the group
 * healthy. A worker is bound to one compiled route for its whole life; a changed route gets a new worker.
 *
 *   1. `start` begins reading.
 *   2. `stop` ends reading, lets what runs finish until the deadline, hands the rest back to the group, closes the handler.
 */
import type { Bus, Entry, Group, SettleItem, SettleResult } from '../bus/bus.ts';
import { type BreakerState, closedBreaker, nextProbeAt } from '../core/breaker.ts';
import type { Attempt, DeadReason, DeliveryState } from '../core/delivery.ts';
import { countsAgainstTarget } from '../core/faults.ts';
import type { JournalRow } from '../core/journal.ts';
import { matchAny } from '../core/match.ts';
import type { Fault, Outcome } from '../core/outcome.ts';
import type { EventTypeRule, Route } from '../core/route.ts';
import { settle } from '../core/settle.ts';
import type { Timers } from '../core/timers.ts';
import type { EventEnvelope } from '../event.ts';
import type { Observer, RouteGauges } from '../observe/signals.ts';
import type { Handler, Log } from '../plugin.ts';
import type { BreakerGate } from './breaker-gate.ts';
import type { BreakerBoard } from './breakers.ts';
import { Consumer, type ConsumerDeps } from './consumer.ts';
import { Executor } from './executor.ts';
import type { Mask } from './fault.ts';
import { GroupLoops } from './loops.ts';
import { Quarantine } from './quarantine.ts';
import { attemptOf, lastWords, rowOf, unrunRow } from './records.ts';
import type { RunningDelivery } from './running.ts';
import { Settler } from './settler.ts';
import { ShortCircuit } from './short-circuit.ts';
import { maxCrashes, type SuspectLane } from './suspects.ts';

export interface WorkerDeps {
  readonly bus: Bus;
  readonly group: Group;
  readonly route: Route;
  readonly handler: Handler;
  readonly log: Log;
  /** The catalogue of the generation in force: a worker outlives generations that do not change its route. */
  readonly eventTypes: () => ReadonlyMap<string, EventTypeRule>;
  readonly breakers: BreakerBoard;
  readonly suspects: SuspectLane;
  /** Gets `number` when a handler of this route starts. */
  readonly lastStarted: Int32Array;
  readonly number: number;
  readonly observer: Observer;
  readonly random: () => number;
  readonly timers: Timers;
  /** `failures`: rows of plain successes are left out. */
  readonly journal: 'all' | 'failures' | 'off';
  /** How long an entry may show no sign of life before it is taken over, ms. */
  readonly leaseMs: number;
  /** Takes secrets out of what handlers and targets say [says it as it is]. */
  readonly mask?: Mask | undefined;
}

/** 10, 100, 1,000 … */
const isRound = (count: number): boolean => count >= 10 && Number.isInteger(Math.log10(count));

type Verdict = Parameters<ConsumerDeps['judge']>[1];

export class Worker {
  readonly route: Route;
  #deps: WorkerDeps;
  #executor: Executor;
  #settler: Settler;
  #consumer: Consumer;
  #loops: GroupLoops;
  #quarantine: Quarantine;
  #breaker: { readonly gate: BreakerGate; leave(): void } | undefined;
  #full = false;
  #shortCircuit: ShortCircuit | undefined;

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
    this.route = deps.route;
    const { route, group, bus, random, timers } = deps;
    const now = (): number => bus.now();
    const onFault = (error: Error): void => this.#fault(error);
    if (route.breaker?.redriveOnClose === true) {
      this.#shortCircuit = new ShortCircuit({
        group: route.group,
        deadLetters: bus.deadLetters,
        now,
        nextProbeAt: () => {
          const gate = this.#breaker?.gate;
          return gate && nextProbeAt(gate.policy, gate.state, now());
        },
        timers,
        onRedriven: (count) => deps.observer({ kind: 'redriven', group: route.group, count }),
        onFault,
      });
    }
    this.#breaker = deps.breakers.join(route, (from, to, ours) => this.#breakerChanged(from, to, ours));
    this.#executor = new Executor({
      route,
      handler: deps.handler,
      mask: deps.mask,
      log: deps.log,
      now,
      timers,
      wants: matchAny(route.on),
      eventTypes: deps.eventTypes,
      onOutcome: (delivery, outcome, endedAt) => this.#ended(delivery, outcome, endedAt),
      onMisbehaviour: (what) => deps.observer({ kind: 'misbehaved', route, what }),
      onLeak: (count) => {
        if (isRound(count)) deps.observer({ kind: 'leaking', route, count });
      },
      lastStarted: deps.lastStarted,
      number: deps.number,
    });
    this.#settler = new Settler({
      group,
      journal: deps.journal !== 'off',
      timers,
      onSettled: (item, result) => this.#settled(item, result),
      onFault,
    });
    this.#consumer = new Consumer({
      route,
      group,
      executor: this.#executor,
      gate: this.#breaker?.gate,
      suspects: deps.suspects,
      now,
      timers,
      random,
      unsettled: () => this.#settler.unsettled,
      judge: (entry, verdict) => this.#judge(entry, verdict),
      onFault,
    });
    this.#quarantine = new Quarantine({
      lane: deps.suspects,
      group,
      consumer: this.#consumer,
      executor: this.#executor,
      settler: this.#settler,
      timers: deps.timers,
      onCrashLoop: (entry) => this.#buryCrashed(entry),
      onLost: (entries) => this.#lost(entries),
      onFault,
    });
    this.#loops = new GroupLoops({
      group,
      leaseMs: deps.leaseMs,
      random,
      timers,
      held: () => [
        ...this.#executor.entries(),
        ...this.#consumer.waiting(),
        ...this.#settler.entries(),
        ...this.#quarantine.entries(),
      ],
      room: () => this.#consumer.queued < route.concurrency * 4 && this.#quarantine.room,
      onLost: (entries) => this.#lost(entries),
      onReclaimed: (entries, lost) => this.#reclaimed(entries, lost),
      onFault,
    });
  }

  start(): void {
    this.#quarantine.start();
    this.#consumer.start();
    this.#loops.start();
    if (this.#breaker !== undefined) this.#shortCircuit?.start(this.#breaker.gate.state);
    this.#deps.observer({ kind: 'route_started', route: this.route });
  }

  /** Ids of some events whose handlers run. */
  running(count: number): readonly string[] {
    return this.#executor.sample(count);
  }

  gauges(): RouteGauges {
    return {
      route: this.route,
      inFlight: this.#executor.inFlight,
      leaked: this.#executor.leaked,
      queued: this.#consumer.queued,
      held: this.#consumer.held,
      breaker: this.#breaker?.gate.state ?? closedBreaker(0),
    };
  }

  /** Resolves when nothing of this worker runs any more; `deadline` in ms from now. Never rejects. */
  async stop(deadline: number): Promise<void> {
    const { timers } = this.#deps;
    const end = timers.now() + deadline;
    const suspects = this.#quarantine.stop();
    const rest = [...(await this.#consumer.stop()), ...suspects];
    await this.#quietly(() => (rest.length === 0 ? Promise.resolve() : this.#deps.group.release(rest)));
    await this.#until(() => this.#executor.inFlight === 0, end);
    await this.#handBack();
    this.#loops.stop();
    this.#quarantine.leave();
    this.#shortCircuit?.stop();
    // What a sweep takes over after the group is closed, nobody would hand back.
    await this.#until(() => this.#settler.unsettled === 0 && this.#loops.idle, Math.max(end, timers.now() + 500));
    this.#settler.stop();
    await this.#quietly(() => this.#breaker?.gate.settled() ?? Promise.resolve());
    this.#breaker?.leave();
    await this.#quietly(() => this.#deps.group.close());
    await this.#quietly(async () => this.#deps.handler.close?.());
    this.#deps.observer({ kind: 'route_stopped', route: this.route });
  }

  async #until(done: () => boolean, end: number): Promise<void> {
    const { timers } = this.#deps;
    while (!done() && timers.now() < end) await timers.wait(10);
  }

  /** What still runs is told to stop, gets a moment, and is given to a peer. */
  async #handBack(): Promise<void> {
    if (this.#executor.inFlight > 0) {
      this.#executor.abortAll(new Error('the engine is stopping'));
      await this.#deps.timers.wait(50);
    }
    // Also when nothing runs: the executor's timer would keep all of this in memory for as long as the route's timeout.
    const rest = this.#executor.abandon();
    await this.#quietly(() => (rest.length === 0 ? Promise.resolve() : this.#deps.group.release(rest)));
  }

  async #quietly(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#fault(error as Error);
    }
  }

  // ── from outcome to settlement ───────────────────────────────────────────────────────────────────────────────

  #ended(delivery: RunningDelivery, outcome: Outcome, endedAt: number): void {
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
    this.#consumer.freed(fault === undefined);
  }

  #succeeded(delivery: RunningDelivery, status: 'delivered' | 'skipped', endedAt: number): void {
    const { entry, tallies } = delivery;
    const row = this.#deps.journal === 'all' ? rowOf(delivery, endedAt, { status }) : undefined;
    this.#settler.add(
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
        this.#settler.add(
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

  /** Settles an entry whose handler never ran. */
  #judge(entry: Entry, verdict: Verdict): void {
    if (verdict.kind === 'unmatched') {
      this.#deps.observer({ kind: 'unmatched', route: this.route, count: 1 });
      return this.#settler.add({ kind: 'ack', entry, status: 'unmatched' }, undefined);
    }
    if (verdict.kind === 'dead') return this.#buryUnrun(entry, verdict.event, verdict.reason, verdict.fault);
    const admitted = this.#executor.admit(entry);
    if (admitted.kind !== 'run') return this.#judge(entry, admitted);
    this.#buryUnrun(entry, admitted.event, 'breaker_open', {
      code: 'breaker_open',
      kind: 'error',
      message: 'the circuit breaker was open, and the route says onOpen: deadLetter',
    });
  }

  #buryUnrun(entry: Entry, event: EventEnvelope | undefined, reason: DeadReason, fault: Fault): void {
    const row = unrunRow(entry, event, reason, fault, this.#deps.bus.now());
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
    const words = lastWords(this.route, entry, event, reason, fault, attempts);
    this.#settler.add({ kind: 'dead', entry, words }, row);
  }

  #settled(item: SettleItem, result: SettleResult): void {
    const { observer } = this.#deps;
    const { route } = this;
    if (result === 'full') return this.#dlqFull(true);
    if (result === 'fenced') return observer({ kind: 'fenced', route, count: 1 });
    // The wait began when the bus took it, so now is the time to plan for its end.
    if (item.kind === 'retry') this.#loops.dueIn(item.delayMs);
    if (item.kind !== 'dead') return;
    if (this.#full) this.#dlqFull(false);
    const { words, entry } = item;
    // It was on its way to the DLQ when the breaker closed, so the redrive of that moment has missed it.
    if (words.reason === 'breaker_open' && this.#breaker !== undefined)
      this.#shortCircuit?.buried(this.#breaker.gate.state);
    observer({
      kind: 'dead_lettered',
      route,
      eventType: words.eventType ?? entry.stream,
      eventId: words.eventId,
      reason: words.reason,
      attempts: words.attempts.length,
      fault: words.fault,
      latency: (this.#deps.bus.now() - entry.publishedAt) / 1_000,
    });
  }

  #dlqFull(full: boolean): void {
    if (this.#full === full) return;
    this.#full = full;
    this.#consumer.pause(full);
    this.#deps.observer({ kind: 'dlq_full', route: this.route, full });
  }

  // ── the breaker ──────────────────────────────────────────────────────────────────────────────────────────────

  #tellBreaker(delivery: RunningDelivery, fault: Fault | undefined, permanently: boolean): void {
    const gate = this.#breaker?.gate;
    if (gate === undefined) return;
    const counts = fault !== undefined && !permanently && countsAgainstTarget(fault, gate.policy.countOn);
    const failure = counts ? `${fault.code}: ${fault.message}` : undefined;
    if (delivery.probe === undefined) gate.report(delivery.period, failure);
    else void gate.probed(delivery.probe, delivery.period, failure).then(() => this.#consumer.wake());
  }

  #breakerChanged(from: BreakerState, to: BreakerState, ours: boolean): void {
    this.#shortCircuit?.changed(to, ours);
    if (to.kind === 'closed' && from.kind !== 'closed') this.#consumer.ramp();
    else this.#consumer.wake();
  }

  // ── what the loops find ──────────────────────────────────────────────────────────────────────────────────────

  #lost(entries: readonly Entry[]): void {
    this.#executor.lost(entries);
    this.#consumer.drop(entries);
    this.#quarantine.drop(entries);
    this.#deps.observer({ kind: 'fenced', route: this.route, count: entries.length });
  }

  #reclaimed(entries: readonly Entry[], lost: readonly string[]): void {
    const { observer } = this.#deps;
    if (lost.length > 0) observer({ kind: 'lost', route: this.route, ids: lost });
    if (entries.length === 0) return;
    observer({ kind: 'reclaimed', route: this.route, count: entries.length });
    this.#consumer.add(this.#quarantine.sortOut(entries));
  }

  #buryCrashed(entry: Entry): void {
    const message = `expected the delivery to end, its process died or it was never settled ${maxCrashes} times`;
    const admitted = this.#executor.admit(entry);
    const event = admitted.kind === 'unmatched' ? undefined : admitted.event;
    this.#buryUnrun(entry, event, 'crash_loop', { code: 'crash_loop', kind: 'error', message });
  }

  #fault(error: Error): void {
    this.#deps.observer({ kind: 'bus_error', errorKind: 'worker', message: error.message });
  }
}
