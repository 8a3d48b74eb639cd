/** An engine says which routes it has, and when it may say what: beats that a test calls, on an embedded bus. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Bus } from '../../engine/bus/bus.ts';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import type { Generation, Route } from '../../engine/core/route.ts';
import type { Timer, Timers } from '../../engine/core/timers.ts';
import { realTimers } from '../../engine/timers.ts';
import { ClaimKeeper } from '../../engine/worker/claims.ts';
import { routeOf } from '../support/policies.ts';

const one = routeOf({ id: 'one' });
const other = routeOf({ id: 'other' });

const generationOf = (...routes: readonly Route[]): Generation => ({
  hash: routes.map(({ group }) => group).join(),
  pipelines: [],
  eventTypes: new Map(),
  routes: new Map(routes.map((route) => [route.group, route])),
});

interface Kept {
  readonly bus: Bus;
  readonly keeper: ClaimKeeper;
  /** Its next beat. */
  beat(): void;
}

async function keep(t: TestContext): Promise<Kept> {
  const bus = await openSqliteBus('sqlite::memory:');
  t.after(() => bus.close());
  let beat = (): void => assert.fail('nothing was claimed yet');
  const after = (_ms: number, act: () => void): Timer => {
    beat = act;
    return {};
  };
  const timers: Timers = { ...realTimers, after, cancel: () => undefined };
  const keeper = new ClaimKeeper({ bus, observer: () => undefined, timers, leaseMs: 30_000, graceMs: 300_000 });
  const { group, on: patterns, startFrom, deadLetter } = one;
  await keeper.claim(generationOf(one, other), 1);
  await bus.openGroup({ group, patterns, startFrom, deadLetter });
  return { bus, keeper, beat: () => beat() };
}

async function infoOf(bus: Bus): Promise<readonly [removed: boolean, engines: number]> {
  const info = (await bus.groups()).find(({ group }) => group === one.group);
  assert.ok(info);
  return [info.removedAt !== undefined, info.engines.length];
}

test('a claim whose answer was lost is taken back, and what others took for removed meanwhile is not', async (t) => {
  const { bus, keeper } = await keep(t);
  const claim = bus.claim.bind(bus);
  bus.claim = async (claims) => {
    bus.claim = claim;
    await claim(claims);
    throw new Error('the answer was lost');
  };
  await assert.rejects(keeper.claim(generationOf(other), 2), /the answer was lost/);
  assert.deepEqual(await infoOf(bus), [false, 0]);
  await bus.markRemoved(one.group, bus.now());
  await keeper.takeBack(generationOf(one, other), 1);
  assert.deepEqual(await infoOf(bus), [false, 1]);
});

test('no beat speaks while a claim has no answer', async (t) => {
  const { bus, keeper, beat } = await keep(t);
  const answer = Promise.withResolvers<void>();
  const [claim, claimed] = [bus.claim.bind(bus), [] as number[]];
  bus.claim = async (claims) => {
    claimed.push(claims.generation);
    await answer.promise;
    return claim(claims);
  };
  const asked = keeper.claim(generationOf(other), 2);
  beat();
  assert.deepEqual(claimed, [2]);
  answer.resolve();
  await asked;
  beat();
  await keeper.close();
  assert.deepEqual(claimed, [2, 2]);
});

test('it is closed when the beat that is under way has ended', async (t) => {
  const { bus, keeper, beat } = await keep(t);
  const answer = Promise.withResolvers<void>();
  const groups = bus.groups.bind(bus);
  bus.groups = async () => {
    await answer.promise;
    return groups();
  };
  beat();
  let closed = false;
  const closing = keeper.close().then(() => {
    closed = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(closed, false);
  answer.resolve();
  await closing;
});
