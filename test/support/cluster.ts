/**
 * A Redis Cluster of real nodes on this machine: three masters, each with a replica when asked. Slots are dealt out and
 * nodes introduced by hand, which takes a second or two; `redis-cli --cluster create` waits for much longer.
 */
import { Redis } from 'ioredis';
import { eventually } from './eventually.ts';
import { freePort, type RedisProcess, startRedisProcess } from './redis.ts';
import { asTestUser } from './redis-user.ts';

const slots = 16_384;
const masters = 3;
/** A node that is silent for so long is taken to have failed. Long enough for a machine that is busy with tests, ms. */
const nodeTimeoutMs = 2_000;

export interface ClusterNode {
  readonly process: RedisProcess;
  readonly id: string;
  readonly port: number;
  readonly busPort: number;
  readonly admin: Redis;
}

export class TestCluster {
  readonly nodes: readonly ClusterNode[];

  private constructor(nodes: readonly ClusterNode[]) {
    this.nodes = nodes;
  }

  /** `args` go to each `redis-server`. Resolves when every node knows the whole cluster and every replica follows. */
  static async start({
    replicas = false,
    args = [],
  }: {
    readonly replicas?: boolean;
    readonly args?: readonly string[];
  } = {}): Promise<TestCluster> {
    const nodes: ClusterNode[] = [];
    const cluster = new TestCluster(nodes);
    try {
      nodes.push(...(await Promise.all(Array.from({ length: replicas ? 2 * masters : masters }, () => newNode(args)))));
      await cluster.#form();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get url(): string {
    return asTestUser(`redis+cluster://${this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`);
  }

  get version(): string {
    return this.nodes[0]?.process.version ?? 'unknown';
  }

  /** The master that answers for a key now, as the nodes that live say. */
  async ownerOf(key: string): Promise<ClusterNode> {
    const [asked] = this.nodes.filter(({ process }) => process.alive());
    if (asked === undefined) throw new Error('expected a node that lives, got none');
    const slot = await slotOf(asked, key);
    const ranges = (await asked.admin.call('CLUSTER', 'SLOTS')) as [number, number, [string, number, string]][];
    const [, , master] = ranges.find(([from, to]) => slot >= from && slot <= to) ?? [];
    const owner = this.nodes.find(({ id }) => id === master?.[2]);
    if (owner === undefined) throw new Error(`expected a master of slot ${slot}, got none`);
    return owner;
  }

  /** A master that is not `node`. */
  async otherMaster(node: ClusterNode, at = 0): Promise<ClusterNode> {
    const others = (await this.masters()).filter(({ id }) => id !== node.id);
    return others[at % others.length] as ClusterNode;
  }

  async replicaOf(master: ClusterNode): Promise<ClusterNode> {
    for (const node of this.nodes) {
      const [role, , port] = (await node.admin.role()) as unknown[];
      if (role === 'slave' && port === master.port) return node;
    }
    throw new Error(`expected a replica of the node at port ${master.port}, got none`);
  }

  async masters(): Promise<readonly ClusterNode[]> {
    const roles = await Promise.all(
      this.nodes.map(async (node) => node.process.alive() && ((await node.admin.role()) as unknown[])[0] === 'master'),
    );
    return this.nodes.filter((_, at) => roles[at]);
  }

  /** Moves the slot of `key`, and what is in it, to another master, as a resharding does. Resolves to the new owner. */
  async moveSlotOf(key: string, turn = 0): Promise<ClusterNode> {
    const { to, finish } = await this.beginMoveOf(key, turn);
    await finish();
    return to;
  }

  /** The same up to where all keys have moved, but the old owner is asked still. */
  async beginMoveOf(
    key: string,
    turn = 0,
  ): Promise<{ readonly to: ClusterNode; readonly finish: () => Promise<void> }> {
    const from = await this.ownerOf(key);
    const to = await this.otherMaster(from, turn);
    const slot = await slotOf(from, key);
    await to.admin.cluster('SETSLOT', slot, 'IMPORTING', from.id);
    await from.admin.cluster('SETSLOT', slot, 'MIGRATING', to.id);
    await moveKeys(slot, from, to);
    const finish = async (): Promise<void> => {
      // What was written meanwhile.
      await moveKeys(slot, from, to);
      for (const node of [to, from, ...(await this.masters())]) {
        await node.admin.cluster('SETSLOT', slot, 'NODE', to.id);
      }
    };
    return { to, finish };
  }

  /** Every key under a prefix. */
  async removeKeys(prefix: string): Promise<void> {
    for (const { admin } of await this.masters()) {
      let cursor = '0';
      do {
        const [next, keys] = await admin.scan(cursor, 'MATCH', `${prefix}:*`, 'COUNT', 1_000);
        // One by one: they are in different slots.
        await Promise.all(keys.map((key) => admin.unlink(key)));
        cursor = next;
      } while (cursor !== '0');
    }
  }

  async stop(): Promise<void> {
    for (const { admin } of this.nodes) admin.disconnect();
    await Promise.all(this.nodes.map(({ process }) => process.stop()));
  }

  async #form(): Promise<void> {
    const [first, ...others] = this.nodes as [ClusterNode, ...ClusterNode[]];
    const share = Math.ceil(slots / masters);
    await Promise.all(
      this.nodes.slice(0, masters).map(async ({ admin }, at) => {
        await admin.cluster('SET-CONFIG-EPOCH', at + 1);
        await admin.call('CLUSTER', 'ADDSLOTSRANGE', at * share, Math.min(slots, (at + 1) * share) - 1);
      }),
    );
    await Promise.all(others.map(({ admin }) => meet(admin, first)));
    await eventually(
      'the nodes to know each other',
      () => this.#all((info) => info.includes(`known_nodes:${this.nodes.length}`)),
      30_000,
    );
    await Promise.all(
      this.nodes.slice(masters).map(({ admin }, at) => admin.cluster('REPLICATE', (this.nodes[at] as ClusterNode).id)),
    );
    await eventually('the cluster to be whole', () => this.#all((info) => info.includes('cluster_state:ok')), 30_000);
    await eventually('the replicas to follow', () => this.#follow(), 30_000);
  }

  async #all(holds: (info: string) => boolean): Promise<boolean> {
    const infos = await Promise.all(this.nodes.map(({ admin }) => admin.cluster('INFO') as Promise<string>));
    return infos.every(holds);
  }

  async #follow(): Promise<boolean> {
    const infos = await Promise.all(this.nodes.slice(masters).map(({ admin }) => admin.info('replication')));
    return infos.every((info) => info.includes('master_link_status:up'));
  }
}

