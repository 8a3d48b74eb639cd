/**
 * What a Redis user must be allowed for the bus to work, and nothing more. A test runs all that the bus does under these
 * rules, and another one fails when a command is here that the bus does not use.
 */
import type { Target } from './target.ts';

/** Scripts call most of them; Redis checks each command and key of a script against its user too. */
const data = [
  ...['eval', 'evalsha'],
  ...['exists', 'pexpire', 'unlink'],
  ...['hdel', 'hget', 'hgetall', 'hincrby', 'hincrbyfloat', 'hmget', 'hset'],
  ...['sadd', 'smembers'],
  ...['xack', 'xadd', 'xautoclaim', 'xclaim', 'xdel', 'xlen', 'xpending', 'xrange', 'xreadgroup', 'xrevrange', 'xtrim'],
  ...['xgroup|create', 'xgroup|delconsumer', 'xgroup|destroy', 'xinfo|consumers', 'xinfo|groups', 'xinfo|stream'],
  ...['zadd', 'zcard', 'zpopmin', 'zrange', 'zrangebyscore', 'zrem', 'zrevrange', 'zscan'],
] as const;

/** About the link and the server: `config|get` reads whether Redis keeps what it was given, `wait` asks its replicas. */
const server = ['client|id', 'client|setname', 'client|unblock', 'config|get', 'info', 'ping', 'time', 'wait'] as const;

/** Where the slots are, and what a client says of itself to a replica and to a node that a slot is moving to. */
const cluster = ['asking', 'cluster|info', 'cluster|slots', 'readonly', 'readwrite'] as const;

/** On the sentinels, which have users of their own. */
const sentinel = [
  ...['client|setname', 'info', 'ping'],
  ...['sentinel|get-master-addr-by-name', 'sentinel|master', 'sentinel|sentinels'],
] as const;

export interface AclSpec {
  readonly kind: Target['kind'];
  readonly prefix: string;
  /** Whether the database is another one than 0, which a cluster does not have. */
  readonly select?: boolean;
}

/**
 * Rules as `ACL SETUSER name …` and an ACL file take them: first everything is taken away, then what is needed is given.
 * There is no password among them, so nobody can log in before the operator adds one.
 */
export function aclRules({ kind, prefix, select = false }: AclSpec): readonly string[] {
  const commands = [...data, ...server, ...(kind === 'cluster' ? cluster : []), ...(select ? ['select'] : [])];
  return ['reset', 'on', `~${prefix}:*`, ...commands.map((command) => `+${command}`)];
}

/** The same for the sentinels: where they let nobody in without a user. */
export const sentinelAclRules = (): readonly string[] => ['reset', 'on', ...sentinel.map((command) => `+${command}`)];
