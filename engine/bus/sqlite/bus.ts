/**
 * The embedded bus: one process, one SQLite file, no server. The same promises as the bus on Redis, for one engine on
 * one disk; other processes talk to its owner.
 */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { ClaimResult, Claims as EngineClaims, EngineInfo } from '../../core/claims.ts';
import type { PurgeNote, PurgeRecord } from '../../core/purge.ts';
import { EventFlowError } from '../../errors.ts';
import type {
  Bus,
  BusOptions,
  DroppedLetter,
  Durability,
  Group,
  GroupInfo,
  GroupSpec,
  GroupStats,
  JournalLine,
  Publication,
  PublishResult,
  Tally,
} from '../bus.ts';
import { FaultLog } from '../fault-log.ts';
import { type Barrier, noBarrier, openBarrier } from './barrier.ts';
import { Breakers } from './breakers.ts';
import { Claims } from './claims.ts';
import { Commits } from './commits.ts';
import { type Database, openDatabase } from './database.ts';
import { DeadLetters } from './dead-letters.ts';
import { SqliteGroup } from './group.ts';
import { defaultJournal, Journal } from './journal.ts';
import { Limits } from './limits.ts';
import { removeOwner, writeOwner } from './owner.ts';
import { Publisher } from './publisher.ts';
import { Registry } from './registry.ts';
import { givenText } from './rows.ts';
import { type GroupState, State } from './state.ts';
import { groupStats } from './stats.ts';
import { Trimmer } from './trim.ts';

export { type Owner, readOwner } from './owner.ts';

const day = 86_400_000;
const tenMinutes = 600_000;
const inMemory = ':memory:';

/** The file of a `sqlite:` URL, absolute, or `:memory:`. Throws `EF5003` when it names none. */
export function sqlitePath(url: string): string {
  const path = /^sqlite:(.*)$/is.exec(url)?.[1] ?? '';
  if (path === inMemory) return path;
  if (path === '' || path.startsWith('//') || path.includes('\0')) {
    const message = `expected sqlite:PATH or sqlite::memory:, got ${JSON.stringify(url)}: write sqlite:.eventflow/bus.db for a file in this folder`;
    throw new EventFlowError('EF5003', message);
  }
  return resolve(path);
}

/**
 * Opens the file and takes possession of it; its folder is made when it is missing. `sqlite::memory:` ends with its bus.
 * Throws `EF5002` when another process owns the file, `EF5003` for a URL without a file, `EF5021` when a newer version
 * wrote it, `EF5022` when it cannot be opened.
 */
export async function openSqliteBus(url: string, options: BusOptions = {}): Promise<Bus> {
  const path = sqlitePath(url);
  const database = await openDatabase(path, options.time);
  try {
    if (path !== inMemory) await writeOwner(path);
    return new SqliteBus(path, database, await barrierOf(path, database, options), options);
  } catch (error) {
    database.db.close();
    throw error;
  }
}

const barrierOf = async (path: string, database: Database, { durability }: BusOptions): Promise<Barrier> =>
  path === inMemory || durability?.mode === 'none' ? noBarrier : openBarrier(`${database.file}-wal`);

class SqliteBus implements Bus {
  readonly label: string;
  readonly breakers: Breakers;
  readonly limits: Limits;
  readonly deadLetters: DeadLetters;
  readonly #path: string;
  readonly #database: Database;
  readonly #options: BusOptions;
  readonly #faults: FaultLog;
  readonly #commits: Commits;
  readonly #state: State;
  readonly #journal: Journal;
  readonly #publisher: Publisher;
  readonly #registry: Registry;
  readonly #claims: Claims;
  readonly #trimmer: Trimmer;
  readonly #groups = new Set<Group>();
  #closed: Promise<void> | undefined;

