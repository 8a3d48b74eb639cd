/** Several engines around one breaker: the gates are real, the store is one map, and the clock is ours. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BreakerStore, StoredBreaker } from '../../engine/bus/bus.ts';
import { type BreakerState, closedBreaker } from '../../engine/core/breaker.ts';
import type { BreakerPolicy } from '../../engine/core/route.ts';
import { BreakerGate } from '../../engine/worker/breaker-gate.ts';
import { breakerPolicy } from '../support/policies.ts';

const policy = breakerPolicy({ rule: { kind: 'consecutive', failures: 3 }, openFor: 1_000, maxOpenFor: 1_000 });
const key = 'route:orders.receipt';

/** Compare and set on one value; each answer takes a turn, so that callers overlap. */
class SharedStore implements BreakerStore {
  stored: StoredBreaker = { key, version: 0, state: closedBreaker(0) };
  swaps = 0;
  /** What happens to the next calls: the store is away, or does its work and the answer is lost. */
  fault: 'away' | 'lostReply' | undefined;

  async list(): Promise<readonly StoredBreaker[]> {
    await Promise.resolve();
    if (this.fault !== undefined) throw new Error('the store is away');
    return [this.stored];
  }

  async forget(_: string, expected: number): Promise<void> {
    await Promise.resolve();
    if (this.stored.version === expected) this.stored = { key, version: 0, state: closedBreaker(0) };
  }

  async swap(_: string, expected: number, state: BreakerState, version = 0): ReturnType<BreakerStore['swap']> {
    await Promise.resolve();
    this.swaps += 1;
    if (this.fault === 'away') throw new Error('the store is away');
    const won = this.stored.version === expected;
    if (won) this.stored = { key, version, state };
    await Promise.resolve();
    if (this.fault === 'lostReply') throw new Error('the answer was lost');
    // As Redis does: with nothing stored, the answer is what was asked for.
    return { won, stored: this.stored.version === 0 ? { ...this.stored, state } : this.stored };
  }
}

class Engines {
  now = 0;
  readonly store = new SharedStore();
  readonly gates: readonly BreakerGate[];
  readonly opened: string[] = [];

  constructor(count: number, of: BreakerPolicy = policy) {
    this.gates = Array.from(
      { length: count },
      (_, engine) =>
        new BreakerGate(key, of, {
          store: this.store,
          now: () => this.now,
          random: Math.random,
          onTransition: (_gate, from, to, ours) => {
            if (ours && from.kind !== to.kind) this.opened.push(`${engine}:${from.kind}>${to.kind}`);
          },
          onFault: () => undefined,
        }),
    );
  }

  get(at: number): BreakerGate {
    return this.gates[at] as BreakerGate;
  }

  async settle(): Promise<void> {
    await Promise.all(this.gates.map((gate) => gate.settled()));
  }

  /** What the board does each second. */
  async poll(): Promise<void> {
    const known = this.gates.map(({ version }) => version);
    for (const stored of await this.store.list())
      for (const [at, gate] of this.gates.entries()) gate.absorb(stored, known[at]);
  }

  async open(): Promise<void> {
    for (let call = 0; call < 3; call += 1) this.get(0).report(this.get(0).state.period, 'ECONNREFUSED');
    await this.settle();
    await this.poll();
    for (const gate of this.gates) assert.equal(gate.state.kind, 'open');
  }

  /** Every engine asks at once; those that got a probe. */
  async ask(
    leaseMs = 500,
  ): Promise<readonly { readonly gate: BreakerGate; readonly id: string; readonly period: number }[]> {
    const asked = this.gates.map(async (gate, at) => {
      const id = `probe-${at}-${this.now}`;
      const period = gate.admit().kind === 'probe' ? await gate.lease(id, leaseMs) : undefined;
      return period === undefined ? [] : [{ gate, id, period }];
    });
    return (await Promise.all(asked)).flat();
  }
}

