/**
 * The Redis bus against bare ioredis, in one interleaved run: publish, read and settle, promote, reclaim. Prints medians
 * and ratios. `node --conditions=eventflow-source test/bench/bus.ts [rounds] [events]`
 */
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Bus, Entry, Group, Publication, SettleItem } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { startRedisProcess } from '../support/redis.ts';
import { bareDrain, barePublish, type Measured, measured, sampleEvent } from './bare.ts';

const rounds = Number(process.argv[2] ?? 3);
const events = Number(process.argv[3] ?? 100_000);
const type = 'order.paid';

interface Row {
  readonly name: string;
  readonly bare: (url: string) => Promise<Measured>;
  readonly bus: (url: string) => Promise<Measured>;
  /** Least ratio of rates, the bus's to bare. */
  readonly bar: number;
}

const rows: readonly Row[] = [
  { name: 'bulk publish ÷ pipeline of 100', bare: (url) => barePublish(url, events), bus: busPublish, bar: 1 },
  { name: 'read + settle ÷ bare loop', bare: (url) => bareDrain(url, events), bus: busDrain, bar: 0.8 },
  { name: 'promote ÷ ZSET-and-hash loop', bare: bareRetries, bus: busPromote, bar: 1 / 2.5 },
  { name: 'promote + read ÷ ZSET-and-hash loop', bare: bareRetries, bus: busPromoteAndRead, bar: 1 / 2.5 },
  { name: 'reclaim ÷ XAUTOCLAIM loop', bare: bareReclaim, bus: busReclaim, bar: 1 / 2.5 },
];

function publication(n: number): Publication {
  const id = randomUUID();
  return {
    type,
    event: { body: sampleEvent(n, type), meta: undefined },
    dedupeKey: `/shop/checkout ${id}`,
    fingerprint: id,
    eventId: id,
  };
}

async function withBus<T>(url: string, work: (bus: Bus, group: Group) => Promise<T>): Promise<T> {
  const bus = await openRedisBus(url, { durability: { mode: 'none' } });
  const deadLetter = { retention: 3_600_000, maxEntries: 1_000_000, onFull: 'pause' } as const;
  const group = await bus.openGroup({ group: 'p.r', patterns: [type], startFrom: 'new', deadLetter });
  try {
    return await work(bus, group);
  } finally {
    await bus.close();
  }
}

async function publishAll(bus: Bus): Promise<void> {
  const batch = 1_000;
  for (let at = 0; at < events; at += batch) {
    await bus.publish(Array.from({ length: Math.min(batch, events - at) }, (_, i) => publication(at + i)));
  }
}

function busPublish(url: string): Promise<Measured> {
  return withBus(url, async (bus) => {
    const from = performance.now();
    await publishAll(bus);
    return measured(events, from);
  });
}

const noop = async (): Promise<void> => undefined;
const never = new AbortController().signal;

function busDrain(url: string): Promise<Measured> {
  return withBus(url, async (bus, group) => {
    await publishAll(bus);
    const from = performance.now();
    for (let seen = 0; seen < events; ) {
      const entries = await group.read(100, never);
      const items: SettleItem[] = [];
      for (const entry of entries) {
        JSON.parse(entry.body);
        await noop();
        items.push({ kind: 'ack', entry, status: 'delivered' });
      }
      await group.settle(items, undefined);
      seen += entries.length;
    }
    return measured(events, from);
  });
}

/** Everything becomes a retry that is due at once. */
async function fillRetries(bus: Bus, group: Group): Promise<void> {
  await publishAll(bus);
  const fault = { code: 'http_503', message: 'busy', kind: 'status', status: 503 } as const;
  for (let seen = 0; seen < events; ) {
    const entries = await group.read(500, never);
    const state = { attempt: 2, attempts: [{ n: 1, at: Date.now(), ms: 3, fault }] };
    await group.settle(
      entries.map((entry): SettleItem => ({ kind: 'retry', entry, delayMs: 0, state })),
      undefined,
    );
    seen += entries.length;
  }
}

function busPromote(url: string): Promise<Measured> {
  return withBus(url, async (bus, group) => {
    await fillRetries(bus, group);
    const from = performance.now();
    while ((await group.promote(500)) > 0);
    return measured(events, from);
  });
}

