/** What one contestant of a benchmark measured, and the tools to measure it. */
import { Redis } from 'ioredis';

export interface Reading {
  readonly events: number;
  readonly perSecond: number;
  /** User and system CPU of the contestant's process per event, µs. */
  readonly nodeUs: number;
  /** CPU of the Redis server per event, µs. */
  readonly redisUs: number;
  /** Most memory that the contestant's process ever held. */
  readonly rssMb: number;
  /** Publish call to handler, ms; NaN where it was not measured. */
  readonly p50: number;
  readonly p99: number;
}

/** CPU seconds that the server has used. */
async function redisCpu(client: Redis): Promise<number> {
  const info = await client.info('cpu');
  const read = (field: string): number => Number(new RegExp(`^${field}:(.*)$`, 'm').exec(info)?.[1]);
  return read('used_cpu_user') + read('used_cpu_sys');
}

interface Start {
  readonly redis: number;
  readonly cpu: NodeJS.CpuUsage;
  readonly at: number;
}

/** Measures from `start` to `stop` on a connection of its own. */
export class Gauge {
  readonly #client: Redis;
  #start: Start | undefined;

  constructor(url: string) {
    this.#client = new Redis(url);
  }

  async start(): Promise<void> {
    this.#start = { redis: await redisCpu(this.#client), cpu: process.cpuUsage(), at: performance.now() };
  }

  /** `latencies` in ms are sorted here. */
  async stop(events: number, latencies?: Float64Array): Promise<Reading> {
    if (this.#start === undefined) throw new Error('expected start before stop');
    const seconds = (performance.now() - this.#start.at) / 1_000;
    const { user, system } = process.cpuUsage(this.#start.cpu);
    const redis = (await redisCpu(this.#client)) - this.#start.redis;
    this.#client.disconnect();
    latencies?.sort();
    return {
      events,
      perSecond: events / seconds,
      nodeUs: (user + system) / events,
      redisUs: (redis * 1e6) / events,
      rssMb: process.resourceUsage().maxRSS / 1_024,
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
    };
  }
}

/** Measures the whole of `work`. */
export async function measured(url: string, events: number, work: () => Promise<void>): Promise<Reading> {
  const gauge = new Gauge(url);
  await gauge.start();
  await work();
  return await gauge.stop(events);
}

const percentile = (sorted: Float64Array | undefined, share: number): number =>
  sorted?.[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

export const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

/** ms since the epoch with their fraction, comparable between processes of one machine. */
export const preciseNow = (): number => performance.timeOrigin + performance.now();

/** A CloudEvents envelope of about 300 bytes. `data.at` is when it was made. */
export function sampleEvent(n: number, type: string): string {
  return JSON.stringify({
    specversion: '1.0',
    id: sampleId(n),
    source: '/shop/checkout',
    type,
    time: '2026-01-31T12:00:00.000Z',
    data: {
      at: preciseNow(),
      order: n,
      customer: `c-${n % 9973}`,
      total: 129.9,
      currency: 'EUR',
      items: ['sku-1', 'sku-2', 'sku-3'],
    },
  });
}

export const sampleId = (n: number): string => `01994f2e-7a3c-7${String(n).padStart(11, '0')}`;

/** The type of event `n` when there are `types` of them. */
export const typeOf = (n: number, types: number): string => (types === 1 ? 'order.paid' : `order.kind${n % types}`);
