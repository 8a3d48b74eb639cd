/**
 * What becomes of a delivery whose route changes, goes, gets another name or comes back, while it is in flight, waits for a
 * retry, or is held by the breaker. On both buses, each case with its exact end.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe, test } from 'node:test';
import type { Bus } from '../../engine/bus/bus.ts';
import { openBus } from '../../engine/bus/open.ts';
import type { Route } from '../../engine/core/route.ts';
import { localOperations } from '../../engine/operations/local.ts';
import { breakerPolicy, retryPolicy, routeOf } from '../support/policies.ts';
import { removeKeys, startRedis } from '../support/redis.ts';
import { type Answer, eventually, Stage } from './routes-stage.ts';

const redis = await startRedis();
after(() => redis.stop());

const buses: Readonly<Record<string, () => Promise<{ bus: Bus; drop: () => Promise<void> }>>> = {
  embedded: async () => ({ bus: await openBus('sqlite::memory:', {}), drop: async () => undefined }),
  Redis: async () => {
    const prefix = `ef:life-${randomUUID().slice(0, 8)}`;
    return { bus: await openBus(redis.url, { prefix }), drop: () => removeKeys(redis.adminUrl, prefix) };
  },
};

const breaker = breakerPolicy({ rule: { kind: 'consecutive', failures: 1 }, openFor: 400, maxOpenFor: 400 });
const retry = retryPolicy({ maxAttempts: 1_000, initialInterval: 400, maxInterval: 400 });
const old = routeOf({ id: 'old', hash: 'h1', retry });
const changed = { ...old, hash: 'h2' };
const renamed = { ...old, id: 'new', group: 'orders.new', previousGroup: 'orders.old', hash: 'h3' };
const other = routeOf({ id: 'other', on: ['user.new'], hash: 'o' });

type Change = 'changed' | 'removed' | 'renamed' | 'brought back';
const changes: readonly Change[] = ['changed', 'removed', 'renamed', 'brought back'];

async function make(stage: Stage, change: Change, extra: Partial<Route> = {}): Promise<void> {
  switch (change) {
    case 'changed':
      return stage.files({ ...changed, ...extra }, other);
    case 'removed':
      return stage.files(other);
    case 'renamed':
      return stage.files({ ...renamed, ...extra }, other);
    case 'brought back':
      await stage.files(other);
      return stage.files({ ...changed, ...extra }, other);
  }
}

/** The old handler fails for as long as it is asked, so it does not matter when the change comes. */
const unlessNew = (_event: string, hash: string): Answer => (hash === 'h1' ? 'fail' : 'ok');

const nameAfter = (change: Change): string => (change === 'renamed' ? 'orders.new' : 'orders.old');
const hashAfter = (change: Change): string => (change === 'renamed' ? 'h3' : 'h2');

/** A removed route's retries become dead letters only after the grace; a route that comes back does so within it. */
const graceOf = (change: Change): number => (change === 'brought back' ? 60_000 : 150);

