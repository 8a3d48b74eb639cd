/** Faults of room: memory, keys that may be evicted, disks. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { eventually } from '../../support/eventually.ts';
import { type Fault, perHit, type Toll, unless, withClient } from '../fault.ts';
import { fillDisk, freeDisk, type SmallDisk, smallDisk } from '../places.ts';
import { recoveryBound, type Stage } from '../stage.ts';

const durable = ['--appendonly', 'yes', '--appendfsync', 'always'];
const mebibyte = 'x'.repeat(1 << 20);

/** Until the server refuses more. Resolves to what was written. */
async function fillMemory(client: Redis): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const size of [1 << 20, 1 << 16, 1 << 12]) {
    try {
      for (;;) {
        const key = `filler:${keys.length}`;
        await client.set(key, mebibyte.slice(0, size));
        keys.push(key);
      }
    } catch (error) {
      if (!/^OOM/.test((error as Error).message)) throw error;
    }
  }
  return keys;
}

/** Long enough that somebody still writes when the disk is full. */
const longer = { events: 6_000, perSecond: 400 };

const refused = (stage: Stage): number => stage.publisher.refusals.get(503) ?? 0;

/** While memory is full: new events are refused, what was accepted is delivered and retried. Then there is room again. */
async function memoryFull(stage: Stage): Promise<Toll> {
  const failed = new Map<string, number>();
  let full = false;
  stage.main.answer = (id) => {
    const times = failed.get(id) ?? 0;
    if (!full || times > 1 || (times === 0 && failed.size === 100)) return { status: 200, afterMs: 40 };
    failed.set(id, times + 1);
    return times === 0 ? { status: 503 } : { status: 200 };
  };
  await sleep(1_500);
  return await withClient(stage, async (client) => {
    const keys = await fillMemory(client);
    full = true;
    await eventually('new events to be refused', () => refused(stage) > 0, 30_000);
    const before = stage.main.arrivals.size;
    await sleep(3_000);
    const delivered = stage.main.arrivals.size - before;
    const retried = [...failed.values()].filter((times) => times > 1).length;
    await client.del(...keys);
    const [freed, acknowledged] = [Date.now(), stage.acknowledged.size];
    await eventually('new events to be accepted', () => stage.acknowledged.size > acknowledged);
    const took = Date.now() - freed;
    stage.main.answer = () => undefined;
    return {
      duplicates: perHit,
      recovery: recoveryBound,
      notes: [
        `while full: ${refused(stage)} times 503, ${delivered} delivered, ${retried} retried; accepted again after ${took} ms`,
      ],
      wrong: unless(
        [delivered > 0, 'expected deliveries to go on while the memory is full, none came'],
        [retried > 0, 'expected retries to go on while the memory is full, none came'],
        [took < 2_000 || !stage.full, `expected new events to be accepted within 2 s, it took ${took} ms`],
      ),
    };
  });
}

/** With a policy that may evict keys: no engine starts, and the one that runs tells. */
async function evictionAllowed(stage: Stage): Promise<Toll> {
  await withClient(stage, (client) => client.config('SET', 'maxmemory-policy', 'allkeys-lru'));
  const changed = Date.now();
  const refusal = await stage.startEngine(1).then(
    () => 'it started',
    (error: Error) => error.message,
  );
  await stage.startEngine(1, { EVENTFLOW_ALLOW_UNSAFE_STORE: 'true' });
  const { lines } = stage.engine(0);
  const tells = (): boolean => lines.some(({ hazards }) => Array.isArray(hazards));
  await eventually('the running engine to tell that the store is unsafe', tells, 62_000);
  const took = Date.now() - changed;
  await withClient(stage, (client) => client.config('SET', 'maxmemory-policy', 'noeviction'));
  return {
    duplicates: 0,
    recovery: recoveryBound,
    notes: [`a new engine ends with 78, the running one told after ${Math.round(took / 1_000)} s`],
    wrong: unless([/code 78/.test(refusal), `expected a new engine to end with code 78, got: ${refusal}`]),
  };
}

const diskOf = (stage: Stage): SmallDisk => stage.surroundings as SmallDisk;

async function diskFull(stage: Stage): Promise<Toll> {
  await sleep(1_500);
  await fillDisk(diskOf(stage));
  await eventually('redis-server to end', () => !stage.redis.alive(), 30_000);
  await sleep(2_000);
  await freeDisk(diskOf(stage));
  await stage.redis.restart();
  return {
    duplicates: perHit,
    recovery: recoveryBound,
    notes: [`redis-server ended by itself; ${refused(stage)} times 503`],
  };
}

/** Whoever writes stays alive and is refused; it goes on by itself when there is room. */
async function diskFullForAWhile(stage: Stage): Promise<Toll> {
  await sleep(1_500);
  await fillDisk(diskOf(stage));
  await eventually('new events to be refused', () => refused(stage) > 0, 30_000);
  await sleep(3_000);
  await freeDisk(diskOf(stage));
  return { duplicates: perHit, recovery: recoveryBound, notes: [`${refused(stage)} times 503`] };
}

export const space: readonly Fault[] = [
  {
    id: 'T23',
    what: 'the memory of Redis is full',
    tier: 'quick',
    stage: { redisArgs: [...durable, '--maxmemory', '100mb'] },
    inject: memoryFull,
  },
  {
    id: 'T24',
    what: 'an eviction policy that may drop keys',
    shares: true,
    tier: 'full',
    inject: evictionAllowed,
  },
  {
    id: 'T25',
    what: 'disk full, appendfsync always: redis-server ends',
    shares: true,
    quickLoad: longer,
    tier: 'full',
    only: 'fsync',
    stage: { around: () => smallDisk(100) },
    inject: diskFull,
  },
  {
    id: 'T25s',
    what: 'disk full, appendfsync everysec: MISCONF',
    shares: true,
    quickLoad: longer,
    tier: 'full',
    mode: 'everysec',
    only: 'fsync',
    stage: { redisArgs: ['--appendonly', 'yes', '--appendfsync', 'everysec'], around: () => smallDisk(100) },
    inject: diskFullForAWhile,
  },
  {
    id: 'T25e',
    what: 'disk full',
    shares: true,
    quickLoad: longer,
    tier: 'full',
    stage: { embedded: true, around: () => smallDisk(100) },
    inject: diskFullForAWhile,
  },
];
