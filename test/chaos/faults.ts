/**
 * The faults, each with what it does to a stage under load and what it is allowed to cost. `duplicates` is the bound of
 * repeated deliveries: at most what ran in an engine that was hit, which is a route's concurrency and what was delivered
 * but not yet settled.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { recoveryBound, type Stage, type StageOptions } from './stage.ts';

/** What one engine can repeat when it dies: its slots and one unsettled batch of each of the two routes. */
const perHit = 2 * (16 + 256);

export interface Fault {
  readonly id: string;
  readonly what: string;
  readonly tier: 'quick' | 'full';
  readonly stage?: Partial<StageOptions>;
  /** Runs beside the publisher; resolves when the fault has ended. `scale` is 1 in the quick tier, more in the full one. */
  inject(stage: Stage, random: () => number, scale: number): Promise<Toll>;
}

export interface Toll {
  /** At most so many deliveries may be repeated. */
  readonly duplicates: number;
  /** From the end of the fault to the next delivery, ms. */
  readonly recovery: number;
  /** Further expectations that did not hold, in words. */
  readonly wrong?: readonly string[];
}

const calm: Toll = { duplicates: 0, recovery: 1_000 };

async function withClient<T>(stage: Stage, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(stage.redis.url);
  client.on('error', () => undefined);
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

/** Repeats `act`, with random pauses around `pauseMs`. */
async function times(
  count: number,
  pauseMs: number,
  random: () => number,
  act: (at: number) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < count; at += 1) {
    await sleep(pauseMs * (0.5 + random()));
    await act(at);
  }
}

const pick = (count: number, random: () => number): number => Math.floor(random() * count);

