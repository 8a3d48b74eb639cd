/**
 * The yardstick: what ioredis does on Redis Streams without anything around it. XREADGROUP COUNT 100, JSON.parse, an
 * awaited handler that does nothing, one XACK per batch, awaited before the next read.
 */
import { Redis } from 'ioredis';
import { startProducer } from './producer.ts';
import { Gauge, measured, preciseNow, type Reading } from './reading.ts';

export const bareStream = 'bare:events';
const batch = 100;

type Handle = (event: unknown) => Promise<void>;
type Read = [string, [string, string[]][]][] | null;

const noop: Handle = async () => undefined;

export async function withClient<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url);
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

async function consume(client: Redis, group: string, n: number, handle: Handle): Promise<void> {
  const args = ['GROUP', group, 'c', 'COUNT', batch, 'BLOCK', 1_000, 'STREAMS', bareStream, '>'] as const;
  for (let seen = 0; seen < n; ) {
    const reply = (await client.xreadgroup(...args)) as Read;
    const entries = reply?.[0]?.[1] ?? [];
    if (entries.length === 0) continue;
    const ids: string[] = [];
    for (const [id, fields] of entries) {
      await handle(JSON.parse(fields[1] ?? ''));
      ids.push(id);
    }
    await client.xack(bareStream, group, ...ids);
    seen += entries.length;
  }
}

/** Reads and acks `n` events that are there already, in each of `loops` groups with a connection each. */
export async function bareDrain(url: string, n: number, loops = 1): Promise<Reading> {
  const sides = Array.from({ length: loops }, (_, at) => ({ group: `g${at}`, client: new Redis(url) }));
  for (const { group, client } of sides) await client.xgroup('CREATE', bareStream, group, '0', 'MKSTREAM');
  const reading = await measured(url, n, async () => {
    await Promise.all(sides.map(({ group, client }) => consume(client, group, n, noop)));
  });
  for (const { client } of sides) client.disconnect();
  return reading;
}

/** Another process publishes `n` events in pipelines of 100 while this one consumes them. */
export async function bareLive(url: string, n: number): Promise<Reading> {
  const producer = await startProducer({ kind: 'bare', url, n, types: 1, rate: undefined });
  return await live(url, n, producer, noop);
}

/** Publish-to-handler latency at a steady rate: single XADDs from another process. */
export async function bareLatency(url: string, n: number, rate: number): Promise<Reading> {
  const producer = await startProducer({ kind: 'bare', url, n, types: 1, rate });
  const latencies = new Float64Array(n);
  let seen = 0;
  const note: Handle = async (event) => {
    latencies[seen++] = preciseNow() - (event as { data: { at: number } }).data.at;
  };
  return await live(url, n, producer, note, latencies);
}

async function live(
  url: string,
  n: number,
  producer: Awaited<ReturnType<typeof startProducer>>,
  handle: Handle,
  latencies?: Float64Array,
): Promise<Reading> {
  return await withClient(url, async (client) => {
    await client.xgroup('CREATE', bareStream, 'g0', '0', 'MKSTREAM');
    const gauge = new Gauge(url);
    await gauge.start();
    producer.go();
    await consume(client, 'g0', n, handle);
    const reading = await gauge.stop(n, latencies);
    await producer.done;
    return reading;
  });
}
