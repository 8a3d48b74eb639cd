/** The user that `eventflow redis acl` prints: enough for the bus, and for nothing else. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { eventflow } from '../support/cli.ts';
import { type RedisProcess, startRedisProcess } from '../support/redis.ts';
import { ack, publication, readAll, spec } from '../support/redis-entries.ts';

/** Refused altogether; the words of one command. */
const forbidden: readonly (readonly string[])[] = [
  ['FLUSHALL'],
  ['FLUSHDB'],
  ['SHUTDOWN', 'NOSAVE'],
  ['KEYS', 'ef:*'],
  ['SCAN', '0'],
  ['RANDOMKEY'],
  ['DBSIZE'],
  ['CONFIG', 'SET', 'appendonly', 'no'],
  ['CONFIG', 'REWRITE'],
  ['ACL', 'SETUSER', 'eventflow', 'allcommands'],
  ['ACL', 'LIST'],
  ['CLIENT', 'LIST'],
  ['CLIENT', 'KILL', 'TYPE', 'normal'],
  ['CLIENT', 'PAUSE', '1000'],
  ['MONITOR'],
  ['REPLICAOF', 'NO', 'ONE'],
  ['FAILOVER'],
  ['SAVE'],
  ['SWAPDB', '0', '1'],
  ['SCRIPT', 'FLUSH'],
  ['FUNCTION', 'FLUSH'],
  ['SUBSCRIBE', 'news'],
  ['PUBLISH', 'news', 'x'],
  ['GET', 'ef:streams'],
  ['DEL', 'ef:streams'],
  ['RENAME', 'ef:streams', 'ef:other'],
  ['MIGRATE', '127.0.0.1', '1', 'ef:streams', '0', '1'],
  ['XGROUP', 'SETID', 'ef:{a:0}:events', 'g', '0'],
  ['EVAL', "return redis.call('FLUSHALL')", '0'],
  ['EVAL', "return redis.call('KEYS', '*')", '0'],
  ['EVAL', "return redis.call('GET', KEYS[1])", '1', 'ef:streams'],
];

