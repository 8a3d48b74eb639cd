/**
 * One running route: a consumer, an executor and a settler around the route's group, and the loops that keep the group
 * healthy. A worker is bound to one compiled route for its whole life; a changed route gets a new worker.
 *
 *   1. `start` begins reading.
 *   2. `stop` ends reading, lets what runs finish until the deadline, hands the rest back to the group, closes the handler.
 */
import type { Bus, Entry, Group } from '../bus/bus.ts';
import { type BreakerState, closedBreaker, isKeyed, nextProbeAt } from '../core/breaker.ts';
import { matchAny } from '../core/match.ts';
import type { EventTypeRule, Route } from '../core/route.ts';
import type { Timers } from '../core/timers.ts';
import type { Observer, RouteGauges } from '../observe/signals.ts';
import type { Handler, Log } from '../plugin.ts';
import { Admission } from './admission.ts';
import { Batches, slotsOf } from './batches.ts';
import type { BreakerGate } from './breaker-gate.ts';
import type { BreakerBoard } from './breakers.ts';
import { Consumer } from './consumer.ts';
import { Executor } from './executor.ts';
import type { Mask } from './fault.ts';
import { GroupLoops } from './loops.ts';
import { Ordering } from './order.ts';
import { Outcomes } from './outcomes.ts';
import { Quarantine } from './quarantine.ts';
import { Settler } from './settler.ts';
import { ShortCircuit } from './short-circuit.ts';
import type { SuspectLane } from './suspects.ts';

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

