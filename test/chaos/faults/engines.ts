/** Faults of the engine as a process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { calm, type Fault, perHit, pick, times } from '../fault.ts';
import { recoveryBound } from '../stage.ts';

export const engines: readonly Fault[] = [
  {
    id: 'T00',
    what: 'nothing (the yardstick)',
    tier: 'quick',
    inject: async () => calm,
  },
  {
    id: 'T01',
    what: 'engine kill -9, again and again',
    tier: 'quick',
    stage: { engines: 2 },
    async inject(stage, random, scale) {
      const hits = 4 * scale;
      await times(hits, 900, random, async () => {
        const at = pick(2, random);
        await stage.killEngine(at);
        await stage.startEngine(at);
      });
      return { duplicates: hits * perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T02',
    what: 'all engines kill -9, down for 3 s',
    tier: 'quick',
    stage: { engines: 2 },
    async inject(stage) {
      await sleep(2_000);
      await Promise.all([stage.killEngine(0), stage.killEngine(1)]);
      await sleep(3_000);
      await Promise.all([stage.startEngine(0), stage.startEngine(1)]);
      return { duplicates: 2 * perHit, recovery: recoveryBound };
    },
  },
  {
    id: 'T04',
    what: 'rolling deploy',
    tier: 'quick',
    stage: { engines: 2 },
    async inject(stage, random, scale) {
      const wrong: string[] = [];
      await times(4 * scale, 600, random, async (at) => {
        const code = await stage.stopEngine(at % 2);
        if (code !== 0) wrong.push(`an engine ended with ${code}`);
        await stage.startEngine(at % 2);
      });
      return { duplicates: 0, recovery: recoveryBound, wrong };
    },
  },
  {
    id: 'T06',
    what: 'engine SIGSTOP past its lease',
    tier: 'quick',
    stage: { engines: 2 },
    async inject(stage, random, scale) {
      await times(scale, 1_500, random, async (at) => {
        const { child } = stage.engine(at % 2);
        child.kill('SIGSTOP');
        await sleep(5_000);
        child.kill('SIGCONT');
      });
      return { duplicates: scale * perHit, recovery: recoveryBound };
    },
  },
];
