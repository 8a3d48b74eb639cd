import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, Entry, Group } from '../../engine/bus/bus.ts';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import { realTimers } from '../../engine/timers.ts';
import { maxCrashes, SuspectLane } from '../../engine/worker/suspects.ts';
import { eventually } from '../support/eventually.ts';
import { breakerPolicy } from '../support/policies.ts';
import { type Bench, type BenchOptions, ids, startWorker } from '../support/worker.ts';

const spec = {
  group: 'orders.receipt',
  patterns: ['order.paid'],
  startFrom: 'beginning',
  deadLetter: { retention: 1e9, maxEntries: 100, onFull: 'pause' },
} as const;

const nobody = (): boolean => false;

/** Processes that take all there is and die: nobody settles, nobody closes. */
async function lives(bus: Bus, count: number): Promise<void> {
  const open = (): Promise<Group> => bus.openGroup(spec);
  await (await open()).read(100, new AbortController().signal);
  for (let life = 1; life < count; life += 1) {
    const group = await open();
    const { entries } = await group.reclaim(0, 100, nobody);
    for (const entry of entries) await group.countStart(entry);
  }
}

/** A bus on which these events were handed out so often, by processes that died. */
async function orphaned(events: readonly string[], starts: number): Promise<Bus> {
  const bus = await openSqliteBus('sqlite::memory:', {});
  const publisher = await startWorker({ bus, handle: () => undefined });
  await publisher.worker.stop(100);
  await publisher.publish(...events);
  await lives(bus, starts);
  return bus;
}

async function withSuspects(
  events: readonly string[],
  options: Omit<BenchOptions, 'bus'>,
  body: (bench: Bench) => Promise<void>,
  starts = 2,
): Promise<void> {
  const bus = await orphaned(events, starts);
  const bench = await startWorker({ leaseMs: 30, ...options, bus });
  try {
    await body(bench);
  } finally {
    await bench.close();
    await bus.close();
  }
}

test('suspects run one at a time, and nothing else of the process runs beside them', async () => {
  const running = new Set<string>();
  const beside: string[] = [];
  const handle = async ({ id }: { readonly id: string }): Promise<void> => {
    running.add(id);
    if (running.size > 1 && [...running].some((one) => one.startsWith('s'))) beside.push([...running].join('+'));
    await sleep(5);
    running.delete(id);
  };
  await withSuspects(ids(6, 's'), { handle }, async (bench) => {
    await bench.publish(...ids(60, 'n'));
    const stats = await bench.atRest(20_000);
    assert.deepEqual([stats.totals.delivered, stats.dead], [66, 0]);
    assert.deepEqual(beside, []);
  });
});

test('normal deliveries go on while many suspects wait', async () => {
  const order: string[] = [];
  const handle = async ({ id }: { readonly id: string }): Promise<void> => {
    await sleep(50);
    order.push(id);
  };
  await withSuspects(ids(80, 's'), { handle, route: { concurrency: 2 } }, async (bench) => {
    await bench.publish(...ids(10, 'n'));
    await eventually('the normal ones', () => order.filter((id) => id.startsWith('n')).length === 10, 30_000);
    const suspects = order.filter((id) => id.startsWith('s')).length;
    assert.ok(suspects < 80, `all ${suspects} suspects ran before them`);
    assert.equal((await bench.atRest(60_000)).totals.delivered, 90);
  });
});

test('a handler that takes long does not keep the suspects from running', async () => {
  let end: (() => void) | undefined;
  const seen: string[] = [];
  const handle = ({ id }: { readonly id: string }): Promise<void> | undefined => {
    seen.push(id);
    return id === 'long' ? new Promise<void>((resolve) => (end = resolve)) : undefined;
  };
  const bus = await orphaned(['s0'], 2);
  const long = await startWorker({ bus, handle, leaseMs: 30 });
  await long.publish('long');
  await eventually('both to have started', () => seen.includes('long') && seen.includes('s0'), 20_000);
  end?.();
  await long.atRest();
  await long.close();
  await bus.close();
});

