/** Faults of the way to Redis. */

import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, perHit, type Toll, times, unless } from '../fault.ts';
import { memoryOf, tidy } from '../page.ts';
import { type Apart, networkApart } from '../places.ts';
import { recoveryBound, type Stage } from '../stage.ts';

const isRoot = process.getuid?.() === 0;

/** Packets vanish in the kernel where we may do that, else in the proxy. */
async function partition(stage: Stage, random: () => number, scale: number): Promise<Toll> {
  const drop = async (on: boolean): Promise<void> => {
    if (isRoot) await (stage.surroundings as Apart).partition(on);
    else stage.proxy.mode = on ? 'black' : 'pass';
  };
  await sleep(1_000 + 1_000 * random());
  await drop(true);
  await sleep(scale === 1 ? 10_000 : 60_000);
  await drop(false);
  const how = isRoot ? 'iptables in a network namespace' : 'by the proxy: a network namespace needs root';
  return { duplicates: perHit, recovery: recoveryBound + 5_000, notes: [how] };
}

async function flap(stage: Stage, _random: () => number, scale: number): Promise<Toll> {
  const flaps = 16 * scale;
  await sleep(2_000);
  const before = await memoryOf(stage.engine(0));
  for (let at = 0; at < flaps; at += 1) {
    await sleep(300);
    stage.proxy.mode = 'black';
    await sleep(200);
    stage.proxy.cut();
    stage.proxy.mode = 'pass';
  }
  const grew = Math.round(((await memoryOf(stage.engine(0))) - before) / 2 ** 20);
  return {
    duplicates: flaps * perHit,
    recovery: recoveryBound,
    notes: [`memory of the engine without its garbage ${grew < 0 ? '' : '+'}${grew} MB`],
    wrong: unless([grew < 50, `expected the engine's memory to grow by less than 50 MB, it grew by ${grew} MB`]),
  };
}

export const network: readonly Fault[] = [
  {
    id: 'T18',
    what: 'half-open link to Redis for 8 s',
    shares: true,
    tier: 'quick',
    stage: { proxied: true },
    async inject(stage) {
      await sleep(2_000);
      stage.proxy.mode = 'black';
      await sleep(8_000);
      stage.proxy.mode = 'pass';
      return { duplicates: perHit, recovery: recoveryBound + 5_000 };
    },
  },
  {
    id: 'T19',
    what: 'replies of Redis lost, then the link',
    shares: true,
    tier: 'quick',
    stage: { proxied: true },
    async inject(stage, random, scale) {
      await times(4 * scale, 1_000, random, async () => {
        stage.proxy.mode = 'dropReplies';
        await sleep(50);
        stage.proxy.cut();
        stage.proxy.mode = 'pass';
      });
      return { duplicates: 4 * scale * perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T20',
    what: 'flapping link, 300 ms up and 200 ms down',
    shares: true,
    tier: 'quick',
    stage: { proxied: true, env: tidy },
    inject: flap,
  },
  {
    id: 'T21',
    what: 'latency of 50 ms to Redis',
    tier: 'quick',
    stage: { proxied: true },
    async inject(stage, _random, scale) {
      stage.proxy.delayMs = 50;
      await sleep(8_000 * scale);
      stage.proxy.delayMs = 0;
      return { duplicates: 0, recovery: recoveryBound, p95: 400 };
    },
  },
  {
    id: 'T22',
    what: 'the network drops every packet to Redis, 10 s (full: 60 s)',
    shares: true,
    tier: 'full',
    stage: {
      proxied: !isRoot,
      around: () => (isRoot ? networkApart() : Promise.resolve({ end: async () => undefined })),
    },
    inject: partition,
  },
];
