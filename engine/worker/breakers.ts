/**
 * Every breaker of this engine. A breaker outlives reloads: it belongs to its key, is counted by the routes that use it,
 * and is forgotten here (not on the bus) when the last of them goes.
 */
import type { BreakerStore, StoredBreaker } from '../bus/bus.ts';
import { type BreakerState, closedBreaker, isKeyed } from '../core/breaker.ts';
import type { Route } from '../core/route.ts';
import type { Timer, Timers } from '../core/timers.ts';
import type { Observer } from '../observe/signals.ts';
import { BreakerGate } from './breaker-gate.ts';
import { BreakerKeys, forgettable, isKeysBreaker, type Share } from './breaker-keys.ts';

const pollMs = 1_000;
/** Forgotten with one look at the bus. */
const mostForgotten = 100;

/** `storage`: of the route's group, so that a renamed route keeps its breaker. */
export const breakerKey = (route: Route, storage = route.group): string =>
  route.breaker?.scope === 'handler' ? `handler:${route.plugin}:${route.handler}` : `route:${storage}`;

/** What a worker wants to hear: the state changed, so look again at what may start. */
export type BreakerListener = (from: BreakerState, to: BreakerState, ours: boolean) => void;

interface Member {
  readonly route: Route;
  readonly listener: BreakerListener;
}

interface Shared {
  readonly gate: BreakerGate;
  readonly members: Set<Member>;
}

export interface BreakerBoardDeps {
  readonly store: BreakerStore;
  readonly now: () => number;
  readonly random: () => number;
  readonly timers: Timers;
  readonly observer: Observer;
}

export class BreakerBoard {
  #deps: BreakerBoardDeps;
  #shared = new Map<string, Shared>();
  /** As the bus had them when it was asked last. */
  #stored: ReadonlyMap<string, StoredBreaker> = new Map();
  /** Routes with a breaker for each key. */
  #keyed = new Set<BreakerKeys>();
  #timer: Timer | undefined;

  constructor(deps: BreakerBoardDeps) {
    this.#deps = deps;
    this.#poll();
  }

  /** Joins the route's breaker, or returns undefined when the route has none, or one for each key. */
  join(route: Route, listener: BreakerListener, storage = route.group): Share | undefined {
    if (route.breaker === undefined || isKeyed(route.breaker)) return undefined;
    return this.#join(breakerKey(route, storage), route, listener);
  }

  /** The breakers of a route that has one for each key; undefined for any other. */
  joinKeys(route: Route, listener: BreakerListener, storage = route.group): BreakerKeys | undefined {
    if (!isKeyed(route.breaker)) return undefined;
    const keys = new BreakerKeys(
      route,
      storage,
      (key) => this.#join(key, route, listener),
      () => this.#keyed.delete(keys),
    );
    this.#keyed.add(keys);
    return keys;
  }

  #join(key: string, route: Route, listener: BreakerListener): Share {
    const shared = this.#shared.get(key) ?? this.#create(key, route);
    if (route.breaker !== undefined) shared.gate.policy = route.breaker;
    const member = { route, listener };
    shared.members.add(member);
    return { gate: shared.gate, leave: () => this.#leave(key, shared, member) };
  }

  /** Takes over what other engines changed. Asked before a route starts, so that it does not start with a closed one. */
  async refresh(): Promise<void> {
    const known = new Map([...this.#shared].map(([key, { gate }]) => [key, gate.version]));
    try {
      const all = await this.#deps.store.list();
      this.#stored = new Map(all.map((stored) => [stored.key, stored]));
      for (const stored of all) this.#shared.get(stored.key)?.gate.absorb(stored, known.get(stored.key));
      await this.#forgetSome(known);
    } catch (error) {
      this.#fault(error as Error);
    }
  }

  /** Of the breakers of keys there may be any number, so those that say nothing go. What has gone here is closed. */
  async #forgetSome(known: ReadonlyMap<string, number>): Promise<void> {
    const now = this.#deps.now();
    const quiet = [...this.#stored.values()].filter(({ key, state }) => isKeysBreaker(key) && forgettable(state, now));
    for (const { key, version } of quiet.slice(0, mostForgotten)) await this.#deps.store.forget(key, version);
    for (const [key, version] of known) {
      if (version === 0 || !isKeysBreaker(key) || this.#stored.has(key)) continue;
      this.#shared.get(key)?.gate.absorb({ key, version: 0, state: closedBreaker(now) }, version);
    }
  }

  close(): void {
    this.#deps.timers.cancel(this.#timer);
  }

  /** Whether the last one was answered or not: a refresh that hangs does not stop the next. */
  #poll(): void {
    this.#timer = this.#deps.timers.after(pollMs, () => {
      this.#poll();
      if (this.#shared.size > 0 || this.#keyed.size > 0) void this.refresh();
    });
  }

  #create(key: string, route: Route): Shared {
    const members = new Set<Member>();
    const gate = new BreakerGate(key, route.breaker as NonNullable<Route['breaker']>, {
      store: this.#deps.store,
      now: this.#deps.now,
      random: this.#deps.random,
      onTransition: (_gate, from, to, ours) => this.#tell(key, members, from, to, ours),
      onFault: (error) => this.#fault(error),
    });
    const stored = this.#stored.get(key);
    if (stored !== undefined) gate.absorb(stored);
    const shared = { gate, members };
    this.#shared.set(key, shared);
    return shared;
  }

  #leave(key: string, shared: Shared, member: Member): void {
    shared.members.delete(member);
    if (shared.members.size === 0 && this.#shared.get(key) === shared) this.#shared.delete(key);
  }

  /** The engine that made the change counts it, so that N engines do not count it N times. */
  #tell(key: string, members: ReadonlySet<Member>, from: BreakerState, to: BreakerState, ours: boolean): void {
    for (const { route, listener } of members) {
      if (ours && from.kind !== to.kind) {
        const until = to.kind === 'open' ? to.until : undefined;
        this.#deps.observer({ kind: 'breaker', route, key, from: from.kind, to: to.kind, why: whyOf(from, to), until });
      }
      listener(from, to, ours);
    }
  }

  #fault(error: Error): void {
    this.#deps.observer({ kind: 'bus_error', errorKind: 'breaker', message: error.message });
  }
}

function whyOf(from: BreakerState, to: BreakerState): string {
  if (to.kind === 'closed') return 'the target answers again';
  return to.kind === 'open' ? to.why : from.kind === 'open' ? from.why : '';
}
