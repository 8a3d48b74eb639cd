/** Who has which routes, where there is one engine: the owner of the file. */

import type { ClaimResult, Claims as EngineClaims, EngineInfo, GroupInfo } from '../../core/claims.ts';
import { type Claim, type Holding, holdingOf, planClaims } from '../../core/claims.ts';
import type { PurgeNote, PurgeRecord } from '../../core/purge.ts';
import { assertUnused, purgeRecordOf } from '../purged.ts';
import type { Commits, Transaction } from './commits.ts';
import type { Database } from './database.ts';
import type { GroupState, State } from './state.ts';
import { groupStats } from './stats.ts';

const holding = ({ storage, name, former, removedAt }: GroupState): Holding => ({
  storage,
  name,
  former,
  removed: removedAt !== undefined,
});

/** Everything that is a group's alone, by its number. */
const ownRows = ['later', 'dead', 'pending', 'cursor', 'journal'] as const;

export class Claims {
  readonly #database: Database;
  readonly #commits: Commits;
  readonly #state: State;
  readonly #engine: string;
  #storages: ReadonlyMap<string, string> = new Map();
  #disabled: ReadonlySet<string> = new Set();
  #life: EngineInfo | undefined;

  constructor(database: Database, commits: Commits, state: State, engine: string) {
    this.#database = database;
    this.#commits = commits;
    this.#state = state;
    this.#engine = engine;
  }

  get engines(): readonly EngineInfo[] {
    return this.#life === undefined ? [] : [this.#life];
  }

  async claim({ routes, generation, hash }: EngineClaims): Promise<ClaimResult> {
    const plan = planClaims(this.#holdings(), routes, new Set());
    if (plan.renames.length > 0) await this.#commits.run('durable', (transaction) => this.#rename(routes, transaction));
    this.#storages = plan.storages;
    const off = routes.filter((route) => route.disabled === true);
    this.#disabled = new Set(off.flatMap(({ group }) => plan.storages.get(group) ?? []));
    this.#life = { name: this.#engine, at: this.#database.now(), generation, hash };
    return { renamed: plan.renames.map(({ from, to }) => ({ from, to })), unknown: plan.unknown };
  }

  storageOf(group: string): string {
    return this.#storages.get(group) ?? holdingOf(this.#holdings(), group)?.storage ?? group;
  }

  /** By its present or a former name. */
  group(name: string): GroupState | undefined {
    const storage = this.storageOf(name);
    return [...this.#state.groups.values()].find((group) => group.storage === storage);
  }

  /** Engines that have the group's route, and whether it is disabled there. */
  usersOf({ storage }: GroupState): Pick<GroupInfo, 'engines' | 'disabled'> {
    const engines = [...this.#storages.values()].includes(storage) ? [this.#engine] : [];
    return { engines, disabled: this.#disabled.has(storage) };
  }

  async markRemoved(name: string, at: number | undefined): Promise<void> {
    await this.#commits.run('quick', (transaction) => {
      const group = this.group(name);
      if (group !== undefined && group.removedAt !== at) this.#state.mark(group, at, transaction);
    });
  }

  /** Undefined: no such group. Rejects with EF6030 while the engine has it. */
  purge(name: string, note: PurgeNote): Promise<PurgeRecord | undefined> {
    return this.#commits.run('durable', (transaction) => {
      const group = this.group(name);
      if (group === undefined) return undefined;
      assertUnused(name, this.usersOf(group).engines);
      return this.#remove(group, note, transaction);
    });
  }

  /** The newest first. */
  purges(): readonly PurgeRecord[] {
    const rows = this.#database.sql('SELECT record FROM purge ORDER BY id DESC').all();
    return rows.map((row) => JSON.parse(String(row['record'])) as PurgeRecord);
  }

  #holdings(): readonly Holding[] {
    return [...this.#state.groups.values()].map(holding);
  }

  #rename(routes: readonly Claim[], transaction: Transaction): void {
    for (const { storage, to, former } of planClaims(this.#holdings(), routes, new Set()).renames) {
      const group = [...this.#state.groups.values()].find((one) => one.storage === storage);
      if (group !== undefined) this.#state.rename(group, to, former, transaction);
    }
  }

  #remove(group: GroupState, note: PurgeNote, transaction: Transaction): PurgeRecord {
    const record = purgeRecordOf(group.name, this.#database.now(), note, groupStats(this.#database, group));
    this.#database.sql('INSERT INTO purge (record) VALUES (?)').run(JSON.stringify(record));
    for (const table of ownRows) this.#database.sql(`DELETE FROM ${table} WHERE grp = ?`).run(group.id);
    this.#database.sql('DELETE FROM grp WHERE id = ?').run(group.id);
    this.#state.remove(group, transaction);
    return record;
  }
}
