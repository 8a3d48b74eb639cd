/**
 * The yardstick: what ioredis does on Redis Streams without anything around it. XREADGROUP COUNT 100, JSON.parse, an
 * awaited handler that does nothing, one XACK per batch, awaited before the next read. Every ratio of the benchmarks is
 * against one of these, measured in the same run.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';

const stream = 'bare:events';
const group = 'bare';
const batch = 100;

export interface Measured {
  readonly events: number;
  readonly seconds: number;
  readonly perSecond: number;
}

export interface Latency {
  readonly events: number;
  /** Publish call to handler, ms. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** A CloudEvents envelope of about 300 bytes. `at` is when it was made, ms since the epoch with its fraction. */
export function sampleEvent(n: number, type = 'order.paid', at = preciseNow()): string {
  const id = `01994f2e-7a3c-7${String(n).padStart(11, '0')}`;
  return JSON.stringify({
    specversion: '1.0',
    id,
    source: '/shop/checkout',
    type,
    time: '2026-01-31T12:00:00.000Z',
    data: {
      at,
      order: n,
      customer: `c-${n % 9973}`,
      total: 129.9,
      currency: 'EUR',
      items: ['sku-1', 'sku-2', 'sku-3'],
    },
  });
}

/** ms since the epoch, comparable between processes of one machine. */
export const preciseNow = (): number => performance.timeOrigin + performance.now();

export function measured(events: number, from: number): Measured {
  const seconds = (performance.now() - from) / 1000;
  return { events, seconds, perSecond: events / seconds };
}

/** p50, p95 and p99 of latencies in ms. Sorts `latencies`. */
export function percentiles(latencies: Float64Array): Latency {
  latencies.sort();
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return { events: latencies.length, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

async function withClient<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url);
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

/** Publishes n events in pipelines of 100, one after the other. The stream is left as it is then. */
export async function barePublish(url: string, n: number): Promise<Measured> {
  return await withClient(url, async (client) => {
    await client.unlink(stream);
    const from = performance.now();
    await fill(client, n);
    return measured(n, from);
  });
}

async function fill(client: Redis, n: number): Promise<void> {
  for (let at = 0; at < n; at += batch) {
    const pipeline = client.pipeline();
    for (let i = at; i < Math.min(at + batch, n); i += 1) pipeline.xadd(stream, '*', 'd', sampleEvent(i));
    await pipeline.exec();
  }
}

async function reset(client: Redis): Promise<void> {
  await client.unlink(stream);
  await client.xgroup('CREATE', stream, group, '0', 'MKSTREAM');
}

type Read = [string, [string, string[]][]][] | null;

async function consume(client: Redis, n: number, handle: (event: unknown) => Promise<void>): Promise<void> {
  for (let seen = 0; seen < n; ) {
    const reply = (await client.xreadgroup(
      'GROUP',
      group,
      'c',
      'COUNT',
      batch,
      'BLOCK',
      1_000,
      'STREAMS',
      stream,
      '>',
    )) as Read;
    const entries = reply?.[0]?.[1] ?? [];
    if (entries.length === 0) continue;
    const ids: string[] = [];
    for (const [id, fields] of entries) {
      await handle(JSON.parse(fields[1] ?? ''));
      ids.push(id);
    }
    await client.xack(stream, group, ...ids);
    seen += entries.length;
  }
}

const noop = async (): Promise<void> => undefined;

/** Reads and acks n events that are there already. */
export async function bareDrain(url: string, n: number): Promise<Measured> {
  return await withClient(url, async (client) => {
    await reset(client);
    await fill(client, n);
    const from = performance.now();
    await consume(client, n, noop);
    return measured(n, from);
  });
}

/** Publishes n events from another process, in pipelines of 100, and consumes them here at the same time. */
export async function bareLive(url: string, n: number): Promise<Measured> {
  return await withClient(url, async (client) => {
    await reset(client);
    const producer = await startProducer({ kind: 'bulk', url, n });
    const from = performance.now();
    producer.go();
    await consume(client, n, noop);
    const result = measured(n, from);
    await producer.done;
    return result;
  });
}

/** Publish-to-handler latency at a steady rate: single XADDs from another process, in ticks of 1 ms. */
export async function bareLatency(url: string, rate: number, seconds: number): Promise<Latency> {
  return await withClient(url, async (client) => {
    await reset(client);
    const n = rate * seconds;
    const latencies = new Float64Array(n);
    let seen = 0;
    const producer = await startProducer({ kind: 'steady', url, n, rate });
    producer.go();
    await consume(client, n, async (event) => {
      latencies[seen] = preciseNow() - (event as { data: { at: number } }).data.at;
      seen += 1;
    });
    await producer.done;
    return percentiles(latencies);
  });
}

type Work =
  | { readonly kind: 'bulk'; readonly url: string; readonly n: number }
  | { readonly kind: 'steady'; readonly url: string; readonly n: number; readonly rate: number };

interface Producer {
  go(): void;
  readonly done: Promise<unknown>;
}

/** The producer runs in a process of its own and waits, connected, for the word. */
async function startProducer(work: Work): Promise<Producer> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(work)]);
  const done = once(child, 'exit');
  await once(child, 'message');
  return { go: () => void child.send('go'), done };
}

async function produce(work: Work): Promise<void> {
  const client = new Redis(work.url);
  await client.ping();
  process.send?.('ready');
  await once(process, 'message');
  switch (work.kind) {
    case 'bulk':
      await fill(client, work.n);
      break;
    case 'steady':
      await steadily(work.n, work.rate, (i) => client.xadd(stream, '*', 'd', sampleEvent(i)));
      break;
  }
  client.disconnect();
  process.disconnect();
}

/** Calls `send` n times at `rate` per second, whether or not earlier ones are done; resolves when all are. */
export async function steadily(n: number, rate: number, send: (i: number) => Promise<unknown>): Promise<void> {
  const from = performance.now();
  const pending: Promise<unknown>[] = [];
  while (pending.length < n) {
    const wanted = Math.min(n, Math.floor(((performance.now() - from) * rate) / 1000));
    while (pending.length < wanted) pending.push(send(pending.length));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(pending);
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv[2] !== undefined && process.send !== undefined) {
  await produce(JSON.parse(process.argv[2]) as Work);
}