  constructor(path: string, database: Database, barrier: Barrier, options: BusOptions) {
    this.label = `sqlite:${path}`;
    this.#path = path;
    this.#database = database;
    this.#options = options;
    this.#faults = new FaultLog(options.onFault);
    this.#commits = new Commits(database, barrier, ({ message }) => this.#faults.report('write', 'disk', message));
    this.#state = new State(database, options.streams ?? []);
    this.#journal = new Journal(database, options.journal ?? defaultJournal);
    this.#publisher = new Publisher(database, this.#commits, this.#state, options.dedupeWindowMs ?? tenMinutes);
    this.#registry = new Registry(database, this.#commits, this.#state);
    this.#claims = new Claims(database, this.#commits, this.#state, options.consumer ?? `${hostname()}-${process.pid}`);
    this.#trimmer = new Trimmer(database, this.#commits, this.#state, options.retentionMs ?? day);
    this.breakers = new Breakers(database, this.#commits);
    this.limits = new Limits(database, this.#commits);
    this.deadLetters = new DeadLetters(database, this.#commits, this.#state);
  }

  now(): number {
    return this.#database.now();
  }

  async publish(items: readonly Publication[]): Promise<readonly PublishResult[]> {
    return items.length === 0 ? [] : this.#publisher.publish(items);
  }

  async openGroup(spec: GroupSpec): Promise<Group> {
    return this.#door(spec, await this.#registry.open(spec, this.#claims.storageOf(spec.group)), false);
  }

  async openRemoved(name: string): Promise<Group | undefined> {
    this.#commits.assertOpen();
    const group = this.#claims.group(name);
    if (group === undefined) return undefined;
    // Its limit is no longer known, and what was promised to be kept is not dropped.
    const deadLetter = { retention: 0, maxEntries: Number.MAX_SAFE_INTEGER, onFull: 'pause' } as const;
    return this.#door({ group: name, deadLetter }, group, true);
  }

  claim(claims: EngineClaims): Promise<ClaimResult> {
    this.#commits.assertOpen();
    return this.#claims.claim(claims);
  }

  async engines(): Promise<readonly EngineInfo[]> {
    return this.#claims.engines;
  }

  markRemoved(group: string, at: number | undefined): Promise<void> {
    return this.#claims.markRemoved(group, at);
  }

  purge(group: string, note: PurgeNote): Promise<PurgeRecord | undefined> {
    this.#commits.assertOpen();
    return this.#claims.purge(group, note);
  }

  async purges(): Promise<readonly PurgeRecord[]> {
    this.#commits.assertOpen();
    return this.#claims.purges();
  }

  #door(spec: Pick<GroupSpec, 'group' | 'deadLetter'>, state: GroupState, dueOnly: boolean): Group {
    const parts = {
      database: this.#database,
      commits: this.#commits,
      state: this.#state,
      journal: this.#journal,
      group: state,
      label: spec.group,
      dueOnly,
      policy: spec.deadLetter,
      onDropped: (letters: readonly DroppedLetter[]) => this.#options.onDropped?.(letters),
    };
    const group = new SqliteGroup(parts);
    this.#groups.add(group);
    return group;
  }

  async groups(): Promise<readonly GroupInfo[]> {
    this.#commits.assertOpen();
    return this.#registry.list((group) => this.#claims.usersOf(group));
  }

  async groupStats(name: string): Promise<GroupStats | undefined> {
    this.#commits.assertOpen();
    const group = this.#claims.group(name);
    return group && groupStats(this.#database, group);
  }

  async streams(): ReturnType<Bus['streams']> {
    this.#commits.assertOpen();
    return [...this.#state.streams.values()].map(({ name, base, last }) => ({ name, entries: last - base }));
  }

  async trim(): Promise<number> {
    await this.#commits.run('quick', (transaction) => {
      const now = this.now();
      this.deadLetters.expire(now, transaction);
      this.limits.expire(now);
      this.#journal.cut(now);
    });
    return this.#trimmer.trim();
  }

  async *journal(): AsyncGenerator<JournalLine> {
    this.#commits.assertOpen();
    yield* this.#journal.lines(this.now());
  }

  async tallies(name: string, from: number, to: number): Promise<readonly Tally[]> {
    this.#commits.assertOpen();
    return this.#database
      .sql('SELECT bucket, key, sum FROM tally WHERE name = ? AND bucket >= ? AND bucket < ?')
      .all(name, from, to)
      .map(({ bucket, key, sum }) => ({ name, bucket: Number(bucket), key: givenText(String(key)), by: Number(sum) }));
  }

  async tallyNames(): Promise<readonly string[]> {
    this.#commits.assertOpen();
    return this.#database
      .sql('SELECT DISTINCT name FROM tally')
      .all()
      .map(({ name }) => String(name));
  }

  async durability(): Promise<Durability> {
    this.#commits.assertOpen();
    const mode = this.#options.durability?.mode ?? 'fsync';
    const reason = doubt(mode, this.#path);
    return { mode, level: reason === undefined ? 'guaranteed' : 'best_effort', reason };
  }

  async announce(adminUrl: string): Promise<void> {
    this.#commits.assertOpen();
    if (this.#path !== inMemory) await writeOwner(this.#path, adminUrl);
  }

  async ping(): Promise<void> {
    this.#commits.assertOpen();
    this.#database.sql('SELECT 1').get();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#groups].map((group) => group.close()));
    await this.#commits.close();
    this.#faults.close();
    if (this.#path !== inMemory) await removeOwner(this.#path);
    this.#database.db.close();
  }
}

/** Why the durability that was asked for cannot be promised; undefined when it can. */
function doubt(mode: Durability['mode'], path: string): string | undefined {
  if (mode === 'none')
    return 'switched off by `durability.mode: none`: what was published lately can be lost when the machine ends';
  if (mode === 'replicated')
    return 'an embedded bus has one disk and no replicas: use a redis: bus, or durability mode fsync';
  if (mode === 'fsync' && path === inMemory) return 'sqlite::memory: keeps nothing on disk: use sqlite:PATH';
  return undefined;
}
