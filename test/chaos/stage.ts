/** The stage of one fault: a store, engines as processes, a publisher, and the services that two routes call. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { remoteOperations } from 'eventflow';
import { temporaryFolder } from '../support/children.ts';
import { type EngineChild, spawnEngine } from '../support/engine-process.ts';
import type { TcpProxy } from '../support/proxy.ts';
import type { RedisPlace, RedisProcess } from '../support/redis.ts';
import { Publisher } from './publisher.ts';
import { Service } from './service.ts';
import { type Durability, embeddedStore, RedisStore, type Store } from './store.ts';

/** The tests' lease: short, so that recovery can be waited for. */
export const leaseMs = 3_000;
/** Lease, one sweep, and a second for everything else. */
export const recoveryBound = leaseMs + 1_000 + 1_000;

/** What must be there before the store starts and go after it ended: a network, a small disk, a library. */
export interface Surroundings {
  readonly redis?: RedisPlace;
  /** For the engines. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where the embedded bus keeps its file [the stage's folder]. */
  readonly folder?: string;
  /** Said in the row. */
  readonly note?: string;
  end(): Promise<void>;
}

export interface StageOptions {
  readonly engines: number;
  /** Whether the engines reach Redis through a proxy that can break. */
  readonly proxied: boolean;
  readonly redisArgs: readonly string[];
  /** Fields of the route `main`, in YAML. */
  readonly route: string;
  /** The whole pipeline in place of the two usual routes; they must be `main` and `other` all the same. */
  readonly pipeline?: (mainUrl: string, otherUrl: string) => string;
  /** For the engines. */
  readonly env?: Readonly<Record<string, string>>;
  /** The embedded bus in place of Redis. */
  readonly embedded?: boolean;
  /** Other servers than one Redis, perhaps with its replica. */
  readonly store?: (durability: Durability) => Promise<Store>;
  readonly around?: () => Promise<Surroundings>;
}

/** How a run is made: the same for all its rows. */
export interface Run {
  readonly full: boolean;
  readonly durability: Durability;
}

export const usual = (route: string) => (main: string, other: string) =>
  `
apiVersion: eventflow/v1
kind: Pipeline
name: chaos
routes:
  - id: main
    on: [chaos.event]
    handler: webhook
    startFrom: beginning
    ${route}
    with: { url: "${main}/main", headers: { x-attempt: "{{ delivery.attempt }}" } }
  - id: other
    on: [chaos.event]
    handler: webhook
    startFrom: beginning
    circuitBreaker: false
    retry: { maxAttempts: 50, initialInterval: 50ms, maxInterval: 500ms }
    with: { url: "${other}/other" }
`;

export class Stage implements Run {
  readonly full: boolean;
  readonly durability: Durability;
  /** Of the pipelines. */
  readonly folder: string;
  /** The pipeline that it began with. */
  readonly text: string;
  readonly store: Store;
  readonly main: Service;
  /** A second route on the same events, whose service never fails: what the fault must not touch. */
  readonly other: Service;
  readonly engines: (EngineChild | undefined)[] = [];
  /** Every engine that was ever started here: what they logged is kept. */
  readonly everStarted: EngineChild[] = [];
  readonly publisher = new Publisher(() => this.running.map(({ ingest }) => ingest));
  readonly surroundings: Surroundings | undefined;
  readonly #env: Readonly<Record<string, string>>;
  readonly #remove: () => Promise<void>;

  private constructor(
    { full, durability }: Run,
    folder: { path: string; remove(): Promise<void> },
    store: Store,
    services: readonly [Service, Service],
    text: string,
    env: Readonly<Record<string, string>>,
    surroundings: Surroundings | undefined,
  ) {
    this.full = full;
    this.durability = durability;
    this.folder = folder.path;
    this.#remove = () => folder.remove();
    this.store = store;
    [this.main, this.other] = services;
    this.text = text;
    this.#env = env;
    this.surroundings = surroundings;
  }

  static async open(run: Run, options: StageOptions): Promise<Stage> {
    const { engines, proxied, redisArgs, route, env, embedded, pipeline = usual(route), around } = options;
    const surroundings = await around?.();
    const folder = await temporaryFolder('eventflow-chaos-');
    let store: Store | undefined;
    let stage: Stage | undefined;
    try {
      const place = { ...surroundings?.redis, args: [...redisArgs, ...(surroundings?.redis?.args ?? [])] };
      store = embedded
        ? embeddedStore(surroundings?.folder ?? folder.path)
        : await (options.store?.(run.durability) ?? RedisStore.open({ ...place, durability: run.durability, proxied }));
      const [main, other] = [new Service(), new Service()];
      const text = pipeline(await main.start(), await other.start());
      await writeFile(join(folder.path, 'chaos.yaml'), text);
      const all = { ...store.env, ...surroundings?.env, ...env };
      stage = new Stage(run, folder, store, [main, other], text, all, surroundings);
      for (let at = 0; at < engines; at += 1) await stage.startEngine(at);
      return stage;
    } catch (error) {
      await (stage === undefined ? tidy(store, surroundings, folder) : stage.close());
      throw error;
    }
  }

