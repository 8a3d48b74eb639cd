/**
 * Where deliveries pass one by one, each with the key of its own: the breaker of its target, and the limit of its customer.
 * One that may not start yet is postponed, so that those behind it with other keys go on.
 *
 *   consumer ─▶ breaker of the key ─▶ permit of the key ─▶ executor
 *                    ╰──────────────────────┴─▶ postponed (or dead-lettered, where the breaker says so)
 *
 * While it is asked for permits or for a probe, a delivery has a slot of the route. One whose earlier run never ended is not
 * postponed, since the count of its starts would begin anew: it waits here.
 */
import { createHash } from 'node:crypto';
import type { Entry, LimitStore, SettleItem } from '../bus/bus.ts';
import type { PermitRequest } from '../core/rate-limit.ts';
import type { EventKey, Route } from '../core/route.ts';
import type { Timer, Timers } from '../core/timers.ts';
import type { EventEnvelope } from '../event.ts';
import type { BreakerGate } from './breaker-gate.ts';
import type { BreakerKeys } from './breaker-keys.ts';
import { Lead } from './lead.ts';

const askAgain = 250;
const mostPatient = 1_000;
/** Until a breaker is looked at again whose probe runs, ms. */
const probePause = 1_000;
const longestSpread = 30_000;

/** A delivery that may start by all that its route says. */
export interface Candidate {
  readonly entry: Entry;
  /** As the handler gets it, and as it was published. */
  readonly event: EventEnvelope;
  readonly published: EventEnvelope;
  /** Of the breaker that let it pass. */
  period: number;
  probe: string | undefined;
  gate: BreakerGate | undefined;
}

export interface TurnstileDeps {
  readonly route: Route;
  /** Names the route's limits on the bus. */
  readonly storage: string;
  readonly limits: LimitStore;
  readonly breakers: BreakerKeys | undefined;
  /** The target of an event, of a handler that has one. */
  readonly target: ((event: EventEnvelope) => string) | undefined;
  /** The bus's clock, ms since the epoch. */
  readonly now: () => number;
  readonly timers: Timers;
  readonly random: () => number;
  readonly start: (candidate: Candidate) => void;
  /** False while suspects run alone. */
  readonly mayStart: (entry: Entry) => boolean;
  readonly settle: (item: SettleItem) => void;
  /** The breaker of its key is open, and the route dead-letters. */
  readonly shortCircuit: (entry: Entry) => void;
  /** These may be looked at again. */
  readonly again: (entries: readonly Entry[]) => void;
  /** These go to whoever takes them. */
  readonly release: (entries: readonly Entry[]) => void;
  /** A slot is free. */
  readonly wake: () => void;
  readonly onLimited: (count: number) => void;
  readonly onUnkeyed: (of: 'rateLimit' | 'circuitBreaker', reason: string) => void;
  readonly onFault: (error: Error) => void;
}

/** Events that have no key are counted together: a limit that let them all pass would be none. */
const noKey = '(none)';
/** Keys may hold what nobody should read in a store, and be long. */
const named = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 32);

export class Turnstile {
  readonly #deps: TurnstileDeps;
  readonly #lead: Lead;
  /** Those that have a slot while the bus is asked. */
  readonly #asking = new Set<Candidate>();
  /** Of those: not asked for yet, by the name of their limit. */
  #gathered = new Map<string, Candidate[]>();
  readonly #patient = new Map<Entry, Timer>();
  /** How many were sent away until a breaker's next probe. */
  readonly #sentAway = new WeakMap<BreakerGate, { until: number; count: number }>();
  #stopped = false;

  constructor(deps: TurnstileDeps) {
    this.#deps = deps;
    this.#lead = new Lead(deps.timers, deps.route.rateLimit?.per ?? 0);
  }

  /** Slots that are taken. */
  get busy(): number {
    return this.#asking.size;
  }

