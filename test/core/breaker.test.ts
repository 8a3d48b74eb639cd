import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type BreakerReport,
  type BreakerState,
  closedBreaker,
  leaseProbe,
  nextProbeAt,
  probed,
  returnProbe,
  tally,
} from '../../engine/core/breaker.ts';
import { breakerPolicy } from '../support/policies.ts';

const policy = breakerPolicy({ rule: { kind: 'consecutive', failures: 3 }, openFor: 1_000, maxOpenFor: 3_000 });
const calls = (results: readonly boolean[], period = 0): BreakerReport => {
  const trailing = results.length - 1 - results.lastIndexOf(true);
  return {
    period,
    calls: results.length,
    failures: results.filter((ok) => !ok).length,
    endsInFailure: results.at(-1) === false,
    trailingFailures: trailing,
    why: 'ECONNREFUSED',
  };
};
const ok = true;
const bad = false;

function opened(now = 0): Extract<BreakerState, { kind: 'open' }> {
  const state = tally(policy, closedBreaker(now), calls([bad, bad, bad]), now);
  assert.equal(state.kind, 'open');
  return state as Extract<BreakerState, { kind: 'open' }>;
}

function halfOpen(now: number): BreakerState {
  return leaseProbe(policy, opened(), { id: 'p1', expiresAt: now + 500 }, now) as BreakerState;
}

test('failures in a row open it, over several reports, and one success starts the row again', () => {
  let state = tally(policy, closedBreaker(0), calls([bad, bad]), 0);
  assert.equal(state.kind, 'closed');
  assert.equal(tally(policy, state, calls([bad]), 0).kind, 'open');
  state = tally(policy, state, calls([bad, ok, bad]), 0);
  assert.deepEqual(state.kind === 'closed' && state.failures, 1);
});

test('a ratio opens it only with enough calls in the window', () => {
  const ratio = breakerPolicy({ rule: { kind: 'ratio', ratio: 0.5, minimumCalls: 4, window: 10_000 } });
  const three = tally(ratio, closedBreaker(0), calls([bad, bad, bad]), 1);
  assert.equal(three.kind, 'closed');
  assert.equal(tally(ratio, three, calls([ok]), 2).kind, 'open');
  assert.equal(tally(ratio, three, calls([ok]), 10_001).kind, 'closed', 'a new window forgets');
});

test('results of another period change nothing', () => {
  const state = closedBreaker(0, 7);
  assert.equal(tally(policy, state, calls([bad, bad, bad], 6), 0), state);
});

test('while it is open nobody gets a probe; after openFor one does, and a second only when the lease is void', () => {
  const open = opened(0);
  assert.equal(leaseProbe(policy, open, { id: 'a', expiresAt: 2_000 }, 999), undefined);
  const half = leaseProbe(policy, open, { id: 'a', expiresAt: 2_000 }, 1_000) as BreakerState;
  assert.equal(half.kind, 'half_open');
  assert.equal(leaseProbe(policy, half, { id: 'b', expiresAt: 3_000 }, 1_500), undefined);
  assert.ok(leaseProbe(policy, half, { id: 'b', expiresAt: 3_000 }, 2_001));
});

test('a healthy probe closes it; an unhealthy one opens it for twice as long, up to maxOpenFor', () => {
  const half = halfOpen(1_000);
  const closed = probed(policy, half, { id: 'p1', period: 1, healthy: true, why: '' }, 1_100);
  assert.equal(closed.kind, 'closed');
  let state: BreakerState = half;
  const openFor: number[] = [];
  for (let at = 0; at < 3; at += 1) {
    const next = probed(policy, state, { id: 'p1', period: state.period, healthy: false, why: 'x' }, 0);
    assert.ok(next.kind === 'open');
    openFor.push(next.openFor);
    state = leaseProbe(policy, next, { id: 'p1', expiresAt: 99_999 }, next.until) as BreakerState;
  }
  assert.deepEqual(openFor, [2_000, 3_000, 3_000]);
});

test('the answer of a probe whose lease somebody else has now changes nothing', () => {
  const half = halfOpen(1_000);
  assert.equal(probed(policy, half, { id: 'other', period: 1, healthy: true, why: '' }, 1_100), half);
  assert.equal(probed(policy, half, { id: 'p1', period: 0, healthy: true, why: '' }, 1_100), half);
});

