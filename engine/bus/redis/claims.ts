/** Who has which routes: the names of groups, which of them nobody uses any more, and which engines live. */
import {
  type Claim,
  type ClaimResult,
  type Claims as EngineClaims,
  type EngineInfo,
  engineLifeMs,
  type GroupInfo,
  type Holding,
  holdingOf,
  planClaims,
  type Rename,
} from '../../core/claims.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import type { GroupRecord, Registry } from './registry.ts';

/** An engine that was silent for so long is forgotten, ms. */
const forgetAfterMs = 3_600_000;
/** Of a claim, each lost to another engine that was faster. */
const maxTries = 16;

/** What an engine says of itself. */
interface Life {
  readonly at: number;
  readonly generation: number;
  readonly hash: string;
  /** What it calls the groups it has, by storage. */
  readonly groups: Readonly<Record<string, string>>;
  /** Storages of those that are disabled. */
  readonly disabled: readonly string[];
}

export type Users = Pick<GroupInfo, 'engines' | 'disabled'>;

export class Claims {
  readonly #commands: Connection;
  readonly #keys: Keys;
  readonly #registry: Registry;
  readonly #engine: string;
  readonly #now: () => number;
  #storages: ReadonlyMap<string, string> = new Map();
  #claimed = false;

  constructor(commands: Connection, keys: Keys, registry: Registry, engine: string, now: () => number) {
    this.#commands = commands;
    this.#keys = keys;
    this.#registry = registry;
    this.#engine = engine;
    this.#now = now;
  }

  async claim({ routes, generation, hash }: EngineClaims): Promise<ClaimResult> {
    const lives = await this.#lives();
    const { storages, renames, unknown } = await this.#settle(routes, lives);
    this.#storages = storages;
    const groups = Object.fromEntries([...storages].map(([group, storage]) => [storage, group]));
    const off = routes.filter((route) => route.disabled === true);
    const disabled = off.flatMap(({ group }) => storages.get(group) ?? []);
    const life: Life = { at: this.#now(), generation, hash, groups, disabled };
    await this.#commands.call('HSET', [this.#keys.engines, this.#engine, JSON.stringify(life)]);
    this.#claimed = true;
    await this.#forget(lives);
    return { renamed: renames.map(({ from, to }) => ({ from, to })), unknown };
  }

  /** Where the group rests, or will once it is opened. */
  async storageOf(group: string): Promise<string> {
    return this.#storages.get(group) ?? holdingOf(await this.#registry.holdings(), group)?.storage ?? group;
  }

  async engines(): Promise<readonly EngineInfo[]> {
    return [...this.#alive(await this.#lives())]
      .map(([name, { at, generation, hash }]) => ({ name, at, generation, hash }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Live engines by the storages of their routes. */
  async users(): Promise<ReadonlyMap<string, Users>> {
    const users = new Map<string, Users>();
    for (const [name, { groups, disabled }] of this.#alive(await this.#lives())) {
      for (const storage of Object.keys(groups)) {
        const known = users.get(storage) ?? { engines: [], disabled: true };
        const engines = [...known.engines, name].sort();
        users.set(storage, { engines, disabled: known.disabled && disabled.includes(storage) });
      }
    }
    return users;
  }

  /** This engine is gone from now on. */
  async leave(): Promise<void> {
    if (this.#claimed) await this.#commands.call('HDEL', [this.#keys.engines, this.#engine]);
  }

  /** Plans until what the plan was made from is still there when it is carried out. */
  async #settle(routes: readonly Claim[], lives: ReadonlyMap<string, Life>): Promise<ReturnType<typeof planClaims>> {
    for (let tries = 1; ; tries += 1) {
      const records = await this.#registry.groups();
      const holdings = await this.#registry.holdings(records);
      const plan = planClaims(holdings, routes, this.#calledSo(holdings, lives));
      const done = await Promise.all(plan.renames.map((rename) => this.#rename(rename, records.get(rename.storage))));
      if (done.every(Boolean) || tries === maxTries) return plan;
    }
  }

  /** Storages that another engine has under their present name. */
  #calledSo(holdings: readonly Holding[], lives: ReadonlyMap<string, Life>): ReadonlySet<string> {
    const others = [...this.#alive(lives)].filter(([name]) => name !== this.#engine).map(([, life]) => life);
    const called = holdings.filter(({ storage, name }) => others.some(({ groups }) => groups[storage] === name));
    return new Set(called.map(({ storage }) => storage));
  }

  async #rename({ storage, to, former }: Rename, record: GroupRecord | undefined): Promise<boolean> {
    if (record === undefined) return false;
    return await this.#registry.replace(storage, record, { ...record, name: to, former });
  }

  async #lives(): Promise<ReadonlyMap<string, Life>> {
    const flat = (await this.#commands.call('HGETALL', [this.#keys.engines])) as string[];
    const lives = new Map<string, Life>();
    for (let at = 0; at + 1 < flat.length; at += 2) {
      lives.set(flat[at] as string, JSON.parse(flat[at + 1] as string) as Life);
    }
    return lives;
  }

  *#alive(lives: ReadonlyMap<string, Life>): Iterable<[string, Life]> {
    const since = this.#now() - engineLifeMs;
    for (const [name, life] of lives) if (life.at >= since) yield [name, life];
  }

  async #forget(lives: ReadonlyMap<string, Life>): Promise<void> {
    const since = this.#now() - forgetAfterMs;
    const gone = [...lives].filter(([, { at }]) => at < since).map(([name]) => name);
    if (gone.length > 0) await this.#commands.call('HDEL', [this.#keys.engines, ...gone]);
  }
}