async function newNode(args: readonly string[]): Promise<ClusterNode> {
  const busPort = await freePort();
  const process = await startRedisProcess({
    args: [
      ...['--cluster-enabled', 'yes', '--cluster-port', String(busPort)],
      ...['--cluster-node-timeout', String(nodeTimeoutMs), '--repl-diskless-sync-delay', '0'],
      ...args,
    ],
  });
  const admin = new Redis(process.adminUrl, { maxRetriesPerRequest: 1 });
  admin.on('error', () => undefined);
  return { process, port: process.port, busPort, admin, id: (await admin.cluster('MYID')) as string };
}

const meet = (admin: Redis, { port, busPort }: ClusterNode): Promise<unknown> =>
  admin.call('CLUSTER', 'MEET', '127.0.0.1', port, busPort);

const slotOf = async ({ admin }: ClusterNode, key: string): Promise<number> =>
  (await admin.cluster('KEYSLOT', key)) as number;

/** As `redis-cli --cluster reshard` does. */
async function moveKeys(slot: number, from: ClusterNode, to: ClusterNode): Promise<void> {
  for (;;) {
    const keys = (await from.admin.cluster('GETKEYSINSLOT', slot, 10)) as string[];
    if (keys.length === 0) return;
    await from.admin.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...keys);
  }
}
