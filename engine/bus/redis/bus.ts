/** The bus on Redis 7.0 or later: connections, and what hangs on them. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClaimResult, Claims as EngineClaims, EngineInfo } from '../../core/claims.ts';
import { streamOf } from '../../core/match.ts';
import type { PurgeNote, PurgeRecord } from '../../core/purge.ts';
import { EventFlowError } from '../../errors.ts';
import type {
  Bus,
  BusOptions,
  Durability,
  Fill,
  Group,
  GroupInfo,
  GroupSpec,
  GroupStats,
  JournalLine,
  Publication,
  PublishResult,
  StoreExamination,
  Tally,
} from '../bus.ts';
import type { AskMasters } from './ask.ts';
import { readJournal, readTallies, readTallyNames } from './books.ts';
import { RedisBreakers } from './breakers.ts';
import { Claims } from './claims.ts';
import { ServerClock } from './clock.ts';
import { Connection, type ConnectionSpec } from './connection.ts';
import { RedisDeadLetters } from './dead-letters.ts';
import { checkDurability } from './durability.ts';
import { examine } from './examine.ts';
import { FailoverWatch } from './failover.ts';
import { FaultLog, faultKind } from './faults.ts';
import { Feeds } from './feed.ts';
import { RedisGroup } from './group.ts';
import { readStats } from './group-stats.ts';
import { keepHouse } from './housekeeping.ts';
import { Keys } from './keys.ts';
import { RedisLimits } from './limits.ts';
import { Membership } from './membership.ts';
import { findHazards, readFill } from './memory.ts';
import { Publisher } from './publisher.ts';
import { Registry } from './registry.ts';
import { purge, readPurges } from './removed.ts';
import { isVerified, parseTarget, type Target } from './target.ts';

const publishDeadlineMs = 2_000;
const commandDeadlineMs = 10_000;
const longestLeave = 500;
const hour = 3_600_000;
const defaults = {
  prefix: 'ef',
  dedupeWindowMs: 10 * 60_000,
  retentionMs: 24 * hour,
  journal: { keep: 'all', retentionMs: 24 * hour, maxEntries: 100_000 },
  durability: { mode: 'fsync' },
} as const;

/**
 * Opens the bus at one of the URLs of `parseTarget`.
 * Rejects with EF5001 when nobody answers there, EF5003 for another URL, EF5013 for a server before 7.0.
 */
export async function openRedisBus(url: string, options: BusOptions): Promise<Bus> {
  const bus = new RedisBus(parseTarget(url), options);
  try {
    await bus.start();
  } catch (error) {
    await bus.close();
    throw error;
  }
  return bus;
}

class RedisBus implements Bus {
  readonly label: string;
  readonly breakers: RedisBreakers;
  readonly limits: RedisLimits;
  readonly deadLetters: RedisDeadLetters;
  readonly #options: BusOptions;
  readonly #target: Target;
  readonly #name: string;
  readonly #faults: FaultLog;
  readonly #failover: FailoverWatch | undefined;
  readonly #keys: Keys;
  readonly #commands: Connection;
  readonly #publishing: Connection;
  readonly #registry: Registry;
  readonly #claims: Claims;
  readonly #clock: ServerClock;
  readonly #publisher: Publisher;
  readonly #groups = new Set<RedisGroup>();
  readonly #ask: AskMasters = (name, args) => this.#commands.ask(name, args);
  #opened = 0;
  #closed = false;

