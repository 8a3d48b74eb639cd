/** A master, two replicas and three sentinels on this machine. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { temporaryFolder } from './children.ts';
import { eventually } from './eventually.ts';
import { TcpProxy } from './proxy.ts';
import { freePort, type RedisProcess, startRedisProcess } from './redis.ts';
import { asTestUser } from './redis-user.ts';

export const masterName = 'main';
/** A master that is silent for so long is taken to have failed, ms. */
export const downAfterMs = 2_000;

export interface SentinelOptions {
  /** Go to each `redis-server` that keeps data. */
  readonly args?: readonly string[];
  /** Lines for the sentinels' configuration. */
  readonly sentinelConfig?: readonly string[];
  /** Whether all, the servers among themselves too, know each server by a proxy that can break. */
  readonly proxied?: boolean;
  /** What makes servers and sentinels listen on this port over TLS: then that is where all know each other. */
  readonly tls?: (port: number) => readonly string[];
}

/** One of them. */
export interface SentinelMember extends RedisProcess {
  /** By which the others know it. */
  readonly announced: number;
  readonly proxy: TcpProxy | undefined;
}

export class TestSentinel {
  /** In the order in which they were started: the first began as the master. */
  readonly servers: readonly SentinelMember[];
  readonly sentinels: readonly SentinelMember[];
  readonly #remove: () => Promise<void>;

  private constructor(
    servers: readonly SentinelMember[],
    sentinels: readonly SentinelMember[],
    remove: () => Promise<void>,
  ) {
    this.servers = servers;
    this.sentinels = sentinels;
    this.#remove = remove;
  }

  /** Resolves when the replicas follow and every sentinel knows all the others. */
  static async start({
    args = [],
    sentinelConfig = [],
    proxied = false,
    tls,
  }: SentinelOptions = {}): Promise<TestSentinel> {
    const folder = await temporaryFolder('eventflow-sentinel-');
    const started: { stop(): Promise<void> }[] = [];
    const keep = <T extends { stop(): Promise<void> }>(one: T): T => {
      started.push(one);
      return one;
    };
    const secured = async (): Promise<{ port?: number; args: readonly string[] }> => {
      if (tls === undefined) return { args: [] };
      const port = await freePort();
      return { port, args: [...tls(port), '--tls-replication', 'yes'] };
    };
    const start = async (args: readonly string[]): Promise<SentinelMember> => {
      const secure = await secured();
      const proxy = proxied ? keep(await TcpProxy.start(0)) : undefined;
      const announce = proxy === undefined ? [] : ['--replica-announce-port', String(proxy.port)];
      const server = keep(await startRedisProcess({ args: [...args, ...announce, ...secure.args] }));
      if (proxy !== undefined) proxy.target = server.port;
      return { ...server, announced: proxy?.port ?? secure.port ?? server.port, proxy };
    };
    try {
      const data = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1', ...args];
      const master = await start(data);
      const following = [...data, '--replicaof', `127.0.0.1 ${master.announced}`];
      const replicas = await Promise.all([start(following), start(following)]);
      const sentinels = await Promise.all(
        [1, 2, 3].map(async (at) => {
          const config = join(folder.path, `${at}.conf`);
          await writeFile(config, configuration(master.announced, sentinelConfig));
          const secure = await secured();
          const sentinel = keep(await startRedisProcess({ config, args: ['--sentinel', ...secure.args] }));
          return { ...sentinel, announced: secure.port ?? sentinel.port, proxy: undefined };
        }),
      );
      const made = new TestSentinel([master, ...replicas], sentinels, () => folder.remove());
      await eventually('the sentinels to know each other and the replicas', () => made.#complete(), 30_000);
      return made;
    } catch (error) {
      await Promise.all(started.map((server) => server.stop()));
      await folder.remove();
      throw error;
    }
  }

  get url(): string {
    return asTestUser(
      `redis+sentinel://${this.sentinels.map(({ announced }) => `127.0.0.1:${announced}`).join(',')}/${masterName}/0`,
    );
  }

  get version(): string {
    return this.servers[0]?.version ?? 'unknown';
  }

  /** Whom most sentinels take for the master now. */
  async master(): Promise<SentinelMember> {
    const ports = await Promise.all(this.sentinels.map(masterPort));
    const server = this.servers.find(({ announced }) => ports.filter((named) => named === announced).length >= 2);
    if (server === undefined) throw new Error(`expected two sentinels to agree on a master, got ${ports.join(', ')}`);
    return server;
  }

  /** Resolves to the new master once two sentinels name another one than `old`, and it knows itself that it is. */
  async masterAfter(old: SentinelMember, ms = 60_000): Promise<SentinelMember> {
    return await eventually(
      'another master',
      async () => {
        const master = await this.master().catch(() => undefined);
        if (master === undefined || master.port === old.port) return undefined;
        const role = await ask(master, (client) => client.role());
        return (role as unknown[])[0] === 'master' ? master : undefined;
      },
      ms,
    );
  }

  async stop(): Promise<void> {
    for (const { proxy } of this.servers) await proxy?.stop();
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server.stop()));
    await this.#remove();
  }

  async #complete(): Promise<boolean> {
    const seen = await Promise.all(
      this.sentinels.map((sentinel) => ask(sentinel, (client) => client.call('SENTINEL', 'MASTER', masterName))),
    );
    return (seen as string[][]).every(
      (flat) => field(flat, 'num-slaves') === '2' && field(flat, 'num-other-sentinels') === '2',
    );
  }
}

const field = (flat: readonly string[], name: string): string | undefined => flat[flat.indexOf(name) + 1];

async function masterPort(sentinel: RedisProcess): Promise<number | undefined> {
  if (!sentinel.alive()) return undefined;
  const address = await ask(sentinel, (client) => client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName));
  return Number((address as string[] | null)?.[1]);
}

async function ask<T>({ port }: RedisProcess, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: 1, retryStrategy: () => null });
  client.on('error', () => undefined);
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}

const configuration = (masterPort: number, more: readonly string[]): string =>
  [
    `sentinel monitor ${masterName} 127.0.0.1 ${masterPort} 2`,
    `sentinel down-after-milliseconds ${masterName} ${downAfterMs}`,
    `sentinel failover-timeout ${masterName} 10000`,
    `sentinel parallel-syncs ${masterName} 2`,
    ...more,
    '',
  ].join('\n');