export const faults: readonly Fault[] = [
  {
    id: 'T00',
    what: 'nothing (the yardstick)',
    tier: 'quick',
    inject: async () => calm,
  },
  {
    id: 'T01',
    what: 'engine kill -9, again and again',
    tier: 'quick',
    stage: { engines: 2 },
    async inject(stage, random, scale) {
      const hits = 4 * scale;
      await times(hits, 900, random, async () => {
        const at = pick(2, random);
        await stage.killEngine(at);
        await stage.startEngine(at);
      });
      return { duplicates: hits * perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T02',
    what: 'all engines kill -9, down for 3 s',
    tier: 'quick',
    stage: { engines: 2 },
    async inject(stage) {
      await sleep(2_000);
      await Promise.all([stage.killEngine(0), stage.killEngine(1)]);
      await sleep(3_000);
      await Promise.all([stage.startEngine(0), stage.startEngine(1)]);
      return { duplicates: 2 * perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T04',
    what: 'rolling deploy',
    tier: 'quick',
    stage: { engines: 2 },
    async inject(stage, random, scale) {
      const wrong: string[] = [];
      await times(4 * scale, 600, random, async (at) => {
        const code = await stage.engine(at % 2).stop();
        stage.engines[at % 2] = undefined;
        if (code !== 0) wrong.push(`an engine ended with ${code}`);
        await stage.startEngine(at % 2);
      });
      return { duplicates: 0, recovery: recoveryBound, wrong };
    },
  },
  {
    id: 'T06',
    what: 'engine SIGSTOP past its lease',
    tier: 'quick',
    stage: { engines: 2 },
    async inject(stage, random, scale) {
      await times(scale, 1_500, random, async (at) => {
        const { child } = stage.engine(at % 2);
        child.kill('SIGSTOP');
        await sleep(5_000);
        child.kill('SIGCONT');
      });
      return { duplicates: scale * perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T07',
    what: 'Redis kill -9, appendfsync always',
    tier: 'quick',
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
    id: 'T10',
    what: 'Redis away for 5 s',
    tier: 'quick',
    async inject(stage) {
      await sleep(2_000);
      await stage.redis.kill();
      await sleep(5_000);
      await stage.redis.restart();
      return { duplicates: perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T17',
    what: 'CLIENT PAUSE 4 s',
    tier: 'quick',
    async inject(stage) {
      await sleep(2_000);
      await withClient(stage, (client) => client.call('CLIENT', 'PAUSE', '4000', 'ALL'));
      await sleep(4_000);
      return { duplicates: perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T18',
    what: 'half-open link to Redis for 8 s',
    tier: 'quick',
    stage: { proxied: true },
    async inject(stage) {
      await sleep(2_000);
      if (stage.proxy !== undefined) stage.proxy.mode = 'black';
      await sleep(8_000);
      if (stage.proxy !== undefined) stage.proxy.mode = 'pass';
      return { duplicates: perHit, recovery: recoveryBound + 5_000 };
    },
  },
  {
    id: 'T19',
    what: 'replies of Redis lost, then the link',
    tier: 'quick',
    stage: { proxied: true },
    async inject(stage, random, scale) {
      await times(4 * scale, 1_000, random, async () => {
        if (stage.proxy !== undefined) stage.proxy.mode = 'dropReplies';
        await sleep(50);
        stage.proxy?.cut();
        if (stage.proxy !== undefined) stage.proxy.mode = 'pass';
      });
      return { duplicates: 4 * scale * perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T20',
    what: 'flapping link, 300 ms up and 200 ms down',
    tier: 'quick',
    stage: { proxied: true },
    async inject(stage, _random, scale) {
      const flaps = 16 * scale;
      for (let at = 0; at < flaps; at += 1) {
        await sleep(300);
        if (stage.proxy !== undefined) stage.proxy.mode = 'black';
        await sleep(200);
        stage.proxy?.cut();
        if (stage.proxy !== undefined) stage.proxy.mode = 'pass';
      }
      return { duplicates: flaps * perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T21',
    what: 'latency of 50 ms to Redis',
    tier: 'quick',
    stage: { proxied: true },
    async inject(stage, _random, scale) {
      if (stage.proxy !== undefined) stage.proxy.delayMs = 50;
      await sleep(8_000 * scale);
      if (stage.proxy !== undefined) stage.proxy.delayMs = 0;
      return { duplicates: 0, recovery: recoveryBound };
    },
  },
  {
    id: 'T26',
    what: 'slow endpoint (2 s), the other route beside it',
    tier: 'quick',
    async inject(stage) {
      stage.main.answer = () => ({ status: 200, afterMs: 2_000 });
      await sleep(6_000);
      stage.main.answer = () => undefined;
      return { ...calm, recovery: 3_000 };
    },
  },
  {
    id: 'T27',
    what: 'hanging endpoint',
    tier: 'quick',
    stage: {
      route:
        'timeout: 1s\n    circuitBreaker: { openFor: 1s, maxOpenFor: 1s }\n    retry: { maxAttempts: 50, initialInterval: 50ms, maxInterval: 500ms }',
    },
    async inject(stage) {
      await sleep(1_000);
      stage.main.answer = () => 'hang';
      await sleep(5_000);
      stage.main.answer = () => undefined;
      return { ...calm, recovery: recoveryBound };
    },
  },
  {
    id: 'T30',
    what: 'endpoint down for 8 s, four engines',
    tier: 'quick',
    stage: {
      engines: 4,
      route:
        'circuitBreaker: { consecutiveFailures: 5, openFor: 2s, maxOpenFor: 2s }\n    retry: { maxAttempts: 50, initialInterval: 100ms, maxInterval: 1s }',
    },
    async inject(stage) {
      await sleep(1_000);
      stage.main.answer = () => ({ status: 503 });
      await sleep(2_500);
      const before = stage.main.requests;
      await sleep(5_500);
      const probes = stage.main.requests - before;
      stage.main.answer = () => undefined;
      // One probe for each window of 2 s, over all engines; a window may begin and end inside the time that was watched.
      const wrong = probes <= 4 ? [] : [`expected at most 4 probes of all engines together in 5.5 s, got ${probes}`];
      return { ...calm, recovery: 4_000, wrong };
    },
  },
  {
    id: 'T31',
    what: '429 with Retry-After: 2',
    tier: 'quick',
    stage: { route: 'circuitBreaker: false' },
    async inject(stage) {
      const asked = new Map<string, number>();
      const wrong: string[] = [];
      stage.main.answer = (id) => {
        const first = asked.get(id);
        asked.set(id, first ?? Date.now());
        if (first === undefined) return { status: 429, headers: { 'retry-after': '2' } };
        if (Date.now() - first < 1_990) wrong.push(`${id} came again after ${Date.now() - first} ms`);
        return undefined;
      };
      await sleep(4_000);
      stage.main.answer = () => undefined;
      return { ...calm, recovery: 4_000, wrong };
    },
  },
  {
    id: 'T37',
    what: 'a reload every 50 ms, every fourth one broken',
    tier: 'quick',
    async inject(stage, _random, scale) {
      for (let at = 0; at < 150 * scale; at += 1) {
        await stage.edit(at, at % 4 === 3);
        await sleep(50);
      }
      await stage.edit(0, false);
      return calm;
    },
  },
];
