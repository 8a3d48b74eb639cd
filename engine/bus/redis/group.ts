/** One route's door to the bus: a consumer of its own on every stream of the group and on the streams of its retries. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EventFlowError } from '../../errors.ts';
import type { DroppedLetter, Entry, Group, GroupStats, Reclaimed, SettleItem, SettleResult } from '../bus.ts';
import type { Source } from './entry.ts';
import { faultKind } from './faults.ts';
import { readStats } from './group-stats.ts';
import { Intake, type IntakeDeps } from './intake.ts';
import type { Keys } from './keys.ts';
import { countStart, handBack, leave, maxIds, renew } from './leases.ts';
import { RedisOrder } from './order.ts';
import { readDue } from './removed.ts';
import { scripts } from './scripts.ts';
import { type SettleContext, Settlement } from './settlement.ts';
import { Sweep } from './sweep.ts';

/** A server that is away does not keep a group from closing: what it held is reclaimed after its lease, ms. */
const longestLeave = 2_000;

export interface GroupDeps extends IntakeDeps {
  /** What the group is called now; `name` is that of its storage. */
  readonly label: string;
  /** `read` gives only what is due again. */
  readonly dueOnly: boolean;
  readonly keys: Keys;
  readonly journalMax: number;
  readonly deadLetter: { readonly maxEntries: number; readonly onFull: 'pause' | 'dropOldest' };
  readonly onDropped: (letters: readonly DroppedLetter[]) => void;
  /** Takes the group off the bus's books. */
  readonly onClose: () => void;
}

export class RedisGroup implements Group {
  readonly name: string;
  readonly storage: string;
  readonly order: RedisOrder;
  readonly #deps: GroupDeps;
  readonly #intake: Intake;
  readonly #sweep: Sweep;
  #streams: readonly string[] = [];
  #sources: readonly Source[] = [];
  #closed = false;

  constructor(deps: GroupDeps) {
    this.name = deps.label;
    this.storage = deps.name;
    this.#deps = deps;
    this.#intake = new Intake(deps);
    this.#sweep = new Sweep(deps);
    this.order = new RedisOrder({
      ...{ holder: deps, keys: deps.keys, intake: this.#intake, sweep: this.#sweep },
      sources: () => this.#sources,
    });
  }

  /** From now on these are read. Streams are only ever added. */
  setStreams(streams: readonly string[]): void {
    if (streams.length === this.#streams.length) return;
    const { keys, name, dueOnly } = this.#deps;
    const source = (stream: string, due: boolean): Source => ({
      stream,
      key: due ? keys.route(stream, name).due : keys.stream(stream).events,
      due,
      tag: due ? `${stream}/due/` : `${stream}/`,
    });
    this.#streams = streams;
    this.#sources = [
      ...streams.map((stream) => source(stream, false)),
      ...streams.map((stream) => source(stream, true)),
    ];
    if (!dueOnly) this.#intake.setSources(this.#sources);
  }

  async read(limit: number, signal: AbortSignal): Promise<readonly Entry[]> {
    if (this.#closed) throw new EventFlowError('EF5024', `the group ${this.name} was closed`);
    if (this.#deps.dueOnly) return await readDue(this.#deps, this.#sources, limit);
    return await this.#intake.read(limit, signal);
  }

  async settle(items: readonly SettleItem[], journal: string | undefined): Promise<readonly SettleResult[]> {
    const results = new Array<SettleResult>(items.length);
    for (let from = 0; from < items.length; from += maxIds) {
      const line = from === 0 ? journal : undefined;
      await this.#settleSome(items, from, Math.min(from + maxIds, items.length), line, results);
    }
    return results;
  }

  async extend(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const lost = await renew(this.#deps, [...entries, ...this.#intake.waiting]);
    if (lost.size === 0) return [];
    this.#intake.drop(lost);
    return entries.filter((entry) => lost.has(entry));
  }

  release(entries: readonly Entry[]): Promise<void> {
    return handBack(this.#deps, entries);
  }

  async promote(limit: number): Promise<number> {
    let moved = 0;
    for (const stream of this.#streams) moved += await this.#promoteFrom(stream, limit - moved);
    return moved;
  }

  reclaim(minIdleMs: number, limit: number, owned: (id: string) => boolean): Promise<Reclaimed> {
    return this.#sweep.run(this.#sources, minIdleMs, limit, { owned, readAhead: (id) => this.#intake.take(id) });
  }

  countStart(entry: Entry): Promise<number | undefined> {
    return countStart(this.#deps, entry);
  }

  stats(): Promise<GroupStats> {
    return readStats(this.#deps.commands, this.#deps.keys, this.storage, this.#streams);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#deps.onClose();
    await this.#intake.close();
    const left = leave(this.#deps, this.#sources).catch((error: Error) =>
      this.#deps.faults.report(`leave ${this.name}`, faultKind(error), `${this.name}: ${error.message}`),
    );
    await Promise.race([left, sleep(longestLeave, undefined, { ref: false })]);
  }

  async #promoteFrom(stream: string, limit: number): Promise<number> {
    const route = this.#deps.keys.route(stream, this.storage);
    const keys = [route.due, route.retry, route.retryBody, route.totals];
    let moved = 0;
    while (moved < limit) {
      const batch = Math.min(limit - moved, maxIds);
      const count = (await this.#deps.commands.eval(scripts.promote, keys, [batch])) as number;
      moved += count;
      if (count < batch) break;
    }
    return moved;
  }

  async #settleSome(
    items: readonly SettleItem[],
    from: number,
    to: number,
    journal: string | undefined,
    results: SettleResult[],
  ): Promise<void> {
    const settlements = new Map<string, Settlement>();
    for (let at = from; at < to; at += 1) {
      const item = items[at] as SettleItem;
      const { stream } = item.entry;
      let settlement = settlements.get(stream);
      if (settlement === undefined) {
        settlement = new Settlement(stream);
        settlements.set(stream, settlement);
      }
      if (!settlement.add(item, at)) results[at] = 'fenced';
    }
    let line = journal;
    const calls: Promise<void>[] = [];
    for (const settlement of settlements.values()) {
      calls.push(this.#settleOne(settlement, line, results));
      line = undefined;
    }
    await Promise.all(calls);
  }

  async #settleOne(settlement: Settlement, journal: string | undefined, results: SettleResult[]): Promise<void> {
    const { deadLetter, journalMax, keys, consumer, commands } = this.#deps;
    const context: SettleContext = {
      keys,
      group: this.storage,
      consumer,
      journalMax,
      maxLetters: deadLetter.maxEntries,
      onFull: deadLetter.onFull,
      lettersElsewhere: settlement.hasLetters ? await this.#lettersElsewhere(settlement.stream) : 0,
    };
    const call = settlement.call(context, journal);
    const reply = (await commands.eval(scripts.settle, call.keys, call.args)) as (number | string)[];
    const dropped = call.decode(reply, results);
    if (dropped.length > 0) this.#deps.onDropped(dropped.map((letter) => ({ ...letter, group: this.name })));
  }

  /** The DLQ's limit is the route's, and its letters rest beside their streams. */
  async #lettersElsewhere(stream: string): Promise<number> {
    const { commands, keys } = this.#deps;
    const others = this.#streams.filter((other) => other !== stream);
    const counts = await Promise.all(
      others.map((other) => commands.call('ZCARD', [keys.route(other, this.storage).dead])),
    );
    return (counts as number[]).reduce((sum, count) => sum + count, 0);
  }
}
