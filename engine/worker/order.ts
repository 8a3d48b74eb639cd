/**
 * A route with `ordering` in this process. It stands between the group and the consumer, and lets through what may run:
 *
 *   group ─read─▶ lines ─▶ consumer ─▶ … ─▶ settled ─▶ lines: the next of the key
 *
 * One consumer of the group has the turn (`turn.ts`), and only it reads. Who gets the turn first takes back what is pending
 * anywhere, then looks at what rests in the retry set and the due stream, and only then reads what is new. The next
 * delivery of a key starts when the bus has confirmed the settlement of the one before, so nothing is ever repeated
 * behind a later one. What no longer fits into memory is postponed and called back when it is first.
 */
import type { Entry, Group, Resting, SettleItem, SettleResult } from '../bus/bus.ts';
import { comparePlaces, Lines, type Next, type Place, placeOf as placeFor } from '../core/order.ts';
import type { OrderingRule } from '../core/route.ts';
import type { Timers } from '../core/timers.ts';
import { decodeEvent } from '../event.ts';
import { Turn } from './turn.ts';

/** How long what is set aside waits when nobody calls it back, ms: when `ordering` is taken off the route. */
const asideMs = 300_000;
/** Characters of the bodies that wait here. */
const mostSize = 16_777_216;
/** Past so many deliveries in line the route reads no more than one in `brakePause`: each takes some hundred bytes. */
const mostInLine = 1_000_000;
const brakePause = 100;
/** Between two looks at what is still in other hands, ms. */
const lookPause = 250;
const sweepBatch = 500;
/** Places put in line in one turn of the event loop: after a take-over there may be very many. */
const notesInTurn = 2_000;

export interface OrderDeps {
  readonly rule: OrderingRule;
  readonly concurrency: number;
  readonly group: Group;
  readonly leaseMs: number;
  readonly timers: Timers;
  /** The bus's clock, ms since the epoch. */
  readonly now: () => number;
  readonly wants: (type: string) => boolean;
  /** All that this worker has in hand, what waits here included. */
  readonly held: () => readonly Entry[];
  /** What runs, or whose settlement is under way. */
  readonly unfinished: () => readonly Entry[];
  /** Takes the suspects out, to run them apart. */
  readonly sortOut: (entries: readonly Entry[]) => Entry[];
  readonly start: (entries: readonly Entry[]) => void;
  readonly settle: (item: SettleItem) => void;
  /** Forgets what has not started, and returns it. */
  readonly unqueue: () => readonly Entry[];
  /** Look again at what may start. */
  readonly wake: () => void;
  readonly onUnkeyed: (reason: string) => void;
  readonly onLost: (ids: readonly string[]) => void;
  readonly onFault: (error: Error) => void;
}

const placeOf = (delivery: Pick<Resting, 'stream' | 'origin' | 'publishedAt' | 'state'>): Place =>
  placeFor(delivery, delivery.state?.redrivenFrom !== undefined);

interface Found {
  readonly key: string;
  readonly place: Place;
  readonly entry: Entry | undefined;
  readonly dueAt: number | undefined;
}

const inOrder = (a: Found, b: Found): number =>
  Number(a.place.redriven) - Number(b.place.redriven) || comparePlaces(a.place, b.place);

export class Ordering {
  readonly #deps: OrderDeps;
  readonly #lines: Lines<Entry>;
  readonly #turn: Turn;
  /** Read, and not in line yet. */
  #arrived: Entry[] = [];
  /** Those of them that are being put in line. */
  readonly #sorting = new Set<Entry>();
  /** What is not known for sure, and must be before anything new is read. */
  #doubt: 'none' | 'hands' | 'all' = 'none';
  #recovering = false;
  #stopped = false;
  #interrupt: (() => void) | undefined;