test('of four engines that ask in each window of an outage, one probes', async () => {
  const engines = new Engines(4);
  await engines.open();
  const windows: number[] = [];
  for (let window = 0; window < 20; window += 1) {
    let probes = 0;
    for (let step = 0; step < 10; step += 1) {
      engines.now += 100;
      const won = await engines.ask();
      probes += won.length;
      for (const { gate, id, period } of won) await gate.probed(id, period, 'ECONNREFUSED');
      if (step % 3 === 0) await engines.poll();
    }
    windows.push(probes);
  }
  assert.ok(Math.max(...windows) <= 1, windows.join());
  assert.ok(windows.reduce((sum, probes) => sum + probes, 0) >= 15, `it went on asking: ${windows.join()}`);
});

test('failures of all engines together open it once, whoever counts the last of them', async () => {
  const engines = new Engines(4);
  for (let call = 0; call < 30; call += 1) engines.get(call % 4).report(0, 'ECONNREFUSED');
  await engines.settle();
  await engines.poll();
  assert.deepEqual(new Set(engines.gates.map((gate) => gate.state.kind)), new Set(['open']));
  assert.equal(engines.opened.filter((one) => one.endsWith('closed>open')).length, 1, engines.opened.join());
  assert.equal(engines.store.stored.state.period, 1);
});

test('an engine that dies with the probe delays the next by its lease, and no longer', async () => {
  const engines = new Engines(3);
  await engines.open();
  engines.now = 1_000;
  assert.equal((await engines.ask(500)).length, 1);
  await engines.poll();
  engines.now = 1_499;
  assert.deepEqual(await engines.ask(), []);
  engines.now = 1_500;
  const [next, ...others] = await engines.ask();
  assert.ok(next !== undefined && others.length === 0);
  await next.gate.probed(next.id, next.period, undefined);
  await engines.poll();
  for (const gate of engines.gates) assert.equal(gate.admit().kind, 'run');
});

test('the late answer of a probe whose lease was given on changes nothing', async () => {
  const engines = new Engines(2);
  await engines.open();
  engines.now = 1_000;
  const [late] = await engines.ask(100);
  await engines.poll();
  engines.now = 1_100;
  const [second] = await engines.ask(100);
  assert.ok(late !== undefined && second !== undefined);
  await late.gate.probed(late.id, late.period, undefined);
  assert.equal(engines.store.stored.state.kind, 'half_open');
  await second.gate.probed(second.id, second.period, 'ECONNREFUSED');
  assert.equal(engines.store.stored.state.kind, 'open');
});

test('results that were admitted before it opened change nothing after it closed', async () => {
  const engines = new Engines(2);
  await engines.open();
  engines.now = 1_000;
  const [probe] = await engines.ask();
  assert.ok(probe !== undefined);
  await probe.gate.probed(probe.id, probe.period, undefined);
  await engines.poll();
  for (let call = 0; call < 10; call += 1) engines.get(1).report(0, 'a timeout of the outage');
  await engines.settle();
  assert.equal(engines.get(1).admit().kind, 'run');
  assert.equal(engines.store.stored.state.kind, 'closed');
});

test('a store that is away stops nobody: each engine decides alone, and they agree again when it is back', async () => {
  const engines = new Engines(2);
  engines.store.fault = 'away';
  assert.equal(engines.get(0).admit().kind, 'run');
  for (let call = 0; call < 3; call += 1) engines.get(0).report(0, 'ECONNREFUSED');
  await engines.settle();
  assert.equal(engines.get(0).state.kind, 'open', 'what it saw itself it knows');
  assert.equal(engines.get(1).admit().kind, 'run');
  engines.now = 1_000;
  const [probe] = await engines.ask();
  assert.ok(probe !== undefined, 'a probe needs nobody to ask');
  await probe.gate.probed(probe.id, probe.period, undefined);
  assert.equal(engines.get(0).admit().kind, 'run');
  engines.store.fault = undefined;
  await engines.poll();
  for (let call = 0; call < 3; call += 1) engines.get(1).report(engines.get(1).state.period, 'ECONNREFUSED');
  await engines.settle();
  await engines.poll();
  assert.deepEqual(
    engines.gates.map((gate) => gate.state),
    [engines.store.stored.state, engines.store.stored.state],
  );
});

