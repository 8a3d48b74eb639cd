/** What routes with ordering ask of a group: whose turn it is, what is pending where, and what rests. */
import type { Entry, Reclaimed } from '../bus.ts';
import type { GroupOrder, Resting, Turn } from '../order.ts';
import { type Source, toEntry } from './entry.ts';
import { faultKind } from './faults.ts';
import type { Intake } from './intake.ts';
import type { Keys } from './keys.ts';
import { type Holder, maxIds } from './leases.ts';
import type { RawEntry } from './read-reply.ts';
import { restingOf } from './records.ts';
import { scripts } from './scripts.ts';
import type { Sweep } from './sweep.ts';

/** Bodies travel with a page. */
const page = 200;

type Pending = readonly (readonly [id: string, ...unknown[]])[];
/** Count, first, last, and for each consumer its name and count; the last three are null when there are none. */
type Summary = readonly [number, unknown, unknown, readonly (readonly [consumer: string, count: string])[] | null];

export interface OrderDeps {
  readonly holder: Holder;
  readonly keys: Keys;
  readonly intake: Intake;
  readonly sweep: Sweep;
  readonly sources: () => readonly Source[];
}

export class RedisOrder implements GroupOrder {
  readonly #deps: OrderDeps;
  readonly #turn: string;

  constructor(deps: OrderDeps) {
    this.#deps = deps;
    this.#turn = deps.keys.turn(deps.holder.name);
  }

  get mayHaveMissed(): boolean {
    return this.#deps.intake.gap;
  }

  async hold(ttlMs: number): Promise<Turn> {
    const { commands, consumer } = this.#deps.holder;
    const [held, term] = (await commands.eval(scripts.hold, [this.#turn], [consumer, ttlMs])) as [number, number];
    return { held: held === 1, term };
  }

  async giveBack(): Promise<void> {
    const { commands, consumer } = this.#deps.holder;
    await commands.eval(scripts.yield, [this.#turn], [consumer]);
  }

  async missed(owned: (id: string) => boolean): Promise<Reclaimed> {
    const { intake, sweep, sources } = this.#deps;
    await intake.quiet();
    const entries: Entry[] = [];
    const lost: string[] = [];
    for (const source of sources()) {
      for (let from = '-'; from !== ''; ) {
        const ids = await this.#pendingHere(source, from);
        await sweep.own(source, ids, { owned, readAhead: (id) => intake.take(id) }, { entries, lost });
        from = ids.length < maxIds ? '' : `(${ids.at(-1) ?? ''}`;
      }
    }
    return { entries, lost };
  }

  async elsewhere(): Promise<boolean> {
    const { holder, sources } = this.#deps;
    const summaries = await Promise.all(
      sources().map((source) =>
        orNoGroup(holder.commands.call('XPENDING', [source.key, holder.name]) as Promise<Summary>),
      ),
    );
    return summaries.some((summary) => (summary?.[3] ?? []).some(([consumer]) => consumer !== holder.consumer));
  }

  async *resting(): AsyncIterable<readonly Resting[]> {
    const streams = this.#deps.sources().filter(({ due }) => due);
    // In this order, since what moves meanwhile moves from the first to the second.
    for (const source of streams) yield* this.#retrying(source);
    for (const source of streams) yield* this.#due(source);
  }

  async recall(deliveries: readonly Pick<Entry, 'stream' | 'origin'>[]): Promise<void> {
    const { keys, holder } = this.#deps;
    for (const stream of new Set(deliveries.map((delivery) => delivery.stream))) {
      const { due, retry, retryBody, totals } = keys.route(stream, holder.name);
      const origins = deliveries.filter((delivery) => delivery.stream === stream).map(({ origin }) => origin);
      for (let from = 0; from < origins.length; from += maxIds) {
        const some = origins.slice(from, from + maxIds);
        await holder.commands.eval(scripts.recall, [due, retry, retryBody, totals], some);
      }
    }
  }

  async #pendingHere(source: Source, from: string): Promise<string[]> {
    const { commands, name, consumer } = this.#deps.holder;
    const args = [source.key, name, from, '+', maxIds, consumer];
    const pending = await orNoGroup(commands.call('XPENDING', args) as Promise<Pending>);
    return (pending ?? []).map(([id]) => id);
  }

  async *#retrying({ stream }: Source): AsyncIterable<readonly Resting[]> {
    const { keys, holder } = this.#deps;
    const { retry, retryBody } = keys.route(stream, holder.name);
    for (let cursor = ''; cursor !== '0'; ) {
      const args = [retry, cursor || '0', 'COUNT', page];
      const [next, flat] = (await holder.commands.call('ZSCAN', args)) as [string, string[]];
      const origins = flat.filter((_, at) => at % 2 === 0);
      const records =
        origins.length === 0
          ? []
          : ((await holder.commands.call('HMGET', [retryBody, ...origins])) as (string | null)[]);
      yield records.flatMap((record, at) =>
        record === null ? [] : [restingOf(stream, record, Number(flat[2 * at + 1]))],
      );
      cursor = next;
    }
  }

  async *#due(source: Source): AsyncIterable<readonly Resting[]> {
    const { commands } = this.#deps.holder;
    for (let from = '-'; from !== ''; ) {
      const raw = (await commands.call('XRANGE', [source.key, from, '+', 'COUNT', page])) as RawEntry[];
      yield raw.map(([id, fields]) => ({ ...toEntry(source, id, fields ?? [], 0, false, 0), dueAt: 0 }));
      from = raw.length < page ? '' : `(${raw.at(-1)?.[0] ?? ''}`;
    }
  }
}

/** Undefined when the group is gone: whoever reads makes it again. */
async function orNoGroup<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (faultKind(error as Error) === 'nogroup') return undefined;
    throw error;
  }
}
