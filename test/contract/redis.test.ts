/** The Redis bus sits the exam of the port. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import type { Bus, BusOptions } from '../../engine/bus/bus.ts';
import { aclRules } from '../../engine/bus/redis/acl.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { removeKeys, startRedis } from '../support/redis.ts';
import { commandsUsed, refusals } from '../support/redis-user.ts';
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

test('the exam uses every command that the user of least privilege may use', async (t) => {
  if (redis.how === 'env')
    return t.diagnostic('another one may use this Redis too: nothing can be told from its counts');
  const used = await commandsUsed(redis.adminUrl);
  // The link's own, or for replicas and other databases, which the exam has not.
  const elsewhere = new Set(['select', 'wait']);
  const allowed = aclRules({ kind: 'single', prefix: 'ef' }).flatMap((rule) =>
    rule.startsWith('+') ? [rule.slice(1)] : [],
  );
  assert.deepEqual(
    allowed.filter((command) => !used.has(command) && !elsewhere.has(command)),
    [],
  );
});

test('nothing that the exam did was refused to the user of least privilege', async () => {
  assert.deepEqual(await refusals(redis.adminUrl, new URL(redis.url).username), []);
});
