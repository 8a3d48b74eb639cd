/**
 * Contestants run in a process of their own each, so that their CPU, memory and warm-up are their own:
 * `node contestant.ts NAME URL ARGUMENTS`, ARGUMENTS a JSON array. Tells its parent the {@link Reading}.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { bareDrain, bareLatency, bareLive } from './bare.ts';
import { barePublish, bareReclaim, bareRetries, busDrain, busPromote, busPublish, busReclaim } from './bus.ts';
import { engineDrain, engineLatency, engineLive } from './engine.ts';
import { bullDrain, bullLive } from './peer.ts';
import type { Reading } from './reading.ts';

const contestants = {
  bareDrain,
  bareLatency,
  bareLive,
  barePublish,
  bareReclaim,
  bareRetries,
  bullDrain,
  bullLive,
  busDrain,
  busPromote,
  busPublish,
  busReclaim,
  engineDrain,
  engineLatency,
  engineLive,
};

type Contestants = typeof contestants;
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
  const run = contestants[name] as (url: string, ...rest: unknown[]) => Promise<Reading>;
  const reading = await run(url, ...(JSON.parse(args) as unknown[]));
  process.send?.(reading, () => process.exit(0));
}
