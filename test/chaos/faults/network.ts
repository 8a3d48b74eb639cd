/** Faults of the way to Redis. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, perHit, times } from '../fault.ts';
import { recoveryBound } from '../stage.ts';

export const network: readonly Fault[] = [
  {
    id: 'T18',
    what: 'half-open link to Redis for 8 s',
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
    tier: 'quick',
    stage: { proxied: true },
    async inject(stage, _random, scale) {
      const flaps = 16 * scale;
      for (let at = 0; at < flaps; at += 1) {
        await sleep(300);
        stage.proxy.mode = 'black';
        await sleep(200);
        stage.proxy.cut();
        stage.proxy.mode = 'pass';
      }
      return { duplicates: flaps * perHit, recovery: recoveryBound };
    },
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
      return { duplicates: 0, recovery: recoveryBound };
    },
  },
];