for (const [name, open] of Object.entries(buses)) {
  void describe(`a delivery on the ${name} bus`, () => {
    const scenario = (sentence: string, change: Change, proof: (stage: Stage) => Promise<void>): void => {
      void test(sentence, { timeout: 180_000 }, async () => {
        const { bus, drop } = await open();
        const stage = new Stage(bus, drop, graceOf(change));
        try {
          await proof(stage);
          await eventually('nothing is missing', async () => (await stage.residue()) === 0);
        } finally {
          await stage.close();
        }
      });
    };

    for (const change of changes) {
      scenario(`that is in flight ends once, where it began, when its route is ${change}`, change, async (stage) => {
        const gate = Promise.withResolvers<void>();
        await stage.files(old, other);
        stage.answer = () => gate.promise;
        await stage.publish('e');
        await eventually('the delivery', () => stage.of('e').length === 1);
        await make(stage, change);
        gate.resolve();
        await stage.delivered(nameAfter(change), 1);
        assert.equal(stage.story('e'), '1 orders.old h1');
        stage.answer = () => 'ok';
        await stage.publish('later');
        if (change === 'removed') return;
        await stage.delivered(nameAfter(change), 2);
        assert.equal(stage.story('later'), `1 ${nameAfter(change)} ${hashAfter(change)}`);
        assert.equal(new Set(stage.attempts.map(({ key }) => key.split(':')[0])).size, 1, 'targets know it by one key');
      });

      scenario(
        `that waits for a retry finds its route, or none, when its route is ${change}`,
        change,
        async (stage) => {
          await stage.files(old, other);
          stage.answer = unlessNew;
          await stage.publish('e');
          await eventually('the retry', async () => (await stage.stats('orders.old')).retrying === 1);
          await make(stage, change);
          if (change === 'removed') return await expectLetter(stage, 'e');
          await stage.delivered(nameAfter(change), 1);
          expectHandedOver(stage, 'e', change);
        },
      );

      scenario(`whose batch waits for company goes out with it when its route is ${change}`, change, async (stage) => {
        const batch = { maxEvents: 100, maxBytes: 1_000_000, maxWait: 3_600_000 };
        await stage.files({ ...old, batch }, other);
        await stage.publish('a', 'b', 'c');
        await eventually('the batch', async () => (await stage.stats('orders.old')).pending === 3);
        assert.deepEqual(stage.batches, []);
        await make(stage, change, { batch });
        await stage.delivered(nameAfter(change), 3);
        assert.deepEqual(stage.batches, [['a', 'b', 'c']]);
        assert.deepEqual([...new Set(stage.attempts.map(({ hash, attempt }) => `${hash} ${attempt}`))], ['h1 1']);
      });

      scenario(
        `that is held by the breaker stays so until it closes when its route is ${change}`,
        change,
        async (stage) => {
          const longer = change === 'removed' ? { openFor: 3_600_000, maxOpenFor: 3_600_000 } : {};
          await stage.files({ ...old, breaker: { ...breaker, ...longer } }, other);
          stage.answer = unlessNew;
          await stage.publish('trips');
          await eventually(
            'the breaker opens',
            async () => (await stage.bus.breakers.list())[0]?.state.kind === 'open',
          );
          await stage.publish('held-1', 'held-2');
          const [before] = await stage.bus.breakers.list();
          await make(stage, change, { breaker, retry });
          if (change === 'removed') return await expectWaiting(stage);
          await stage.delivered(nameAfter(change), 3);
          const now = await stage.bus.breakers.list();
          assert.deepEqual([now.length, now[0]?.key], [1, before?.key], 'it is the same breaker');
          const [circuit] = await localOperations(stage.bus).circuits();
          assert.equal(circuit?.key, `route:${nameAfter(change)}`);
          for (const event of ['trips', 'held-1', 'held-2']) expectHandedOver(stage, event, change);
        },
      );
    }
  });
}