/** Allowed on the keys of its own prefix only. */
const elsewhere: readonly (readonly string[])[] = [
  ['SMEMBERS', 'other:streams'],
  ['SADD', 'other:streams', 'x'],
  ['HGETALL', 'efx:groups'],
  ['XADD', 'other:{a:0}:events', '*', 'f', 'v'],
  ['XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 'other:{a:0}:events', '>'],
  ['UNLINK', 'other:streams'],
  ['EVAL', "return redis.call('SMEMBERS', KEYS[1])", '1', 'other:streams'],
  ['EVAL', "return redis.call('SMEMBERS', 'other:streams')", '0'],
];

/** The words of the printed command, and a password. */
const wordsOf = (line: string, password: string): readonly string[] => [...line.trim().split(' '), `>${password}`];

describe('the user of `eventflow redis acl`', () => {
  let server: RedisProcess;
  let admin: Redis;
  /** Of the user with the default name and prefix. */
  let usual = '';

  before(async () => {
    server = await startRedisProcess({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    admin = new Redis(server.adminUrl);
    usual = await make([], 'secret');
  });

  after(async () => {
    admin.disconnect();
    await server.stop();
  });

  async function make(args: readonly string[], password: string): Promise<string> {
    const { code, stdout, stderr } = await eventflow(['redis', 'acl', ...args]);
    assert.equal(code, 0, stderr);
    const [command = '', ...words] = wordsOf(stdout, password);
    assert.equal(await admin.call(command, ...words), 'OK');
    return `redis://${words[1]}:${password}@127.0.0.1:${server.port}/0`;
  }

  async function refusalOf(url: string, [command = '', ...args]: readonly string[]): Promise<string> {
    const client = new Redis(url, { maxRetriesPerRequest: 0, retryStrategy: () => null });
    client.on('error', () => undefined);
    try {
      return `was allowed: ${JSON.stringify(await client.call(command, ...args))}`;
    } catch (error) {
      return (error as Error).message;
    } finally {
      client.disconnect();
    }
  }

  test('publishes, reads and settles under its prefix, and is no use under another', async () => {
    const url = await make(['--user', 'shop', '--prefix', 'shop'], 'open-sesame');
    const bus = await openRedisBus(url, { prefix: 'shop' });
    const group = await bus.openGroup(spec);
    assert.equal((await bus.publish([publication('k')]))[0]?.kind, 'accepted');
    const [entry] = await readAll(group, 1);
    assert.ok(entry);
    assert.deepEqual(await group.settle([ack(entry)], undefined), ['done']);
    assert.deepEqual(await bus.durability(), { mode: 'fsync', level: 'guaranteed', reason: undefined });
    await bus.close();
    await assert.rejects(openRedisBus(url, {}), { code: 'EF5011', message: /NOPERM.*keys/ });
  });

  for (const words of forbidden) {
    test(`is refused ${words.join(' ')}`, async () => {
      assert.match(await refusalOf(usual, words), /NOPERM|can't run this command or subcommand/);
    });
  }

  for (const words of elsewhere) {
    test(`is refused ${words.join(' ')}, which is under another prefix`, async () => {
      assert.match(await refusalOf(usual, words), /NOPERM|can't access at least one of the keys/);
    });
  }

  test('lets nobody in before a password was added', async () => {
    const { stdout } = await eventflow(['redis', 'acl', '--user', 'fresh']);
    const [command = '', ...words] = stdout.trim().split(' ');
    await admin.call(command, ...words);
    for (const password of ['', 'x']) {
      assert.match(
        await refusalOf(`redis://fresh:${password}@127.0.0.1:${server.port}/0`, ['PING']),
        /NOAUTH|WRONGPASS/,
      );
    }
  });

  test('is the same as a line of an ACL file and as JSON', async () => {
    const args = ['redis', 'acl', '--prefix', 'shop', '--user', 'shop'];
    const [setUser, file, json] = await Promise.all([
      eventflow(args),
      eventflow([...args, '--aclfile']),
      eventflow([...args, '--json']),
    ]);
    const data = JSON.parse(json.stdout) as Record<string, unknown>;
    assert.equal(data['setUser'], setUser.stdout.trim());
    assert.equal(data['aclFile'], file.stdout.trim());
    assert.equal(file.stdout, setUser.stdout.replace('ACL SETUSER', 'user'));
    assert.deepEqual(data['keys'], ['shop:*']);
    assert.ok((data['commands'] as string[]).includes('xreadgroup'));
    assert.match(setUser.stderr, /before you add >PASSWORD/);
  });

  test('takes prefix and kind of bus from the settings, and asks for no more than that bus needs', async () => {
    const print = async (bus: string): Promise<string> =>
      (await eventflow(['redis', 'acl'], { env: { EVENTFLOW_BUS: bus, EVENTFLOW_PREFIX: 'shop' } })).stdout;
    const single = await print('redis://h');
    assert.match(single, /^ACL SETUSER eventflow reset on ~shop:\* /);
    assert.doesNotMatch(single, /select|cluster/);
    assert.match(await print('redis://h/3'), / \+select$/m);
    assert.match(await print('redis+cluster://h'), / \+cluster\|slots/);
    assert.equal(await print('sqlite::memory:'), single);
  });

  test('a name or a prefix that could not be one is a usage error', async () => {
    for (const args of [
      ['--user', 'a b'],
      ['--user', ''],
      ['--prefix', '*'],
      ['--prefix', 'a b'],
    ]) {
      const { code, stdout, stderr } = await eventflow(['redis', 'acl', ...args]);
      assert.equal(code, 2, args.join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, /Expected a (name|prefix)/);
    }
  });

  test('without CONFIG GET durability is best effort, and says which right is missing', async () => {
    const url = await make(['--user', 'blind'], 'secret');
    await admin.call('ACL', 'SETUSER', 'blind', '-config|get');
    const bus = await openRedisBus(url, {});
    const { level, reason } = await bus.durability();
    await bus.close();
    assert.equal(level, 'best_effort');
    assert.match(reason ?? '', /NOPERM.*allow this user CONFIG GET \(`\+config\|get`\)/);
  });

  test('with a wrong password the start fails, and the error shows none', async () => {
    await assert.rejects(openRedisBus(usual.replace('secret', 'hunter2'), {}), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'EF5001');
      assert.match(error.message, /WRONGPASS/);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    });
  });
});