test('a lease whose answer was lost is still one lease', async () => {
  const engines = new Engines(2);
  await engines.open();
  engines.now = 1_000;
  engines.store.fault = 'lostReply';
  const id = 'probe-of-the-first';
  const period = await engines.get(0).lease(id, 500);
  engines.store.fault = undefined;
  assert.ok(period !== undefined);
  assert.equal(await engines.get(1).lease('probe-of-the-second', 500), undefined);
  await engines.get(0).probed(id, period, undefined);
  assert.equal(engines.store.stored.state.kind, 'closed');
});

test('a failure whose answer was lost counts once, when other news come before that is known', async () => {
  const engines = new Engines(2);
  const told = engines.get(0);
  const away = new Promise<void>((resolve) => {
    const swap = engines.store.swap.bind(engines.store);
    engines.store.swap = async (...asked) => {
      engines.store.swap = swap;
      await swap(...asked);
      await engines.poll();
      resolve();
      throw new Error('the answer was lost');
    };
  });
  told.report(0, 'ECONNREFUSED');
  await away;
  await engines.settle();
  assert.deepEqual(
    [told.state, engines.store.stored.state].map((state) => state.kind === 'closed' && state.failures),
    [1, 1],
  );
});

test('a policy that a reload changed holds for the breaker as it is', async () => {
  const engines = new Engines(1, breakerPolicy({ ...policy, halfOpenProbes: 3 }));
  const gate = engines.get(0);
  await engines.open();
  engines.now = 1_000;
  for (let probe = 0; probe < 2; probe += 1) {
    const [won] = await engines.ask();
    assert.ok(won !== undefined);
    await gate.probed(won.id, won.period, undefined);
  }
  gate.policy = policy;
  const [last] = await engines.ask();
  assert.ok(last !== undefined, 'two have succeeded, one is asked for: one more decides');
  await gate.probed(last.id, last.period, undefined);
  assert.equal(gate.admit().kind, 'run');
});

test('what another engine put in the place of a change that a failover took back is not taken for that change', async () => {
  const engines = new Engines(2);
  await engines.open();
  const kept = engines.store.stored;
  engines.now = 1_000;
  const one = await engines.get(0).lease('one', 500);
  assert.ok(one !== undefined);
  engines.store.stored = kept;
  assert.ok((await engines.get(1).lease('two', 500)) !== undefined);
  await engines.get(0).probed('one', one, undefined);
  assert.deepEqual(
    engines.store.stored.state.kind === 'half_open' && engines.store.stored.state.probes.map(({ id }) => id),
    ['two'],
  );
});

test('an engine goes by what the store kept when a failover has undone what the engine knew', async () => {
  const engines = new Engines(2);
  await engines.open();
  const kept = engines.store.stored;
  engines.now += 1_000;
  for (const { gate, id, period } of await engines.ask()) await gate.probed(id, period, undefined);
  await engines.poll();
  assert.deepEqual([engines.get(0).state.kind, engines.get(1).state.kind], ['closed', 'closed']);

  engines.store.stored = kept;
  await engines.poll();
  assert.deepEqual([engines.get(0).state.kind, engines.get(1).state.kind], ['open', 'open']);
});

test('an answer that was overtaken by a change of ours is not taken for a store that forgot', async () => {
  const engines = new Engines(1);
  const gate = engines.get(0);
  const before = { version: gate.version, stored: engines.store.stored };
  await engines.open();
  gate.absorb(before.stored, before.version);
  assert.equal(gate.state.kind, 'open');
});

test('a failure is counted once when the store has forgotten the breaker meanwhile', async () => {
  const { store, gates } = new Engines(1);
  const [gate] = gates;
  assert.ok(gate);
  gate.report(0, 'down');
  await gate.settled();
  await store.forget(key, gate.version);
  gate.report(0, 'down');
  await gate.settled();
  assert.deepEqual(
    [gate.state.kind, gate.state.kind === 'closed' && gate.state.failures, gate.version],
    ['closed', 2, store.stored.version],
  );
});