for (const [name, open] of Object.entries(buses)) {
  const scenario = (sentence: string, proof: (stage: Stage) => Promise<void>): void => {
    void test(`${sentence} (${name} bus)`, { timeout: 180_000 }, async () => {
      const { bus, drop } = await open();
      const stage = new Stage(bus, drop, 100);
      try {
        await proof(stage);
      } finally {
        await stage.close();
      }
    });
  };

  scenario('nothing restarts that did not change: its handler, its consumer and its breaker stay', async (stage) => {
    const kept = { ...old, breaker };
    await stage.files(kept, other);
    stage.answer = () => 'fail';
    await stage.publish('e');
    await eventually('the breaker opens', async () => (await stage.bus.breakers.list())[0]?.state.kind === 'open');
    const states = JSON.stringify(await stage.bus.breakers.list());
    await stage.files(kept, { ...other, hash: 'o2' });
    await stage.files(kept);
    await stage.files(kept, other, { ...renamed, previousGroup: undefined });
    assert.deepEqual(
      [stage.made, stage.opened].map((groups) => groups.filter((group) => group === kept.group)),
      [[kept.group], [kept.group]],
    );
    assert.ok(!stage.signals.some((signal) => signal.kind === 'route_stopped' && signal.route.group === kept.group));
    assert.equal(JSON.stringify(await stage.bus.breakers.list()), states);
  });

  scenario('the retries of a disabled route wait for it', async (stage) => {
    await stage.files(old, other);
    stage.answer = () => 'fail';
    await stage.publish('e');
    await eventually('the retry', async () => (await stage.stats('orders.old')).retrying === 1);
    await stage.files({ ...old, enabled: false, hash: 'off' }, other);
    stage.answer = () => 'ok';
    await eventually('the retry to be due', async () => (await stage.stats('orders.old')).retryOverdueMs > 300);
    const { retrying, dead } = await stage.stats('orders.old');
    assert.deepEqual([retrying, dead], [1, 0]);
    const [info] = (await stage.bus.groups()).filter(({ group }) => group === 'orders.old');
    assert.deepEqual([info?.removedAt, info?.engines.length, info?.disabled], [undefined, 1, true]);
    await stage.files(old, other);
    await stage.delivered('orders.old', 1);
    assert.equal(stage.story('e'), '1 orders.old h1, 2 orders.old h1');
  });

  scenario('an id that was given up and is used again starts with nothing, also for its breaker', async (stage) => {
    await stage.files({ ...old, breaker }, other);
    stage.answer = () => 'fail';
    await stage.publish('e');
    await eventually('the breaker opens', async () => (await stage.bus.breakers.list())[0]?.state.kind === 'open');
    await stage.files({ ...renamed, breaker }, other);
    stage.answer = () => 'ok';
    await stage.files(
      { ...renamed, breaker, hash: 'h4', previousGroup: undefined },
      { ...old, breaker, startFrom: 'new', hash: 'h5' },
      other,
    );
    await stage.publish('later');
    await stage.delivered('orders.old', 1);
    assert.equal(stage.of('later')[0]?.route, 'orders.old', 'its breaker is not the open one');
    assert.equal((await stage.stats('orders.old')).totals.accepted, 1);
    await stage.delivered('orders.new', 2);
  });
}

test('in a rolling change nothing is dead-lettered while one engine still has the route, and nothing while all are off', async () => {
  const prefix = `ef:life-${randomUUID().slice(0, 8)}`;
  const drop = (): Promise<void> => removeKeys(redis.adminUrl, prefix);
  const stages = await Promise.all(
    ['a', 'b'].map(async (consumer) => new Stage(await openBus(redis.url, { prefix, consumer }), drop, 100)),
  );
  const [before, after] = stages as [Stage, Stage];
  try {
    await Promise.all(stages.map((stage) => stage.files(old, other)));
    for (const stage of stages) stage.answer = () => 'fail';
    await before.publish('e');
    await eventually('the retry', async () => (await before.stats('orders.old')).retrying === 1);
    await after.files(other);
    await eventually('the other engine to try again', () => before.of('e').length >= 3);
    assert.deepEqual(await before.bus.deadLetters.list({ limit: 1 }), []);
    const [info] = (await after.bus.groups()).filter(({ group }) => group === 'orders.old');
    assert.deepEqual([info?.removedAt, info?.engines], [undefined, ['a']]);
    await before.files(other);
    await eventually('the letter', async () => (await before.stats('orders.old')).dead === 1);
    assert.equal((await before.bus.deadLetters.list({ limit: 5 })).length, 1, 'one engine buries it');
  } finally {
    for (const stage of stages) await stage.close();
  }
});

