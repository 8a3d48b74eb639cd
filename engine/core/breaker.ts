/**
 * The circuit breaker as values: (policy, state, what happened, now) → next state. Nothing here waits, stores or
 * reads a clock. The state is shared between engines by compare-and-set, so it is small plain JSON, and only what can
 * be true is in it: an open breaker has no probes, a closed one no deadline.
 */
import type { BreakerPolicy } from './route.ts';

/** Counts of the closed state. For the ratio rule they cover one window; for the consecutive rule only `failures` moves. */
export type BreakerState =
  | {
      readonly kind: 'closed';
      readonly period: number;
      readonly windowStart: number;
      readonly calls: number;
      readonly failures: number;
      /** How long it was open the last time, so that a breaker that flaps opens for longer. 0: never or long ago. */
      readonly lastOpenFor: number;
    }
  | {
      readonly kind: 'open';
      readonly period: number;
      readonly since: number;
      readonly until: number;
      readonly openFor: number;
      /** The fault that opened it, or who forced it. */
      readonly why: string;
    }
  | {
      readonly kind: 'half_open';
      readonly period: number;
      readonly openFor: number;
      readonly probes: readonly Probe[];
      readonly successes: number;
      readonly why: string;
    };

/** A leased right to try the target once. */
export interface Probe {
  readonly id: string;
  /** ms since the epoch; past it the lease is void and the probe may be given again. */
  readonly expiresAt: number;
}

export const closedBreaker = (now: number, period = 0): Closed => ({
  kind: 'closed',
  period,
  windowStart: now,
  calls: 0,
  failures: 0,
  lastOpenFor: 0,
});

/** What an engine saw since it last told: `calls` finished, of which `failures` count against the target's health. */
export interface BreakerReport {
  /** The period in which these calls were admitted; results of another period change nothing. */
  readonly period: number;
  readonly calls: number;
  readonly failures: number;
  /** True when the newest of the calls failed. */
  readonly endsInFailure: boolean;
  /** Failures in a row at the end. */
  readonly trailingFailures: number;
  readonly why: string;
}

function open(policy: BreakerPolicy, period: number, openFor: number, why: string, now: number): BreakerState {
  const bounded = Math.min(openFor, policy.maxOpenFor);
  return { kind: 'open', period: period + 1, since: now, until: now + bounded, openFor: bounded, why };
}

/** Of the number of a version, beside which it has a part of this size by chance. */
const chances = 2 ** 20;

/**
 * The version that follows: later than `version`, and another one each time. A failover may take back what an engine has
 * seen; what another engine then puts in its place must not pass for it. Safe integers last for 2^33 changes.
 */
export const nextVersion = (version: number, random: () => number): number =>
  (Math.floor(version / chances) + 1) * chances + Math.floor(random() * chances);

/** Whether there is one for each key, and not one for a whole route or handler. */
export const isKeyed = (policy: BreakerPolicy | undefined): boolean =>
  policy !== undefined && policy.scope !== 'route' && policy.scope !== 'handler';

/** Tally of finished calls in the closed state; may open. */
export function tally(policy: BreakerPolicy, state: BreakerState, report: BreakerReport, now: number): BreakerState {
  if (state.kind !== 'closed' || report.period !== state.period) return state;
  const next =
    policy.rule.kind === 'consecutive' ? tallyRow(state, report) : tallyWindow(policy.rule.window, state, report, now);
  if (!shouldOpen(policy, next)) return next;
  return open(policy, state.period, state.lastOpenFor > 0 ? state.lastOpenFor * 2 : policy.openFor, report.why, now);
}

type Closed = Extract<BreakerState, { kind: 'closed' }>;

function tallyRow(state: Closed, report: BreakerReport): Closed {
  const allFailed = report.trailingFailures === report.calls;
  const failures = allFailed ? state.failures + report.trailingFailures : report.trailingFailures;
  return { ...state, failures, lastOpenFor: allFailed ? state.lastOpenFor : 0 };
}

function tallyWindow(window: number, state: Closed, report: BreakerReport, now: number): Closed {
  const fresh = now - state.windowStart >= window;
  return {
    ...state,
    windowStart: fresh ? now : state.windowStart,
    calls: (fresh ? 0 : state.calls) + report.calls,
    failures: (fresh ? 0 : state.failures) + report.failures,
    lastOpenFor: fresh && !report.endsInFailure ? 0 : state.lastOpenFor,
  };
}

function shouldOpen(policy: BreakerPolicy, state: Closed): boolean {
  const { rule } = policy;
  if (rule.kind === 'consecutive') return state.failures >= rule.failures;
  return state.calls >= rule.minimumCalls && state.failures / state.calls >= rule.ratio;
}

/** Asks for a probe. Undefined: not now. The caller stores `state` by compare-and-set, and probes only if that won. */
export function leaseProbe(
  policy: BreakerPolicy,
  state: BreakerState,
  probe: Probe,
  now: number,
): BreakerState | undefined {
  switch (state.kind) {
    case 'closed':
      return undefined;
    case 'open':
      if (now < openUntil(state, now)) return undefined;
      return {
        kind: 'half_open',
        period: state.period,
        openFor: state.openFor,
        probes: [probe],
        successes: 0,
        why: state.why,
      };
    case 'half_open': {
      const live = state.probes.filter((held) => held.expiresAt > now);
      if (live.length >= probesLeft(policy, state)) return undefined;
      return { ...state, probes: [...live, probe] };
    }
  }
}

/** The answer of a probe. One that is no longer leased, or of an older period, changes nothing. */
export function probed(
  policy: BreakerPolicy,
  state: BreakerState,
  probe: { readonly id: string; readonly period: number; readonly healthy: boolean; readonly why: string },
  now: number,
): BreakerState {
  if (state.kind !== 'half_open' || state.period !== probe.period) return state;
  if (!state.probes.some((held) => held.id === probe.id)) return state;
  if (!probe.healthy) return open(policy, state.period, state.openFor * 2, probe.why, now);
  const successes = state.successes + 1;
  if (successes < policy.halfOpenProbes) {
    return { ...state, successes, probes: state.probes.filter((held) => held.id !== probe.id) };
  }
  return { ...closedBreaker(now, state.period + 1), lastOpenFor: state.openFor };
}

/** A probe that never ran gives its lease back. */
export function returnProbe(state: BreakerState, id: string): BreakerState {
  if (state.kind !== 'half_open') return state;
  return { ...state, probes: state.probes.filter((held) => held.id !== id) };
}

/** At least one: a reload may ask for fewer successes than there have been, and only a probe closes the breaker. */
const probesLeft = (policy: BreakerPolicy, { successes }: { readonly successes: number }): number =>
  Math.max(1, policy.halfOpenProbes - successes);

/** The clock may have been set back since it opened: then it does not wait until that time comes again. */
const openUntil = ({ since, until, openFor }: Extract<BreakerState, { kind: 'open' }>, now: number): number =>
  since - now > openFor ? now : until;

/** When the next probe may be asked for, ms since the epoch (0: at once); undefined when closed. */
export function nextProbeAt(policy: BreakerPolicy, state: BreakerState, now: number): number | undefined {
  switch (state.kind) {
    case 'closed':
      return undefined;
    case 'open':
      return openUntil(state, now);
    case 'half_open':
      if (state.probes.length < probesLeft(policy, state)) return 0;
      return Math.min(...state.probes.map((probe) => probe.expiresAt));
  }
}