  constructor(deps: OrderDeps) {
    this.#deps = deps;
    const { concurrency, group, leaseMs, timers, onFault } = deps;
    this.#lines = new Lines({ entries: concurrency * 64, size: mostSize, behindAway: concurrency });
    this.#turn = new Turn({
      ...{ order: group.order, ttlMs: leaseMs, timers, onFault },
      onWon: () => this.#won(),
      onLost: () => this.#lostTurn(),
      onRenewed: () => this.#renewed(),
    });
  }

  start(): void {
    this.#turn.start();
  }

  /** Whether a delivery may start now. */
  get holds(): boolean {
    return this.#turn.held;
  }

  /** Whether what others have left behind may come in: there is nothing more to be found out. */
  get sweeps(): boolean {
    return this.holds && this.#doubt === 'none' && !this.#recovering && !this.#stopped;
  }

  /** Entries whose lease must be kept. */
  entries(): readonly Entry[] {
    return [...this.#arrived, ...this.#sorting, ...this.#lines.entries()];
  }

  get waiting(): number {
    return this.#arrived.length + this.#sorting.size + this.#lines.kept;
  }

  /** As `Group.read`, but gives only what may run. */
  async read(limit: number, signal: AbortSignal): Promise<readonly Entry[]> {
    if (!(await this.#ready(signal))) return [];
    const brake = this.#lines.length >= mostInLine;
    if (brake) await this.#deps.timers.wait(brakePause);
    const entries = await this.#readGroup(brake ? 1 : limit, signal);
    this.#arrived.push(...entries);
    if (entries.length > 0 && (await this.#isElsewhere())) this.#doubted('hands');
    if (!(await this.#ready(signal))) return [];
    return this.#deps.sortOut(this.#place(this.#arrived.splice(0)));
  }

  /** Entries from elsewhere than `read`. */
  add(entries: readonly Entry[]): void {
    if (!this.holds || this.#stopped) return void this.#release(entries);
    // It may be that older ones of their keys are not known yet.
    if (!this.sweeps) return void this.#arrived.push(...entries);
    this.#deps.start(this.#deps.sortOut(this.#place(entries)));
  }

  /** The bus has spoken. */
  settled(item: SettleItem, result: SettleResult): void {
    const place = placeOf(item.entry);
    const key = this.#lines.keyOf(place);
    if (key === undefined || result === 'full') return;
    const now = this.#deps.now();
    if (result === 'fenced') return this.lost([item.entry]);
    if (item.kind === 'ack' || item.kind === 'dead') return this.#do(this.#lines.ended(place, now));
    if (item.kind === 'postpone' && this.#lines.leftAside(place)) return this.#do(this.#lines.next(key, now));
    for (const behind of this.#lines.left(place, now + item.delayMs)) this.#putAside(behind);
  }

  /** These are not ours any more, or never were. */
  lost(entries: readonly Entry[]): void {
    for (const entry of entries) this.#lines.lost(placeOf(entry));
    this.#doubted('all');
  }

  /** No delivery starts any more; returns what waits here. The turn is kept until `leave`. */
  stop(): readonly Entry[] {
    this.#stopped = true;
    const rest = this.entries();
    this.#forget();
    return rest;
  }

  /** Nothing of this worker runs any more: the next one may have the turn. */
  leave(): Promise<void> {
    return this.#turn.leave();
  }

  // ── the turn ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #won(): void {
    this.#doubted('all');
  }

  /** What has not started goes to whoever has the turn now. What runs is its own until it ends. */
  #lostTurn(): void {
    const rest = [...this.entries(), ...this.#deps.unqueue()];
    this.#forget();
    this.#interrupt?.();
    void this.#release(rest);
  }

  /** A former holder may have been given something after its turn, and what should be back long ago may have ended. */
  #renewed(): void {
    this.#deps.wake();
    const { now, leaseMs } = this.#deps;
    if (this.#lines.overdue(now() - leaseMs)) this.#doubted('all');
    void this.#isElsewhere().then((elsewhere) => {
      if (elsewhere) this.#doubted('hands');
    });
  }

  #forget(): void {
    const unfinished = new Set(this.#deps.unfinished().map(({ stream, origin }) => `${stream}/${origin}`));
    this.#arrived = [];
    this.#sorting.clear();
    this.#lines.forget(({ stream, origin }) => unfinished.has(`${stream}/${origin}`));
  }

  async #release(entries: readonly Entry[]): Promise<void> {
    if (entries.length > 0) await this.#deps.group.release(entries).catch(this.#deps.onFault);
  }

  // ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #doubted(what: 'hands' | 'all'): void {
    if (this.#doubt !== 'all') this.#doubt = what;
    this.#interrupt?.();
  }

  /** Resolves to true when the turn is ours and everything is known; to false when the signal has aborted. */
  async #ready(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (!this.holds) await this.#turn.wait(signal);
      else if (this.#doubt === 'none' && !this.#deps.group.order.mayHaveMissed) return true;
      else await this.#recover(signal);
    }
    return false;
  }

  /** Ends early when there is something to be found out. */
  async #readGroup(limit: number, signal: AbortSignal): Promise<readonly Entry[]> {
    const reading = new AbortController();
    const interrupt = (): void => reading.abort();
    signal.addEventListener('abort', interrupt);
    this.#interrupt = interrupt;
    try {
      return await this.#deps.group.read(limit, reading.signal);
    } finally {
      signal.removeEventListener('abort', interrupt);
      this.#interrupt = undefined;
    }
  }

  /** When the bus cannot be asked it may be so. */
  #isElsewhere(): Promise<boolean> {
    return this.#deps.group.order.elsewhere().catch(() => true);
  }

  async #recover(signal: AbortSignal): Promise<void> {
    const doubt = this.#doubt;
    this.#doubt = 'none';
    this.#recovering = true;
    try {
      if (!(await this.#findOut(doubt, signal))) this.#doubted('all');
    } catch (error) {
      this.#doubted('all');
      this.#deps.onFault(error as Error);
      await this.#deps.timers.wait(lookPause);
    }
    this.#recovering = false;
  }

  /** First what is pending, since what is settled meanwhile rests afterwards. False: the turn was lost, or the end came. */
  async #findOut(doubt: 'none' | 'hands' | 'all', signal: AbortSignal): Promise<boolean> {
    if (doubt === 'all') this.#lines.doubt();
    if (!(await this.#collect(signal))) return false;
    const resting = doubt === 'all' ? await this.#resting() : [];
    if (!this.holds || signal.aborted) return false;
    for (const entry of this.#arrived.splice(0)) this.#sorting.add(entry);
    const found = [...this.#sorting].flatMap((entry): Found[] => {
      const key = this.#keyOf(entry);
      return key === undefined ? [] : [{ key, place: placeOf(entry), entry, dueAt: undefined }];
    });
    if (!(await this.#noteAll([...found, ...resting].sort(inOrder), signal))) {
      this.#arrived.push(...this.#sorting);
      this.#sorting.clear();
      return false;
    }
    if (doubt === 'all') this.#lines.dropDoubted();
    const unkeyed = [...this.#sorting];
    this.#sorting.clear();
    this.#deps.start(this.#deps.sortOut([...unkeyed, ...this.#startable()]));
    return true;
  }

  /** In order, so that whatever goes on meanwhile finds the older ones of its line there. */
  async #noteAll(all: readonly Found[], signal: AbortSignal): Promise<boolean> {
    const { timers } = this.#deps;
    for (let from = 0; from < all.length; from += notesInTurn) {
      if (from > 0) await new Promise<void>((resolve) => void timers.soon(resolve));
      if (!this.holds || signal.aborted) return false;
      for (const one of all.slice(from, from + notesInTurn)) this.#note(one);
    }
    return true;
  }

  #note({ key, place, entry, dueAt }: Found): void {
    if (entry === undefined) return this.#lines.expect(key, place, dueAt);
    this.#sorting.delete(entry);
    if (this.#put(key, entry) === 'aside') this.#putAside(entry);
  }

  *#startable(): Iterable<Entry> {
    for (const { start, recall } of [...this.#lines.nextOfAll(this.#deps.now())]) {
      this.#recall(recall);
      if (start !== undefined) yield start;
    }
  }

  /**
   * Takes everything that is pending for the group and that we do not know. What others keep alive is waited for: they run
   * it. Half a lease is longer than they take to show a sign of life, and has passed when a turn has run out.
   */
  async #collect(signal: AbortSignal): Promise<boolean> {
    const { group, leaseMs, timers } = this.#deps;
    const known = (): ((id: string) => boolean) => {
      const ids = new Set(this.#deps.held().map(({ id }) => id));
      return (id) => ids.has(id);
    };
    const take = ({ entries, lost }: Awaited<ReturnType<Group['reclaim']>>): number => {
      if (lost.length > 0) this.#deps.onLost(lost);
      this.#arrived.push(...entries);
      return entries.length;
    };
    take(await group.order.missed(known()));
    for (;;) {
      // A sweep may begin in the middle.
      for (let empty = 0; empty < 2; ) {
        empty = take(await group.reclaim(leaseMs / 2, sweepBatch, known())) > 0 ? 0 : empty + 1;
      }
      if (!this.holds || signal.aborted) return false;
      if (!(await group.order.elsewhere())) return true;
      await timers.wait(lookPause);
    }
  }

  async #resting(): Promise<readonly Found[]> {
    const found: Found[] = [];
    for await (const page of this.#deps.group.order.resting()) {
      for (const one of page) {
        const key = this.#keyOf(one, false);
        if (key !== undefined) found.push({ key, place: placeOf(one), entry: undefined, dueAt: one.dueAt });
      }
    }
    return found;
  }

  // ── the lines ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Returns what may start of it. */
  #place(entries: readonly Entry[]): Entry[] {
    const now = this.#deps.now();
    return entries.flatMap((entry) => {
      const key = this.#keyOf(entry);
      if (key === undefined) return [entry];
      const how = this.#put(key, entry);
      if (how === 'aside') this.#putAside(entry);
      if (how !== 'waits') return [];
      const { start, recall } = this.#lines.next(key, now);
      this.#recall(recall);
      return start === undefined ? [] : [start];
    });
  }

  /** One that is known and in nobody's hands was handed back, and has come again. */
  #put(key: string, entry: Entry): 'waits' | 'aside' | 'known' {
    const place = placeOf(entry);
    const how = this.#lines.put(key, place, entry, entry.body.length);
    if (how !== 'known' || this.#deps.held().some(({ id }) => id === entry.id)) return how;
    this.#lines.lost(place);
    return this.#lines.put(key, place, entry, entry.body.length);
  }

  #do({ start, recall }: Next<Entry>): void {
    this.#recall(recall);
    if (start !== undefined) this.#deps.start(this.#deps.sortOut([start]));
  }

  /** What could not be called back comes by itself, or is looked for when it is overdue. */
  #recall(places: readonly Place[]): void {
    if (places.length > 0) void this.#deps.group.order.recall(places).catch(this.#deps.onFault);
  }

  #putAside(entry: Entry): void {
    this.#deps.settle({ kind: 'postpone', entry, delayMs: asideMs });
  }

  /** Undefined: not in any line. What nobody wants, or is no event, ends without running. */
  #keyOf({ body, meta }: Pick<Entry, 'body' | 'meta'>, runs = true): string | undefined {
    const event = eventOf(body, meta);
    if (event === undefined || !this.#deps.wants(event.type)) return undefined;
    try {
      return this.#deps.rule.key(event);
    } catch (error) {
      if (runs) this.#deps.onUnkeyed((error as Error).message);
      return undefined;
    }
  }
}

function eventOf(body: string, meta: string | undefined): ReturnType<typeof decodeEvent> | undefined {
  try {
    return decodeEvent(body, meta);
  } catch {
    return undefined;
  }
}
