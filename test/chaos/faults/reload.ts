/** Faults of the configuration. */
import { setTimeout as sleep } from 'node:timers/promises';
import { calm, type Fault } from '../fault.ts';

export const reload: readonly Fault[] = [
  {
    id: 'T37',
    what: 'a reload every 50 ms, every fourth one broken',
    tier: 'quick',
    async inject(stage, _random, scale) {
      for (let at = 0; at < 150 * scale; at += 1) {
        await stage.edit(at, at % 4 === 3);
        await sleep(50);
      }
      await stage.edit(0, false);
      return calm;
    },
  },
];
