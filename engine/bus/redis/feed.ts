/**
 * Where a group's entries come from. One server answers one XREADGROUP for all streams of a group, over one connection
 * that blocks. A node of a cluster refuses keys of two slots in one command, even when both slots are its own, so there
 * each stream (with the due stream beside it) is read by itself:
 *
 * - the first few over connections of their own that block, so that an event arrives as fast as from one server. Almost
 *   every route reads no more streams than that;
 * - the rest, as of a wildcard, by asking again and again without blocking, over the connection for commands that the
 *   process has to each node. Blocking connections for all would have no bound: routes × streams × engines. What asking
 *   costs has one: after an answer a stream is asked again at once, silent ones in turn, and all silent ones of a route
 *   together no more than `mostAsked` times a second. So an event waits for 25 ms at most where up to 33 streams are
 *   read, and for n ms where 8 + n are; the first one after a minute for 100 ms;
 * - a stream that has had something to say twice within 10 s takes the connection of one that was silent for 30 s, so
 *   that of many streams the busy ones end up with those that block.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { faultKind } from './faults.ts';
import type { StreamReply } from './read-reply.ts';
import { blockMs, Reader, type ReaderSpec } from './reader.ts';

/** Streams of one group that are read over a connection of their own. */
const mostBlocking = 8;
/** Between two questions to a stream that was silent, ms. */
const shortestPause = 25;
/** The same after a minute of silence: an idle wildcard over 50 streams costs 2 % of a core and not 5 %. */
const idlePause = 100;
const idleMs = 60_000;
const mostAsked = 1_000;
const busyMs = 10_000;
const silentMs = 30_000;

/** One read at a time. */
export interface Feed {
  /** What its faults are about. */
  readonly scope: string;
  /**
   * About `count` entries of each of its streams; waits up to about 2 s for the first. Null: none came. Undefined: the
   * link broke. Rejects with what Redis says.
   */
  read(count: number): Promise<StreamReply | null | undefined>;
  /** Ends a read that waits. */
  interrupt(): void;
  close(): void;
}

export interface FeedSpec extends Omit<ReaderSpec, 'locate'> {
  readonly group: string;
  readonly consumer: string;
}

/** What a group reads of one stream. */
export interface StreamPair {
  readonly stream: string;
  readonly events: string;
  readonly due: string;
}

/** The feeds of a group. Streams are only ever added. */
export class Feeds {
  readonly #spec: FeedSpec;
  readonly #silentMs: number;
  readonly #feeds: Feed[] = [];
  #whole: Blocking | undefined;
  readonly #followed: Followed[] = [];
  readonly #known = new Set<string>();

  constructor(spec: FeedSpec, silent = silentMs) {
    this.#spec = spec;
    this.#silentMs = silent;
  }

  /** One entry for all streams, or one for each. */
  get all(): readonly Feed[] {
    return this.#feeds;
  }

