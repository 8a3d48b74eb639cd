import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeLine } from '../../engine/core/journal.ts';
import { badStatus, permanent, retryAfter, skip } from '../../engine/plugin.ts';
import { eventually } from '../support/eventually.ts';
import { retryPolicy } from '../support/policies.ts';
import { ids, quick, startWorker, withWorker } from '../support/worker.ts';

test('every event is delivered once, in order of publication, with what it was published as', async () => {
  const seen: string[] = [];
  await withWorker(
    { route: { concurrency: 1 }, handle: (event) => void seen.push((event.data as { id: string }).id) },
    async (bench) => {
      await bench.publish(...ids(500));
      const stats = await bench.atRest();
      assert.deepEqual(seen, ids(500));
      assert.equal(stats.totals.delivered, 500);
    },
  );
});

test('no more handlers run at once than the concurrency says', async () => {
  let running = 0;
  let most = 0;
  const handle = async (): Promise<void> => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, 3));
    running -= 1;
  };
  await withWorker({ route: { concurrency: 7 }, handle }, async (bench) => {
    await bench.publish(...ids(100));
    await bench.atRest();
    assert.equal(most, 7);
  });
});

test('a failure is retried by the policy with its attempt counted, and its attempts reach the dead letter', async () => {
  const attempts: number[] = [];
  const handle = (_: unknown, delivery: { attempt: number }): never => {
    attempts.push(delivery.attempt);
    throw badStatus(new Error('no'), 503, 'overloaded');
  };
  await withWorker({ route: { retry: retryPolicy({ ...quick, maxAttempts: 3 }) }, handle }, async (bench) => {
    await bench.publish('a');
    const stats = await bench.atRest();
    assert.deepEqual(attempts, [1, 2, 3]);
    assert.equal(stats.dead, 1);
    const [letter] = await bench.bus.deadLetters.list({ limit: 10 });
    assert.equal(letter?.reason, 'exhausted');
    assert.deepEqual(
      letter.attempts.map((attempt) => [attempt.n, attempt.fault.status, attempt.fault.body]),
      [
        [1, 503, 'overloaded'],
        [2, 503, 'overloaded'],
        [3, 503, 'overloaded'],
      ],
    );
    assert.equal(letter.eventId, 'a');
  });
});

test('a redriven letter starts again with attempt 1 and knows where it came from', async () => {
  let broken = true;
  const attempts: number[] = [];
  const handle = (_: unknown, delivery: { attempt: number }): void => {
    attempts.push(delivery.attempt);
    if (broken) throw permanent('no such customer');
  };
  await withWorker({ handle }, async (bench) => {
    await bench.publish('a');
    const [letter] = await eventually('a letter', async () => {
      const letters = await bench.bus.deadLetters.list({ limit: 10 });
      return letters.length > 0 && letters;
    });
    broken = false;
    assert.deepEqual(await bench.bus.deadLetters.redrive([letter?.id ?? '']), [letter?.id]);
    await eventually('the second attempt', () => attempts.length === 2);
    const stats = await bench.atRest();
    assert.deepEqual(attempts, [1, 1]);
    assert.deepEqual([stats.dead, stats.totals.delivered, stats.totals.redriven], [0, 1, 1]);
  });
});

for (const [what, act] of [
  [
    'throws an Error',
    () => {
      throw new Error('x');
    },
  ],
  [
    'throws undefined',
    () => {
      throw undefined;
    },
  ],
  [
    'throws a string',
    () => {
      throw 'x';
    },
  ],
  ['rejects', () => Promise.reject(new Error('x'))],
  [
    'rejects with an object that has getters that throw',
    () =>
      Promise.reject({
        get code(): string {
          throw new Error('trap');
        },
      }),
  ],
] as const) {
  test(`a handler that ${what} fails its attempt and nothing else`, async () => {
    let runs = 0;
    const handle = (event: { id: string }): unknown => {
      runs += 1;
      return event.id === 'bad' ? act() : undefined;
    };
    await withWorker({ route: { retry: retryPolicy({ ...quick, maxAttempts: 2 }) }, handle }, async (bench) => {
      await bench.publish('bad', 'good');
      const stats = await bench.atRest();
      assert.deepEqual([stats.dead, stats.totals.delivered, runs], [1, 1, 3]);
    });
  });
}

test('a handler that returns nonsense has delivered, and is told on', async () => {
  await withWorker({ handle: () => 42 }, async (bench) => {
    await bench.publish('a');
    const stats = await bench.atRest();
    assert.equal(stats.totals.delivered, 1);
    assert.equal(bench.kinds('misbehaved').length, 1);
  });
});