test('a fleet that is off while another one shares its store finds everything as it was', async () => {
  const prefix = `ef:life-${randomUUID().slice(0, 8)}`;
  const drop = (): Promise<void> => removeKeys(redis.adminUrl, prefix);
  const shop = new Stage(await openBus(redis.url, { prefix }), async () => undefined, 50);
  const users = new Stage(await openBus(redis.url, { prefix }), drop, 50);
  try {
    await users.files({ ...other, pipeline: 'users', group: 'users.other' });
    await shop.files(old);
    shop.answer = () => 'fail';
    await shop.publish('e');
    await eventually('the retry', async () => (await shop.stats('orders.old')).retrying === 1);
    await shop.close();
    await eventually('several looks at what nobody has', () =>
      users.signals.some((signal) => signal.kind === 'detached' && signal.entries === 1),
    );
    const { retrying, dead } = await users.stats('orders.old');
    assert.deepEqual([retrying, dead], [1, 0]);
    assert.deepEqual(
      (await users.bus.groups()).map(({ removedAt }) => removedAt),
      [undefined, undefined],
    );
  } finally {
    await users.close();
  }
});

/** Attempts of retries are counted on; the last one is the new handler's, and all before it were the old one's. */
function expectHandedOver(stage: Stage, event: string, change: Change): void {
  const attempts = stage.of(event);
  assert.deepEqual(
    attempts.map(({ attempt }) => attempt),
    attempts.map((_, at) => at + 1),
  );
  const by = attempts.map(({ route, hash }) => `${route} ${hash}`);
  assert.equal(by.pop(), `${nameAfter(change)} ${hashAfter(change)}`);
  assert.ok(
    by.every((one) => one === 'orders.old h1'),
    stage.story(event),
  );
}

/** Dead-lettered with its attempts, and delivered after all when its route is back and it is redriven. */
async function expectLetter(stage: Stage, event: string): Promise<void> {
  await eventually('the dead letter', async () => (await stage.stats('orders.old')).dead === 1);
  const [letter] = await stage.bus.deadLetters.list({ limit: 10 });
  assert.deepEqual([letter?.reason, letter?.group, letter?.eventId], ['route_removed', 'orders.old', event]);
  const tries = stage.of(event).length;
  assert.deepEqual(
    letter?.attempts.map(({ n }) => n),
    Array.from({ length: tries }, (_, at) => at + 1),
  );
  const told = (await localOperations(stage.bus).timeline(event)).deliveries[0];
  assert.deepEqual([told?.status, told?.deadReason], ['dead', 'route_removed']);
  await stage.files(changed, other);
  await stage.bus.deadLetters.redrive([letter?.id ?? '']);
  await stage.delivered('orders.old', 1);
  const again = stage.of(event).slice(tries);
  assert.deepEqual(
    again.map(({ attempt, hash }) => [attempt, hash]),
    [[1, 'h2']],
  );
}

/** What nobody has read waits in the stream; what was in hand, or had been tried, is dead-lettered. Nothing runs. */
async function expectWaiting(stage: Stage): Promise<void> {
  await stage.publish('unread');
  await eventually('the group to be known as removed', async () =>
    (await stage.bus.groups()).some(({ group, removedAt }) => group === 'orders.old' && removedAt !== undefined),
  );
  await eventually('the count of what waits', () =>
    stage.signals.some((signal) => signal.kind === 'detached' && signal.groups === 1 && signal.entries >= 1),
  );
  assert.deepEqual(
    ['held-1', 'held-2', 'unread'].map((event) => stage.story(event)),
    ['', '', ''],
  );
  const { lag, pending, due, retrying, dead, totals } = await stage.stats('orders.old');
  const waiting = lag[0]?.entries ?? 0;
  assert.ok(waiting >= 1, 'what was published without a route waits for it');
  assert.deepEqual([waiting + pending + due + retrying + dead, totals.delivered], [4, 0]);
  const letters = await stage.bus.deadLetters.list({ limit: 10 });
  assert.ok(letters.every(({ reason, eventId }) => reason === 'route_removed' && eventId !== 'unread'));
}
