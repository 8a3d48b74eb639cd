/**
 * One breaker as this engine sees it. Admission is local and synchronous: a success on a healthy target costs no trip to
 * the bus. What was seen is told to the bus by compare-and-set, so that every engine ends with one state; when the bus
 * cannot be asked, the local view decides alone (never fail closed).
 */
import type { BreakerStore, StoredBreaker } from '../bus/bus.ts';
import {
  type BreakerReport,
  type BreakerState,
  closedBreaker,
  leaseProbe,
  nextProbeAt,
  nextVersion,
  probed,
  returnProbe,
  tally,
} from '../core/breaker.ts';
import type { BreakerPolicy } from '../core/route.ts';

export type Admission =
  | { readonly kind: 'run'; readonly period: number }
  /** Nothing may start before `until` (ms since the epoch), or before the state changes. */
  | { readonly kind: 'hold'; readonly until: number }
  /** A probe may be asked for with `lease`. */
  | { readonly kind: 'probe' };

export interface GateDeps {
  readonly store: BreakerStore;
  readonly now: () => number;
  readonly random: () => number;
  /** Called for a change of kind; `ours` when this engine made it. */
  readonly onTransition: (gate: BreakerGate, from: BreakerState, to: BreakerState, ours: boolean) => void;
  readonly onFault: (error: Error) => void;
}

const none: BreakerReport = { period: 0, calls: 0, failures: 0, endsInFailure: false, trailingFailures: 0, why: '' };
/** Of compare and set, each lost to another engine that was faster. */
const maxTries = 32;

export class BreakerGate {
  readonly key: string;
  policy: BreakerPolicy;
  #deps: GateDeps;
  #stored: StoredBreaker;
  #view: BreakerState;
  #pending = none;
  #chain: Promise<void> = Promise.resolve();
  #flushing = false;

  constructor(key: string, policy: BreakerPolicy, deps: GateDeps) {
    this.key = key;
    this.policy = policy;
    this.#deps = deps;
    this.#view = closedBreaker(deps.now());
    this.#stored = { key, version: 0, state: this.#view };
  }

  get state(): BreakerState {
    return this.#view;
  }

  admit(): Admission {
    if (this.#view.kind === 'closed') return { kind: 'run', period: this.#view.period };
    const now = this.#deps.now();
    const at = nextProbeAt(this.policy, this.#view, now) ?? now;
    return at > now ? { kind: 'hold', until: at } : { kind: 'probe' };
  }

  /** A finished call that was admitted in `period`. `failure` is the reason when it counts against the target. */
  report(period: number, failure: string | undefined): void {
    if (this.#view.kind !== 'closed' || period !== this.#view.period) return;
    if (failure === undefined && !this.#successMatters(this.#view)) return;
    this.#pending = add(this.#pending, period, failure);
    this.#view = tally(this.policy, this.#view, add(none, period, failure), this.#deps.now());
    this.#flush();
  }

  /** Successes change nothing while there is no failure to make up for, unless a ratio is counted. */
  #successMatters(state: Extract<BreakerState, { kind: 'closed' }>): boolean {
    return this.policy.rule.kind === 'ratio' || state.failures > 0 || state.lastOpenFor > 0 || this.#pending.calls > 0;
  }

  /** Asks for the right to probe. Resolves to the period to run in, or undefined when somebody else has it. */
  async lease(id: string, leaseMs: number): Promise<number | undefined> {
    const now = this.#deps.now();
    const won = await this.#change((state) =>
      leaseProbe(this.policy, state, { id, expiresAt: now + leaseMs }, this.#deps.now()),
    );
    return won?.kind === 'half_open' && won.probes.some((probe) => probe.id === id) ? won.period : undefined;
  }

  async probed(id: string, period: number, failure: string | undefined): Promise<void> {
    const answer = { id, period, healthy: failure === undefined, why: failure ?? '' };
    await this.#change((state) => changed(state, probed(this.policy, state, answer, this.#deps.now())));
  }

  async giveBack(id: string): Promise<void> {
    await this.#change((state) => changed(state, returnProbe(state, id)));
  }

  get version(): number {
    return this.#stored.version;
  }

  /**
   * News from the bus. Older news than ours is ignored, unless it is older than what we had when the bus was asked
   * (`known`): then the bus has lost what we know, as in a failover, and all engines go by what it kept.
   */
  absorb(stored: StoredBreaker, known = 0): void {
    if (stored.version >= this.#stored.version || stored.version < known) this.#adopt(stored, false);
  }

  /** Resolves when everything that was reported has been told. */
  settled(): Promise<void> {
    return this.#chain;
  }

  /** Tells the bus what was seen. What is reported meanwhile goes with the next flush. */
  #flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#chain = this.#chain.then(async () => {
      this.#flushing = false;
      const report = this.#pending;
      this.#pending = none;
      await this.#swap((state) => changed(state, tally(this.policy, state, report, this.#deps.now())), true);
    });
  }

  /** Changes run one after another. Never rejects. */
  #change(next: (state: BreakerState) => BreakerState | undefined): Promise<BreakerState | undefined> {
    const done = this.#chain.then(() => this.#swap(next));
    this.#chain = done.then(() => undefined);
    return done;
  }

  /**
   * Compare and set; computed afresh each time another engine was faster. Undefined: nothing to change. `counts`: done
   * twice it says something else than done once.
   */
  async #swap(
    next: (state: BreakerState) => BreakerState | undefined,
    counts = false,
  ): Promise<BreakerState | undefined> {
    for (let attempt = 0; attempt < maxTries; attempt += 1) {
      const before = this.#stored;
      const state = next(before.state);
      if (state === undefined) {
        this.#adopt(this.#stored, false);
        return undefined;
      }
      const version = nextVersion(before.version, this.#deps.random);
      try {
        const { won, stored } = await this.#deps.store.swap(this.key, before.version, state, version);
        // A store that has forgotten it knows less than we do, and not what we asked it to put down.
        this.#adopt(won || stored.version > 0 ? stored : { ...stored, state: before.state }, won);
        if (won) return state;
      } catch (error) {
        this.#deps.onFault(error as Error);
        // News came while nobody answered: what was made of the old state must not pass for a change of the new one.
        // They may hold our change already, so calls are rather left out than counted twice.
        if (this.#stored.version !== before.version && counts) return undefined;
        if (this.#stored.version !== before.version) continue;
        this.#adopt({ ...before, state }, true);
        return state;
      }
    }
    return undefined;
  }

  #adopt(stored: StoredBreaker, ours: boolean): void {
    const before = this.#stored.state;
    this.#stored = stored;
    this.#view =
      this.#pending.calls === 0 ? stored.state : tally(this.policy, stored.state, this.#pending, this.#deps.now());
    if (before.kind !== stored.state.kind || before.period !== stored.state.period) {
      this.#deps.onTransition(this, before, stored.state, ours);
    }
  }
}

const changed = (before: BreakerState, after: BreakerState): BreakerState | undefined =>
  before === after ? undefined : after;

function add(report: BreakerReport, period: number, failure: string | undefined): BreakerReport {
  const base = report.period === period ? report : { ...none, period };
  const failed = failure !== undefined;
  return {
    period,
    calls: base.calls + 1,
    failures: base.failures + (failed ? 1 : 0),
    endsInFailure: failed,
    trailingFailures: failed ? base.trailingFailures + 1 : 0,
    why: failure ?? base.why,
  };
}
