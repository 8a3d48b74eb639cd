/** Faults of Redis as a process. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { eventually } from '../../support/eventually.ts';
import { type Fault, perHit, type Toll, times, unless, withClient } from '../fault.ts';
import { cutPower, withShim } from '../places.ts';
import { recoveryBound, type Stage } from '../stage.ts';

const everySecond = ['--appendonly', 'yes', '--appendfsync', 'everysec'];

/**
 * Both services take 3 s for an answer while `act` runs: what is acknowledged meanwhile rests in the store alone, so that
 * what the store loses is lost.
 */
async function withBacklog(stage: Stage, act: () => Promise<void>): Promise<void> {
  for (const service of [stage.main, stage.other]) service.answer = () => ({ status: 200, afterMs: 3_000 });
  await sleep(2_000);
  await act();
  for (const service of [stage.main, stage.other]) service.answer = () => undefined;
}

/** What `everysec` can lose when it is hit: what came in while a sync was due or under way. */
function secondsOf(stage: Stage, seconds: number, why: string): Toll {
  const events = seconds * stage.publisher.perSecond;
  return {
    duplicates: perHit + 2 * events,
    recovery: recoveryBound,
    mayLose: { atMost: events, why },
    wrong: unless([
      stage.lines.some(({ durability }) => durability === 'best_effort'),
      'expected the engine to tell that its durability is best_effort, it did not',
    ]),
  };
}

/** SIGKILL under a backlog; `then` happens to what is on disk before the server starts again. */
async function killWithBacklog(stage: Stage, then: () => Promise<void>): Promise<void> {
  await sleep(1_000);
  await withBacklog(stage, async () => {
    await stage.redis.kill();
    await then();
  });
  await sleep(400);
  await stage.redis.restart();
}

async function powerCut(stage: Stage): Promise<Toll> {
  await killWithBacklog(stage, () => cutPower(stage.redis.dir));
  return { duplicates: perHit, recovery: recoveryBound };
}

/** The replica takes over what the server without power has lost. */
async function powerCutWithReplica(stage: Stage): Promise<Toll> {
  await sleep(1_000);
  await withBacklog(stage, async () => {
    await stage.redis.kill();
    await cutPower(stage.redis.dir);
    await stage.redisStore.promote();
  });
  return { duplicates: perHit, recovery: recoveryBound };
}

/** A log of a million entries or more takes the server seconds to load. */
async function slowStart(stage: Stage, _random: () => number, scale: number): Promise<Toll> {
  await withClient(stage, async (client) => {
    const pad = `for _ = 1, 20000 do redis.call('SET', 'pad', '${'x'.repeat(100)}') end`;
    for (let at = 0; at < 50 * scale; at += 1) await client.eval(pad, 1, 'pad');
  });
  await stage.redis.kill();
  const [killed, before] = [Date.now(), stage.lines.length];
  await stage.redis.restart();
  const seconds = (Date.now() - killed) / 1_000;
  const lines = stage.lines.length - before;
  return {
    duplicates: perHit,
    recovery: recoveryBound,
    notes: [`away and loading for ${seconds.toFixed(1)} s, ${lines} lines logged`],
    wrong: unless(
      [stage.engine(0).child.exitCode === null, 'expected the engine to stay alive, it ended'],
      [lines <= 10 + seconds, `expected at most a line a second beside the ends of the fault, got ${lines}`],
    ),
  };
}

/** What an operator can do by mistake; `acts` on the streams' keys. */
const mistakes: readonly (readonly [what: string, (stage: Stage) => Promise<unknown>])[] = [
  ['XGROUP DESTROY', (stage) => onStream(stage, (client, key) => client.xgroup('DESTROY', key, 'chaos.main'))],
  ['DEL', (stage) => onStream(stage, (client, key) => client.del(key))],
  ['FLUSHALL', (stage) => withClient(stage, (client) => client.flushall())],
];

const onStream = (stage: Stage, act: (client: Redis, key: string) => Promise<unknown>) =>
  withClient(stage, async (client) => {
    for (const key of await client.keys('ef:*:events')) await act(client, key);
  });

