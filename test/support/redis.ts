/**
 * A Redis for tests: the one that `EVENTFLOW_TEST_REDIS_URL` names, else a container where Docker answers, else a
 * `redis-server` process. When none of them works the tests fail and say so; they are never skipped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { endsWithUs, temporaryFolder } from './children.ts';
import { findDocker, hasImage } from './docker.ts';
import { redisImage } from './image.ts';
import { asTestUser, makeTestUser, testUser } from './redis-user.ts';

export interface TestRedis {
  /** As the user that `eventflow redis acl` describes: what EventFlow does must be possible for it. */
  readonly url: string;
  /** For the operator's hand, such as FLUSHALL and CONFIG SET, and to look at everything. */
  readonly adminUrl: string;
  /** As the server says it, such as `7.0.15`. */
  readonly version: string;
  readonly how: 'env' | 'testcontainers' | 'process';
  stop(): Promise<void>;
}

/** Starts or finds a Redis. What it holds is left alone: work under a prefix of your own. */
export async function startRedis(): Promise<TestRedis> {
  const url = process.env['EVENTFLOW_TEST_REDIS_URL'];
  if (url !== undefined && url !== '') {
    const { remove, ...urls } = await makeTestUser(url);
    return { ...urls, version: await versionOf(url), how: 'env', stop: remove };
  }
  const container = await startContainerIfPossible();
  if (container !== undefined) return container;
  try {
    const server = await startRedisProcess();
    const { url: own, adminUrl, version } = server;
    return { url: own, adminUrl, version, how: 'process', stop: () => server.stop() };
  } catch (error) {
    throw new Error(
      `expected a Redis for the tests, got none: set EVENTFLOW_TEST_REDIS_URL, or start Docker, or install redis-server (apt-get install redis-server): ${(error as Error).message}`,
    );
  }
}

/** Undefined where Docker does not answer or has no image and cannot pull one, which is said; a named image must work. */
async function startContainerIfPossible(): Promise<TestRedis | undefined> {
  const docker = await findDocker();
  if (docker === undefined) return undefined;
  const named = process.env['EVENTFLOW_TEST_REDIS_IMAGE'];
  if (named !== undefined) return await startContainer(named);
  try {
    return await startContainer((await hasImage(docker, redisImage)) ? redisImage : 'redis:7');
  } catch (error) {
    console.log(`# Docker answers but starts no Redis, so a process is used: ${(error as Error).message}`);
    return undefined;
  }
}

async function startContainer(image: string): Promise<TestRedis> {
  const { GenericContainer, Wait } = await import('testcontainers');
  const container = await new GenericContainer(image)
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
    .start();
  const url = `redis://${container.getHost()}:${container.getMappedPort(6379)}/0`;
  const { url: own, adminUrl } = await makeTestUser(url);
  return {
    url: own,
    adminUrl,
    version: await versionOf(url),
    how: 'testcontainers',
    stop: async () => {
      await container.stop();
    },
  };
}

async function versionOf(url: string): Promise<string> {
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 1 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return /^redis_version:(.*)$/m.exec(await client.info('server'))?.[1]?.trim() ?? 'unknown';
  } finally {
    client.disconnect();
  }
}

/** A `redis-server` of our own, for tests that kill it. Its folder and port stay the same over a restart. */
export interface RedisProcess {
  /** As the user that `eventflow redis acl` describes. */
  readonly url: string;
  /** For the operator's hand. */
  readonly adminUrl: string;
  readonly port: number;
  /** Where its files are. */
  readonly dir: string;
  readonly version: string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on what is on disk. */
  restart(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Whether the process is there: it may have ended by itself. */
  alive(): boolean;
  stop(): Promise<void>;
}

export interface RedisPlace {
  /** Go to `redis-server` as they are, such as `['--appendonly', 'yes', '--appendfsync', 'always']`. */
  readonly args?: readonly string[];
  /** A configuration file; what is in `args` and the port win over it. */
  readonly config?: string;
  /** Where it listens [127.0.0.1]. */
  readonly host?: string;
  /** An existing folder for its files, which is left alone [one of its own, removed with it]. */
  readonly dir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What starts it, such as `['ip', 'netns', 'exec', 'apart']`. */
  readonly via?: readonly string[];
}

export async function startRedisProcess(place: RedisPlace = {}): Promise<RedisProcess> {
  const own = place.dir === undefined ? await temporaryFolder('eventflow-redis-') : undefined;
  const dir = place.dir ?? (own?.path as string);
  const host = place.host ?? '127.0.0.1';
  const port = await freePort();
  const adminUrl = `redis://${host}:${port}/0`;
  const start = (): Promise<ChildProcess> => launch({ ...place, dir, host }, port);
  let child = await start();
  const version = await versionOf(adminUrl);
  return {
    url: asTestUser(adminUrl),
    adminUrl,
    port,
    dir,
    version,
    kill: () => end(child, 'SIGKILL'),
    restart: async () => {
      child = await start();
    },
    signal: (signal) => {
      child.kill(signal);
    },
    alive: () => child.exitCode === null && child.signalCode === null,
    stop: async () => {
      child.kill('SIGCONT');
      await end(child, 'SIGKILL');
      await own?.remove();
    },
  };
}

interface Launch extends RedisPlace {
  readonly dir: string;
  readonly host: string;
}

async function launch({ args = [], config, dir, host, env, via = [] }: Launch, port: number): Promise<ChildProcess> {
  const fixed = ['--port', String(port), '--bind', host, '--dir', dir, '--save', '', '--loglevel', 'warning'];
  // Sentinels have other commands.
  const kind = args.includes('--cluster-enabled') ? 'cluster' : 'single';
  const users = config === undefined ? ['--user', ...testUser(kind)] : [];
  const [command = 'redis-server', ...rest] = [
    ...via,
    'redis-server',
    ...(config === undefined ? [] : [config]),
    ...fixed,
    ...users,
    ...args,
  ];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  endsWithUs(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  const end = Date.now() + 30_000;
  while (Date.now() < end) {
    if (failure !== undefined) throw failure;
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}: ${said}`);
    if (await versionOf(`redis://${host}:${port}/0`).catch(() => undefined)) return child;
    await sleep(20);
  }
  child.kill('SIGKILL');
  throw new Error(`redis-server did not answer on port ${port} within 30 s: ${said}`);
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** The same place, through a proxy on this machine. */
export const atPort = (url: string, port: number): string => url.replace(/[^@/]+\/0$/, `127.0.0.1:${port}/0`);

/** Removes every key under a prefix. */
export async function removeKeys(adminUrl: string, prefix: string): Promise<void> {
  const client = new Redis(adminUrl);
  try {
    let cursor = '0';
    do {
      const [next, keys] = await client.scan(cursor, 'MATCH', `${prefix}:*`, 'COUNT', 1_000);
      if (keys.length > 0) await client.unlink(...keys);
      cursor = next;
    } while (cursor !== '0');
  } finally {
    client.disconnect();
  }
}
