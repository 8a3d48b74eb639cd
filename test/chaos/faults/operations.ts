/** What people do to a running system, and what comes down on it all at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { remoteOperations } from 'eventflow';
import type { Redis } from 'ioredis';
import { Keys } from '../../../engine/bus/redis/keys.ts';
import { eventually } from '../../support/eventually.ts';
import { exact, type Fault, perHit, quiet, type Toll, unless, withClient } from '../fault.ts';
import { pingedDuring } from '../pinger.ts';
import { recoveryBound, type Stage, usual } from '../stage.ts';

const main = 'chaos.main';
const operations = (stage: Stage, at = 0) => remoteOperations(stage.engine(at).admin);

const published = (stage: Stage, ms = 120_000): Promise<unknown> =>
  eventually('all to be published', () => stage.publisher.done, ms);

async function balanceOf(stage: Stage, at = 0) {
  const { groups } = await operations(stage, at).verify();
  const balance = groups.find(({ group }) => group === main);
  if (balance === undefined) throw new Error(`expected the bus to know ${main}`);
  return balance;
}

const percentile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? 0;

// ── T46: everything is due at once ───────────────────────────────────────────────────────────────────────────────

/** How long a script held up everybody else in Redis, ms: nearly always, and the longest of a thousand. */
async function scriptTimes(client: Redis): Promise<readonly [p99: number, p999: number]> {
  const told = /percentiles_usec_evalsha:p50=[\d.]+,p99=([\d.]+),p99\.9=([\d.]+)/.exec(
    await client.info('latencystats'),
  );
  if (told === null) throw new Error('expected Redis to tell how long its scripts took');
  return [Number(told[1]) / 1_000, Number(told[2]) / 1_000];
}

/** Every event fails once and waits an hour; then somebody makes all of them due. */
async function allDue(stage: Stage): Promise<Toll> {
  const failed = new Set<string>();
  stage.main.answer = (id) => {
    if (failed.has(id)) return undefined;
    failed.add(id);
    return { status: 503 };
  };
  await published(stage);
  const { asked } = stage.publisher;
  await eventually('all to be parked', async () => (await balanceOf(stage)).retrying === asked, 120_000);
  const { retry } = new Keys('ef').route('chaos.event', main);
  return await withClient(stage, async (client) => {
    await client.config('RESETSTAT');
    const pings = await pingedDuring(stage.redis.url, async () => {
      await client.zunionstore(retry, 1, retry, 'WEIGHTS', 0);
      await eventually('all to be delivered', () => stage.main.arrivals.size === asked, 120_000);
    });
    const [p99, p999] = await scriptTimes(client);
    const { requests } = stage.main;
    return {
      duplicates: 0,
      recovery: recoveryBound,
      notes: [
        `while ${asked} were promoted: scripts held Redis for ${p99.toFixed(1)} ms (p99) and ${p999.toFixed(1)} ms (p99.9); PING p99 ${percentile(pings, 0.99).toFixed(1)} ms`,
      ],
      wrong: unless(
        [requests === 2 * asked, `expected two attempts for each of ${asked} events, got ${requests}`],
        [!stage.full || p99 < 20, `expected no script to hold Redis for 20 ms (p99), they took ${p99.toFixed(1)}`],
      ),
    };
  });
}

// ── T47: a backlog, and everybody comes for it ───────────────────────────────────────────────────────────────────

const asleep = (text: string): string => text.replaceAll('handler: webhook', 'handler: webhook\n    enabled: false');

async function herd(stage: Stage, perSecond: number): Promise<Toll> {
  // Long enough that requests overlap.
  stage.main.answer = () => ({ status: 200, afterMs: 10 });
  stage.other.answer = stage.main.answer;
  await published(stage);
  const backlog = stage.publisher.asked;
  await stage.stopEngine(0);
  await stage.write(stage.text.replaceAll('    enabled: false\n', ''));
  await Promise.all([0, 1, 2, 3].map((at) => stage.startEngine(at)));
  await stage.publisher.publish(10 * perSecond, perSecond);
  const { due, acknowledged, asked } = stage.publisher;
  const waits = [...due].slice(backlog).map(([id, at]) => (acknowledged.get(id) ?? Number.POSITIVE_INFINITY) - at);
  const left = asked - stage.main.arrivals.size;
  await eventually('the backlog to be delivered', () => stage.main.arrivals.size === asked, 120_000);
  const most = 16 * stage.running.length;
  const mostOpen = Math.max(stage.main.mostOpen, stage.other.mostOpen);
  const p95 = percentile(waits, 0.95);
  return {
    duplicates: 0,
    recovery: recoveryBound,
    notes: [
      `backlog of ${backlog}, ${left} left after 10 s; ingest meanwhile p95 ${p95} ms; at most ${mostOpen} requests at once`,
    ],
    wrong: unless(
      [mostOpen <= most, `expected at most ${most} requests to an endpoint at once, got ${mostOpen}`],
      [!stage.full || p95 < 100, `expected to be acknowledged within 100 ms (p95) meanwhile, it took ${p95}`],
    ),
  };
}

// ── T48, T49: dead letters ───────────────────────────────────────────────────────────────────────────────────────

const refuseAll = (stage: Stage): void => {
  stage.main.answer = () => ({ status: 400 });
};

/** Sends every letter back until none is left. */
async function redriveAll(stage: Stage): Promise<void> {
  stage.main.answer = () => undefined;
  const settled = async (): Promise<boolean> => {
    await operations(stage).redrive({ dryRun: false, filter: { group: main, limit: 10_000 } });
    return (await stage.dead()) === 0 && stage.main.arrivals.size === stage.acknowledged.size;
  };
  await published(stage);
  await eventually('every letter to be delivered', settled, 120_000);
}