test('an open breaker holds the suspects of its route, and they run when it lets them', async () => {
  let down = true;
  const seen: string[] = [];
  const handle = ({ id }: { readonly id: string }): void => {
    if (down) throw Object.assign(new Error('down'), { code: 'ECONNREFUSED' });
    seen.push(id);
  };
  const breaker = breakerPolicy({ rule: { kind: 'consecutive', failures: 1 }, openFor: 200, maxOpenFor: 200 });
  await withSuspects(ids(5, 's'), { handle, route: { breaker, concurrency: 1 } }, async (bench) => {
    await eventually('the breaker to open', () => bench.worker.gauges().breaker.kind !== 'closed', 20_000);
    down = false;
    const stats = await bench.atRest(30_000);
    assert.deepEqual([stats.totals.delivered, stats.dead], [5, 0]);
    assert.deepEqual([...seen].sort(), ids(5, 's'));
  });
});

test(`the start after ${maxCrashes} is not made: the delivery is a crash loop, and its neighbours are delivered`, async () => {
  const seen: string[] = [];
  await withSuspects(
    ['poison'],
    { handle: ({ id }) => void seen.push(id) },
    async (bench) => {
      await bench.publish(...ids(20));
      const stats = await bench.atRest(20_000);
      assert.deepEqual([stats.totals.delivered, stats.dead], [20, 1]);
      const [letter] = await bench.bus.deadLetters.list({ limit: 10 });
      assert.deepEqual([letter?.reason, letter?.eventId], ['crash_loop', 'poison']);
      assert.equal(seen.includes('poison'), false);
    },
    maxCrashes,
  );
});

test('a stop takes no start from a suspect that waits and adds none, however often it happens', async () => {
  const bus = await orphaned(['s0', 's1'], 2);
  for (let deploy = 0; deploy < 4; deploy += 1) {
    // The first suspect runs until the stop hands it back; the second one waits for it.
    let runs = 0;
    const bench = await startWorker({
      bus,
      leaseMs: 30,
      handle: () => {
        runs += 1;
        return new Promise<void>(() => undefined);
      },
    });
    await eventually('a suspect to run', () => runs > 0, 20_000);
    await bench.worker.stop(10);
  }
  const group = await bus.openGroup(spec);
  const taken: Entry[] = [];
  await eventually('both to be free', async () => {
    taken.push(...(await group.reclaim(0, 10, (id) => taken.some((entry) => entry.id === id))).entries);
    return taken.length === 2;
  });
  assert.deepEqual(
    taken.map(({ starts }) => starts),
    [3, 3],
    'the next start of each is still the third',
  );
  await bus.close();
});

test('a suspect whose start cannot be counted waits for another turn and is counted once', async () => {
  const lane = new SuspectLane(realTimers);
  const entry = { id: 'e1' } as Entry;
  let asked = 0;
  let wakes = 0;
  const member = {
    unfinished: 0,
    ready: true,
    async run() {
      asked += 1;
      if (asked < 3) throw new Error('the bus is away');
    },
    hurry: () => undefined,
    wake() {
      wakes += 1;
    },
  };
  lane.join(member);
  lane.enter(member, entry);
  await eventually('the third try', () => asked === 3);
  await eventually('open doors', () => !lane.closed);
  assert.ok(wakes >= 1);
});

test('a member that leaves takes its suspects out of the lane', async () => {
  const lane = new SuspectLane(realTimers);
  const ran: string[] = [];
  const member = (name: string, ready: boolean) => ({
    unfinished: 0,
    ready,
    run: async () => void ran.push(name),
    hurry: () => undefined,
    wake: () => undefined,
  });
  const [gone, other] = [member('gone', false), member('other', true)];
  for (const one of [gone, other]) lane.join(one);
  lane.enter(gone, { id: 'e1' } as Entry);
  lane.leave(gone);
  gone.ready = true;
  lane.enter(other, { id: 'e2' } as Entry);
  await eventually('the other one', () => ran.length > 0);
  await sleep(300);
  assert.deepEqual(ran, ['other']);
});
