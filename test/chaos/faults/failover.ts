/** Faults of a master behind Sentinel: it dies, or it is cut off and does not know. */
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { downAfterMs, masterName, type SentinelMember, TestSentinel } from '../../support/sentinel.ts';
import { type Fault, perHit, type Toll, unless } from '../fault.ts';
import { recoveryBound, type Stage } from '../stage.ts';
import { type Durability, type Store, withRedis } from '../store.ts';

const durable = ['--appendonly', 'yes', '--appendfsync', 'always'];
/** What an election may take once the master is taken to have failed: three rounds of the sentinels' own pauses, ms. */
const electionMs = 8_000;

/** After the link is whole: a sentinel is found again, asked, answers, and the clients connect anew, ms. */
const hearMs = 5_000;

class SentinelStore implements Store {
  readonly sentinel: TestSentinel;
  readonly busUrl: string;
  readonly env: Readonly<Record<string, string>>;

  constructor(sentinel: TestSentinel, durability: Durability) {
    this.sentinel = sentinel;
    this.busUrl = sentinel.url;
    this.env = durability === 'replicated' ? { EVENTFLOW_DURABILITY_MODE: 'replicated' } : {};
  }

  static async open(durability: Durability): Promise<SentinelStore> {
    return new SentinelStore(await TestSentinel.start({ args: durable }), durability);
  }

  stop(): Promise<void> {
    return this.sentinel.stop();
  }
}

/**
 * Engine 0 stands beside the first master: it reaches that one directly, and the sentinels over proxies of its own, so
 * that it can be cut off from all others together with it.
 */
class SplitStore extends SentinelStore {
  readonly proxies: readonly TcpProxy[];

  constructor(sentinel: TestSentinel, durability: Durability, proxies: readonly TcpProxy[]) {
    super(sentinel, durability);
    this.proxies = proxies;
  }

  static override async open(durability: Durability): Promise<SplitStore> {
    const sentinel = await TestSentinel.start({ args: durable, proxied: true });
    const proxies = await Promise.all(sentinel.sentinels.map(({ port }) => TcpProxy.start(port)));
    return new SplitStore(sentinel, durability, proxies);
  }

  readonly busUrlOf = (engine: number): string => {
    if (engine !== 0) return this.busUrl;
    const { sentinels, servers } = this.sentinel;
    const [first] = servers as [SentinelMember];
    const near = sentinels.map(({ port }, at) => `127.0.0.1:${port}=127.0.0.1:${this.proxies[at]?.port}`);
    const natMap = [`127.0.0.1:${first.announced}=127.0.0.1:${first.port}`, ...near].join(',');
    const hosts = this.proxies.map(({ port }) => `127.0.0.1:${port}`).join(',');
    return this.busUrl.replace(/@.*$/, `@${hosts}/${masterName}/0?natMap=${natMap}`);
  };

  override async stop(): Promise<void> {
    await Promise.all(this.proxies.map((proxy) => proxy.stop()));
    await super.stop();
  }
}

function storeOf<T extends SentinelStore>(stage: Stage, kind: new (...args: never) => T): T {
  if (stage.store instanceof kind) return stage.store;
  throw new Error('expected a stage behind Sentinel, got another store');
}

/** Both services take so long for an answer that what is acknowledged meanwhile rests in the store alone. */
function slowDown(stage: Stage): () => void {
  for (const service of [stage.main, stage.other]) service.answer = () => ({ status: 200, afterMs: 3_000 });
  return () => {
    for (const service of [stage.main, stage.other]) service.answer = () => undefined;
  };
}

/** The longest time without one, ms. */
function longestGap(times: Iterable<number>): number {
  let [longest, last] = [0, Infinity];
  for (const time of [...times].sort((a, b) => a - b)) {
    longest = Math.max(longest, time - last);
    last = time;
  }
  return longest;
}

