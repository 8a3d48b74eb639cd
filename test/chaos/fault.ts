/**
 * What a fault is: what it does to a stage under load and what it is allowed to cost. `duplicates` is the bound of
 * repeated deliveries: at most what ran in an engine that was hit, which is a route's concurrency and what was delivered
 * but not yet settled.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { recoveryBound, type Stage, type StageOptions } from './stage.ts';
import { type Durability, withRedis } from './store.ts';

/** What one engine can repeat when it dies: its slots and one unsettled batch of each of the two routes. */
export const perHit = 2 * (16 + 256);

export interface Fault {
  /** `T01`; with a letter for a variant of it: `T01e` is T01 on the embedded bus. */
  readonly id: string;
  readonly what: string;
  /** `quick`: in both tiers, and in `npm test`, so that it may need neither root nor a compiler. */
  readonly tier: 'quick' | 'full';
  readonly stage?: Partial<StageOptions>;
  /** In the column `mode` [the durability of the run], such as `everysec`. */
  readonly mode?: string;
  /** The durability it makes sense for [each]. */
  readonly only?: Durability;
  /** How many are published, and how fast, in the full tier [30,000 at 1,000/s]. */
  readonly load?: { readonly events: number; readonly perSecond: number };
  /** The same in the quick tier [3,000 at 600/s]. */
  readonly quickLoad?: { readonly events: number; readonly perSecond: number };
  /** Runs beside another row in the full tier too: the speed of the machine bounds nothing of it. */
  readonly shares?: boolean;
  /** A row that takes longer hangs, ms [600,000]. */
  readonly patience?: number;
  /** Runs beside the publisher; resolves when the fault has ended. `scale` is 1 in the quick tier, 3 in the full one. */
  inject(stage: Stage, random: () => number, scale: number): Promise<Toll>;
}

/** What a fault may cost, and what it showed. */
export interface Toll {
  /** At most so many deliveries may be repeated. */
  readonly duplicates: number;
  /** Deliveries of `main` that must end as dead letters, neither more nor fewer [0]. */
  readonly dead?: number;
  /** From the end of the fault to the next delivery of each route, ms. */
  readonly recovery: number;
  /** The other route's p95 from publication to its service, ms: a bound in the full tier, where the machine is quiet. */
  readonly p95?: number;
  /** What this mode may lose, and why [nothing]. */
  readonly mayLose?: { readonly atMost: number; readonly why: string };
  /** Figures worth telling. */
  readonly notes?: readonly string[];
  /** Further expectations that did not hold, in words. */
  readonly wrong?: readonly string[];
  /** Asked when all is at rest: more of what did not hold. */
  readonly atRest?: () => readonly string[] | Promise<readonly string[]>;
}

export const calm: Toll = { duplicates: 0, recovery: recoveryBound, p95: 100 };
/** The same where rows run side by side, so that times say less. */
export const exact: Toll = { duplicates: 0, recovery: recoveryBound };

/** Works on the Redis of the stage as an operator does. */
export const withClient = <T>(stage: Stage, work: (client: Redis) => Promise<T>): Promise<T> =>
  withRedis(stage.redis.adminUrl, work);

/** Waits until a service has had a second without a request. */
export async function quiet(service: { readonly requests: number }): Promise<void> {
  for (let before = -1; before !== service.requests; ) {
    before = service.requests;
    await sleep(1_000);
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

/** The texts of the expectations that do not hold. */
export const unless = (...expectations: readonly (readonly [holds: boolean, otherwise: string])[]): readonly string[] =>
  expectations.flatMap(([holds, otherwise]) => (holds ? [] : [otherwise]));
