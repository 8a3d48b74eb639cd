/**
 * What stands between a delivery that is next and its start, besides the route's own breaker: the permits of the route
 * (`rate-gate.ts`), and what goes by a key of the event (`turnstile.ts`). Most routes have neither.
 */
import type { Bus, Entry, Group, SettleItem } from '../bus/bus.ts';
import { type BreakerState, isKeyed } from '../core/breaker.ts';
import type { Route } from '../core/route.ts';
import type { Timers } from '../core/timers.ts';
import type { Observer } from '../observe/signals.ts';
import type { Handler } from '../plugin.ts';
import type { BreakerKeys } from './breaker-keys.ts';
import type { BreakerBoard, BreakerListener } from './breakers.ts';
import { RateGate } from './rate-gate.ts';
import { type Candidate, Turnstile } from './turnstile.ts';

export interface AdmissionDeps {
  readonly route: Route;
  readonly bus: Bus;
  readonly group: Group;
  readonly handler: Handler;
  readonly breakers: BreakerBoard;
  readonly observer: Observer;
  readonly timers: Timers;
  readonly random: () => number;
  readonly start: (candidate: Candidate) => void;
  /** False while suspects run alone. */
  readonly mayStart: (entry: Entry) => boolean;
  readonly settle: (item: SettleItem) => void;
  readonly shortCircuit: (entry: Entry) => void;
  readonly again: (entries: readonly Entry[]) => void;
  readonly wake: () => void;
  readonly onBreaker: BreakerListener;
  readonly onFault: (error: Error) => void;
}

export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #rate: RateGate | undefined;
  readonly #turnstile: Turnstile | undefined;
  readonly #keys: BreakerKeys | undefined;

  /** Undefined for a route that needs none. */
  static of(deps: AdmissionDeps): Admission | undefined {
    return deps.route.rateLimit === undefined && !isKeyed(deps.route.breaker) ? undefined : new Admission(deps);
  }

  private constructor(deps: AdmissionDeps) {
    this.#deps = deps;
    const { route, group, breakers, onBreaker } = deps;
    this.#keys = breakers.joinKeys(route, onBreaker, group.storage);
    this.#rate = this.#rateOf();
    if (this.#keys !== undefined || route.rateLimit?.key !== undefined) this.#turnstile = this.#turnstileOf();
  }

  /** Slots taken by deliveries that the bus is asked about. */
  get busy(): number {
    return this.#turnstile?.busy ?? 0;
  }

  /** No permits now, for any delivery of the route. */
  get shut(): boolean {
    return this.#rate?.shut === true;
  }

  /** How many deliveries are worth having at hand. */
  get readAhead(): number {
    return this.#rate?.readAhead ?? Number.POSITIVE_INFINITY;
  }

  get worst(): BreakerState | undefined {
    return this.#keys?.worst;
  }

  get openKeys(): number {
    return this.#keys?.open ?? 0;
  }

  nextProbeAt(now: number): number | undefined {
    return this.#keys?.nextProbeAt(now);
  }

  /** Whether the next delivery has what it needs, and nobody has to be asked. */
  get stocked(): boolean {
    return this.#rate?.stocked !== false;
  }

  /** Whether one of so many that wait may go on; when not, `wake` follows. */
  admits(waiting: number): boolean {
    return this.#rate?.admits(waiting) !== false;
  }

  /** Starts it now or later, or settles it. */
  pass(candidate: Candidate): void {
    this.#rate?.started();
    if (this.#turnstile === undefined) this.#deps.start(candidate);
    else this.#turnstile.pass(candidate);
  }

  /** Entries whose lease must be kept. */
  entries(): readonly Entry[] {
    return this.#turnstile?.entries() ?? [];
  }

  drop(entries: readonly Entry[]): void {
    this.#turnstile?.drop(entries);
  }

  /** Nothing passes any more; returns what waits here. */
  stop(): readonly Entry[] {
    this.#rate?.stop();
    return this.#turnstile?.stop() ?? [];
  }

  /** Nothing of the route runs any more. */
  async leave(): Promise<void> {
    await this.#keys?.settled();
    this.#keys?.leave();
  }

  #rateOf(): RateGate | undefined {
    const { route, bus, group, timers, observer, wake, onFault } = this.#deps;
    const limit = route.rateLimit;
    if (limit === undefined || limit.key !== undefined) return undefined;
    return new RateGate({
      ...{ limits: bus.limits, key: group.storage, limit, timers, wake, onFault },
      onLimited: () => observer({ kind: 'rate_limited', route, count: 1 }),
    });
  }

  #turnstileOf(): Turnstile {
    const { route, bus, group, handler, observer, onFault, ...deps } = this.#deps;
    return new Turnstile({
      ...{ ...deps, route, storage: group.storage, limits: bus.limits, breakers: this.#keys, onFault },
      target: handler.target === undefined ? undefined : (event) => handler.target?.(event) ?? '',
      now: () => bus.now(),
      release: (entries) => void group.release(entries).catch(onFault),
      onLimited: (count) => observer({ kind: 'rate_limited', route, count }),
      onUnkeyed: (of, reason) => observer({ kind: 'unkeyed', route, of, reason }),
    });
  }
}