async function mistakesUnderLoad(stage: Stage): Promise<Toll> {
  const wrong: string[] = [];
  const notes: string[] = [];
  let rested = 0;
  for (const [what, act] of mistakes) {
    await sleep(1_500);
    const before = [stage.main.arrivals.size, stage.other.arrivals.size] as const;
    await act(stage);
    // With what was stored and not yet answered, a fifth of a second of it.
    rested += stage.acknowledged.size - Math.min(...before) + stage.publisher.perSecond / 5;
    const began = Date.now();
    const goOn = (): boolean =>
      stage.main.arrivals.size > before[0] + 100 && stage.other.arrivals.size > before[1] + 100;
    await eventually(`deliveries to go on after ${what}`, goOn, 20_000);
    const took = Date.now() - began;
    notes.push(`${what}: went on after ${took} ms`);
    wrong.push(...unless([took < 5_000, `expected deliveries to go on within 5 s of ${what}, it took ${took} ms`]));
  }
  const told = stage.lines.filter(({ kind }) => kind === 'store_reset').length;
  return {
    // A group that is made again starts at its activation: what the stream still holds comes again.
    duplicates: 2 * stage.acknowledged.size,
    recovery: recoveryBound,
    mayLose: { atMost: rested, why: 'what rested in the store when an operator deleted it' },
    notes: [...notes, `told as store_reset ${told} times`],
    wrong: [...wrong, ...unless([told > 0, 'expected the engine to tell of store_reset, it did not'])],
  };
}

export const store: readonly Fault[] = [
  {
    id: 'T07',
    what: 'Redis kill -9, appendfsync always',
    tier: 'quick',
    shares: true,
    async inject(stage, random, scale) {
      await times(3 * scale, 1_500, random, async () => {
        await stage.redis.kill();
        await sleep(400);
        await stage.redis.restart();
      });
      return { duplicates: 3 * scale * perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T08',
    what: 'Redis kill -9, everysec, each fsync 1.5 s longer',
    tier: 'full',
    shares: true,
    mode: 'everysec',
    only: 'fsync',
    quickLoad: { events: 6_000, perSecond: 400 },
    stage: { redisArgs: everySecond, around: () => withShim('slow-fsync', { FSYNC_US: '1500000' }) },
    async inject(stage, random) {
      await times(3, 500, random, () => killWithBacklog(stage, async () => undefined));
      return secondsOf(stage, 3 * 4, 'with everysec Redis answers up to 2 s and a sync before it writes');
    },
  },
  {
    id: 'T09',
    what: 'power cut, appendfsync always',
    tier: 'full',
    shares: true,
    only: 'fsync',
    stage: { around: () => withShim('power-cut') },
    inject: powerCut,
  },
  {
    id: 'T09s',
    what: 'power cut, appendfsync everysec',
    tier: 'full',
    shares: true,
    mode: 'everysec',
    only: 'fsync',
    stage: { redisArgs: everySecond, around: () => withShim('power-cut') },
    async inject(stage) {
      await powerCut(stage);
      return secondsOf(stage, 2, 'with everysec Redis answers before the disk has it');
    },
  },
  {
    id: 'T09r',
    what: 'power cut, appendfsync everysec, the replica takes over',
    tier: 'full',
    shares: true,
    only: 'replicated',
    stage: { proxied: true, redisArgs: everySecond, around: () => withShim('power-cut') },
    inject: powerCutWithReplica,
  },
  {
    id: 'T10',
    what: 'Redis away for 5 s',
    tier: 'quick',
    shares: true,
    async inject(stage) {
      await sleep(2_000);
      await stage.redis.kill();
      await sleep(5_000);
      await stage.redis.restart();
      const opened = stage.lines.filter(({ to }) => to === 'open').length;
      return {
        duplicates: perHit,
        recovery: recoveryBound,
        notes: [`slowest answer of ingest ${Math.round(stage.publisher.slowestAnswer)} ms`],
        wrong: unless([opened === 0, `expected no breaker to open because of Redis, ${opened} did`]),
      };
    },
  },
  {
    id: 'T11',
    what: 'Redis loads a log of a million entries and more',
    tier: 'quick',
    shares: true,
    stage: { redisArgs: ['--appendonly', 'yes', '--appendfsync', 'always', '--auto-aof-rewrite-percentage', '0'] },
    inject: slowStart,
  },
  {
    id: 'T12',
    what: 'XGROUP DESTROY, DEL and FLUSHALL by an operator',
    tier: 'full',
    shares: true,
    quickLoad: { events: 6_000, perSecond: 300 },
    inject: mistakesUnderLoad,
  },
  {
    id: 'T17',
    what: 'CLIENT PAUSE ALL, 4 s (full: 10 s)',
    tier: 'quick',
    shares: true,
    async inject(stage) {
      const ms = stage.full ? 10_000 : 4_000;
      await sleep(2_000);
      await withClient(stage, (client) => client.call('CLIENT', 'PAUSE', String(ms), 'ALL'));
      await sleep(ms);
      return {
        duplicates: perHit,
        recovery: recoveryBound,
        notes: [`slowest answer of ingest ${Math.round(stage.publisher.slowestAnswer)} ms`],
      };
    },
  },
];
