/** What a stage's engines keep their events in. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from '../support/eventually.ts';
import { TcpProxy } from '../support/proxy.ts';
import { atPort, type RedisPlace, type RedisProcess, startRedisProcess } from '../support/redis.ts';

/** What the engines promise: `fsync`: on disk; `replicated`: on another server too, by `WAIT 1`. */
export type Durability = 'fsync' | 'replicated';

export interface Store {
  /** What `--bus` is given. */
  readonly busUrl: string;
  /** In its place, for an engine that is somewhere else than the others. */
  readonly busUrlOf?: (engine: number) => string;
  /** For the engines, such as the durability mode that fits. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export interface RedisStoreOptions extends RedisPlace {
  readonly durability: Durability;
  /** Whether the engines reach Redis through a proxy that can break. */
  readonly proxied: boolean;
}

/** One server, in the mode `replicated` with a replica. */
export class RedisStore implements Store {
  readonly busUrl: string;
  readonly env: Readonly<Record<string, string>>;
  readonly proxy: TcpProxy | undefined;
  /** The server that is written to. */
  redis: RedisProcess;
  /** Follows `redis`. */
  replica: RedisProcess | undefined;

  private constructor(
    redis: RedisProcess,
    replica: RedisProcess | undefined,
    proxy: TcpProxy | undefined,
    env: Readonly<Record<string, string>>,
  ) {
    this.redis = redis;
    this.replica = replica;
    this.proxy = proxy;
    this.busUrl = proxy === undefined ? redis.url : atPort(redis.url, proxy.port);
    this.env = env;
  }

  static async open({ durability, proxied, ...place }: RedisStoreOptions): Promise<RedisStore> {
    const redis = await startRedisProcess(place);
    const proxy = proxied ? await TcpProxy.start(redis.port) : undefined;
    if (durability === 'fsync') return new RedisStore(redis, undefined, proxy, {});
    const replica = await startRedisProcess({ args: place.args ?? [] });
    await follow(replica, redis);
    return new RedisStore(redis, replica, proxy, { EVENTFLOW_DURABILITY_MODE: 'replicated' });
  }

  /** After the end of `redis`: the replica becomes the server, links through the proxy lead there, and what was follows. */
  async promote(): Promise<void> {
    if (this.replica === undefined || this.proxy === undefined)
      throw new Error('expected a replica and a proxy, got none');
    const [fallen, risen] = [this.redis, this.replica];
    await withRedis(risen.adminUrl, (client) => client.call('REPLICAOF', 'NO', 'ONE'));
    [this.redis, this.replica] = [risen, fallen];
    this.proxy.cut();
    this.proxy.target = risen.port;
    // What the fallen one has on disk may be behind: it starts from nothing.
    await rm(join(fallen.dir, 'appendonlydir'), { recursive: true, force: true });
    await fallen.restart();
    await follow(fallen, risen);
  }

  async stop(): Promise<void> {
    await this.proxy?.stop();
    await Promise.all([this.redis.stop(), this.replica?.stop()]);
  }
}

/** The embedded bus: a file in the stage's folder. */
export const embeddedStore = (folder: string): Store => ({
  busUrl: `sqlite:${join(folder, 'bus.db')}`,
  env: {},
  stop: async () => undefined,
});

async function follow(replica: RedisProcess, master: RedisProcess): Promise<void> {
  await withRedis(replica.adminUrl, async (client) => {
    await client.call('REPLICAOF', new URL(master.url).hostname, String(master.port));
    await eventually('the replica to follow', async () =>
      /master_link_status:up/.test(await client.info('replication')),
    );
  });
}

export async function withRedis<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url);
  client.on('error', () => undefined);
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}