  /** From now on these are read; a read that waits for fewer is ended. */
  follow(pairs: readonly StreamPair[]): void {
    if (this.#spec.target.kind === 'cluster') {
      for (const pair of pairs.filter(({ stream }) => !this.#known.has(stream))) this.#add(pair);
      return;
    }
    const keys = [...pairs.map(({ events }) => events), ...pairs.map(({ due }) => due)];
    if (this.#whole !== undefined) {
      this.#whole.setKeys(keys);
      return;
    }
    this.#whole = new Blocking(this.#spec, `read ${this.#spec.group}`, new Reader(this.#spec), keys);
    this.#feeds.push(this.#whole);
  }

  /** Resolves when the connections there are now are ready, or failed for the first time: they go on trying. */
  async connect(): Promise<void> {
    await Promise.all([this.#whole?.connect(), ...this.#followed.map((feed) => feed.connect())]);
  }

  close(): void {
    for (const feed of this.#feeds) feed.close();
  }

  #add(pair: StreamPair): void {
    this.#known.add(pair.stream);
    if (this.#followed.length < mostBlocking) {
      const feed = new Followed(this.#spec, pair);
      this.#followed.push(feed);
      this.#feeds.push(feed);
      return;
    }
    const pauseMs = (): number =>
      Math.max(shortestPause, ((this.#feeds.length - this.#followed.length) * 1_000) / mostAsked);
    this.#feeds.push(new Asking(this.#spec, pair, pauseMs, (busy) => this.#exchange(busy)));
  }

  /** Both may read the same stream for a moment, which is as good as one of them. */
  #exchange(busy: Asking): void {
    const before = performance.now() - this.#silentMs;
    const silent = this.#followed.find(({ heardAt }) => heardAt < before);
    if (silent === undefined) return;
    const { pair } = busy;
    busy.pair = silent.pair;
    silent.pair = pair;
  }
}

const keysOf = ({ events, due }: StreamPair): readonly string[] => [events, due];
const scopeOf = ({ group }: FeedSpec, { stream }: StreamPair): string => `read ${group} ${stream}`;

/** Over a connection of its own. */
class Blocking implements Feed {
  scope: string;
  protected readonly reader: Reader;
  readonly #head: readonly string[];
  #tail: readonly string[] = [];
  #reading: Promise<unknown> | undefined;

  constructor({ group, consumer }: FeedSpec, scope: string, reader: Reader, keys: readonly string[]) {
    this.scope = scope;
    this.reader = reader;
    this.#head = ['GROUP', group, consumer, 'COUNT'];
    this.setKeys(keys);
  }

  setKeys(keys: readonly string[]): void {
    this.#tail = ['STREAMS', ...keys, ...keys.map(() => '>')];
    this.interrupt();
  }

  connect(): Promise<void> {
    return this.reader.connect();
  }

  read(count: number): Promise<StreamReply | null | undefined> {
    const reading = this.reader.read([...this.#head, count, 'BLOCK', blockMs, ...this.#tail]);
    this.#reading = reading;
    return reading;
  }

  interrupt(): void {
    if (this.#reading !== undefined) void this.#interrupt(this.#reading);
  }

  close(): void {
    this.reader.close();
  }

  /** Asks until the read is over, since the first time may come before the server blocks it. */
  async #interrupt(reading: Promise<unknown>): Promise<void> {
    let over = false;
    const end = reading.then(
      () => (over = true),
      () => (over = true),
    );
    for (let tries = 0; tries < 10 && !over; tries += 1) {
      await this.reader.unblock().catch(() => false);
      await Promise.race([end, sleep(20)]);
    }
  }
}

/**
 * The same for one stream in a cluster. When its slot moves away the server says so (UNBLOCKED, MOVED), and while it
 * moves both nodes send a read away (ASK, TRYAGAIN): then the connection for commands asks, which follows. Only what that
 * one is told is a fault.
 */
class Followed extends Blocking {
  /** When it had something to say, or began; of `performance.now()`. */
  heardAt = performance.now();
  readonly #spec: FeedSpec;
  readonly #once: Asking;
  readonly #stopFollowing: () => void;

  constructor(spec: FeedSpec, pair: StreamPair) {
    const once = new Asking(spec, pair, () => shortestPause);
    const reader = new Reader({ ...spec, locate: () => spec.commands.ownerOf(once.pair.events) });
    super(spec, scopeOf(spec, pair), reader, keysOf(pair));
    this.#spec = spec;
    this.#once = once;
    this.#stopFollowing = spec.commands.onMove(() => reader.relocate());
  }

  get pair(): StreamPair {
    return this.#once.pair;
  }

  /** From now on this is read; a read of another one is ended. */
  set pair(pair: StreamPair) {
    this.#once.pair = pair;
    this.scope = scopeOf(this.#spec, pair);
    this.heardAt = performance.now();
    this.setKeys(keysOf(pair));
  }

  override async read(count: number): Promise<StreamReply | null | undefined> {
    this.reader.relocate();
    const reply = await this.#readOrAsk(count);
    if (reply !== null && reply !== undefined) this.heardAt = performance.now();
    return reply;
  }

  override close(): void {
    this.#stopFollowing();
    super.close();
  }

  async #readOrAsk(count: number): Promise<StreamReply | null | undefined> {
    try {
      return await super.read(count);
    } catch (error) {
      if (!isSentAway(error as Error)) throw error;
    }
    this.#spec.commands.lookAgain();
    return (await this.#once.ask(count)) ?? (await sleep(shortestPause, null));
  }
}

const isSentAway = (error: Error): boolean => faultKind(error) === 'cluster' || error.message.startsWith('UNBLOCKED');

/** Over the connection for commands, without blocking. */
class Asking implements Feed {
  pair: StreamPair;
  readonly #spec: FeedSpec;
  readonly #pauseMs: () => number;
  readonly #onBusy: ((feed: Asking) => void) | undefined;
  #found = Number.NEGATIVE_INFINITY;
  #interrupted = false;
  #wake: (() => void) | undefined;

  constructor(spec: FeedSpec, pair: StreamPair, pauseMs: () => number, onBusy?: (feed: Asking) => void) {
    this.pair = pair;
    this.#spec = spec;
    this.#pauseMs = pauseMs;
    this.#onBusy = onBusy;
  }

  get scope(): string {
    return scopeOf(this.#spec, this.pair);
  }

  async read(count: number): Promise<StreamReply | null> {
    const end = performance.now() + blockMs;
    this.#interrupted = false;
    for (;;) {
      const reply = await this.ask(count);
      if (reply !== null) this.#find();
      if (reply !== null || this.#interrupted || performance.now() > end) return reply;
      await this.#pause();
    }
  }

  async ask(count: number): Promise<StreamReply | null> {
    const { commands, group, consumer } = this.#spec;
    const keys = keysOf(this.pair);
    const args = ['GROUP', group, consumer, 'COUNT', count, 'STREAMS', ...keys, ...keys.map(() => '>')];
    return (await commands.call('XREADGROUP', args)) as StreamReply | null;
  }

  interrupt(): void {
    this.#interrupted = true;
    this.#wake?.();
  }

  close(): void {
    this.interrupt();
  }

  #find(): void {
    const before = this.#found;
    this.#found = performance.now();
    if (this.#found - before < busyMs) this.#onBusy?.(this);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const idle = performance.now() - this.#found > idleMs;
      const timer = setTimeout(resolve, Math.max(this.#pauseMs(), idle ? idlePause : 0));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
