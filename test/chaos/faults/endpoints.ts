/** Faults of the services that handlers call. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sampleOf } from '../../observe/world.ts';
import { eventually } from '../../support/eventually.ts';
import { calm, type Fault, unless } from '../fault.ts';
import { memoryOf, pageOf, tidy } from '../page.ts';
import type { Stage } from '../stage.ts';

/** Of a route, per engine, unless the pipeline says otherwise. */
const concurrency = 16;
const numberOf = (id: string): number => Number(id.slice(1));
const patient = 'retry: { maxAttempts: 50, initialInterval: 50ms, maxInterval: 500ms }';

const boundedBy = (stage: Stage): readonly [boolean, string] => {
  const most = concurrency * stage.running.length;
  const { mostOpen } = stage.main;
  return [mostOpen <= most, `expected at most ${most} requests to the endpoint at once, got ${mostOpen}`];
};

/** How often `chaos.main` turned from one state of its breaker to another, as the first engine saw it. */
async function turns(stage: Stage, from: string, to: string): Promise<number> {
  const page = await pageOf(stage.engine(0));
  return sampleOf(page, 'eventflow_circuit_transitions_total', { route: 'main', from, to });
}

const longest = (times: readonly number[]): number => Math.max(0, ...times);

/** The service answers from now on; resolves to how many requests came in the second that began with the first of them. */
async function firstSecond(stage: Stage): Promise<number> {
  const times: number[] = [];
  stage.main.answer = () => {
    times.push(Date.now());
    return undefined;
  };
  while (times.length === 0) await sleep(20);
  await sleep(1_200);
  return times.filter((at) => at < (times[0] ?? 0) + 1_000).length;
}

