/** Faults of Redis as a process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, perHit, times, withClient } from '../fault.ts';
import { recoveryBound } from '../stage.ts';

export const store: readonly Fault[] = [
  {
    id: 'T07',
    what: 'Redis kill -9, appendfsync always',
    tier: 'quick',
    async inject(stage, random, scale) {
      await times(3 * scale, 1_500, random, async () => {
        await stage.redis.kill();
        await sleep(400);
        await stage.redis.restart();
      });
      return { duplicates: 3 * scale * perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T10',
    what: 'Redis away for 5 s',
    tier: 'quick',
    async inject(stage) {
      await sleep(2_000);
      await stage.redis.kill();
      await sleep(5_000);
      await stage.redis.restart();
      return { duplicates: perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T17',
    what: 'CLIENT PAUSE 4 s',
    tier: 'quick',
    async inject(stage) {
      await sleep(2_000);
      await withClient(stage, (client) => client.call('CLIENT', 'PAUSE', '4000', 'ALL'));
      await sleep(4_000);
      return { duplicates: perHit, recovery: recoveryBound };
    },
  },
];
