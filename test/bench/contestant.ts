/**
 * Contestants run in a process of their own each, so that their CPU, memory and warm-up are their own:
 * `node contestant.ts NAME URL ARGUMENTS`, ARGUMENTS a JSON array. Tells its parent the {@link Reading}.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Reading } from './reading.ts';

/** Loaded when they run, so that nobody's memory holds the others' code. */
const rooms = {
  bareDrain: () => import('./bare.ts'),
  bareLatency: () => import('./bare.ts'),
  bareLive: () => import('./bare.ts'),
  barePublish: () => import('./bus.ts'),
  bareReclaim: () => import('./bus.ts'),
  bareRetries: () => import('./bus.ts'),
  bullDrain: () => import('./peer.ts'),
  bullLive: () => import('./peer.ts'),
  busDrain: () => import('./bus.ts'),
  busPromote: () => import('./bus.ts'),
  busPublish: () => import('./bus.ts'),
  busReclaim: () => import('./bus.ts'),
  engineDrain: () => import('./engine.ts'),
  engineLatency: () => import('./engine.ts'),
  engineLive: () => import('./engine.ts'),
};

type Rooms = typeof rooms;
type Contestants = {
  [N in keyof Rooms]: N extends keyof Awaited<ReturnType<Rooms[N]>> ? Awaited<ReturnType<Rooms[N]>>[N] : never;
};
export type Name = keyof Contestants;
type Tail<F> = F extends (url: string, ...rest: infer Rest) => Promise<Reading> ? Rest : never;

/** Runs one contestant; rejects when its process ends without a reading. */
export async function compete<N extends Name>(url: string, name: N, ...args: Tail<Contestants[N]>): Promise<Reading> {
  const child = fork(import.meta.filename, [name, url, JSON.stringify(args)]);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`expected ${name} to tell its reading, it ended with ${String(code)}`);
  });
  const [reading] = (await Promise.race([once(child, 'message'), ended])) as [Reading];
  await ended.catch(() => undefined);
  return reading;
}

if (process.argv[1] === import.meta.filename) {
  const [name, url, args] = process.argv.slice(2) as [Name, string, string];
  const room = (await rooms[name]()) as unknown as Record<Name, (url: string, ...rest: unknown[]) => Promise<Reading>>;
  const run = room[name];
  const reading = await run(url, ...(JSON.parse(args) as unknown[]));
  process.send?.(reading, () => process.exit(0));
}
