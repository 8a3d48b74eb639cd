/** Groups: how they come to be, which streams they read, and from where. */
import type { GroupInfo, GroupSpec } from '../bus.ts';
import type { Commits, Transaction } from './commits.ts';
import type { Database } from './database.ts';
import type { GroupState, State, Stream } from './state.ts';

export class Registry {
  readonly #database: Database;
  readonly #commits: Commits;
  readonly #state: State;

  constructor(database: Database, commits: Commits, state: State) {
    this.#database = database;
    this.#commits = commits;
    this.#state = state;
  }

  open(spec: GroupSpec, storage: string): Promise<GroupState> {
    return this.#commits.run('durable', (transaction) => {
      const known = [...this.#state.groups.values()].find((one) => one.storage === storage);
      const group = known ?? this.#state.addGroup(spec, storage, this.#database.now(), transaction);
      if (known !== undefined) this.#update(known, spec, transaction);
      this.#follow(group, spec, transaction);
      return group;
    });
  }

  list(usersOf: (group: GroupState) => Pick<GroupInfo, 'engines' | 'disabled'>): readonly GroupInfo[] {
    return [...this.#state.groups.values()].map((group) => ({
      group: group.name,
      storage: group.storage,
      former: group.former,
      removedAt: group.removedAt,
      ...usersOf(group),
      patterns: group.patterns,
      streams: [...group.cursors.keys()].map(({ name }) => name),
      activatedAt: group.activatedAt,
    }));
  }

  #update(group: GroupState, spec: GroupSpec, transaction: Transaction): void {
    const { patterns } = group;
    this.#database
      .sql('UPDATE grp SET patterns = ?, retention = ? WHERE id = ?')
      .run(JSON.stringify(spec.patterns), spec.deadLetter.retention, group.id);
    group.patterns = spec.patterns;
    if (group.removedAt !== undefined) this.#state.mark(group, undefined, transaction);
    transaction.onUndo(() => {
      group.patterns = patterns;
    });
  }

  /**
   * A stream that appears while the group is known is joined at that moment, from its beginning. So a stream that the
   * group does not read yet was there before the group wanted it, and `startFrom` decides.
   */
  #follow(group: GroupState, spec: GroupSpec, transaction: Transaction): void {
    for (const stream of this.#state.streams.values()) {
      const cursor = group.cursors.get(stream);
      const wanted = this.#state.reads(spec.patterns, stream.name);
      if (wanted && cursor === undefined) this.#state.attach(group, stream, startOf(spec, stream), transaction);
      if (!wanted && cursor !== undefined) this.#state.detach(cursor, transaction);
    }
  }
}

const startOf = (spec: GroupSpec, stream: Stream): number => (spec.startFrom === 'new' ? stream.last : stream.base);