function busPromoteAndRead(url: string): Promise<Measured> {
  return withBus(url, async (bus, group) => {
    await fillRetries(bus, group);
    const from = performance.now();
    const promoting = (async () => {
      while ((await group.promote(500)) > 0);
    })();
    for (let seen = 0; seen < events; ) seen += (await group.read(100, never)).length;
    await promoting;
    return measured(events, from);
  });
}

const popDue = `#!lua
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)
if #ids == 0 then return {} end
local bodies = redis.call('HMGET', KEYS[2], unpack(ids))
redis.call('ZREM', KEYS[1], unpack(ids))
redis.call('HDEL', KEYS[2], unpack(ids))
return bodies`;

async function bareRetries(url: string): Promise<Measured> {
  const client = new Redis(url);
  try {
    for (let at = 0; at < events; at += 500) {
      const pipeline = client.pipeline();
      for (let i = at; i < Math.min(at + 500, events); i += 1) {
        pipeline.zadd('bare:due', 1, `${i}`).hset('bare:body', `${i}`, sampleEvent(i));
      }
      await pipeline.exec();
    }
    const sha = (await client.script('LOAD', popDue)) as string;
    const from = performance.now();
    for (let seen = 0; seen < events; ) {
      const bodies = (await client.evalsha(sha, 2, 'bare:due', 'bare:body', Date.now())) as string[];
      for (const body of bodies) JSON.parse(body);
      seen += bodies.length;
    }
    return measured(events, from);
  } finally {
    client.disconnect();
  }
}

/** Everything is pending with a consumer that will never come back. */
async function crash(client: Redis, key: string, group: string): Promise<void> {
  for (let seen = 0; seen < events; ) {
    const reply = await client.xreadgroup('GROUP', group, 'dead', 'COUNT', 1_000, 'STREAMS', key, '>');
    seen += ((reply as [string, unknown[]][] | null)?.[0]?.[1] ?? []).length;
  }
}

async function bareReclaim(url: string): Promise<Measured> {
  const client = new Redis(url);
  try {
    await barePublish(url, events);
    await client.xgroup('CREATE', 'bare:events', 'bare', '0');
    await crash(client, 'bare:events', 'bare');
    const from = performance.now();
    let cursor = '0-0';
    for (let seen = 0; seen < events; ) {
      const claim = ['bare:events', 'bare', 'me', 0, cursor, 'COUNT', 100] as const;
      const [next, entries] = (await client.xautoclaim(...claim)) as [string, [string, string[]][]];
      for (const [, fields] of entries) JSON.parse(fields[1] ?? '');
      seen += entries.length;
      cursor = next;
    }
    return measured(events, from);
  } finally {
    client.disconnect();
  }
}

function busReclaim(url: string): Promise<Measured> {
  return withBus(url, async (bus, group) => {
    const client = new Redis(url);
    await publishAll(bus);
    await crash(client, `ef:{${type}:0}:events`, 'p.r');
    client.disconnect();
    const from = performance.now();
    const owned = new Map<string, Entry>();
    while (owned.size < events) {
      const { entries } = await group.reclaim(0, 100, (id) => owned.has(id));
      for (const entry of entries) {
        JSON.parse(entry.body);
        owned.set(entry.id, entry);
      }
    }
    return measured(events, from);
  });
}

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

async function main(): Promise<void> {
  const redis = await startRedisProcess();
  const admin = new Redis(redis.url);
  const wanted = process.argv[4];
  try {
    for (const row of rows.filter(({ name }) => wanted === undefined || name.startsWith(wanted))) {
      const bare: number[] = [];
      const bus: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        await admin.flushall();
        bare.push((await row.bare(redis.url)).perSecond);
        await admin.flushall();
        bus.push((await row.bus(redis.url)).perSecond);
      }
      const ratio = median(bus) / median(bare);
      const held = ratio >= row.bar ? 'holds' : 'MISSED';
      const line = [row.name, `${Math.round(median(bus))}/s`, `${Math.round(median(bare))}/s`, ratio.toFixed(2)];
      console.log(`${line.join(' · ')} (bar ${row.bar}: ${held})`);
    }
  } finally {
    admin.disconnect();
    await redis.stop();
  }
}

await main();