/** With asynchronous replication what another server has not got goes with the master. */
const mayLose = (stage: Stage, seconds: number, why: string): Pick<Toll, 'mayLose'> =>
  stage.durability === 'replicated' ? {} : { mayLose: { atMost: Math.ceil(seconds * stage.publisher.perSecond), why } };

const asOperator = (server: SentinelMember, ...words: readonly [string, ...string[]]): Promise<unknown> =>
  withRedis(server.adminUrl, (client) => client.call(...words));

/** Lets no replica in again; whoever else has a link, or comes as a user with a password of its own, notices nothing. */
async function shutReplicasOut(master: SentinelMember): Promise<void> {
  await withRedis(master.adminUrl, async (client) => {
    await client.call('CONFIG', 'SET', 'requirepass', 'nobody-knows');
    await client.call('CLIENT', 'KILL', 'TYPE', 'replica');
  });
}

/** Every link to or from a server, by whatever name it is known. */
function breakLinks(proxies: readonly (TcpProxy | undefined)[], mode: 'black' | 'pass'): void {
  for (const proxy of proxies) {
    if (proxy === undefined) continue;
    proxy.mode = mode;
    if (mode === 'pass') proxy.cut();
  }
}

export const failover: readonly Fault[] = [
  {
    id: 'T13',
    what: 'Sentinel: master kill -9, replicas 0.6 s behind',
    shares: true,
    tier: 'full',
    stage: { engines: 2, store: (durability) => SentinelStore.open(durability) },
    async inject(stage) {
      const { sentinel } = storeOf(stage, SentinelStore);
      const master = await sentinel.master();
      await sleep(1_000);
      const speedUp = slowDown(stage);
      await sleep(1_000);
      await shutReplicasOut(master);
      await sleep(600);
      await master.kill();
      const killedAt = Date.now();
      await sentinel.masterAfter(master);
      const electedMs = Date.now() - killedAt;
      speedUp();
      const bound = downAfterMs + electionMs;
      return {
        duplicates: 2 * perHit + 2 * stage.publisher.perSecond,
        recovery: recoveryBound,
        ...mayLose(stage, 1.6, 'what no replica had got when the master died'),
        notes: [`another master after ${(electedMs / 1_000).toFixed(1)} s`],
        atRest: () => {
          const gap = longestGap(stage.acknowledged.values());
          return unless([
            gap <= bound + 2_000,
            `expected events to be accepted again within ${bound + 2_000} ms, got ${gap}`,
          ]);
        },
      };
    },
  },
  {
    id: 'T14',
    what: 'Sentinel: old master apart with one engine',
    shares: true,
    tier: 'full',
    stage: { engines: 2, store: (durability) => SplitStore.open(durability) },
    async inject(stage) {
      const store = storeOf(stage, SplitStore);
      const master = await store.sentinel.master();
      await sleep(1_000);
      const speedUp = slowDown(stage);
      await sleep(500);
      const cutAt = Date.now();
      breakLinks([master.proxy, ...store.proxies], 'black');
      await store.sentinel.masterAfter(master);
      await sleep(1_000);
      const apartMs = Date.now() - cutAt;
      const refused = stage.publisher.refusals.get(503) ?? 0;
      breakLinks([master.proxy, ...store.proxies], 'pass');
      await eventually('the old master to follow the new one', () => follows(master), 60_000);
      speedUp();
      return {
        duplicates: 2 * perHit + 4 * stage.publisher.perSecond,
        recovery: recoveryBound,
        ...mayLose(stage, (apartMs + hearMs) / 1_000, 'what the old master took until the engine beside it heard'),
        notes: [`apart for ${(apartMs / 1_000).toFixed(1)} s`, `the engine beside it refused ${refused} times`],
        wrong: unless([
          stage.durability !== 'replicated' || refused > 0,
          'expected the engine beside the old master to refuse events (503), it did not',
        ]),
      };
    },
  },
];

const follows = async (server: SentinelMember): Promise<boolean> =>
  /^role:slave.*^master_link_status:up/ms.test(String(await asOperator(server, 'INFO', 'replication')));