export const endpoints: readonly Fault[] = [
  {
    id: 'T26',
    what: 'slow endpoint (2 s), the other route beside it',
    tier: 'quick',
    async inject(stage, _random, scale) {
      stage.main.answer = () => ({ status: 200, afterMs: 2_000 });
      await sleep(6_000 * scale);
      stage.main.answer = () => undefined;
      return { ...calm, wrong: unless(boundedBy(stage)) };
    },
  },
  {
    id: 'T27',
    what: 'hanging endpoint, timeout of 1 s',
    tier: 'quick',
    stage: { route: `timeout: 1s\n    circuitBreaker: { openFor: 1s, maxOpenFor: 1s }\n    ${patient}` },
    async inject(stage, _random, scale) {
      await sleep(1_000);
      const before = stage.main.requests;
      stage.main.answer = () => 'hang';
      await sleep(5_000 * scale);
      stage.main.answer = () => undefined;
      const asked = stage.main.requests - before;
      // What ran when it began, and one probe for each second that it went on.
      const bound = 2 * concurrency + 5 * scale + 1;
      const times = stage.main.cut.map(({ ms }) => ms);
      const soonest = Math.min(...times);
      return {
        ...calm,
        notes: [`${asked} requests met it; given up after ${soonest} to ${longest(times)} ms`],
        wrong: unless(
          boundedBy(stage),
          [asked <= bound, `expected the breaker to let at most ${bound} requests meet it, got ${asked}`],
          [!stage.full || soonest >= 900, `expected requests to be given 1,000 ms, one got ${soonest}`],
          [!stage.full || longest(times) <= 1_100, `expected an end after 1,100 ms, one took ${longest(times)} ms`],
        ),
      };
    },
  },
  {
    id: 'T28',
    what: 'answers that drip, or never end',
    tier: 'quick',
    stage: { route: `timeout: 2s\n    circuitBreaker: false\n    ${patient}`, env: tidy },
    async inject(stage, _random, scale) {
      const met = new Set<string>();
      await sleep(1_000);
      const before = await memoryOf(stage.engine(0));
      stage.main.answer = (id) => {
        const n = numberOf(id);
        if (n % 20 === 1) return 'flood';
        if (n % 200 !== 0 || met.has(id)) return undefined;
        met.add(id);
        return 'drip';
      };
      await sleep(4_000 * scale);
      stage.main.answer = () => undefined;
      await eventually(
        'the last of them to be given up',
        () => stage.main.open <= concurrency && stage.main.cut.length >= met.size,
      );
      const grown = Math.round(((await memoryOf(stage.engine(0))) - before) / 2 ** 20);
      const drips = stage.main.cut.filter(({ how }) => how === 'drip').map(({ ms }) => ms);
      const floods = stage.main.cut.filter(({ how }) => how === 'flood').map(({ bytes }) => bytes);
      const most = Math.round(longest(floods) / 2 ** 20);
      return {
        ...calm,
        notes: [
          `${drips.length} dripped, for ${longest(drips)} ms at most; ${floods.length} flooded, ${most} MiB sent at most; memory +${grown} MiB`,
        ],
        wrong: unless(
          boundedBy(stage),
          [drips.length > 0 && floods.length > 0, 'expected answers that drip and answers that flood, got none'],
          [
            !stage.full || Math.min(...drips) >= 1_900,
            `expected a dripping answer to get 2,000 ms, one got ${Math.min(...drips)}`,
          ],
          [
            !stage.full || longest(drips) <= 3_500,
            `expected dripping answers to end after 2,000 ms, one took ${longest(drips)} ms`,
          ],
          // The engine keeps 64 KiB; what the system has in its buffers for both ends was sent, too.
          [most <= 16, `expected the engine to read 64 KiB of each answer, the service got rid of ${most} MiB`],
          [!stage.full || grown <= 64, `expected memory to stay flat, it grew by ${grown} MiB`],
        ),
      };
    },
  },
  {
    id: 'T29',
    what: 'endpoint flapping between 503 and 200',
    tier: 'quick',
    stage: { route: `circuitBreaker: { openFor: 500ms, maxOpenFor: 500ms }\n    ${patient}` },
    async inject(stage, _random, scale) {
      const flaps = 2 * scale;
      for (let at = 0; at < flaps; at += 1) {
        stage.main.answer = () => ({ status: 503 });
        await sleep(1_500);
        stage.main.answer = () => undefined;
        await sleep(1_500);
      }
      await eventually('all to be delivered', () => stage.main.arrivals.size >= stage.publisher.due.size, 60_000);
      const { requests, arrivals } = stage.main;
      const share = requests / arrivals.size;
      const opened = await turns(stage, 'closed', 'open');
      const closed = await turns(stage, 'half_open', 'closed');
      const said = stage.lines.filter(({ msg }) => String(msg).startsWith('circuit open')).length;
      return {
        ...calm,
        recovery: 4_000,
        notes: [`${requests} attempts for ${arrivals.size} events; opened ${opened} times`],
        wrong: unless(
          [share <= 1.2, `expected at most 1.2 attempts for each event, got ${share.toFixed(2)}`],
          [(await stage.dead()) === 0, 'expected no dead letters'],
          [opened >= flaps, `expected the breaker to open ${flaps} times, the metrics say ${opened}`],
          [closed >= flaps, `expected the breaker to close ${flaps} times, the metrics say ${closed}`],
          [said >= flaps, `expected the log to tell of ${flaps} openings, it told of ${said}`],
        ),
      };
    },
  },
  {
    id: 'T30',
    what: 'endpoint down, four engines',
    tier: 'quick',
    stage: {
      engines: 4,
      route:
        'circuitBreaker: { consecutiveFailures: 5, openFor: 2s, maxOpenFor: 2s }\n    retry: { maxAttempts: 50, initialInterval: 100ms, maxInterval: 1s }',
    },
    async inject(stage, _random, scale) {
      await sleep(1_000);
      stage.main.answer = () => ({ status: 503 });
      await sleep(2_500);
      const before = stage.main.requests;
      const seconds = 5.5 * scale;
      await sleep(seconds * 1_000);
      const probes = stage.main.requests - before;
      // One for each window of 2 s, over all engines; a window may begin and end inside the time that was watched.
      const bound = Math.ceil(seconds / 2) + 1;
      const first = await firstSecond(stage);
      // What was published in a second while all was well.
      const normal = stage.full ? 1_000 : 600;
      return {
        ...calm,
        notes: [`${probes} probes in ${seconds} s`, `${first} requests in the first second after it`],
        wrong: unless(
          [probes <= bound, `expected at most ${bound} probes of all engines together in ${seconds} s, got ${probes}`],
          [first <= 2 * normal, `expected at most ${2 * normal} requests in the first second after it, got ${first}`],
          [(await stage.dead()) === 0, 'expected no dead letters of an outage'],
        ),
      };
    },
  },
  {
    id: 'T31',
    what: '429 with Retry-After',
    tier: 'quick',
    stage: { route: 'circuitBreaker: { countOn: [timeout, connection, dns, 5xx] }' },
    async inject(stage, _random, scale) {
      const seconds = 2 * scale;
      const asked = new Map<string, number>();
      let early = Infinity;
      stage.main.answer = (id) => {
        const first = asked.get(id);
        asked.set(id, first ?? Date.now());
        if (first === undefined) return { status: 429, headers: { 'retry-after': String(seconds) } };
        early = Math.min(early, Date.now() - first);
        return undefined;
      };
      await sleep(2_000 * seconds);
      stage.main.answer = () => undefined;
      const opened = await turns(stage, 'closed', 'open');
      return {
        ...calm,
        notes: [`the first came again after ${(early / 1_000).toFixed(2)} s of ${seconds}`],
        wrong: unless(
          [early >= seconds * 1_000 - 10, `expected nobody before ${seconds} s, one came after ${early} ms`],
          [Number.isFinite(early), 'expected them to come again, none did'],
          [opened === 0, `expected a breaker that does not count 429 to stay closed, it opened ${opened} times`],
        ),
      };
    },
  },
];