test('a skipped event is counted apart from a delivered one', async () => {
  await withWorker({ handle: (event) => (event.id === 'e1' ? skip('nobody to tell') : undefined) }, async (bench) => {
    await bench.publish(...ids(3));
    const { totals } = await bench.atRest();
    assert.deepEqual([totals.delivered, totals.skipped], [2, 1]);
  });
});

test('a handler that hangs is aborted at its timeout, and one that ignores that loses its slot after the grace', async () => {
  const aborted: boolean[] = [];
  const handle = (
    event: { id: string },
    { signal, attempt }: { signal: AbortSignal; attempt: number },
  ): Promise<void> =>
    new Promise((resolve, reject) => {
      if (attempt > 1) return resolve();
      signal.addEventListener('abort', () => {
        aborted.push(true);
        if (event.id === 'polite') reject(signal.reason);
      });
    });
  await withWorker({ route: { timeout: 50, concurrency: 2, retry: retryPolicy(quick) }, handle }, async (bench) => {
    await bench.publish('polite', 'deaf');
    const stats = await bench.atRest();
    assert.equal(aborted.length, 2);
    assert.equal(stats.totals.delivered, 2);
    const faults = bench
      .kinds('retry_scheduled')
      .map((signal) => signal.kind === 'retry_scheduled' && signal.fault.kind);
    assert.deepEqual(faults, ['timeout', 'timeout']);
  });
});

test('a permanent failure is dead at once, and a wish to wait is kept', async () => {
  const starts: number[] = [];
  const handle = (event: { id: string }, delivery: { attempt: number }): void => {
    if (event.id === 'gone') throw permanent('gone');
    starts.push(Date.now());
    if (delivery.attempt === 1) throw retryAfter('busy', 300);
  };
  await withWorker({ route: { retry: retryPolicy(quick) }, handle }, async (bench) => {
    await bench.publish('gone', 'busy');
    const stats = await bench.atRest();
    assert.deepEqual([stats.dead, stats.totals.delivered], [1, 1]);
    assert.ok((starts[1] ?? 0) - (starts[0] ?? 0) >= 299, 'not before the wish');
  });
});

test('bytes that are no event are dead-lettered as they are, and those behind them are delivered', async () => {
  await withWorker({ handle: () => undefined }, async (bench) => {
    await bench.publishRaw('{"half":');
    await bench.publishRaw('[1,2]');
    await bench.publish('good');
    const stats = await bench.atRest();
    assert.deepEqual([stats.dead, stats.totals.delivered], [2, 1]);
    const letters = await bench.bus.deadLetters.list({ limit: 10 });
    assert.deepEqual(letters.map((letter) => [letter.reason, letter.body]).sort(), [
      ['undecodable', '[1,2]'],
      ['undecodable', '{"half":'],
    ]);
  });
});

test('a delivery older than maxAge is dead-lettered as expired without running', async () => {
  let runs = 0;
  const first = await startWorker({ handle: () => undefined });
  await first.worker.stop(100);
  await first.publish(...ids(3));
  await new Promise((resolve) => setTimeout(resolve, 30));
  await withWorker(
    {
      bus: first.bus,
      route: { maxAge: 20 },
      handle: () => {
        runs += 1;
      },
    },
    async (bench) => {
      const stats = await bench.atRest();
      assert.deepEqual([runs, stats.dead], [0, 3]);
    },
  );
  await first.bus.close();
});

test('data that breaks the catalogue is dead-lettered as invalid where the catalogue says so', async () => {
  const check = (data: unknown): string[] => ((data as { id: string }).id === 'e1' ? ['/id: expected e0'] : []);
  const eventTypes = new Map([['order.paid', { type: 'order.paid', check, onInvalid: 'deadLetter' as const }]]);
  await withWorker({ eventTypes, handle: () => undefined }, async (bench) => {
    await bench.publish(...ids(3));
    const stats = await bench.atRest();
    assert.deepEqual([stats.dead, stats.totals.delivered], [1, 2]);
    const [letter] = await bench.bus.deadLetters.list({ limit: 1 });
    assert.deepEqual([letter?.reason, letter?.fault.message], ['invalid', '/id: expected e0']);
  });
});

test('the journal tells each attempt of each delivery', async () => {
  const handle = (_: unknown, delivery: { attempt: number }): void => {
    if (delivery.attempt < 3) throw badStatus('no', 500);
  };
  await withWorker({ route: { retry: retryPolicy(quick) }, handle }, async (bench) => {
    await bench.publish('a');
    await bench.atRest();
    const rows = [];
    for await (const line of bench.bus.journal()) rows.push(...decodeLine(line.line));
    assert.deepEqual(
      rows.reverse().map((row) => [row.eventId, row.attempt, row.status]),
      [
        ['a', 1, 'retry'],
        ['a', 2, 'retry'],
        ['a', 3, 'delivered'],
      ],
    );
  });
});

