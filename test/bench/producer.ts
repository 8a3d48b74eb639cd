/**
 * Publishes the events of a benchmark: here, or in a process of its own, which waits, connected, for the word.
 * With a rate it is an open loop in ticks of 1 ms: it does not wait for answers.
 */
import { fork } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import type { Publication } from '../../engine/bus/bus.ts';
import { sampleEvent, sampleId, typeOf } from './reading.ts';

export interface Production {
  readonly kind: 'bare' | 'engine' | 'bullmq';
  readonly url: string;
  readonly n: number;
  /** How many event types there are, in turn. */
  readonly types: number;
  /** Events per second, one publish each; undefined: as fast as it goes, in batches. */
  readonly rate: number | undefined;
}

interface Sender {
  one(at: number): Promise<unknown>;
  /** Events `from` to `to`, `to` not included. */
  many(from: number, to: number): Promise<unknown>;
  close(): Promise<void>;
}

function publication(n: number, types: number): Publication {
  const type = typeOf(n, types);
  const eventId = sampleId(n);
  const body = sampleEvent(n, type);
  const fingerprint = hash('sha256', body, 'base64url');
  return { type, event: { body, meta: undefined }, dedupeKey: `/shop/checkout ${eventId}`, fingerprint, eventId };
}

const range = <T>(from: number, to: number, make: (at: number) => T): T[] =>
  Array.from({ length: to - from }, (_, i) => make(from + i));

async function openSender({ kind, url, types }: Production): Promise<Sender> {
  switch (kind) {
    case 'bare':
      return bareSender(new Redis(url), types);
    case 'engine': {
      const { openRedisBus } = await import('../../engine/bus/redis/bus.ts');
      const bus = await openRedisBus(url, { durability: { mode: 'none' } });
      return {
        one: (at) => bus.publish([publication(at, types)]),
        many: (from, to) => bus.publish(range(from, to, (at) => publication(at, types))),
        close: () => bus.close(),
      };
    }
    case 'bullmq': {
      const { Queue } = await import('bullmq');
      return bullSender(new Queue('bench', { connection: { url } }));
    }
  }
}

function bareSender(client: Redis, types: number): Sender {
  const event = (at: number): string => sampleEvent(at, typeOf(at, types));
  return {
    one: (at) => client.xadd('bare:events', '*', 'd', event(at)),
    async many(from, to) {
      const pipeline = client.pipeline();
      for (let at = from; at < to; at += 1) pipeline.xadd('bare:events', '*', 'd', event(at));
      await pipeline.exec();
    },
    async close() {
      client.disconnect();
    },
  };
}

function bullSender(queue: Queue): Sender {
  const data = (at: number): unknown => JSON.parse(sampleEvent(at, 'order.paid'));
  return {
    one: (at) => queue.add('e', data(at)),
    many: (from, to) => queue.addBulk(range(from, to, (at) => ({ name: 'e', data: data(at) }))),
    close: () => queue.close(),
  };
}

/** The engine cuts what it gets into calls of its own, and keeps two of them under way. */
const batches = {
  bare: { size: 100, underWay: 1 },
  engine: { size: 500, underWay: 2 },
  bullmq: { size: 100, underWay: 1 },
} as const;

async function send(work: Production, sender: Sender): Promise<void> {
  if (work.rate !== undefined) return await steadily(work.n, work.rate, (at) => sender.one(at));
  const { size, underWay } = batches[work.kind];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < work.n) {
      const from = next;
      next = Math.min(from + size, work.n);
      await sender.many(from, next);
    }
  };
  await Promise.all(Array.from({ length: underWay }, lane));
}

async function steadily(n: number, rate: number, one: (at: number) => Promise<unknown>): Promise<void> {
  const from = performance.now();
  const pending: Promise<unknown>[] = [];
  while (pending.length < n) {
    const wanted = Math.min(n, Math.floor(((performance.now() - from) * rate) / 1_000));
    while (pending.length < wanted) pending.push(one(pending.length));
    await sleep(1);
  }
  await Promise.all(pending);
}

/** Publishes in this process; resolves when all is stored. */
export async function fill(work: Production): Promise<void> {
  await (await openFill(work))();
}

/** The same in two steps: connects, and returns what publishes. */
export async function openFill(work: Production): Promise<() => Promise<void>> {
  const sender = await openSender(work);
  return async () => {
    await send(work, sender);
    await sender.close();
  };
}

export interface Producer {
  go(): void;
  readonly done: Promise<unknown>;
}

/** Starts the process; resolves when it is connected. */
export async function startProducer(work: Production): Promise<Producer> {
  const child = fork(import.meta.filename, [JSON.stringify(work)]);
  const done = once(child, 'exit');
  await once(child, 'message');
  return { go: () => void child.send('go'), done };
}

if (process.argv[1] === import.meta.filename) {
  const work = JSON.parse(process.argv[2] ?? '') as Production;
  const sender = await openSender(work);
  // The connection is open once something was answered.
  if (work.kind === 'bare') await new Redis(work.url).quit();
  process.send?.('ready');
  await once(process, 'message');
  await send(work, sender);
  await sender.close();
  process.exit(0);
}