  /** The usual store's Redis; throws where the fault brought servers of its own. */
  get redis(): RedisProcess {
    return this.redisStore.redis;
  }

  get redisStore(): RedisStore {
    if (this.store instanceof RedisStore) return this.store;
    throw new Error('expected the usual Redis of a stage, the fault has another store');
  }

  get proxy(): TcpProxy {
    const { proxy } = this.redisStore;
    if (proxy === undefined) throw new Error('expected a stage with `proxied: true`');
    return proxy;
  }

  get acknowledged(): ReadonlyMap<string, number> {
    return this.publisher.acknowledged;
  }

  get running(): readonly EngineChild[] {
    return this.engines.filter((engine) => engine !== undefined);
  }

  async startEngine(at: number, env: Readonly<Record<string, string>> = {}): Promise<void> {
    const busUrl = this.store.busUrlOf?.(at) ?? this.store.busUrl;
    const engine = await spawnEngine(['--bus', busUrl, '--pipelines', this.folder], {
      EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
      EVENTFLOW_DELIVERY_LEASE: `${leaseMs}ms`,
      ...this.#env,
      ...env,
    });
    this.engines[at] = engine;
    this.everStarted.push(engine);
  }

  engine(at: number): EngineChild {
    const engine = this.engines[at];
    if (engine === undefined) throw new Error(`expected engine ${at} to run, it does not`);
    return engine;
  }

  async killEngine(at: number): Promise<void> {
    const engine = this.engine(at);
    this.engines[at] = undefined;
    await engine.kill();
  }

  /** SIGTERM; resolves to the exit code. */
  async stopEngine(at: number): Promise<number | null> {
    const engine = this.engine(at);
    this.engines[at] = undefined;
    return await engine.stop();
  }

  /** What the engines said, all of them, in lines of JSON. */
  get lines(): readonly Readonly<Record<string, unknown>>[] {
    return this.everStarted.flatMap(({ lines }) => lines);
  }

  /** Writes the pipeline again, changed so that its `main` route is another one, or broken. */
  async edit(n: number, broken: boolean): Promise<void> {
    const text = this.text.replace('/main"', `/main?edit=${n}"`);
    await this.write(broken ? text.replace('handler: webhook', 'handler: webhok') : text);
  }

  /** Puts another pipeline in the place of this one, at once. */
  async write(text: string): Promise<void> {
    const next = join(this.folder, '.chaos.yaml.next');
    await writeFile(next, text);
    await rename(next, join(this.folder, 'chaos.yaml'));
  }

  /** Deliveries of `main` at rest as dead letters; 0 while nobody answers. */
  async dead(): Promise<number> {
    const [engine] = this.running;
    if (engine === undefined) return 0;
    try {
      const { groups } = await remoteOperations(engine.admin).verify();
      return groups.find(({ group }) => group === 'chaos.main')?.dead ?? 0;
    } catch {
      return 0; // The engine may be cut off from its store just now.
    }
  }

  /** Waits until both services have everything that was acknowledged, or nothing has come for `ms`. */
  async settle(ms: number): Promise<void> {
    let [came, at] = [-1, Date.now()];
    while (Date.now() - at < ms) {
      const now = this.other.arrivals.size + this.main.arrivals.size + (await this.dead());
      if (now >= 2 * this.acknowledged.size) return;
      if (now !== came) [came, at] = [now, Date.now()];
      await sleep(100);
    }
  }

  async close(): Promise<void> {
    this.publisher.end();
    if (this.store instanceof RedisStore) this.store.proxy?.cut();
    await Promise.all(this.engines.flatMap((engine) => engine?.kill() ?? []));
    this.main.stop();
    this.other.stop();
    await tidy(this.store, this.surroundings, { remove: this.#remove });
  }
}

async function tidy(
  store: Store | undefined,
  surroundings: Surroundings | undefined,
  folder: { remove(): Promise<void> },
): Promise<void> {
  await store?.stop();
  await surroundings?.end();
  await folder.remove();
}