test('a tally counts once, though the delivery runs twice', async () => {
  const handle = (
    _: unknown,
    delivery: { attempt: number; tally(name: string, bucket: number, key: string, by: number): void },
  ): void => {
    delivery.tally('sales', 0, 'DE', 5);
    if (delivery.attempt === 1) throw badStatus('no', 500);
  };
  await withWorker({ route: { retry: retryPolicy(quick) }, handle }, async (bench) => {
    await bench.publish('a', 'b');
    await bench.atRest();
    assert.deepEqual(await bench.bus.tallies('sales', 0, 1), [{ name: 'sales', bucket: 0, key: 'DE', by: 10 }]);
  });
});

test('a full DLQ pauses the route and nothing is lost; it goes on when there is room', async () => {
  const handle = (): never => {
    throw permanent('no');
  };
  const deadLetter = { retention: 1e9, maxEntries: 3, onFull: 'pause' as const };
  await withWorker({ route: { deadLetter, concurrency: 1 }, handle }, async (bench) => {
    await bench.publish(...ids(6));
    await eventually('the pause', () => bench.worker.gauges().held);
    assert.equal((await bench.stats()).dead, 3);
    const letters = await bench.bus.deadLetters.list({ limit: 10 });
    await bench.bus.deadLetters.discard(letters.map((letter) => letter.id));
    const stats = await bench.atRest(15_000);
    assert.deepEqual([stats.dead, stats.totals.discarded], [3, 3]);
  });
});

test('stopping lets what runs finish, and hands back the rest to a peer at once', async () => {
  const release: (() => void)[] = [];
  const first = await startWorker({
    route: { concurrency: 2 },
    handle: () => new Promise<void>((resolve) => release.push(resolve)),
  });
  await first.publish(...ids(10));
  await eventually('two running', () => release.length === 2);
  const stopping = first.worker.stop(5_000);
  for (const end of release) end();
  await stopping;
  const seen: string[] = [];
  await withWorker({ bus: first.bus, handle: (event) => void seen.push(event.id) }, async (bench) => {
    const stats = await bench.atRest(5_000);
    assert.equal(stats.totals.delivered, 10);
    assert.deepEqual(seen.sort(), ids(10).slice(2), 'nothing ran twice');
  });
  await first.bus.close();
});

test('a handler that does not end by the deadline of a stop is aborted and its delivery runs elsewhere', async () => {
  let aborted = false;
  const first = await startWorker({
    handle: (_, { signal }) =>
      new Promise<void>(() => {
        signal.addEventListener('abort', () => {
          aborted = true;
        });
      }),
  });
  await first.publish('a');
  await eventually('it runs', () => first.worker.gauges().inFlight === 1);
  await first.worker.stop(50);
  assert.equal(aborted, true);
  await withWorker({ bus: first.bus, handle: () => undefined }, async (bench) => {
    await eventually('the delivery', async () => (await bench.stats()).totals.delivered === 1, 5_000);
  });
  await first.bus.close();
});

test('a delivery that was started five times and never settled is a crash loop', async () => {
  const bench = await startWorker({ handle: () => undefined });
  await bench.worker.stop(100);
  await bench.publish('poison');
  // Five processes that take the delivery and die: nobody settles, nobody closes.
  for (let life = 0; life < 5; life += 1) {
    const group = await bench.bus.openGroup({
      group: 'orders.receipt',
      patterns: ['order.paid'],
      startFrom: 'beginning',
      deadLetter: { retention: 1e9, maxEntries: 10, onFull: 'pause' },
    });
    if (life === 0) await group.read(1, new AbortController().signal);
    else {
      const { entries } = await group.reclaim(0, 10, () => false);
      for (const entry of entries) if (entry.starts >= 3) await group.countStart(entry);
    }
  }
  let runs = 0;
  await withWorker(
    {
      bus: bench.bus,
      leaseMs: 30,
      handle: () => {
        runs += 1;
      },
    },
    async (next) => {
      const stats = await next.atRest();
      assert.deepEqual([runs, stats.dead], [0, 1]);
      const [letter] = await next.bus.deadLetters.list({ limit: 1 });
      assert.equal(letter?.reason, 'crash_loop');
    },
  );
  await bench.bus.close();
});
