/** What routes with ordering ask of a group. The turn is in memory, like the leases: it ends with its process. */
import type { Entry, Reclaimed } from '../bus.ts';
import type { GroupOrder, Resting, Turn } from '../order.ts';
import type { Commits } from './commits.ts';
import type { Database } from './database.ts';
import type { Leases } from './leases.ts';
import { givenText, type LaterRow } from './rows.ts';
import { type GroupState, wake } from './state.ts';

/** Bodies travel with a page. */
const page = 200;

interface Held {
  holder: object | undefined;
  ends: number;
  term: number;
}

const turns = new WeakMap<GroupState, Held>();

export interface OrderDeps {
  readonly database: Database;
  readonly commits: Commits;
  readonly group: GroupState;
  readonly leases: Leases;
  readonly holder: object;
}

type RestingRow = LaterRow & { readonly due: number; readonly phase: number; readonly postponed: number };

export class SqliteOrder implements GroupOrder {
  /** No answer is lost on the way to oneself. */
  readonly mayHaveMissed = false;
  readonly #deps: OrderDeps;

  constructor(deps: OrderDeps) {
    this.#deps = deps;
  }

  async hold(ttlMs: number): Promise<Turn> {
    const { commits, database, group, holder } = this.#deps;
    commits.assertOpen();
    const now = database.now();
    const held = turns.get(group) ?? { holder: undefined, ends: 0, term: 0 };
    if (held.holder !== holder) {
      if (held.holder !== undefined && held.ends > now) return { held: false, term: held.term };
      held.term = Math.max(held.term + 1, now);
    }
    turns.set(group, Object.assign(held, { holder, ends: now + ttlMs }));
    return { held: true, term: held.term };
  }

  async giveBack(): Promise<void> {
    const held = turns.get(this.#deps.group);
    if (held?.holder === this.#deps.holder) held.holder = undefined;
  }

  missed(owned: (id: string) => boolean): Promise<Reclaimed> {
    return this.#deps.leases.missed(owned);
  }

  async elsewhere(): Promise<boolean> {
    const { group, holder } = this.#deps;
    for (const lease of group.pending.values()) if (lease.holder !== holder) return true;
    return false;
  }

  /** A delivery that moves gets a new id, higher than all before, so it is met again. */
  async *resting(): AsyncIterable<readonly Resting[]> {
    const { database, commits, group } = this.#deps;
    const rows = database.sql(
      `SELECT id, stream, origin, published, body, meta, state, due, phase, postponed FROM later
       WHERE grp = ? AND id > ? ORDER BY id LIMIT ?`,
    );
    for (let last = 0; last >= 0; ) {
      commits.assertOpen();
      const some = rows.all(group.id, last, page) as unknown as RestingRow[];
      yield some.map(restingOf);
      last = some.length < page ? -1 : (some.at(-1)?.id ?? -1);
    }
  }

  async recall(deliveries: readonly Pick<Entry, 'stream' | 'origin'>[]): Promise<void> {
    const { database, commits, group } = this.#deps;
    await commits.run('quick', (transaction) => {
      const update = database.sql(
        `UPDATE later SET phase = 1, due = ? WHERE grp = ? AND origin = ? AND stream = ? AND phase = 0 AND postponed = 1`,
      );
      const now = database.now();
      for (const { stream, origin } of deliveries) update.run(now, group.id, origin, stream);
      group.due = true;
      transaction.onCommit(() => wake(group));
    });
  }
}

function restingOf({ stream, origin, published, body, meta, state, due, phase, postponed }: RestingRow): Resting {
  return {
    ...{ stream, origin, publishedAt: published, body: givenText(body), meta: meta ?? undefined },
    state: JSON.parse(state) as Resting['state'],
    dueAt: phase === 0 && postponed === 1 ? undefined : due,
  };
}
