/** The exam on a Redis, whichever way it is reached. */
import { randomBytes } from 'node:crypto';
import type { Bus, BusOptions } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { busExam } from './exam.ts';

/** Each scenario gets a prefix of its own; `removeKeys` takes its keys away afterwards. */
export function redisExam(name: string, url: string, removeKeys: (prefix: string) => Promise<void>): void {
  busExam(name, async (options: BusOptions = {}) => {
    const prefix = `exam-${randomBytes(6).toString('hex')}`;
    const open = (): Promise<Bus> => openRedisBus(url, { ...options, prefix });
    let bus = await open();
    return {
      bus,
      reopen: async () => {
        await bus.close();
        bus = await open();
        return bus;
      },
      close: async () => {
        await bus.close();
        await removeKeys(prefix);
      },
    };
  });
}
