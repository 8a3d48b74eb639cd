/**
 * Which streams a group reads, and from where.
 *
 * A group that the bus has never seen starts where it asks to (`startFrom`), on every stream there is. Later, a stream
 * that its patterns already took is one that appeared since, and is read from its beginning; a stream that only new
 * patterns take is read from where the group asks to start.
 */
import { readsStream, type StreamRule, streamOf } from '../../core/match.ts';
import type { GroupSpec } from '../bus.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import type { GroupRecord, Registry } from './registry.ts';
import { scripts } from './scripts.ts';

export interface MembershipDeps {
  readonly commands: Connection;
  readonly keys: Keys;
  readonly registry: Registry;
  readonly rules: readonly StreamRule[];
  readonly now: () => number;
}

export class Membership {
  readonly #deps: MembershipDeps;
  readonly #spec: GroupSpec;
  readonly #storage: string;
  #record: GroupRecord | undefined;
  #streams: readonly string[] = [];

  constructor(deps: MembershipDeps, spec: GroupSpec, storage: string) {
    this.#deps = deps;
    this.#spec = spec;
    this.#storage = storage;
  }

  get storage(): string {
    return this.#storage;
  }

  /** Sorted. */
  get streams(): readonly string[] {
    return this.#streams;
  }

  /** Joins everything that there is to read, and writes down what was asked for. */
  async open(): Promise<void> {
    const { registry } = this.#deps;
    const { startFrom } = this.#spec;
    const before = await registry.group(this.#storage);
    await registry.refresh();
    const joined = await registry.joined(this.#storage);
    const since = (stream: string): boolean => before !== undefined && this.#reads(before.patterns, stream);
    const wanted = [...new Set([...joined, ...this.#named(), ...this.#matching()])].sort();
    await this.#join(wanted, (stream) => (since(stream) ? 'beginning' : startFrom));
    // Last, so that a group that was only half made counts as never seen.
    this.#record = await this.#writeDown(wanted, (known) => this.#recordFrom(known));
    this.#streams = wanted;
  }

  /** A purge that ends while we join takes the list of streams with it, so it is written once more after the record. */
  async #writeDown(
    streams: readonly string[],
    change: (known: GroupRecord | undefined) => GroupRecord | undefined,
  ): Promise<GroupRecord> {
    const record = await this.#deps.registry.update(this.#storage, change);
    await this.#deps.registry.join(this.#storage, streams);
    return record;
  }

  /** Takes up a group as it was left, and writes nothing down. */
  async rejoin(record: GroupRecord): Promise<void> {
    this.#record = record;
    this.#streams = await this.#deps.registry.joined(this.#storage);
  }

  /** It has a route (again), and a purge of it ends here. The names are the business of those who claim them. */
  #recordFrom(known: GroupRecord | undefined): GroupRecord {
    const { group, patterns, deadLetter } = this.#spec;
    const { removedAt: _, purging: __, ...kept } = known ?? { activatedAt: this.#deps.now() };
    const named = known === undefined && group !== this.#storage ? { name: group } : {};
    return { ...kept, ...named, patterns, deadLetter };
  }

  /** Joins streams that appeared meanwhile; resolves to true when there were any. */
  async follow(): Promise<boolean> {
    const fresh = this.#matching().filter((stream) => !this.#streams.includes(stream));
    if (fresh.length === 0) return false;
    await this.#join(fresh, () => 'beginning');
    this.#streams = [...new Set([...this.#streams, ...fresh])].sort();
    return true;
  }

  /**
   * Makes again what was lost: each group where it was activated, or at the beginning when not even that is known.
   * Resolves to the streams where it was.
   */
  async restore(): Promise<readonly string[]> {
    const lost = await this.#join(this.#streams, () => 'beginning');
    const record = this.#record;
    if (record !== undefined) await this.#writeDown(this.#streams, (known) => this.#recordAgain(known, record));
    return lost;
  }

  /** Undefined: what stands there is fine; it may know more than we do, such as another name. A purge of it ends here. */
  #recordAgain(known: GroupRecord | undefined, ours: GroupRecord): GroupRecord | undefined {
    // Its life of before may be in the book of purged groups, which goes by when a life began.
    if (known === undefined) return { ...ours, activatedAt: this.#deps.now() };
    const { purging, ...rest } = known;
    return purging === undefined ? undefined : rest;
  }

  /** Streams that exist because somebody wants them: those of types without a wildcard, and declared ones. */
  #named(): readonly string[] {
    const { rules } = this.#deps;
    const { patterns } = this.#spec;
    const ofType = streamOf(rules);
    const literal = patterns.filter((pattern) => !pattern.includes('*')).map(ofType);
    return [...literal, ...rules.map(({ name }) => name).filter((name) => this.#reads(patterns, name))];
  }

  #matching(): readonly string[] {
    return [...this.#deps.registry.streams].filter((stream) => this.#reads(this.#spec.patterns, stream));
  }

  #reads(patterns: readonly string[], stream: string): boolean {
    return readsStream(patterns, this.#deps.rules, stream);
  }

  /** Resolves to the streams on which the group was not there before. */
  async #join(streams: readonly string[], from: (stream: string) => 'new' | 'beginning'): Promise<readonly string[]> {
    const { commands, keys, registry } = this.#deps;
    const group = this.#storage;
    await registry.register(streams);
    // Before the groups are made: trimming and the dead letters go by this list.
    await registry.join(group, streams);
    const made = await Promise.all(
      streams.map((stream) => {
        const route = keys.route(stream, group);
        const at = [keys.stream(stream).events, route.due, route.totals, route.retry];
        return commands.eval(scripts.activate, at, [group, from(stream)]);
      }),
    );
    return streams.filter((_, at) => made[at] !== 0);
  }
}
