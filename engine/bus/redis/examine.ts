/** What `eventflow doctor` wants to know of a server: what it is, and whether its user may do what the bus does. */
import type { StoreExamination, StoreServer } from '../bus.ts';
import { aclRules } from './acl.ts';
import { type AskMasters, infoPairs } from './ask.ts';
import type { Argument, Connection } from './connection.ts';

export async function examine(ask: AskMasters, commands: Connection, prefix: string): Promise<StoreExamination> {
  const [server, persistence, replication] = await Promise.all(
    ['server', 'persistence', 'replication'].map((section) => ask('INFO', [section])),
  );
  const servers = (server ?? []).map((reply, at) => serverOf(reply, persistence?.[at], replication?.[at]));
  // A replica refuses every write, whoever asks.
  const isMaster = servers.every(({ role }) => role === 'master');
  return { servers, missingRights: isMaster ? await missingRights(commands, prefix) : [] };
}

function serverOf(server: unknown, persistence: unknown, replication: unknown): StoreServer {
  const of = infoPairs(`${String(server)}\n${String(persistence)}\n${String(replication)}`);
  const valkey = of.get('valkey_version');
  return {
    name: valkey === undefined ? 'Redis' : 'Valkey',
    version: valkey ?? of.get('redis_version') ?? 'unknown',
    role: of.get('role') ?? 'unknown',
    appendOnly: of.get('aof_enabled') === '1',
    snapshotFailed: of.get('rdb_last_bgsave_status') === 'err',
    rewriteFailed: of.get('aof_last_bgrewrite_status') === 'err',
  };
}

/** The rights that the bus needs and this user does not have, as `ACL SETUSER` takes them. */
async function missingRights(commands: Connection, prefix: string): Promise<readonly string[]> {
  const key = `${prefix}:{doctor:0}:probe`;
  const needed = aclRules({ kind: 'single', prefix }).filter((rule) => rule.startsWith('+'));
  const missing: string[] = [];
  // One after another: the server judges each by its own.
  for (const rule of needed) {
    const probe = probes(key)[rule.slice(1)];
    if (probe !== undefined && (await isDenied(commands, probe))) missing.push(rule);
  }
  // SADD alone leaves something behind.
  await isDenied(commands, ['UNLINK', key]);
  return missing;
}

type Probe = readonly [name: string, ...args: readonly Argument[]];

/** Any other error is an answer to the command, so the server let it in. */
async function isDenied(commands: Connection, [name, ...args]: Probe): Promise<boolean> {
  try {
    await commands.call(name, args);
    return false;
  } catch (error) {
    const { message } = error as Error;
    if (/\bNOPERM\b/.test(message)) return true;
    if (/^(no answer|no link)|did not answer/.test(message)) throw error;
    return false;
  }
}

/** Every command in a form that leaves nothing: on a key that is not there, or with arguments that it refuses. */
export const probes = (key: string): Readonly<Record<string, Probe>> => ({
  eval: ['EVAL', 'return 1', 0],
  evalsha: ['EVALSHA', '0'.repeat(40), 0],
  exists: ['EXISTS', key],
  pexpire: ['PEXPIRE', key, 1],
  unlink: ['UNLINK', key],
  hdel: ['HDEL', key, 'f'],
  hget: ['HGET', key, 'f'],
  hgetall: ['HGETALL', key],
  hincrby: ['HINCRBY', key, 'f', 'no number'],
  hincrbyfloat: ['HINCRBYFLOAT', key, 'f', 'no number'],
  hmget: ['HMGET', key, 'f'],
  hset: ['HSET', key, 'f', 'v', 'a field without a value'],
  sadd: ['SADD', key, 'm'],
  smembers: ['SMEMBERS', key],
  xack: ['XACK', key, 'g', '0-1'],
  xadd: ['XADD', key, 'NOMKSTREAM', '*', 'd', ''],
  xautoclaim: ['XAUTOCLAIM', key, 'g', 'c', 0, '0-0'],
  xclaim: ['XCLAIM', key, 'g', 'c', 0, '0-1'],
  xdel: ['XDEL', key, '0-1'],
  xlen: ['XLEN', key],
  xpending: ['XPENDING', key, 'g'],
  xrange: ['XRANGE', key, '-', '+', 'COUNT', 1],
  xreadgroup: ['XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', 1, 'STREAMS', key, '>'],
  xrevrange: ['XREVRANGE', key, '+', '-', 'COUNT', 1],
  xtrim: ['XTRIM', key, 'MAXLEN', 0],
  'xgroup|create': ['XGROUP', 'CREATE', key, 'g', '$'],
  'xgroup|delconsumer': ['XGROUP', 'DELCONSUMER', key, 'g', 'c'],
  'xgroup|destroy': ['XGROUP', 'DESTROY', key, 'g'],
  'xinfo|consumers': ['XINFO', 'CONSUMERS', key, 'g'],
  'xinfo|groups': ['XINFO', 'GROUPS', key],
  'xinfo|stream': ['XINFO', 'STREAM', key],
  zadd: ['ZADD', key, 'XX', 1, 'm'],
  zcard: ['ZCARD', key],
  zpopmin: ['ZPOPMIN', key],
  zrange: ['ZRANGE', key, 0, 0],
  zrangebyscore: ['ZRANGEBYSCORE', key, 0, 0],
  zrem: ['ZREM', key, 'm'],
  zrevrange: ['ZREVRANGE', key, 0, 0],
  zscan: ['ZSCAN', key, 0],
  'client|id': ['CLIENT', 'ID'],
  'client|setname': ['CLIENT', 'SETNAME', 'eventflow:doctor'],
  'client|unblock': ['CLIENT', 'UNBLOCK', 0],
  'config|get': ['CONFIG', 'GET', 'appendonly'],
  info: ['INFO', 'server'],
  ping: ['PING'],
  time: ['TIME'],
  wait: ['WAIT', 0, 0],
});
