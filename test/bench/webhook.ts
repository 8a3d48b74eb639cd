/**
 * Webhook deliveries per second against bare undici: the handler's `handle` on the engine's HTTP client, and
 * `Pool.request` with the same body and a signature of the same cost, at 50 connections to a sink in another process.
 * Rounds are interleaved, the ratio is the median of the rounds' ratios.
 *
 * Run: node --conditions=eventflow-source test/bench/webhook.ts
 */
import { fork } from 'node:child_process';
import { createHmac, createSecretKey } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import webhook from '@eventflow/plugin-webhook';
import { Pool } from 'undici';
import type { Delivery, EventEnvelope, Handler, HandlerContext, Log } from '../../engine/plugin.ts';
import { createEgress } from '../../engine/plugins/egress.ts';
import { createTemplates } from '../../engine/plugins/templates.ts';

export interface BenchResult {
  readonly name: string;
  /** What the ratio must reach, and what it should. */
  readonly bar: number;
  readonly goal: number;
  readonly ratio: number;
  /** Deliveries per second, medians. */
  readonly ours: number;
  readonly theirs: number;
}

const inFlight = 50;
const perRound = 2_500;
const rounds = 24;
const secret = Buffer.alloc(32, 7);
const key = createSecretKey(secret);

const event: EventEnvelope = {
  specversion: '1.0',
  id: '0192f3c4-5b6d-7e8f-9012-3456789abcde',
  source: '/shop',
  type: 'order.paid',
  time: '2026-11-23T10:00:00Z',
  data: {
    order_id: 4711,
    total: 129.9,
    customer: { name: 'Ada Example', email: 'ada@example.com' },
    note: 'x'.repeat(100),
  },
};
const original = JSON.stringify(event);

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

function deliveryOf(n: number): Delivery {
  return {
    route: 'bench.webhook',
    attempt: 1,
    idempotencyKey: `bench.webhook:${n}`,
    signal: new AbortController().signal,
    log: silent,
    traceparent: undefined,
    publishedAt: 0,
    original,
    tally() {},
  };
}

/** Calls `send` for 0…count-1, `inFlight` at a time; resolves to calls per second. */
async function pace(count: number, send: (n: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await send(next++);
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, lane));
  return count / ((performance.now() - start) / 1000);
}

function bare(pool: Pool): (n: number) => Promise<void> {
  return async (n) => {
    const id = `msg_${n}`;
    const timestamp = String(Math.floor(Date.now() / 1000));
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(original).digest('base64');
    const { body } = await pool.request({
      method: 'POST',
      path: '/hook',
      headers: {
        'content-type': 'application/cloudevents+json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature}`,
      },
      body: original,
    });
    await body.dump();
  };
}

async function ours(port: number, context: HandlerContext): Promise<(n: number) => Promise<void>> {
  const options = { url: `http://127.0.0.1:${port}/hook`, secrets: [`whsec_${secret.toString('base64')}`] };
  const handler = (await webhook.handlers['webhook']?.create(options, context)) as Handler;
  return async (n) => {
    await handler.handle(event, deliveryOf(n));
  };
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

export async function benchWebhook(): Promise<BenchResult> {
  const sink = fork(new URL('./webhook-sink.ts', import.meta.url));
  const [port] = (await once(sink, 'message')) as [number];
  const http = createEgress({ allowPrivateNetworks: true, allow: [] });
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: inFlight, pipelining: 1 });
  const context: HandlerContext = {
    route: 'bench.webhook',
    timeout: 30_000,
    concurrency: inFlight,
    http,
    templates: createTemplates(),
    metrics: { counter: () => ({ inc() {} }) },
    log: silent,
    clock: Date.now,
    folder: '.',
  };
  try {
    return await measure(await ours(port, context), bare(pool));
  } finally {
    await Promise.all([http.close(), pool.destroy()]);
    sink.disconnect();
  }
}

async function measure(
  send: (n: number) => Promise<void>,
  sendBare: (n: number) => Promise<void>,
): Promise<BenchResult> {
  const pairs: { ours: number; theirs: number }[] = [];
  for (const round of Array.from({ length: rounds + 1 }).keys()) {
    const first = round % 2 === 0 ? send : sendBare;
    const a = await pace(perRound, first);
    const b = await pace(perRound, first === send ? sendBare : send);
    // The first round warms up.
    if (round > 0) pairs.push(first === send ? { ours: a, theirs: b } : { ours: b, theirs: a });
    await sleep(20);
  }
  return {
    name: 'webhook deliveries ÷ bare undici Pool.request, 50 connections',
    bar: 0.75,
    goal: 0.95,
    ratio: median(pairs.map((pair) => pair.ours / pair.theirs)),
    ours: median(pairs.map((pair) => pair.ours)),
    theirs: median(pairs.map((pair) => pair.theirs)),
  };
}

if (import.meta.main) console.log(JSON.stringify(await benchWebhook(), null, 2));