const limit = (onFull: string): string =>
  `circuitBreaker: false\n    retry: { maxAttempts: 1 }\n    deadLetter: { maxEntries: 500, onFull: ${onFull} }`;

async function fullPauses(stage: Stage): Promise<Toll> {
  refuseAll(stage);
  await eventually('the dead letters to be full', async () => (await stage.dead()) === 500, 60_000);
  await quiet(stage.main);
  const { requests } = stage.main;
  await sleep(1_500);
  const [more, { dead, waiting, pending }] = [stage.main.requests - requests, await balanceOf(stage)];
  await redriveAll(stage);
  const told = stage.lines.filter(({ msg }) => String(msg).startsWith('dead letters')).map(({ msg }) => String(msg));
  return {
    ...exact,
    notes: [`held at ${dead} letters with ${waiting} waiting and ${pending} pending`],
    wrong: unless(
      [dead === 500, `expected 500 letters and no more, got ${dead}`],
      [more === 0, `expected the route to stop, it made ${more} attempts`],
      [told.some((text) => text.includes('are full')), 'expected the log to tell that the route is held'],
      [told.some((text) => text.includes('have room')), 'expected the log to tell that the route goes on'],
    ),
  };
}

async function fullDrops(stage: Stage): Promise<Toll> {
  refuseAll(stage);
  await published(stage);
  const { asked } = stage.publisher;
  await eventually(
    'every event to die',
    async () => {
      const { dead, dropped } = await balanceOf(stage);
      return dead + dropped === asked;
    },
    60_000,
  );
  const { dead, dropped, residue } = await balanceOf(stage);
  const told = stage.lines.flatMap(({ msg, letters }) =>
    String(msg).startsWith('dropped') && Array.isArray(letters) ? letters : [],
  ).length;
  return {
    ...exact,
    dead,
    mayLose: { atMost: asked - 500, why: `${dropped} letters dropped, which the route asks for by onFull: dropOldest` },
    wrong: unless(
      [dead === 500, `expected the newest 500 letters to be kept, got ${dead}`],
      [dropped === asked - 500, `expected ${asked - 500} to be counted as dropped, got ${dropped}`],
      [told === dropped, `expected the ids of ${dropped} dropped letters in the log, got ${told}`],
      [residue === 0, `the bus's own count is off by ${residue}`],
    ),
  };
}

async function redriveCut(stage: Stage, engines: number): Promise<Toll> {
  refuseAll(stage);
  await published(stage);
  const { asked } = stage.publisher;
  await eventually('every event to die', async () => (await balanceOf(stage)).dead === asked, 120_000);
  let redriving = 'ended';
  stage.main.answer = () => undefined;
  const killed = new Promise<void>((resolve) => {
    stage.main.taken = () => {
      stage.main.taken = undefined;
      resolve(stage.killEngine(0));
    };
  });
  await operations(stage)
    .redrive({ dryRun: false, filter: { group: main, limit: 10_000 } })
    .catch(() => {
      redriving = 'was cut';
    });
  await killed;
  const left = engines > 1 ? (await balanceOf(stage, 1)).dead : undefined;
  await stage.startEngine(0);
  await redriveAll(stage);
  const often = [...stage.main.arrivals.values()].filter(({ times }) => times > 2).length;
  return {
    duplicates: perHit,
    recovery: recoveryBound,
    notes: [`the redrive of ${asked} ${redriving}${left === undefined ? '' : `, ${left} were still dead`}`],
    wrong: unless(
      [!stage.full || redriving === 'was cut', 'expected the engine to die in the middle of the redrive'],
      [often === 0, `expected each event once or twice, ${often} came more often`],
    ),
  };
}

const dying = 'circuitBreaker: false\n    retry: { maxAttempts: 1 }';
const letters = { events: 10_000, perSecond: 1_000 };

export const operating: readonly Fault[] = [
  {
    id: 'T46',
    what: 'all retries due at once, eight engines',
    tier: 'full',
    load: { events: 100_000, perSecond: 2_000 },
    quickLoad: { events: 10_000, perSecond: 1_500 },
    patience: 600_000,
    stage: {
      engines: 8,
      route: 'circuitBreaker: false\n    retry: { maxAttempts: 2, initialInterval: 1h, maxInterval: 1h, jitter: none }',
    },
    inject: allDue,
  },
  {
    id: 'T47',
    what: 'backlog, and four engines come for it',
    tier: 'full',
    load: { events: 100_000, perSecond: 4_000 },
    quickLoad: { events: 10_000, perSecond: 2_000 },
    patience: 600_000,
    stage: { pipeline: (to, beside) => asleep(usual(dying)(to, beside)) },
    inject: (stage) => herd(stage, 300),
  },
  {
    id: 'T48',
    what: 'dead letters full: pause',
    tier: 'quick',
    shares: true,
    stage: { route: limit('pause') },
    inject: fullPauses,
  },
  {
    id: 'T48e',
    what: 'dead letters full: pause',
    tier: 'quick',
    shares: true,
    stage: { route: limit('pause'), embedded: true },
    inject: fullPauses,
  },
  {
    id: 'T48d',
    what: 'dead letters full: dropOldest',
    tier: 'full',
    shares: true,
    stage: { route: limit('dropOldest') },
    inject: fullDrops,
  },
  {
    id: 'T49',
    what: 'engine kill -9 in the middle of a redrive',
    tier: 'quick',
    shares: true,
    load: letters,
    stage: { engines: 2, route: dying },
    inject: (stage) => redriveCut(stage, 2),
  },
  {
    id: 'T49e',
    what: 'engine kill -9 in the middle of a redrive',
    tier: 'full',
    shares: true,
    load: letters,
    stage: { route: dying, embedded: true },
    inject: (stage) => redriveCut(stage, 1),
  },
];