  /** Entries whose lease must be kept. */
  entries(): Entry[] {
    return [...Array.from(this.#asking, ({ entry }) => entry), ...this.#patient.keys()];
  }

  /** Starts it now or later, or settles it. */
  pass(candidate: Candidate): void {
    const { breakers, route } = this.#deps;
    if (breakers === undefined) return this.#limit(candidate);
    const gate = breakers.gate(this.#keyOf('circuitBreaker', route.breaker?.scope, candidate));
    const admission = gate.admit();
    candidate.gate = gate;
    switch (admission.kind) {
      case 'run':
        candidate.period = admission.period;
        return this.#limit(candidate);
      case 'hold':
        return this.#hold(candidate, gate, admission.until);
      case 'probe':
        return void this.#probe(candidate, gate);
    }
  }

  /** These are not ours any more. */
  drop(entries: readonly Entry[]): void {
    const gone = new Set(entries.map(({ id }) => id));
    for (const candidate of this.#asking) if (gone.has(candidate.entry.id)) this.#leave(candidate);
    for (const [entry, timer] of this.#patient) {
      if (!gone.has(entry.id)) continue;
      this.#deps.timers.cancel(timer);
      this.#patient.delete(entry);
    }
  }

  /** Nothing passes any more; returns what waits here. */
  stop(): Entry[] {
    this.#stopped = true;
    const rest = this.entries();
    this.drop(rest);
    return rest;
  }

  // ── the breaker ──────────────────────────────────────────────────────────────────────────────────────────────────

  async #probe(candidate: Candidate, gate: BreakerGate): Promise<void> {
    const { route, random } = this.#deps;
    const id = `${route.group}:${random().toString(36).slice(2)}`;
    this.#asking.add(candidate);
    const period = await gate.lease(id, route.timeout + 5_000);
    if (!this.#asking.has(candidate)) return void (period !== undefined && (await gate.giveBack(id)));
    if (period === undefined) {
      this.#asking.delete(candidate);
      // Closed meanwhile, or somebody else probes.
      if (gate.state.kind === 'closed') this.pass(candidate);
      else this.#hold(candidate, gate, this.#deps.now() + probePause);
      return this.#deps.wake();
    }
    candidate.period = period;
    candidate.probe = id;
    this.#limit(candidate);
  }

  /** Until the next probe: as many as may probe come then, the others spread over a time after it. */
  #hold(candidate: Candidate, gate: BreakerGate, until: number): void {
    const { route, now, random, shortCircuit } = this.#deps;
    if (route.breaker?.onOpen === 'deadLetter') return shortCircuit(candidate.entry);
    const at = gate.state.kind === 'half_open' ? Math.min(until, now() + probePause) : until;
    const before = this.#sentAway.get(gate);
    const count = before?.until === at ? before.count + 1 : 1;
    this.#sentAway.set(gate, { until: at, count });
    const spread = Math.min(Math.max(gate.policy.openFor / 2, probePause), longestSpread);
    const late = count <= gate.policy.halfOpenProbes ? 0 : spread * (0.1 + 0.9 * random());
    this.#postpone(candidate, at - now() + late);
  }

  // ── the limit ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Those of one turn of the event loop are asked for together. */
  #limit(candidate: Candidate): void {
    const { route, storage, timers } = this.#deps;
    const key = route.rateLimit?.key;
    if (key === undefined) return this.#start(candidate);
    this.#asking.add(candidate);
    if (this.#gathered.size === 0) timers.soon(() => this.#askForAll());
    const name = `${storage}:${named(this.#keyOf('rateLimit', key, candidate))}`;
    const others = this.#gathered.get(name);
    if (others === undefined) this.#gathered.set(name, [candidate]);
    else others.push(candidate);
  }

  #askForAll(): void {
    const gathered = this.#gathered;
    this.#gathered = new Map();
    for (const [name, candidates] of gathered) void this.#ask(name, candidates);
  }

  /** Goes on until the bus has spoken: while it cannot be asked nothing of the route could be settled either. */
  async #ask(name: string, all: readonly Candidate[]): Promise<void> {
    const { timers, wake, onFault } = this.#deps;
    // What has waited before comes first, then the older.
    const candidates = [...all].sort((a, b) => hasWaited(b) - hasWaited(a) || ageOf(a) - ageOf(b));
    for (
      let waiting = candidates;
      waiting.length > 0 && !this.#stopped;
      waiting = waiting.filter((one) => this.#asking.has(one))
    ) {
      try {
        if (await this.#tryOnce(name, waiting)) break;
      } catch (error) {
        onFault(error as Error);
        await new Promise<void>((resolve) => void timers.after(askAgain, resolve));
      }
    }
    wake();
  }

  /** False: the time of the permits was over before all were used. */
  async #tryOnce(name: string, candidates: readonly Candidate[]): Promise<boolean> {
    const { route, limits, timers, onLimited } = this.#deps;
    const { limit = 1, per = 0 } = route.rateLimit ?? {};
    const wanted = candidates.length;
    const returning = candidates.filter((one) => hasWaited(one) === 1).length;
    const request: Omit<PermitRequest, 'leadMs'> = { limit, per, wanted, returning, line: true };
    const { answer, until } = await this.#lead.asked((leadMs) => limits.take(name, { ...request, leadMs }));
    for (const [at, candidate] of candidates.entries()) {
      if (at < answer.granted && timers.now() > until) return false;
      if (!this.#asking.has(candidate)) continue;
      if (at < answer.granted) this.#start(candidate);
      else this.#postpone(candidate, answer.waits[at - answer.granted] ?? per);
    }
    if (answer.granted < wanted) onLimited(wanted - answer.granted);
    return true;
  }

  // ── ways out ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #start(candidate: Candidate): void {
    const { start, mayStart, again } = this.#deps;
    if (mayStart(candidate.entry)) {
      this.#asking.delete(candidate);
      return start(candidate);
    }
    this.#leave(candidate);
    again([candidate.entry]);
  }

  #postpone(candidate: Candidate, ms: number): void {
    const { route, now, settle } = this.#deps;
    const { entry } = candidate;
    this.#leave(candidate);
    if (entry.starts > 1) return this.#keep(entry, ms);
    // It expires when it would have, and not when its turn comes.
    const left = route.maxAge === undefined ? ms : entry.publishedAt + route.maxAge + 1 - now();
    settle({ kind: 'postpone', entry, delayMs: Math.ceil(Math.max(1, Math.min(ms, left))) });
  }

  #leave(candidate: Candidate): void {
    this.#asking.delete(candidate);
    if (candidate.probe !== undefined) void candidate.gate?.giveBack(candidate.probe);
  }

  #keep(entry: Entry, ms: number): void {
    const { timers, again, release } = this.#deps;
    if (this.#patient.size >= mostPatient) return release([entry]);
    const timer = timers.after(Math.max(1, Math.min(ms, 3_600_000)), () => {
      if (this.#patient.delete(entry)) again([entry]);
    });
    this.#patient.set(entry, timer);
  }

  #keyOf(of: 'rateLimit' | 'circuitBreaker', rule: EventKey | string | undefined, { published }: Candidate): string {
    const { target, onUnkeyed } = this.#deps;
    try {
      return typeof rule === 'object' ? rule.key(published) : (target?.(published) ?? noKey);
    } catch (error) {
      onUnkeyed(of, (error as Error).message);
      return noKey;
    }
  }
}

/** It came back from the retry set, or out of the hands of a process that ended; what waits here is asked for again as such. */
const hasWaited = ({ entry }: Candidate): 0 | 1 => (entry.state === undefined && entry.starts === 1 ? 0 : 1);
const ageOf = ({ entry }: Candidate): number => entry.publishedAt;
