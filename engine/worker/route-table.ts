/**
 * The running routes. A reload is: make everything new, then swap, then drain what was replaced.
 *
 *   prepare(after) → handlers and groups of every route that starts or changes; fails as a whole and leaves nothing behind
 *   commit()       → new workers read, replaced ones stop; routes that did not change are not touched
 */
import type { Bus, Group } from '../bus/bus.ts';
import type { Generation, Route } from '../core/route.ts';
import type { Timers } from '../core/timers.ts';
import type { Observer, RouteGauges } from '../observe/signals.ts';
import type { Handler, Log } from '../plugin.ts';
import { BreakerBoard } from './breakers.ts';
import { ClaimKeeper } from './claims.ts';
import type { Mask } from './fault.ts';
import { SuspectLane } from './suspects.ts';
import { Worker } from './worker.ts';

export interface RouteTableDeps {
  readonly bus: Bus;
  readonly observer: Observer;
  readonly logFor: (route: Route) => Log;
  /** Rejects when the handler cannot be made; the reload is then refused. */
  readonly createHandler: (route: Route) => Promise<Handler>;
  readonly journal: 'all' | 'failures' | 'off';
  readonly leaseMs: number;
  readonly random: () => number;
  readonly timers: Timers;
  /** Gets the number of the route whose handler was started last [nobody looks]. */
  readonly lastStarted?: Int32Array;
  /** How long a route is gone before its retries become dead letters, ms. */
  readonly removedGraceMs: number;
  /** Takes secrets out of what handlers and targets say. */
  readonly mask?: Mask;
}

/** By group. `change`: same identity, another hash. */
export interface Changes {
  readonly start: readonly Route[];
  readonly change: readonly Route[];
  readonly stop: readonly string[];
}

interface Made {
  readonly route: Route;
  readonly handler: Handler;
}

interface Prepared extends Made {
  readonly group: Group;
}

async function unmake({ handler, group }: Prepared): Promise<void> {
  await Promise.allSettled([Promise.resolve(handler.close?.()), group.close()]);
}

export class RouteTable {
  #deps: RouteTableDeps;
  #workers = new Map<string, Worker>();
  #breakers: BreakerBoard;
  #suspects: SuspectLane;
  #lastStarted: Int32Array;
  #numbers = new Map<string, number>();
  #names = new Map<number, string>();
  #draining = new Set<Promise<void>>();
  #stopping = false;
  #generation: Generation = { hash: '', pipelines: [], eventTypes: new Map(), routes: new Map() };
  #number = 0;
  #claims: ClaimKeeper;

  constructor(deps: RouteTableDeps) {
    this.#deps = deps;
    const { bus, observer, timers, random } = deps;
    this.#suspects = new SuspectLane(timers);
    this.#lastStarted = deps.lastStarted ?? new Int32Array(1);
    const { leaseMs, removedGraceMs: graceMs } = deps;
    this.#claims = new ClaimKeeper({ bus, observer, timers, leaseMs, graceMs });
    this.#breakers = new BreakerBoard({ store: bus.breakers, now: () => bus.now(), random, timers, observer });
  }

  /** The number that each route writes into `lastStarted`; the same for all lives of a group. */
  get numbers(): ReadonlyMap<number, string> {
    return this.#names;
  }

  /** Some of the deliveries that run, of each route. */
  running(): { readonly route: string; readonly event: string }[] {
    return [...this.#workers].flatMap(([route, worker]) => worker.running(3).map((event) => ({ route, event })));
  }

  gauges(): RouteGauges[] {
    return Array.from(this.#workers.values(), (worker) => worker.gauges());
  }

  /** Makes handlers and groups for `changes`, and returns the act that puts them in force. Rejects with the first failure. */
  async prepare(
    changes: Changes,
    generation: Generation,
    number = this.#number + 1,
  ): Promise<(drainMs: number) => void> {
    const made: Made[] = [];
    const prepared: Prepared[] = [];
    try {
      for (const route of [...changes.start, ...changes.change]) {
        made.push({ route, handler: await this.#deps.createHandler(route) });
      }
      // The names first: a group opens where its route's state is.
      await this.#claims.claim(generation, number);
      for (const one of made) prepared.push({ ...one, group: await this.#open(one.route) });
      await this.#breakers.refresh();
      if (this.#stopping) throw new Error('expected an engine that goes on, it is stopping');
    } catch (error) {
      await Promise.allSettled([
        ...made.map(({ handler }) => handler.close?.()),
        ...prepared.map(({ group }) => group.close()),
        this.#claims.takeBack(this.#generation, this.#number),
      ]);
      throw error;
    }
    return (drainMs) => {
      this.#number = number;
      this.#commit(prepared, changes.stop, generation, drainMs);
    };
  }

  /** Stops every worker; resolves when all have stopped. What is being prepared meanwhile does not start any more. */
  async stop(drainMs: number): Promise<void> {
    this.#stopping = true;
    const claims = this.#claims.close();
    const workers = [...this.#workers.values()];
    this.#workers.clear();
    await Promise.all([...workers.map((worker) => worker.stop(drainMs)), ...this.#draining, claims]);
    this.#breakers.close();
  }

  #open(route: Route): Promise<Group> {
    const { group, on: patterns, startFrom, deadLetter } = route;
    return this.#deps.bus.openGroup({ group, patterns, startFrom, deadLetter });
  }

  /** Nothing here can fail or wait: the swap is one step of the event loop. */
  #commit(prepared: readonly Prepared[], stop: readonly string[], generation: Generation, drainMs: number): void {
    if (this.#stopping) return void prepared.map((made) => unmake(made));
    this.#generation = generation;
    for (const group of stop) this.#retire(group, drainMs);
    for (const { route, handler, group } of prepared) {
      this.#retire(route.group, drainMs);
      const worker = this.#worker(route, handler, group);
      this.#workers.set(route.group, worker);
      worker.start();
    }
  }

  #worker(route: Route, handler: Handler, group: Group): Worker {
    const { bus, observer, logFor, journal, leaseMs, random, timers, mask } = this.#deps;
    return new Worker({
      bus,
      group,
      route,
      handler,
      log: logFor(route),
      eventTypes: () => this.#generation.eventTypes,
      breakers: this.#breakers,
      suspects: this.#suspects,
      lastStarted: this.#lastStarted,
      number: this.#numberOf(route.group),
      observer,
      random,
      timers,
      journal,
      leaseMs,
      mask,
    });
  }

  #numberOf(group: string): number {
    const number = this.#numbers.get(group) ?? this.#numbers.size + 1;
    this.#numbers.set(group, number);
    this.#names.set(number, group);
    return number;
  }

  #retire(group: string, drainMs: number): void {
    const worker = this.#workers.get(group);
    if (worker === undefined) return;
    this.#workers.delete(group);
    const drained = worker.stop(drainMs).finally(() => this.#draining.delete(drained));
    this.#draining.add(drained);
  }
}
