/**
 * What the bus knows of its streams and groups, followed by one poller for all groups of a process. A stream is known
 * before its first event is, so that a group with a wildcard misses none.
 */
import type { Holding } from '../../core/claims.ts';
import type { PurgeRecord } from '../../core/purge.ts';
import type { GroupInfo, GroupSpec } from '../bus.ts';
import type { Connection } from './connection.ts';
import type { FaultLog } from './faults.ts';
import { faultKind } from './faults.ts';
import type { Keys } from './keys.ts';
import { scripts } from './scripts.ts';

const pollMs = 400;

/** A group as it was asked for last. */
export interface GroupRecord {
  readonly patterns: readonly string[];
  /** ms since the epoch. */
  readonly activatedAt: number;
  readonly deadLetter: GroupSpec['deadLetter'];
  /** What the group is called [as its storage]. */
  readonly name?: string;
  /** What it was called before, the latest first. */
  readonly former?: readonly string[];
  /** ms since the epoch. */
  readonly removedAt?: number;
  /** It is being purged, or a purge of it was cut short: what there was when that began. */
  readonly purging?: PurgeRecord;
}

/** By the names of their storages. */
export type GroupRecords = ReadonlyMap<string, GroupRecord>;

export class Registry {
  readonly #commands: Connection;
  readonly #keys: Keys;
  readonly #faults: FaultLog;
  #streams: ReadonlySet<string> = new Set();
  /** Registered from here: put back should the registry be lost. */
  readonly #ours = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(commands: Connection, keys: Keys, faults: FaultLog) {
    this.#commands = commands;
    this.#keys = keys;
    this.#faults = faults;
  }

  get streams(): ReadonlySet<string> {
    return this.#streams;
  }

  async start(): Promise<void> {
    await this.refresh();
    this.#pollLater();
  }

  /** Called after streams were added. Returns the way to stop it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Undefined when all are known already, so that a publisher has nothing to wait for; it brings its own deadline. */
  register(streams: Iterable<string>, via = this.#commands): Promise<void> | undefined {
    const fresh = [...new Set(streams)].filter((stream) => !this.#ours.has(stream));
    return fresh.length === 0 ? undefined : this.#add(fresh, via);
  }

  async refresh(): Promise<void> {
    const names = (await this.#commands.call('SMEMBERS', [this.#keys.streams])) as string[];
    const stored = new Set(names);
    const missing = [...this.#ours].filter((stream) => !stored.has(stream));
    if (missing.length > 0) {
      this.#faults.report(
        'registry',
        'nogroup',
        `the registry of streams was lost: adding ${missing.join(', ')} again`,
      );
      await this.#add(missing, this.#commands);
      for (const stream of missing) stored.add(stream);
    } else {
      this.#faults.clear('registry');
    }
    this.#replace(stored);
  }

  async groups(): Promise<GroupRecords> {
    const flat = (await this.#commands.call('HGETALL', [this.#keys.groups])) as string[];
    const groups = new Map<string, GroupRecord>();
    for (let at = 0; at + 1 < flat.length; at += 2) {
      groups.set(flat[at] as string, JSON.parse(flat[at + 1] as string) as GroupRecord);
    }
    return groups;
  }

  async group(name: string): Promise<GroupRecord | undefined> {
    const stored = (await this.#commands.call('HGET', [this.#keys.groups, name])) as string | null;
    return stored === null ? undefined : (JSON.parse(stored) as GroupRecord);
  }

  async holdings(records?: GroupRecords): Promise<readonly Holding[]> {
    return [...(records ?? (await this.groups()))].map(([storage, { name = storage, former = [], removedAt }]) => ({
      storage,
      name,
      former,
      removed: removedAt !== undefined,
    }));
  }

  /** Writes `next` where `before` (undefined: nothing) still stands; resolves to whether it did. */
  async replace(name: string, before: GroupRecord | undefined, next: GroupRecord | undefined): Promise<boolean> {
    const text = (record: GroupRecord | undefined): string => (record === undefined ? '' : JSON.stringify(record));
    return (await this.#commands.eval(scripts.record, [this.#keys.groups], [name, text(before), text(next)])) === 1;
  }

  /** Writes what `change` makes of what is there. Undefined: it is fine as it is. */
  async update(
    name: string,
    change: (before: GroupRecord | undefined) => GroupRecord | undefined,
  ): Promise<GroupRecord> {
    for (;;) {
      const before = await this.group(name);
      const next = change(before);
      if (next === undefined) return before as GroupRecord;
      if (await this.replace(name, before, next)) return next;
    }
  }

  /** Removes it where `record` still stands; resolves to whether it did. */
  async remove(name: string, record: GroupRecord): Promise<boolean> {
    if (!(await this.replace(name, record, undefined))) return false;
    // Only now: it may be somebody's again otherwise.
    await this.#commands.call('UNLINK', [this.#keys.joined(name)]);
    return true;
  }

  /** The streams that a group has joined, sorted. */
  async joined(name: string): Promise<readonly string[]> {
    return ((await this.#commands.call('SMEMBERS', [this.#keys.joined(name)])) as string[]).sort();
  }

  async join(name: string, streams: readonly string[]): Promise<void> {
    if (streams.length > 0) await this.#commands.call('SADD', [this.#keys.joined(name), ...streams]);
  }

  async infos(users: ReadonlyMap<string, Pick<GroupInfo, 'engines' | 'disabled'>>): Promise<readonly GroupInfo[]> {
    const groups = [...(await this.groups())].sort(([a], [b]) => (a < b ? -1 : 1));
    return Promise.all(
      groups.map(async ([storage, { patterns, activatedAt, name = storage, former = [], removedAt }]) => ({
        group: name,
        storage,
        former,
        patterns,
        activatedAt,
        removedAt,
        streams: await this.joined(storage),
        ...(users.get(storage) ?? { engines: [], disabled: false }),
      })),
    );
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#listeners.clear();
  }

  async #add(streams: readonly string[], via: Connection): Promise<void> {
    await via.call('SADD', [this.#keys.streams, ...streams]);
    for (const stream of streams) this.#ours.add(stream);
    this.#replace(new Set([...this.#streams, ...streams]));
  }

  #replace(streams: ReadonlySet<string>): void {
    const grown = [...streams].some((stream) => !this.#streams.has(stream));
    this.#streams = streams;
    if (grown) for (const listener of this.#listeners) listener();
  }

  #pollLater(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#poll(), pollMs);
    this.#timer.unref();
  }

  async #poll(): Promise<void> {
    try {
      await this.refresh();
      this.#faults.clear('poll');
    } catch (error) {
      if (!this.#closed) this.#faults.report('poll', faultKind(error as Error), (error as Error).message);
    }
    this.#pollLater();
  }
}
