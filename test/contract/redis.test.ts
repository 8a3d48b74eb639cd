/** The Redis bus sits the exam of the port. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import type { Bus, BusOptions } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { removeKeys, startRedis } from '../support/redis.ts';
import { refusals } from '../support/redis-user.ts';
import { busExam } from './exam.ts';

const redis = await startRedis();
console.log(`# Redis ${redis.version} (${redis.how})`);
after(() => redis.stop());

busExam('the bus on Redis', async (options: BusOptions = {}) => {
  const prefix = `exam-${randomBytes(6).toString('hex')}`;
  const open = (): Promise<Bus> => openRedisBus(redis.url, { ...options, prefix });
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
      await removeKeys(redis.adminUrl, prefix);
    },
  };
});

test('nothing that the exam did was refused to the user of least privilege', async () => {
  assert.deepEqual(await refusals(redis.adminUrl), []);
});
