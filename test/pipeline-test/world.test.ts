/** Runs in virtual time: exact, the same each time, and the same whether time leaps or not. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadGeneration, readCatalog } from '../../engine/config/index.ts';
import type { Generation } from '../../engine/core/route.ts';
import { planEvents } from '../../engine/pipeline-test/events.ts';
import type { Answers, Event } from '../../engine/pipeline-test/test-file.generated.ts';
import { VirtualTime } from '../../engine/pipeline-test/time.ts';
import { tellTimeline } from '../../engine/pipeline-test/timeline.ts';
import { type RunRecord, type RunRequest, runWorld } from '../../engine/pipeline-test/world.ts';

const root = join(import.meta.dirname, '../..');
const { catalog } = readCatalog(undefined, root);

async function compiled(routes: string): Promise<Generation> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-world-'));
  try {
    const file = join(folder, 'p.yaml');
    await writeFile(file, `apiVersion: eventflow/v1\nkind: Pipeline\nname: p\nroutes:\n${routes}`);
    const loaded = await loadGeneration({ paths: [file], catalog, env: {}, cwd: folder });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.diagnostics));
    return loaded.generation;
  } finally {
    await rm(folder, { recursive: true });
  }
}

interface Play {
  readonly events: readonly Event[];
  readonly answers?: Readonly<Record<string, Answers>>;
}

const play = (
  generation: Generation,
  { events, answers = {} }: Play,
  more: Partial<RunRequest> = {},
): Promise<RunRecord> =>
  runWorld({
    generation,
    catalog,
    streams: [],
    events: planEvents(events, root),
    answers: new Map(Object.entries(answers)),
    seed: undefined,
    until: undefined,
    mask: (text) => text,
    ...more,
  });

const told = ({ timeline }: RunRecord): readonly string[] => tellTimeline(timeline, (text) => text);
const startsOf = ({ timeline }: RunRecord, route: string): number[] =>
  timeline.of('started', route).map(({ at }) => at);

const hook = (more: string): string => `  - { id: a, on: [x.*], handler: noop, ${more} }\n`;

test('retries of a day take as long as there is something to do', async () => {
  const generation = await compiled(
    hook('circuitBreaker: false, retry: { maxAttempts: 100, initialInterval: 1s, maxInterval: 1h, maxElapsed: 30d }'),
  );
  const record = await play(generation, { events: [{ type: 'x.y' }], answers: { 'p.a': 503 } });
  const starts = startsOf(record, 'p.a');
  assert.equal(starts.length, 100);
  assert.deepEqual(starts.slice(0, 5), [0, 1_000, 3_000, 7_000, 15_000]);
  assert.equal((starts.at(-1) ?? 0) - (starts.at(-2) ?? 0), 3_600_000);
  assert.equal(record.ending, 'settled');
});

test('a run is the same each time, with jitter for each seed', async () => {
  const generation = await compiled(hook('concurrency: 2, circuitBreaker: { consecutiveFailures: 3, openFor: 10s }'));
  const events: Event[] = [{ type: 'x.y', repeat: 9, every: '700ms' }];
  const answers = { 'p.a': [503, 'timeout', '200 after 3s', 'connection x 6', '429 retryAfter 20s', 'skip'] } as const;
  const plays = { events, answers: answers as unknown as Record<string, Answers> };
  const first = told(await play(generation, plays));
  assert.deepEqual(told(await play(generation, plays)), first);
  const seeded = told(await play(generation, plays, { seed: 5 }));
  assert.deepEqual(told(await play(generation, plays, { seed: 5 })), seeded);
  assert.notDeepEqual(seeded, first);
});

test('time that ends stops in the middle', async () => {
  const generation = await compiled(hook('timeout: 10s'));
  const record = await play(
    generation,
    { events: [{ type: 'x.y' }, { type: 'x.y', at: '1h' }], answers: { 'p.a': 'timeout' } },
    { until: 9_999 },
  );
  assert.deepEqual([record.ending, record.endedAt], ['time', 9_999]);
  assert.deepEqual(told(record), ['0s  e1       x.y is published', '0s  e1  p.a  attempt 1 begins']);
});

test('a breaker for each handler is shared by its routes', async () => {
  const breaker = 'circuitBreaker: { consecutiveFailures: 2, openFor: 30s, scope: handler }';
  const generation = await compiled(
    `  - { id: a, on: [x.a], handler: noop, ${breaker} }\n  - { id: b, on: [x.b], handler: noop, ${breaker} }\n`,
  );
  const record = await play(generation, {
    events: [
      { type: 'x.a', repeat: 2 },
      { type: 'x.b', at: '5s' },
    ],
    answers: { 'p.a': ['connection x 2'] },
  });
  assert.deepEqual(startsOf(record, 'p.b'), [30_000]);
  assert.equal(record.timeline.of('breaker', 'p.b')[0]?.to, 'open');
});

const duration = fc.integer({ min: 1, max: 40 }).map((n) => `${n * 500}ms`);

const answer = fc.oneof(
  fc.constantFrom<Answers>(200, 503, 404, 'timeout', 'connection', 'permanent', 'unavailable', 'skip nothing'),
  duration.map((ms) => `503 after ${ms}`),
  duration.map((ms) => `200 after ${ms}`),
  duration.map((ms) => `429 retryAfter ${ms}`),
);

const policy = fc.record({
  timeout: duration,
  concurrency: fc.integer({ min: 1, max: 3 }),
  maxAttempts: fc.integer({ min: 1, max: 5 }),
  initialInterval: duration,
  consecutiveFailures: fc.integer({ min: 1, max: 4 }),
  openFor: duration,
  onOpen: fc.constantFrom('hold', 'deadLetter'),
});

const event = fc.record({
  type: fc.constantFrom('x.a', 'x.b'),
  repeat: fc.integer({ min: 1, max: 4 }),
  every: duration,
});

test('time that leaps and time that goes through every moment see the same', async () => {
  await fc.assert(
    fc.asyncProperty(
      policy,
      fc.array(event, { minLength: 1, maxLength: 3 }),
      fc.array(answer, { minLength: 1, maxLength: 8 }),
      async (rule, events, answers) => {
        const { timeout, concurrency, maxAttempts, initialInterval, consecutiveFailures, openFor, onOpen } = rule;
        const breaker = `{ consecutiveFailures: ${consecutiveFailures}, openFor: ${openFor}, onOpen: ${onOpen} }`;
        const retry = `{ maxAttempts: ${maxAttempts}, initialInterval: ${initialInterval} }`;
        const shared = `timeout: ${timeout}, concurrency: ${concurrency}, retry: ${retry}, circuitBreaker: ${breaker}`;
        const generation = await compiled(hook(shared) + hook(shared).replace('id: a', 'id: b'));
        const plays = { events, answers: { 'p.a': answers as [Answers & string] } };
        const leapt = await play(generation, plays);
        const walked = await play(generation, plays, { everyMoment: true });
        // Two routes have no order between them in one and the same millisecond.
        for (const route of [' p.a ', ' p.b '])
          assert.deepEqual(
            told(leapt).filter((line) => line.includes(route)),
            told(walked).filter((line) => line.includes(route)),
          );
        assert.deepEqual(told(leapt).toSorted(), told(walked).toSorted());
        assert.equal(leapt.ending, 'settled');
      },
    ),
    { numRuns: 20 },
  );
});

test('nothing happens in a time that nobody uses', async () => {
  const time = new VirtualTime(0);
  const seen: string[] = [];
  time.timers.after(90_000, () => seen.push(`timer at ${time.elapsed}`));
  const cancelled = time.timers.after(80_000, () => seen.push('cancelled'));
  time.timers.cancel(cancelled);
  let looks = 0;
  const look = (): void => {
    looks += 1;
    time.timers.after(1_000, look);
  };
  look();
  const ending = await time.run({ until: 100_000, steps: 1_000, settled: () => Promise.resolve(false) });
  assert.deepEqual([ending, seen, time.elapsed], ['time', ['timer at 90000'], 100_000]);
  assert.ok(looks < 15, `expected the looks of the lull and of the moments that are named, got ${looks}`);
});

test('a run that goes round in circles ends', async () => {
  const time = new VirtualTime(0);
  const again = (): void => {
    time.told();
    time.timers.after(1, again);
  };
  again();
  assert.equal(await time.run({ until: 1_000_000, steps: 500, settled: () => Promise.resolve(false) }), 'endless');
});
