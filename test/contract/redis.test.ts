/** The Redis bus sits the exam of the port. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { aclRules } from '../../engine/bus/redis/acl.ts';
import { removeKeys, startRedis } from '../support/redis.ts';
import { commandsUsed, refusals } from '../support/redis-user.ts';
import { redisExam } from './exam-redis.ts';

const redis = await startRedis();
console.log(`# Redis ${redis.version} (${redis.how})`);
after(() => redis.stop());

redisExam('the bus on Redis', redis.url, (prefix) => removeKeys(redis.adminUrl, prefix));

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
