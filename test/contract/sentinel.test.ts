/** The bus behind Redis Sentinel: a master, two replicas and three sentinels as processes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, describe, test } from 'node:test';
import type { Bus, BusOptions } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { removeKeys } from '../support/redis.ts';
import { TestSentinel } from '../support/sentinel.ts';
import { busExam } from './exam.ts';

const sentinel = await TestSentinel.start();
console.log(`# Redis ${sentinel.version} behind Sentinel`);
after(() => sentinel.stop());

busExam('the bus behind Sentinel', async (options: BusOptions = {}) => {
  const prefix = `exam-${randomBytes(6).toString('hex')}`;
  const open = (): Promise<Bus> => openRedisBus(sentinel.url, { ...options, prefix });
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
      await removeKeys((await sentinel.master()).adminUrl, prefix);
    },
  };
});

describe('behind Sentinel', () => {
  test('sentinels that know no master of that name are an error that says so', async () => {
    await assert.rejects(openRedisBus(sentinel.url.replace('/main/', '/maine/'), {}), {
      code: 'EF5001',
      message: `no answer from ${label().replace('/main/', '/maine/')}: no sentinel names a master: ERR No such master with that name`,
    });
  });

  test('sentinels that do not answer are an error that names them', async () => {
    await assert.rejects(openRedisBus('redis+sentinel://:hunter2@127.0.0.1:1/main/0', {}), {
      code: 'EF5001',
      message: 'no answer from redis+sentinel://127.0.0.1:1/main/0: no sentinel names a master: Connection is closed.',
    });
  });
});

const label = (): string => sentinel.url.replace(/\/\/.*@/, '//');
