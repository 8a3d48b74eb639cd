/** The Redis bus alone, and what it is measured against: publish, promote, reclaim. */
import type { Redis } from 'ioredis';
import type { Bus, Entry, Group, SettleItem } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { bareStream, withClient } from './bare.ts';
import { fill, openFill } from './producer.ts';
import { measured, type Reading, sampleEvent } from './reading.ts';

const type = 'order.paid';
const never = new AbortController().signal;

async function withBus<T>(url: string, work: (bus: Bus, group: Group) => Promise<T>): Promise<T> {
  const bus = await openRedisBus(url, { durability: { mode: 'none' } });
  const deadLetter = { retention: 3_600_000, maxEntries: 1_000_000, onFull: 'pause' } as const;
  const group = await bus.openGroup({ group: 'p.r', patterns: [type], startFrom: 'beginning', deadLetter });
  try {
    return await work(bus, group);
  } finally {
    await bus.close();
  }
}

// ── publish ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function publish(kind: 'bare' | 'engine', url: string, n: number): Promise<Reading> {
  const run = await openFill({ kind, url, n, types: 1, rate: undefined });
  return await measured(url, n, run);
}

export const busPublish = (url: string, n: number): Promise<Reading> => publish('engine', url, n);
export const barePublish = (url: string, n: number): Promise<Reading> => publish('bare', url, n);

// ── read and settle ──────────────────────────────────────────────────────────────────────────────────────────────

/** `n` events are there already. */
export const busDrain = (url: string, n: number): Promise<Reading> =>
  withBus(url, (_, group) =>
    measured(url, n, async () => {
      for (let seen = 0; seen < n; ) {
        const entries = await group.read(100, never);
        const items: SettleItem[] = [];
        for (const entry of entries) {
          JSON.parse(entry.body);
          items.push({ kind: 'ack', entry, status: 'delivered' });
        }
        await group.settle(items, undefined);
        seen += entries.length;
      }
    }),
  );

// ── promote ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Everything becomes a retry that is due at once. */
async function fillRetries(url: string, group: Group, n: number): Promise<void> {
  await fill({ kind: 'engine', url, n, types: 1, rate: undefined });
  const fault = { code: 'http_503', message: 'busy', kind: 'status', status: 503 } as const;
  for (let seen = 0; seen < n; ) {
    const entries = await group.read(500, never);
    const state = { attempt: 2, attempts: [{ n: 1, at: Date.now(), ms: 3, fault }] };
    const items = entries.map((entry): SettleItem => ({ kind: 'retry', entry, delayMs: 0, state }));
    await group.settle(items, undefined);
    seen += entries.length;
  }
}

export const busPromote = (url: string, n: number): Promise<Reading> =>
  withBus(url, async (_, group) => {
    await fillRetries(url, group, n);
    return await measured(url, n, async () => {
      while ((await group.promote(500)) > 0);
    });
  });

const popDue = `#!lua
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)
if #ids == 0 then return {} end
local bodies = redis.call('HMGET', KEYS[2], unpack(ids))
redis.call('ZREM', KEYS[1], unpack(ids))
redis.call('HDEL', KEYS[2], unpack(ids))
return bodies`;

export const bareRetries = (url: string, n: number): Promise<Reading> =>
  withClient(url, async (client) => {
    await fillBareRetries(client, n);
    const sha = (await client.script('LOAD', popDue)) as string;
    return await measured(url, n, async () => {
      for (let seen = 0; seen < n; ) {
        const bodies = (await client.evalsha(sha, 2, 'bare:due', 'bare:body', Date.now())) as string[];
        for (const body of bodies) JSON.parse(body);
        seen += bodies.length;
      }
    });
  });

async function fillBareRetries(client: Redis, n: number): Promise<void> {
  for (let at = 0; at < n; at += 500) {
    const pipeline = client.pipeline();
    for (let i = at; i < Math.min(at + 500, n); i += 1) {
      pipeline.zadd('bare:due', 1, `${i}`).hset('bare:body', `${i}`, sampleEvent(i, type));
    }
    await pipeline.exec();
  }
}

// ── reclaim ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Everything is pending with a consumer that will never come back. */
async function crash(client: Redis, key: string, group: string, n: number): Promise<void> {
  for (let seen = 0; seen < n; ) {
    const reply = await client.xreadgroup('GROUP', group, 'dead', 'COUNT', 1_000, 'STREAMS', key, '>');
    seen += ((reply as [string, unknown[]][] | null)?.[0]?.[1] ?? []).length;
  }
}

export const bareReclaim = (url: string, n: number): Promise<Reading> =>
  withClient(url, async (client) => {
    await fill({ kind: 'bare', url, n, types: 1, rate: undefined });
    await client.xgroup('CREATE', bareStream, 'bare', '0');
    await crash(client, bareStream, 'bare', n);
    return await measured(url, n, async () => {
      let cursor = '0-0';
      for (let seen = 0; seen < n; ) {
        const claim = [bareStream, 'bare', 'me', 0, cursor, 'COUNT', 100] as const;
        const [next, entries] = (await client.xautoclaim(...claim)) as [string, [string, string[]][]];
        for (const [, fields] of entries) JSON.parse(fields[1] ?? '');
        seen += entries.length;
        cursor = next;
      }
    });
  });

export const busReclaim = (url: string, n: number): Promise<Reading> =>
  withBus(url, async (_, group) => {
    await fill({ kind: 'engine', url, n, types: 1, rate: undefined });
    await withClient(url, (client) => crash(client, `ef:{${type}:0}:events`, 'p.r', n));
    return await measured(url, n, async () => {
      const owned = new Map<string, Entry>();
      while (owned.size < n) {
        const { entries } = await group.reclaim(0, 100, (id) => owned.has(id));
        for (const entry of entries) {
          JSON.parse(entry.body);
          owned.set(entry.id, entry);
        }
      }
    });
  });
