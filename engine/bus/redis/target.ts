/** A bus URL as connection options, and as a label without credentials. */
import type { RedisOptions } from 'ioredis';
import { EventFlowError } from '../../errors.ts';

export interface Target {
  readonly options: RedisOptions;
  readonly label: string;
}

/**
 * Takes `redis://[user[:password]@]host[:port][/db]` and the same with `rediss:` for TLS, whose certificate is always
 * verified. Throws EF5003 for anything else.
 */
export function parseTarget(text: string): Target {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const db = url?.pathname.replace(/^\/$/, '').slice(1) ?? '';
  const tls = url?.protocol === 'rediss:';
  if (url === undefined || !(tls || url.protocol === 'redis:') || url.search !== '' || !/^\d*$/.test(db)) {
    throw new EventFlowError(
      'EF5003',
      `expected a URL like redis://HOST:PORT/DB without query, got ${JSON.stringify(withoutCredentials(text))}`,
    );
  }
  const host = url.hostname === '' ? '127.0.0.1' : url.hostname.replace(/^\[(.*)\]$/, '$1');
  const options: RedisOptions = {
    host,
    port: url.port === '' ? 6379 : Number(url.port),
    db: Number(db),
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    ...(tls ? { tls: { servername: host } } : {}),
  };
  return { options, label: `${url.protocol}//${url.hostname || host}:${options.port}/${options.db}` };
}

const withoutCredentials = (text: string): string => text.replace(/\/\/[^@/]*@/, '//');
