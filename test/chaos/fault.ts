/**
 * What a fault is: what it does to a stage under load and what it is allowed to cost. `duplicates` is the bound of
 * repeated deliveries: at most what ran in an engine that was hit, which is a route's concurrency and what was delivered
 * but not yet settled.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Stage, StageOptions } from './stage.ts';

/** What one engine can repeat when it dies: its slots and one unsettled batch of each of the two routes. */
export const perHit = 2 * (16 + 256);

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

export const calm: Toll = { duplicates: 0, recovery: 1_000 };

export async function withClient<T>(stage: Stage, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(stage.redis.url);
  client.on('error', () => undefined);
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

/** Repeats `act`, with random pauses around `pauseMs`. */
export async function times(
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

export const pick = (count: number, random: () => number): number => Math.floor(random() * count);
