/** Faults of a Redis Cluster: three masters, and where an event must be on two servers a replica for each. */
import { type ClusterNode, TestCluster } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { type Fault, perHit, times } from '../fault.ts';
import { recoveryBound, type Stage } from '../stage.ts';
import type { Durability, Store } from '../store.ts';

/** In the slot that everything rests in which belongs to the stage's events. */
const events = 'ef:{chaos.event:0}:events';
const args = ['--appendonly', 'yes', '--appendfsync', 'always'];

class ClusterStore implements Store {
  readonly cluster: TestCluster;
  readonly busUrl: string;
  readonly env: Readonly<Record<string, string>>;

  constructor(cluster: TestCluster, durability: Durability) {
    this.cluster = cluster;
    this.busUrl = cluster.url;
    this.env = durability === 'replicated' ? { EVENTFLOW_DURABILITY_MODE: 'replicated' } : {};
  }

  static async open(durability: Durability, replicas = durability === 'replicated'): Promise<Store> {
    return new ClusterStore(await TestCluster.start({ replicas, args }), durability);
  }

  stop(): Promise<void> {
    return this.cluster.stop();
  }
}

function clusterOf({ store }: Stage): TestCluster {
  if (store instanceof ClusterStore) return store.cluster;
  throw new Error('expected a stage on a cluster');
}

/** Kills the master of the events, and brings it back as a replica. Resolves to how long nobody answered for them, ms. */
async function failOver(cluster: TestCluster): Promise<number> {
  const fallen = await cluster.ownerOf(events);
  const from = performance.now();
  await fallen.process.kill();
  await eventually('a replica to take over', () => isOther(cluster, fallen), 30_000);
  const ms = performance.now() - from;
  await fallen.process.restart();
  const following = async (): Promise<boolean> =>
    (await fallen.admin.info('replication').catch(() => '')).includes('master_link_status:up');
  await eventually('the fallen master to follow', following, 30_000);
  return Math.round(ms);
}

const isOther = async (cluster: TestCluster, { id }: ClusterNode): Promise<boolean> =>
  (await cluster.ownerOf(events)).id !== id;

async function failOvers(stage: Stage, random: () => number, count: number) {
  const took: number[] = [];
  await times(count, 1_000, random, async () => {
    took.push(await failOver(clusterOf(stage)));
  });
  return {
    duplicates: count * perHit,
    recovery: recoveryBound,
    notes: [`a replica took over after ${took.join(', ')} ms; a node is given up after 2,000`],
  };
}

export const cluster: readonly Fault[] = [
  {
    id: 'T15',
    what: "a cluster's slot moves, 20 times",
    tier: 'quick',
    stage: { store: (durability) => ClusterStore.open(durability) },
    async inject(stage, random, scale) {
      await times(20, 300 * scale, random, async (at) => {
        await clusterOf(stage).moveSlotOf(events, at);
      });
      return { duplicates: 0, recovery: recoveryBound };
    },
  },
  {
    id: 'T16',
    what: "a cluster's master kill -9, WAIT 1",
    shares: true,
    tier: 'quick',
    only: 'replicated',
    stage: { store: (durability) => ClusterStore.open(durability) },
    inject: (stage, random, scale) => failOvers(stage, random, scale),
  },
  {
    id: 'T16a',
    what: "a cluster's master kill -9, asynchronous replicas",
    shares: true,
    tier: 'full',
    only: 'fsync',
    mode: 'asynchronous',
    stage: { store: (durability) => ClusterStore.open(durability, true) },
    async inject(stage, random, scale) {
      const toll = await failOvers(stage, random, scale);
      const why =
        'a replica is behind by what it has not been sent yet: at most a second of each failover is put up with';
      return { ...toll, mayLose: { atMost: scale * stage.publisher.perSecond, why } };
    },
  },
];