export class Worker {
  readonly route: Route;
  #deps: WorkerDeps;
  #batches: Batches | undefined;
  #executor: Executor;
  #outcomes: Outcomes;
  #settler: Settler;
  #consumer: Consumer;
  #loops: GroupLoops;
  #quarantine: Quarantine;
  #breaker: { readonly gate: BreakerGate; leave(): void } | undefined;
  #shortCircuit: ShortCircuit | undefined;
  #order: Ordering | undefined;
  #admission: Admission | undefined;

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
    this.route = deps.route;
    const { route, group, bus, random, timers } = deps;
    const now = (): number => bus.now();
    const onFault = (error: Error): void => this.#fault(error);
    if (route.breaker?.redriveOnClose === true) {
      this.#shortCircuit = new ShortCircuit({
        group: route.group,
        keyed: isKeyed(route.breaker),
        deadLetters: bus.deadLetters,
        now,
        nextProbeAt: () => {
          const gate = this.#breaker?.gate;
          return gate ? nextProbeAt(gate.policy, gate.state, now()) : this.#admission?.nextProbeAt(now());
        },
        timers,
        onRedriven: (count) => deps.observer({ kind: 'redriven', group: route.group, count }),
        onFault,
      });
    }
    this.#breaker = deps.breakers.join(route, (from, to, ours) => this.#breakerChanged(from, to, ours), group.storage);
    const { handler, log, observer, lastStarted, number } = deps;
    this.#batches = Batches.of({ route, handler, log, now, timers, observer, lastStarted, number });
    this.#executor = new Executor({
      route,
      storage: group.storage,
      handler: this.#batches ?? handler,
      mask: deps.mask,
      log: deps.log,
      now,
      timers,
      wants: matchAny(route.on),
      eventTypes: deps.eventTypes,
      onOutcome: (delivery, outcome, endedAt) => this.#outcomes.ended(delivery, outcome, endedAt),
      onMisbehaviour: (what) => deps.observer({ kind: 'misbehaved', route, what }),
      onLeak: (count) => {
        if (isRound(count)) deps.observer({ kind: 'leaking', route, count });
      },
      lastStarted: deps.lastStarted,
      number: deps.number,
    });
    this.#outcomes = new Outcomes({
      route,
      observer: deps.observer,
      random,
      now,
      journal: deps.journal,
      gate: this.#breaker?.gate,
      breakerState: () => this.#breakerState(),
      shortCircuit: this.#shortCircuit,
      admit: (entry) => this.#executor.admit(entry),
      settle: (item, row) => this.#settler.add(item, row),
      freed: (success) => this.#consumer.freed(success),
      wake: () => this.#consumer.wake(),
      pause: (paused) => this.#consumer.pause(paused),
      dueIn: (ms) => this.#loops.dueIn(ms),
    });
    this.#settler = new Settler({
      group,
      journal: deps.journal !== 'off',
      config: route.hash.slice(0, 12),
      timers,
      onSettled: (item, result) => {
        this.#outcomes.settled(item, result);
        this.#order?.settled(item, result);
      },
      onFault,
    });
    this.#order = this.#orderOf(deps);
    this.#admission = this.#admissionOf(deps);
    this.#consumer = new Consumer({
      route,
      group: this.#order ?? group,
      mayStart: this.#order && (() => this.#order?.holds === true),
      executor: this.#executor,
      gate: this.#breaker?.gate,
      admission: this.#admission,
      batches: this.#batches,
      suspects: deps.suspects,
      now,
      timers,
      random,
      unsettled: () => this.#settler.unsettled,
      judge: (entry, verdict) => this.#outcomes.judge(entry, verdict),
      onFault,
    });
    this.#quarantine = new Quarantine({
      lane: deps.suspects,
      group,
      consumer: this.#consumer,
      executor: this.#executor,
      batches: this.#batches,
      settler: this.#settler,
      timers: deps.timers,
      onCrashLoop: (entry) => this.#outcomes.crashed(entry),
      onLost: (entries) => this.#lost(entries),
      onFault,
    });
    this.#loops = new GroupLoops({
      group,
      leaseMs: deps.leaseMs,
      random,
      timers,
      held: () => this.#held(),
      room: () => this.#order?.sweeps !== false && this.#consumer.queued < slotsOf(route) * 4 && this.#quarantine.room,
      onLost: (entries) => this.#lost(entries),
      onReclaimed: (entries, lost) => this.#reclaimed(entries, lost),
      onFault,
    });
  }

  #admissionOf(deps: WorkerDeps): Admission | undefined {
    const { route, bus, group, handler, breakers, suspects, observer, timers, random } = deps;
    return Admission.of({
      ...{ route, bus, group, handler, breakers, observer, timers, random },
      start: ({ entry, event, period, probe, gate }) => this.#executor.run(entry, event, period, probe, gate),
      settle: (item) => this.#settler.add(item, undefined),
      shortCircuit: (entry) => this.#outcomes.judge(entry, { kind: 'shortCircuit' }),
      again: (entries) => this.#consumer.add(entries),
      wake: () => this.#consumer.wake(),
      mayStart: (entry) => this.#order?.holds !== false && (!suspects.closed || suspects.admits(entry)),
      // One key of many: what the others may do has not changed.
      onBreaker: (_, to, ours) => this.#shortCircuit?.changed(to, ours),
      onFault: (error) => this.#fault(error),
    });
  }

  #orderOf({ route, group, bus, leaseMs, timers, observer }: WorkerDeps): Ordering | undefined {
    if (route.ordering === undefined) return undefined;
    return new Ordering({
      ...{ rule: route.ordering, concurrency: slotsOf(route), group, leaseMs, timers },
      now: () => bus.now(),
      wants: matchAny(route.on),
      held: () => this.#held(),
      unfinished: () => [...this.#executor.entries(), ...this.#settler.entries()],
      sortOut: (entries) => this.#quarantine.sortOut(entries),
      start: (entries) => this.#consumer.add(entries),
      settle: (item) => this.#settler.add(item, undefined),
      unqueue: () => this.#unqueue(),
      wake: () => this.#consumer.wake(),
      onUnkeyed: (reason) => observer({ kind: 'unkeyed', route, reason }),
      onLost: (ids) => observer({ kind: 'lost', route, ids }),
      onFault: (error) => this.#fault(error),
    });
  }

  start(): void {
    this.#quarantine.start();
    this.#order?.start();
    this.#consumer.start();
    this.#loops.start();
    this.#shortCircuit?.start(this.#breakerState());
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
      queued: this.#consumer.queued + (this.#order?.waiting ?? 0),
      held: this.#consumer.held,
      breaker: this.#breakerState(),
      openKeys: this.#admission?.openKeys ?? 0,
      limited: this.#admission?.shut === true,
    };
  }

  /** Resolves when nothing of this worker runs any more; `deadline` in ms from now. Never rejects. */
  async stop(deadline: number): Promise<void> {
    const { timers } = this.#deps;
    const end = timers.now() + deadline;
    const suspects = this.#quarantine.stop();
    const rest = [
      ...(await this.#consumer.stop()),
      ...suspects,
      ...(this.#order?.stop() ?? []),
      ...(this.#admission?.stop() ?? []),
    ];
    this.#batches?.stop();
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
    await this.#quietly(() => this.#admission?.leave() ?? Promise.resolve());
    await this.#quietly(() => this.#order?.leave() ?? Promise.resolve());
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
    this.#batches?.close();
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

  // ── what it has in hand ──────────────────────────────────────────────────────────────────────────────────────

  #held(): Entry[] {
    return [
      ...this.#executor.entries(),
      ...this.#consumer.waiting(),
      ...this.#settler.entries(),
      ...this.#quarantine.entries(),
      ...(this.#order?.entries() ?? []),
      ...(this.#admission?.entries() ?? []),
    ];
  }

  /** Takes back what has not started. */
  #unqueue(): readonly Entry[] {
    const rest = [...this.#consumer.waiting(), ...this.#quarantine.entries(), ...(this.#admission?.entries() ?? [])];
    this.#admission?.drop(rest);
    this.#consumer.drop(rest);
    this.#quarantine.drop(rest);
    return rest;
  }

  // ── the breaker ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Of a route with one for each key: the worst. */
  #breakerState(): BreakerState {
    return this.#breaker?.gate.state ?? this.#admission?.worst ?? closedBreaker(0);
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
    this.#order?.lost(entries);
    this.#admission?.drop(entries);
    this.#deps.observer({ kind: 'fenced', route: this.route, count: entries.length });
  }

  #reclaimed(entries: readonly Entry[], lost: readonly string[]): void {
    const { observer } = this.#deps;
    if (lost.length > 0) observer({ kind: 'lost', route: this.route, ids: lost });
    if (entries.length === 0) return;
    observer({ kind: 'reclaimed', route: this.route, count: entries.length });
    if (this.#order === undefined) this.#consumer.add(this.#quarantine.sortOut(entries));
    else this.#order.add(entries);
  }

  #fault(error: Error): void {
    this.#deps.observer({ kind: 'bus_error', errorKind: 'worker', message: error.message });
  }
}
