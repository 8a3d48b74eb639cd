import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, Group, GroupSpec } from '../../engine/bus/bus.ts';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import { badStatus, permanent, unavailable } from '../../engine/plugin.ts';
import { eventually } from '../support/eventually.ts';
import { byName, inTurn, keyOf, ofKey } from '../support/order.ts';
import { breakerPolicy, retryPolicy } from '../support/policies.ts';
import { quick, startWorker, withWorker } from '../support/worker.ts';

const ordering = byName;
const keys = Array.from({ length: 12 }, (_, n) => `k${n}`);
/** Retried after an hour, as far as a test is concerned. */
const slow = retryPolicy({ initialInterval: 3_600_000, maxInterval: 3_600_000 });
const busy = (): Error => badStatus(new Error('no'), 503, 'overloaded');

/** The bus with a change to every group that it opens. */
const withGroups = (bus: Bus, change: (group: Group) => void): Bus =>
  new Proxy(bus, {
    get(target, name) {
      if (name === 'openGroup') {
        return async (spec: GroupSpec) => {
          const group = await target.openGroup(spec);
          change(group);
          return group;
        };
      }
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });

test('deliveries of one key run one after another in their order, and those of others beside them', async () => {
  const started: string[] = [];
  const running = new Set<string>();
  let most = 0;
  const handle = async ({ id }: { id: string }): Promise<void> => {
    assert.ok(!running.has(keyOf(id)), `${id} runs beside another one of its key`);
    running.add(keyOf(id));
    most = Math.max(most, running.size);
    started.push(id);
    await sleep(Math.random() * 4);
    running.delete(keyOf(id));
  };
  await withWorker({ route: { ordering, concurrency: 8 }, handle }, async (bench) => {
    const names = inTurn(keys, 20);
    await bench.publish(...names);
    const { totals } = await bench.atRest();
    assert.equal(totals.delivered, names.length);
    for (const key of keys) assert.deepEqual(ofKey(started, key), ofKey(names, key));
    assert.equal(most, 8);
  });
});

test('a key waits behind its delivery that is retried, and the attempts of that are its own', async () => {
  const runs: string[] = [];
  const handle = ({ id }: { id: string }, { attempt }: { attempt: number }): void => {
    runs.push(`${id}:${attempt}`);
    if (id === 'a-1' && attempt < 3) throw busy();
  };
  await withWorker({ route: { ordering, retry: retryPolicy(quick) }, handle }, async (bench) => {
    await bench.publish(...inTurn(['a', 'b'], 4));
    await bench.atRest();
    assert.deepEqual(
      runs.filter((run) => run.startsWith('a')),
      ['a-0:1', 'a-1:1', 'a-1:2', 'a-1:3', 'a-2:1', 'a-3:1'],
    );
    assert.deepEqual(
      runs.filter((run) => run.startsWith('b')),
      ['b-0:1', 'b-1:1', 'b-2:1', 'b-3:1'],
    );
  });
});

test('other keys go on while thousands wait behind a retry, of which few are kept in memory', async () => {
  const runs: string[] = [];
  const handle = ({ id }: { id: string }): void => {
    runs.push(id);
    if (id === 'stuck-0') throw busy();
  };
  await withWorker({ route: { ordering, retry: slow, concurrency: 4 }, handle }, async (bench) => {
    await bench.publish('stuck-0');
    await eventually('the retry', async () => (await bench.stats()).retrying === 1);
    const names = Array.from({ length: 5_000 }, (_, n) => `stuck-${n + 1}`);
    await bench.publish(...names, 'free-1', 'free-2');
    await eventually('the others', () => runs.includes('free-2'));
    const stats = await eventually('the line to be set aside', async () => {
      const now = await bench.stats();
      return now.pending <= 4 ? now : undefined;
    });
    assert.deepEqual([stats.postponed, stats.retrying], [4_996, 4_997]);
    assert.ok(bench.worker.gauges().queued <= 4);
    assert.deepEqual(runs, ['stuck-0', 'free-1', 'free-2']);
    await bench.publish('free-3');
    await eventually('one that comes later', () => runs.includes('free-3'));
  });
});

test('what was set aside comes back in order when the first of its key has ended', async () => {
  const runs: string[] = [];
  let broken = true;
  const handle = ({ id }: { id: string }): void => {
    runs.push(id);
    if (id === 'a-0' && broken) throw busy();
  };
  const retry = retryPolicy({ initialInterval: 50, maxInterval: 50, maxAttempts: 100 });
  await withWorker({ route: { ordering, retry, concurrency: 2 }, handle }, async (bench) => {
    const names = inTurn(['a'], 300);
    await bench.publish(...names);
    await eventually('the line to be set aside', async () => (await bench.stats()).postponed > 250);
    broken = false;
    const { totals } = await bench.atRest(30_000);
    assert.equal(totals.delivered, 300);
    assert.deepEqual(
      runs.filter((name) => name !== 'a-0'),
      names.slice(1),
    );
  });
});

test('a dead-lettered delivery frees its key, and comes to the end of the line when it is redriven', async () => {
  const runs: string[] = [];
  let broken = true;
  let hold = Promise.resolve();
  const handle = async ({ id }: { id: string }): Promise<void> => {
    runs.push(id);
    if (id === 'a-0' && broken) throw permanent('no');
    if (id === 'a-3') await hold;
  };
  await withWorker({ route: { ordering }, handle }, async (bench) => {
    await bench.publish(...inTurn(['a'], 3));
    const { dead } = await bench.atRest();
    assert.deepEqual([dead, runs], [1, ['a-0', 'a-1', 'a-2']]);
    broken = false;
    let release = (): void => undefined;
    hold = new Promise((resolve) => {
      release = resolve;
    });
    await bench.publish('a-3', 'a-4');
    await eventually('the line', () => runs.includes('a-3'));
    const [letter] = await bench.bus.deadLetters.list({ limit: 1 });
    await bench.bus.deadLetters.redrive([letter?.id ?? '']);
    await eventually('it to stand in line', async () => (await bench.stats()).pending === 3);
    release();
    await bench.atRest();
    assert.deepEqual(runs.slice(3), ['a-3', 'a-4', 'a-0']);
  });
});

test('an event without a key runs at once, and is told about', async () => {
  const runs: string[] = [];
  const handle = async ({ id }: { id: string }): Promise<void> => {
    runs.push(id);
    await sleep(5);
  };
  await withWorker({ route: { ordering, concurrency: 4 }, handle }, async (bench) => {
    await bench.publish('~-0', '~-1', '~-2', 'a-0');
    await bench.atRest();
    assert.equal(runs.length, 4);
    const unkeyed = bench.kinds('unkeyed');
    assert.deepEqual(
      unkeyed.map((signal) => signal.kind === 'unkeyed' && signal.reason),
      Array.from({ length: 3 }, () => 'expected event.subject, got nothing'),
    );
  });
});

test('what no one wants, and what is no event, stands in no line', async () => {
  const runs: string[] = [];
  const options = {
    route: { ordering, on: ['order.paid'] },
    busOptions: { streams: [{ name: 'all', types: ['order.*'] }] },
  };
  await withWorker({ ...options, handle: ({ id }) => void runs.push(id) }, async (bench) => {
    await bench.publishRaw('not json', 'order.paid');
    await bench.publishRaw(
      JSON.stringify({ specversion: '1.0', id: 'a-0', source: '/x', type: 'order.sent' }),
      'order.sent',
    );
    await bench.publish('a-1');
    const { totals } = await bench.atRest();
    assert.deepEqual([totals.dead, totals.unmatched, runs], [1, 1, ['a-1']]);
  });
});

test('one that is too old when its turn comes expires, and frees its key', async () => {
  const runs: string[] = [];
  const handle = async ({ id }: { id: string }): Promise<void> => {
    runs.push(id);
    if (id === 'a-0') await sleep(150);
  };
  await withWorker({ route: { ordering, maxAge: 100 }, handle }, async (bench) => {
    await bench.publish('a-0', 'a-1');
    await eventually('the first', () => runs.length === 1);
    const { totals } = await bench.atRest();
    assert.deepEqual([totals.delivered, totals.dead, runs], [1, 1, ['a-0']]);
  });
});

test('an open breaker holds a line as it stands', async () => {
  const runs: string[] = [];
  let down = true;
  const handle = ({ id }: { id: string }): void => {
    if (down) throw unavailable(new Error('down'));
    runs.push(id);
  };
  const breaker = breakerPolicy({ rule: { kind: 'consecutive', failures: 2 }, openFor: 60, maxOpenFor: 60 });
  const retry = retryPolicy({ ...quick, maxAttempts: 50 });
  await withWorker({ route: { ordering, breaker, retry, concurrency: 3 }, handle }, async (bench) => {
    const names = inTurn(['a', 'b'], 30);
    await bench.publish(...names);
    await eventually('the breaker', () => bench.worker.gauges().held);
    down = false;
    await bench.atRest(30_000);
    for (const key of ['a', 'b']) assert.deepEqual(ofKey(runs, key), ofKey(names, key));
  });
});

test('a full DLQ holds a line behind the letter that finds no room', async () => {
  const runs: string[] = [];
  const handle = ({ id }: { id: string }): void => {
    runs.push(id);
    if (id !== 'a-2') throw permanent('no');
  };
  const deadLetter = { retention: 3_600_000, maxEntries: 1, onFull: 'pause' } as const;
  await withWorker({ route: { ordering, deadLetter }, handle }, async (bench) => {
    await bench.publish(...inTurn(['a'], 3));
    await eventually('the DLQ to be full', () => bench.kinds('dlq_full').length === 1);
    assert.deepEqual(runs, ['a-0', 'a-1']);
    const [letter] = await bench.bus.deadLetters.list({ limit: 1 });
    await bench.bus.deadLetters.discard([letter?.id ?? '']);
    await bench.atRest();
    assert.deepEqual(runs, ['a-0', 'a-1', 'a-2']);
  });
});

test('a line waits behind its first one while that has no permit, or the breaker of its key is open', async () => {
  const runs: string[] = [];
  let down = true;
  const handle = ({ id }: { id: string }): void => {
    if (down && id.startsWith('a')) throw unavailable(new Error('down'));
    runs.push(id);
  };
  const breaker = breakerPolicy({
    rule: { kind: 'consecutive', failures: 1 },
    openFor: 100,
    maxOpenFor: 100,
    scope: ordering,
  });
  const rateLimit = { limit: 3, per: 20, key: ordering };
  const retry = retryPolicy({ ...quick, maxAttempts: 50 });
  await withWorker({ route: { ordering, breaker, rateLimit, retry, concurrency: 3 }, handle }, async (bench) => {
    const names = inTurn(['a', 'b'], 12);
    await bench.publish(...names);
    await eventually('the other key', () => runs.includes('b-11'));
    assert.deepEqual(ofKey(runs, 'a'), []);
    down = false;
    await bench.atRest(30_000);
    for (const each of ['a', 'b']) assert.deepEqual(ofKey(runs, each), ofKey(names, each));
  });
});

test('of two workers one has the turn, and the other goes on within a second of its stop, in order', async () => {
  const runs: string[] = [];
  const bus = await openSqliteBus('sqlite::memory:');
  const by: Record<string, number> = { one: 0, two: 0 };
  const handler =
    (who: string) =>
    async ({ id }: { id: string }): Promise<void> => {
      runs.push(id);
      by[who] = (by[who] ?? 0) + 1;
      await sleep(1);
    };
  const retry = retryPolicy(quick);
  const one = await startWorker({ bus, route: { ordering, retry }, handle: handler('one') });
  const two = await startWorker({ bus, route: { ordering, retry }, handle: handler('two') });
  const names = inTurn(keys, 60);
  await one.publish(...names);
  await eventually('half of it', () => runs.length > names.length / 2);
  assert.equal(by['two'], 0);
  await one.worker.stop(1_000);
  const { totals } = await two.atRest(20_000);
  assert.equal(totals.delivered, names.length);
  assert.ok((by['two'] ?? 0) > 0);
  for (const key of keys) assert.deepEqual(ofKey(runs, key), ofKey(names, key));
  await two.close();
  await bus.close();
});

test('who takes over waits for what a retry of the one before waits for', async () => {
  const runs: string[] = [];
  const bus = await openSqliteBus('sqlite::memory:');
  const handle = ({ id }: { id: string }, { attempt }: { attempt: number }): void => {
    runs.push(id);
    if (id === 'a-0' && attempt === 1) throw busy();
  };
  const retry = retryPolicy({ initialInterval: 1_500 });
  const one = await startWorker({ bus, route: { ordering, retry, concurrency: 1 }, handle });
  await one.publish(...inTurn(['a'], 40));
  await eventually('the line to be set aside', async () => (await one.stats()).postponed > 30);
  await one.worker.stop(1_000);
  const two = await startWorker({ bus, route: { ordering, retry, concurrency: 1 }, handle });
  await two.publish('b-0');
  await eventually('another key', () => runs.includes('b-0'));
  assert.deepEqual(runs, ['a-0', 'b-0']);
  await two.atRest(20_000);
  assert.deepEqual(ofKey(runs, 'a'), ['a-0', ...inTurn(['a'], 40)]);
  await two.close();
  await bus.close();
});

test('a worker that has lost its turn starts nothing, hands back what waits, and goes on when it has it again', async () => {
  const runs: string[] = [];
  const bus = await openSqliteBus('sqlite::memory:');
  const reply = Promise.withResolvers<void>();
  const handle = async ({ id }: { id: string }): Promise<void> => {
    runs.push(id);
    if (id === 'a-0') await reply.promise;
  };
  let taken = false;
  const watched = withGroups(bus, (group) => {
    const hold = group.order.hold.bind(group.order);
    group.order.hold = async (ttlMs) => (taken ? { held: false, term: 1 } : hold(ttlMs));
  });
  const bench = await startWorker({ bus: watched, route: { ordering }, handle, leaseMs: 300 });
  await bench.publish(...inTurn(['a'], 5));
  await eventually('the line', async () => bench.worker.gauges().queued === 4);
  taken = true;
  await eventually('the turn to be lost', async () => bench.worker.gauges().queued === 0);
  reply.resolve();
  await eventually('the first to end', async () => (await bench.stats()).totals.delivered === 1);
  await bench.publish('b-0');
  await sleep(300);
  assert.deepEqual(runs, ['a-0']);
  taken = false;
  await bench.atRest(20_000);
  assert.deepEqual(ofKey(runs, 'a'), inTurn(['a'], 5));
  assert.ok(runs.includes('b-0'));
  await bench.close();
  await bus.close();
});

test('what a former holder was given after its turn comes before what was published later', async () => {
  const runs: string[] = [];
  const bus = await openSqliteBus('sqlite::memory:');
  const gate = Promise.withResolvers<void>();
  const watched = withGroups(bus, (group) => {
    const read = group.read.bind(group);
    group.read = async (limit, signal) => {
      await gate.promise;
      return read(limit, signal);
    };
  });
  const bench = await startWorker({ bus: watched, route: { ordering }, handle: ({ id }) => void runs.push(id) });
  const { group, on, startFrom, deadLetter } = bench.worker.route;
  const former = await bus.openGroup({ group, patterns: on, startFrom, deadLetter });
  await bench.publish('a-0', 'a-1');
  const [stray] = await former.read(1, AbortSignal.timeout(10_000));
  assert.ok(stray);
  gate.resolve();
  await eventually('the other one to wait', () => bench.worker.gauges().queued === 1);
  await former.release([stray]);
  await bench.atRest(20_000);
  assert.deepEqual(runs, ['a-0', 'a-1']);
  await former.close();
  await bench.close();
  await bus.close();
});