  constructor(target: Target, options: BusOptions) {
    this.label = target.label;
    this.#target = target;
    this.#options = options;
    this.#name = options.consumer ?? `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
    this.#faults = new FaultLog(options.onFault);
    this.#failover = target.kind === 'sentinel' ? new FailoverWatch(target, this.#faults) : undefined;
    this.#keys = new Keys(options.prefix ?? defaults.prefix);
    this.#commands = new Connection(this.#connectionSpec('commands', commandDeadlineMs, 5_000));
    this.#publishing = new Connection(this.#connectionSpec('publisher', publishDeadlineMs, 3_000));
    this.#registry = new Registry(this.#commands, this.#keys, this.#faults);
    this.#claims = new Claims(this.#commands, this.#keys, this.#registry, this.#name, () => this.now());
    this.#clock = new ServerClock(this.#commands, this.#faults);
    this.#publisher = this.#newPublisher();
    this.breakers = new RedisBreakers(this.#commands, this.#keys);
    this.limits = new RedisLimits(this.#commands, this.#keys);
    this.deadLetters = new RedisDeadLetters(this.#commands, this.#keys, this.#registry);
  }

  async start(): Promise<void> {
    await Promise.all([this.#commands.connect(), this.#publishing.connect()]);
    if (!isVerified(this.#target)) {
      this.#faults.event('other', `the certificate of ${this.label} is not verified (insecure=true in its URL)`);
    }
    await this.#assertVersion();
    await this.#registry.start();
    await this.#clock.start();
  }

  now(): number {
    return this.#clock.now();
  }

  publish(items: readonly Publication[]): Promise<readonly PublishResult[]> {
    return this.#publisher.publish(items);
  }

  async openGroup(spec: GroupSpec): Promise<Group> {
    const membership = this.#membership(spec, await this.#claims.storageOf(spec.group));
    await membership.open();
    const { group, feeds } = this.#door(spec, membership, false);
    await feeds.connect();
    // Streams may have appeared while the group was opened.
    await this.#follow(membership, group);
    return group;
  }

  async openRemoved(name: string): Promise<Group | undefined> {
    const storage = await this.#claims.storageOf(name);
    const record = await this.#registry.group(storage);
    if (record === undefined) return undefined;
    const spec: GroupSpec = { group: name, startFrom: 'beginning', ...record };
    const membership = this.#membership(spec, storage);
    await membership.rejoin(record);
    return this.#door(spec, membership, true).group;
  }

  claim(claims: EngineClaims): Promise<ClaimResult> {
    return this.#claims.claim(claims);
  }

  engines(): Promise<readonly EngineInfo[]> {
    return this.#claims.engines();
  }

  async markRemoved(group: string, at: number | undefined): Promise<void> {
    await this.#registry.update(await this.#claims.storageOf(group), (known) => {
      if (known === undefined || known.removedAt === at) return undefined;
      const { removedAt: _, ...record } = known;
      return at === undefined ? record : { ...record, removedAt: at };
    });
  }

  purge(group: string, note: PurgeNote): Promise<PurgeRecord | undefined> {
    const parts = { commands: this.#commands, keys: this.#keys, registry: this.#registry, claims: this.#claims };
    return purge({ ...parts, now: () => this.now() }, group, note);
  }

  purges(): Promise<readonly PurgeRecord[]> {
    return readPurges(this.#commands, this.#keys, this.#registry);
  }

  #membership(spec: GroupSpec, storage: string): Membership {
    const deps = {
      commands: this.#commands,
      keys: this.#keys,
      registry: this.#registry,
      rules: this.#options.streams ?? [],
      now: () => this.now(),
    };
    return new Membership(deps, spec, storage);
  }

  #door(spec: GroupSpec, membership: Membership, dueOnly: boolean): { group: RedisGroup; feeds: Feeds } {
    this.#opened += 1;
    const consumer = `${this.#name}-${this.#opened}`;
    const feeds = new Feeds({
      target: this.#target,
      name: `eventflow:${spec.group}`,
      faults: this.#faults,
      failover: this.#failover,
      commands: this.#commands,
      group: membership.storage,
      consumer,
    });
    const stopFollowing = dueOnly
      ? () => undefined
      : this.#registry.onChange(() => void this.#follow(membership, group));
    const group: RedisGroup = new RedisGroup({
      name: membership.storage,
      label: spec.group,
      dueOnly,
      consumer,
      commands: this.#commands,
      feeds,
      keys: this.#keys,
      faults: this.#faults,
      journalMax: this.#journalMax(),
      deadLetter: spec.deadLetter,
      onDropped: (letters) => this.#options.onDropped?.(letters),
      restore: () => this.#restore(membership, spec.group),
      onClose: () => {
        stopFollowing();
        this.#groups.delete(group);
      },
    });
    this.#groups.add(group);
    group.setStreams(membership.streams);
    return { group, feeds };
  }

  async groups(): Promise<readonly GroupInfo[]> {
    return await this.#registry.infos(await this.#claims.users());
  }

  async groupStats(group: string): Promise<GroupStats | undefined> {
    const storage = await this.#claims.storageOf(group);
    if ((await this.#registry.group(storage)) === undefined) return undefined;
    return await readStats(this.#commands, this.#keys, storage, await this.#registry.joined(storage));
  }

  async streams(): Promise<readonly { readonly name: string; readonly entries: number }[]> {
    const names = await this.#streamNames();
    return await Promise.all(
      names.map(async (name) => ({
        name,
        entries: (await this.#commands.call('XLEN', [this.#keys.stream(name).events])) as number,
      })),
    );
  }

  trim(): Promise<number> {
    return keepHouse({
      commands: this.#commands,
      keys: this.#keys,
      registry: this.#registry,
      rules: this.#options.streams ?? [],
      now: () => this.now(),
      retentionMs: this.#options.retentionMs ?? defaults.retentionMs,
      journalRetentionMs: this.#options.journal?.retentionMs ?? defaults.journal.retentionMs,
    });
  }

  async *journal(): AsyncIterable<JournalLine> {
    const names = new Map((await this.#registry.holdings()).map(({ storage, name }) => [storage, name]));
    for await (const line of readJournal(this.#commands, this.#keys, await this.#streamNames())) {
      yield { ...line, group: names.get(line.group) ?? line.group };
    }
  }

  async tallies(name: string, from: number, to: number): Promise<readonly Tally[]> {
    return await readTallies(this.#commands, this.#keys, await this.#streamNames(), name, from, to);
  }

  async tallyNames(): Promise<readonly string[]> {
    return await readTallyNames(this.#commands, this.#keys, await this.#streamNames());
  }

  durability(): Promise<Durability> {
    return checkDurability(this.#ask, this.#options.durability ?? defaults.durability);
  }

  hazards(): Promise<readonly string[]> {
    return findHazards(this.#ask);
  }

  fill(): Promise<Fill | undefined> {
    return readFill(this.#ask);
  }

  examine(): Promise<StoreExamination> {
    return examine(this.#ask, this.#commands, this.#options.prefix ?? defaults.prefix);
  }

  async ping(): Promise<void> {
    await this.#commands.call('PING', []);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.allSettled([...this.#groups].map((group) => group.close()));
    await this.#leave();
    this.#registry.close();
    this.#clock.close();
    this.#failover?.close();
    this.#faults.close();
    this.#publishing.close();
    this.#commands.close();
  }

  /** Not waited for when the server is away: this engine counts as gone soon anyway. */
  async #leave(): Promise<void> {
    const left = this.#claims.leave().catch(() => undefined);
    await Promise.race([left, sleep(longestLeave, undefined, { ref: false })]);
  }

  #connectionSpec(name: string, deadlineMs: number, silenceMs: number): ConnectionSpec {
    return {
      target: this.#target,
      name: `eventflow:${name}`,
      faults: this.#faults,
      failover: this.#failover,
      deadlineMs,
      silenceMs,
    };
  }

  /** 0: nothing is written. */
  #journalMax(): number {
    const { keep, maxEntries } = this.#options.journal ?? defaults.journal;
    return keep === 'off' ? 0 : maxEntries;
  }

  #newPublisher(): Publisher {
    const durability = this.#options.durability ?? defaults.durability;
    return new Publisher({
      connection: this.#publishing,
      keys: this.#keys,
      streamOf: streamOf(this.#options.streams ?? []),
      register: (streams) => this.#registry.register(streams, this.#publishing),
      windowMs: Math.max(1, this.#options.dedupeWindowMs ?? defaults.dedupeWindowMs),
      replicas: durability.mode === 'replicated' ? (durability.replicas ?? 1) : 0,
    });
  }

  async #assertVersion(): Promise<void> {
    for (const info of await this.#ask('INFO', ['server'])) {
      const version = /^redis_version:(.*)$/m.exec(info as string)?.[1]?.trim() ?? 'unknown';
      if (Number.parseInt(version, 10) >= 7) continue;
      throw new EventFlowError('EF5013', `expected Redis 7.0 or later at ${this.label}, got ${version}`);
    }
  }

  /** All that are known anywhere, sorted. */
  async #streamNames(): Promise<readonly string[]> {
    await this.#registry.refresh();
    return [...this.#registry.streams].sort();
  }

  /** Somebody deleted from the store or emptied it, or it came back without its data: worth an alert of its own. */
  async #restore(membership: Membership, group: string): Promise<void> {
    const lost = await membership.restore();
    if (lost.length === 0) return;
    const where = `${group} was gone from ${lost.join(', ')}`;
    this.#faults.event('store_reset', `${where}: made again where it was activated; what had rested there may be lost`);
  }

  async #follow(membership: Membership, group: RedisGroup): Promise<void> {
    try {
      if (await membership.follow()) group.setStreams(membership.streams);
    } catch (error) {
      this.#faults.report(`follow ${group.name}`, faultKind(error as Error), (error as Error).message);
    }
  }
}
