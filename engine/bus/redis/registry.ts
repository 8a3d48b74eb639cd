/**
 * What the bus knows of its streams and groups, followed by one poller for all groups of a process. A stream is known
 * before its first event is, so that a group with a wildcard misses none.
 */
import type { GroupInfo, GroupSpec } from '../bus.ts';
import type { Connection } from './connection.ts';
import type { FaultLog } from './faults.ts';
import { faultKind } from './faults.ts';
import type { Keys } from './keys.ts';

const pollMs = 400;

/** A group as it was asked for last. */
export interface GroupRecord {
  readonly patterns: readonly string[];
  /** ms since the epoch. */
  readonly activatedAt: number;
  readonly deadLetter: GroupSpec['deadLetter'];
}

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

  async groups(): Promise<ReadonlyMap<string, GroupRecord>> {
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

  async record(name: string, record: GroupRecord): Promise<void> {
    await this.#commands.call('HSET', [this.#keys.groups, name, JSON.stringify(record)]);
  }

  /** The streams that a group has joined, sorted. */
  async joined(name: string): Promise<readonly string[]> {
    return ((await this.#commands.call('SMEMBERS', [this.#keys.joined(name)])) as string[]).sort();
  }

  async join(name: string, streams: readonly string[]): Promise<void> {
    if (streams.length > 0) await this.#commands.call('SADD', [this.#keys.joined(name), ...streams]);
  }

  async infos(): Promise<readonly GroupInfo[]> {
    const groups = [...(await this.groups())].sort(([a], [b]) => (a < b ? -1 : 1));
    return Promise.all(
      groups.map(async ([group, { patterns, activatedAt }]) => ({
        group,
        patterns,
        activatedAt,
        streams: await this.joined(group),
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
