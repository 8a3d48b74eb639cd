/**
 * The breakers of a route that has one for each key, such as a tenant or a host. There may be any number of keys and few of
 * them are in trouble at a time, so only some are kept: one that is closed makes room for another, and when a thousand are
 * open at once the keys past them share one.
 */
import { createHash } from 'node:crypto';
import { type BreakerState, nextProbeAt } from '../core/breaker.ts';
import type { Route } from '../core/route.ts';
import type { BreakerGate } from './breaker-gate.ts';

/** Keys of one route that have a breaker of their own. */
const mostKeys = 1_000;
const longestKey = 100;
/** A breaker that nobody has used for so long stands for somebody who is gone, ms. */
const abandoned = 24 * 3_600_000;

/** Whether it is the breaker of one key. */
export const isKeysBreaker = (breakerKey: string): boolean => /^(key|host):/.test(breakerKey);

/** One that is closed and has nothing to make up for is as good as none. */
export function forgettable(state: BreakerState, now: number): boolean {
  switch (state.kind) {
    case 'closed':
      return (state.failures === 0 && state.lastOpenFor === 0) || now - state.windowStart > abandoned;
    case 'open':
      return now - state.until > abandoned;
    case 'half_open':
      return state.probes.every(({ expiresAt }) => now - expiresAt > abandoned) && state.probes.length > 0;
  }
}

/** Part in a breaker that others may have a part in too. */
export interface Share {
  readonly gate: BreakerGate;
  leave(): void;
}

export class BreakerKeys {
  readonly #head: string;
  /** The one that the keys share that have none. */
  readonly #others: string;
  readonly #join: (key: string) => Share;
  readonly #onLeave: () => void;
  /** The one that was used last is the last. */
  readonly #shares = new Map<string, Share>();

  /** `storage`: of the route's group, so that a renamed route keeps its breakers. A host is the same for every route. */
  constructor(route: Route, storage: string, join: (key: string) => Share, onLeave: () => void) {
    this.#head = route.breaker?.scope === 'host' ? 'host:' : `key:${storage}:`;
    this.#others = `${this.#head}(others)`;
    this.#join = join;
    this.#onLeave = onLeave;
  }

  /** The breaker of `key`. */
  gate(key: string): BreakerGate {
    const name = nameOf(this.#head, key);
    const share = this.#shares.get(name) ?? this.#make(name);
    this.#shares.delete(share.gate.key);
    this.#shares.set(share.gate.key, share);
    return share.gate;
  }

  /** The worst of them: one that is open, or half open, or undefined. */
  get worst(): BreakerState | undefined {
    const states = this.#open();
    return states.find(({ kind }) => kind === 'open') ?? states[0];
  }

  /** How many are not closed. */
  get open(): number {
    return this.#open().length;
  }

  /** When the first of those that are not closed wants a probe, ms since the epoch. */
  nextProbeAt(now: number): number | undefined {
    const times = [...this.#shares.values()].flatMap(({ gate }) => nextProbeAt(gate.policy, gate.state, now) ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Resolves when everything that was seen has been told. */
  async settled(): Promise<void> {
    await Promise.all(Array.from(this.#shares.values(), ({ gate }) => gate.settled()));
  }

  leave(): void {
    for (const share of this.#shares.values()) share.leave();
    this.#shares.clear();
    this.#onLeave();
  }

  #open(): BreakerState[] {
    return Array.from(this.#shares.values(), ({ gate }) => gate.state).filter(({ kind }) => kind !== 'closed');
  }

  #make(name: string): Share {
    if (this.#shares.size < mostKeys || this.#makeRoom()) return this.#join(name);
    return this.#shares.get(this.#others) ?? this.#join(this.#others);
  }

  #makeRoom(): boolean {
    for (const [name, share] of this.#shares) {
      if (share.gate.state.kind !== 'closed' || name === this.#others) continue;
      share.leave();
      return this.#shares.delete(name);
    }
    return false;
  }
}

const nameOf = (head: string, key: string): string =>
  head + (key.length <= longestKey ? key : createHash('sha256').update(key).digest('hex'));
