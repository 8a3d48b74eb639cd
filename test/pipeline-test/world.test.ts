/** Runs in virtual time: exact, the same each time, and the same whether time leaps or not. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadGeneration, readCatalog } from '../../engine/config/index.ts';
import type { Generation, Route } from '../../engine/core/route.ts';
import { planEvents } from '../../engine/pipeline-test/events.ts';
import { targetOf } from '../../engine/pipeline-test/target.ts';
import type { Answers, Event } from '../../engine/pipeline-test/test-file.generated.ts';
import { VirtualTime } from '../../engine/pipeline-test/time.ts';
import { type Happening, Timeline, tellTimeline } from '../../engine/pipeline-test/timeline.ts';
import { fateOf } from '../../engine/pipeline-test/verdicts.ts';
import { type RunRecord, type RunRequest, runWorld } from '../../engine/pipeline-test/world.ts';
import type { HandlerManifest } from '../../engine/plugins/manifest.ts';

const root = join(import.meta.dirname, '../..');
const { catalog } = readCatalog(undefined, root);

const variables = { SMTP_URL: 'smtp://mail.example', HOOK_URL: 'https://up.example/x' };

async function compiled(routes: string): Promise<Generation> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-world-'));
  try {
    const file = join(folder, 'p.yaml');
    await writeFile(file, `apiVersion: eventflow/v1\nkind: Pipeline\nname: p\nroutes:\n${routes}`);
    const loaded = await loadGeneration({ paths: [file], catalog, env: variables, cwd: folder });
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

test('a breaker for each host is shared by the routes to that host, and by no others', async () => {
  const route = (id: string, handler: string, options: string): string =>
    `  - { id: ${id}, on: [x.${id}], handler: ${handler}, circuitBreaker: { consecutiveFailures: 2, openFor: 30s, scope: host }, with: { ${options} } }\n`;
  const generation = await compiled(
    route('a', 'webhook', 'url: "https://Down.example/{{ event.id }}"') +
      route('b', 'webhook', 'url: "https://down.example?all"') +
      route('c', 'webhook', 'url: "https://up.example/"') +
      route('d', 'email', 'url: "${SMTP_URL}", from: a@b.example, to: a@b.example, subject: s, text: t') +
      route('e', 'email', 'host: mail.example, from: a@b.example, to: a@b.example, subject: s, text: t') +
      route('f', 'notification', 'channel: generic, endpoint: "${HOOK_URL}", title: t, url: "https://link.example/"'),
  );
  const later = ['b', 'c', 'e', 'f'].map((id): Event => ({ type: `x.${id}`, at: '5s' }));
  const record = await play(generation, {
    events: [{ type: 'x.a', repeat: 2 }, { type: 'x.d', repeat: 2 }, ...later],
    answers: { 'p.a': ['connection x 2'], 'p.d': ['connection x 2'] },
  });
  const first = (id: string): number | undefined => startsOf(record, `p.${id}`)[0];
  assert.deepEqual([first('c'), first('f')], [5_000, 5_000]);
  assert.ok((first('b') ?? 0) >= 30_000 && (first('e') ?? 0) >= 30_000);
  const keys = (id: string) => [...new Set(record.timeline.of('breaker', `p.${id}`).map(({ key }) => key))];
  assert.deepEqual([keys('a'), keys('d')], [['down.example'], ['mail.example:587']]);
});

test('a target whose host no option says is of its route alone', () => {
  const schema = { type: 'object', properties: { note: { type: 'string' }, address: { type: 'string' } } };
  const manifest = { plugin: 'p', schema, capabilities: { target: true } } as unknown as HandlerManifest;
  const known = {
    handlers: new Map([
      ['h', [manifest]],
      ['mute', [{ ...manifest, capabilities: {} }]],
    ]),
  };
  const target = (group: string, options: object, handler = 'h'): string | undefined =>
    targetOf({ plugin: 'p', handler, group, options } as Route, known);
  assert.equal(target('p.a', { address: 'https://x.example:99/{{ event.id }}', note: 'see below' }), 'x.example:99');
  assert.equal(target('p.a', { host: 'x.example', port: 99 }), 'x.example:99');
  const unknown = { address: 'https://{{ event.data.host }}/' };
  assert.deepEqual([target('p.a', unknown), target('p.b', unknown)], ['(p.a)', '(p.b)']);
  assert.equal(target('p.a', { address: 'https://x.example/' }, 'mute'), undefined);
});

test('letters that a breaker brings back are waited for', async () => {
  const generation = await compiled(
    hook('circuitBreaker: { consecutiveFailures: 2, openFor: 10s, onOpen: deadLetter, redriveOnClose: true }'),
  );
  const plays: Play = { events: [{ type: 'x.y', repeat: 3 }], answers: { 'p.a': ['503 x 2'] } };
  const record = await play(generation, plays);
  assert.deepEqual(
    record.timeline.of('settled', 'p.a').map(({ status }) => status),
    ['delivered', 'delivered', 'delivered'],
  );
  assert.deepEqual(record.timeline.letters(), []);
  const longer = await play(generation, plays, { until: 100_000 });
  assert.deepEqual([longer.ending, longer.endedAt], ['time', 100_000]);
  assert.deepEqual(told(longer), told(record));
});

test('a letter that came back and waits again is waiting', () => {
  const happenings = [
    { kind: 'dead', route: 'p.a', event: 'e1', reason: 'breaker_open', at: 0 },
    { kind: 'postponed', route: 'p.a', event: 'e1', delayMs: 5, at: 1 },
  ] as readonly Happening[];
  const fate = (timeline: Timeline): string => fateOf({ group: 'p.a' } as Route, 'e1', timeline);
  const timeline = new Timeline(happenings);
  assert.deepEqual([fate(timeline.upTo(0)), fate(timeline)], ['dead (breaker_open)', 'waiting']);
});

test('a target that stays down does not keep a test going for ever', async () => {
  const generation = await compiled(
    hook('circuitBreaker: { consecutiveFailures: 2, openFor: 10s, onOpen: deadLetter, redriveOnClose: true }'),
  );
  const record = await play(generation, { events: [{ type: 'x.y', repeat: 3 }], answers: { 'p.a': 503 } });
  assert.equal(record.ending, 'settled');
  assert.deepEqual(
    record.timeline.letters('p.a').map(({ reason }) => reason),
    ['breaker_open', 'breaker_open', 'breaker_open'],
  );
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