test('a probe that never ran gives its place back', () => {
  const back = returnProbe(halfOpen(1_000), 'p1');
  assert.equal(nextProbeAt(policy, back, 2_000), 0);
});

test('a breaker that opens again right after closing stays open for longer', () => {
  const closed = probed(policy, halfOpen(1_000), { id: 'p1', period: 1, healthy: true, why: '' }, 1_100);
  const again = tally(policy, closed, calls([bad, bad, bad], closed.period), 1_200);
  assert.equal(again.kind === 'open' && again.openFor, 2_000);
  const calm = tally(policy, closed, calls([ok], closed.period), 1_200);
  const later = tally(policy, calm, calls([bad, bad, bad], calm.period), 1_300);
  assert.equal(later.kind === 'open' && later.openFor, 1_000);
});

test('whatever happens, there are never more live probes than allowed, and periods never go back', () => {
  const step = fc.oneof(
    fc.record({ op: fc.constant('calls' as const), results: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }) }),
    fc.record({ op: fc.constant('lease' as const), id: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ op: fc.constant('answer' as const), id: fc.constantFrom('a', 'b', 'c'), healthy: fc.boolean() }),
    fc.record({ op: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 2_500 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), (steps, halfOpenProbes) => {
      const rule = { ...policy, halfOpenProbes };
      let now = 0;
      let state: BreakerState = closedBreaker(0);
      for (const one of steps) {
        const before = state.period;
        if (one.op === 'wait') now += one.ms;
        if (one.op === 'calls') state = tally(rule, state, calls(one.results, state.period), now);
        if (one.op === 'lease') state = leaseProbe(rule, state, { id: one.id, expiresAt: now + 1_000 }, now) ?? state;
        if (one.op === 'answer')
          state = probed(rule, state, { id: one.id, period: state.period, healthy: one.healthy, why: '' }, now);
        if (state.period < before) return false;
        if (state.kind === 'half_open' && state.probes.filter((probe) => probe.expiresAt > now).length > halfOpenProbes)
          return false;
      }
      return true;
    }),
  );
});

test('a reload that asks for fewer probes than have succeeded leaves one to be asked for', () => {
  const three = breakerPolicy({ ...policy, halfOpenProbes: 3 });
  let state = halfOpen(1_000);
  state = probed(three, state, { id: 'p1', period: 1, healthy: true, why: '' }, 1_100);
  state = leaseProbe(three, state, { id: 'p2', expiresAt: 2_000 }, 1_200) ?? state;
  state = probed(three, state, { id: 'p2', period: 1, healthy: true, why: '' }, 1_300);
  assert.equal(state.kind, 'half_open');
  assert.equal(nextProbeAt(policy, state, 1_400), 0);
  state = leaseProbe(policy, state, { id: 'p3', expiresAt: 2_000 }, 1_400) ?? state;
  assert.equal(leaseProbe(policy, state, { id: 'p4', expiresAt: 2_000 }, 1_400), undefined, 'one at a time');
  assert.equal(probed(policy, state, { id: 'p3', period: 1, healthy: true, why: '' }, 1_500).kind, 'closed');
});

test('the probe of an engine that died can be had when its lease has run out', () => {
  const held = halfOpen(1_000);
  assert.equal(nextProbeAt(policy, held, 1_100), 1_500);
  assert.equal(leaseProbe(policy, held, { id: 'p2', expiresAt: 3_000 }, 1_499), undefined);
  const next = leaseProbe(policy, held, { id: 'p2', expiresAt: 3_000 }, 1_500);
  assert.deepEqual(next?.kind === 'half_open' && next.probes.map(({ id }) => id), ['p2']);
});

test('a clock that was set back does not keep it open until the old time comes again', () => {
  const state = opened(1_000_000);
  assert.equal(nextProbeAt(policy, state, 1_000_500), 1_001_000);
  assert.equal(nextProbeAt(policy, state, 999_900), 1_001_000, 'clocks of engines differ a little');
  assert.equal(nextProbeAt(policy, state, 500_000), 500_000);
  assert.equal(leaseProbe(policy, state, { id: 'p1', expiresAt: 501_000 }, 500_000)?.kind, 'half_open');
});
