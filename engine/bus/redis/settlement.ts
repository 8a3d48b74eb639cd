/** Settle items as arguments of `settle.lua`, and its reply as results. */
import type { DroppedLetter, SettleItem, SettleResult } from '../bus.ts';
import { type Slot, slotOf } from './entry.ts';
import type { Keys, RouteKeys, StreamKeys } from './keys.ts';
import { deadRecord, letterId, letterOf, postponedRecord, retryRecord } from './records.ts';

export interface SettleContext {
  readonly keys: Keys;
  readonly group: string;
  readonly consumer: string;
  /** Most entries in the journal, 0: there is none. */
  readonly journalMax: number;
  readonly maxLetters: number;
  readonly onFull: 'pause' | 'dropOldest';
  /** Letters of the group in other streams. */
  readonly lettersElsewhere: number;
}

export interface SettleCall {
  readonly keys: readonly string[];
  readonly args: readonly (string | number)[];
  /** Puts results into `results` at the places of their items; returns the letters that had to make room. */
  decode(reply: readonly (number | string)[], results: SettleResult[]): readonly DroppedLetter[];
}

type Ack = Extract<SettleItem, { kind: 'ack' }>;
/** What goes to the retry set. */
type Retry = Extract<SettleItem, { kind: 'retry' | 'postpone' }>;
type Dead = Extract<SettleItem, { kind: 'dead' }>;

/** Acks of the same source and status: one XACK, unless some of them may be settled already. */
class AckPart {
  readonly head: readonly [source: number, status: string];
  readonly slots: Slot[] = [];
  readonly places: number[] = [];

  constructor(source: number, status: string) {
    this.head = [source, status];
  }
}

/**
 * After so long without a sign of life an entry may be in other hands, ms. One XACK for many does not say which of them
 * it did not find, so such entries are acked one by one.
 */
const freshMs = 1_000;

const sourceOf = (slot: Slot): number => (slot.source.due ? 2 : 1);
const acksOneByOne = (part: AckPart, now: number): boolean =>
  part.slots.some((slot) => slot.settled || now - slot.seenAt > freshMs);

/** The items of one stream. `places` are their places in the caller's list. */
export class Settlement {
  readonly #acks = new Map<string, AckPart>();
  readonly #counted: (readonly [Ack, number])[] = [];
  readonly #retries: (readonly [Retry, number])[] = [];
  readonly #deads: (readonly [Dead, number])[] = [];
  readonly stream: string;

  constructor(stream: string) {
    this.stream = stream;
  }

  get hasLetters(): boolean {
    return this.#deads.length > 0;
  }

  /** False: the entry is in it already, and its first item counts. */
  add(item: SettleItem, place: number): boolean {
    const slot = slotOf(item.entry);
    if (slot.settling === this) return false;
    slot.settling = this;
    this.#sort(item, place);
    return true;
  }

  #sort(item: SettleItem, place: number): void {
    switch (item.kind) {
      case 'ack':
        if (item.tallies !== undefined && item.tallies.length > 0) this.#counted.push([item, place]);
        else this.#addAck(item, place);
        return;
      case 'retry':
      case 'postpone':
        this.#retries.push([item, place]);
        return;
      case 'dead':
        this.#deads.push([item, place]);
        return;
    }
  }

  call(context: SettleContext, journal: string | undefined): SettleCall {
    const stream = context.keys.stream(this.stream);
    const keys = settleKeys(stream, context.keys.route(this.stream, context.group));
    const args: (string | number)[] = [
      context.group,
      context.consumer,
      context.journalMax === 0 ? '' : (journal ?? ''),
      context.journalMax,
      context.maxLetters,
      context.lettersElsewhere,
      context.onFull,
    ];
    const now = performance.now();
    const oneByOne = [...this.#acks.values()].map((part) => acksOneByOne(part, now));
    this.#pushAcks(args, oneByOne);
    this.#pushCounted(args, keys, context.keys);
    this.#pushRetries(args);
    this.#pushDeads(args);
    return {
      keys,
      args,
      decode: (reply, results) => this.#dropped(context.group, reply, this.#decode(reply, results, oneByOne)),
    };
  }

  #addAck(item: Ack, place: number): void {
    const slot = slotOf(item.entry);
    const name = slot.source.due ? `due ${item.status}` : item.status;
    let part = this.#acks.get(name);
    if (part === undefined) {
      part = new AckPart(sourceOf(slot), item.status);
      this.#acks.set(name, part);
    }
    part.slots.push(slot);
    part.places.push(place);
  }

  #pushAcks(args: (string | number)[], oneByOne: readonly boolean[]): void {
    args.push(this.#acks.size);
    let at = 0;
    for (const part of this.#acks.values()) {
      const ids = part.slots.map((slot) => slot.id).join(' ');
      args.push(part.head[0], part.head[1], oneByOne[at] ? 'each' : 'all', ids);
      at += 1;
    }
  }

  #pushCounted(args: (string | number)[], keys: string[], make: Keys): void {
    args.push(this.#counted.length);
    const known = new Map<string, number>();
    const indexOf = (key: string): number => {
      const found = known.get(key);
      if (found !== undefined) return found;
      keys.push(key);
      known.set(key, keys.length);
      return keys.length;
    };
    for (const [{ entry, status, tallies = [] }] of this.#counted) {
      const slot = slotOf(entry);
      args.push(sourceOf(slot), status, slot.id, tallies.length);
      for (const { name, bucket, key, by } of tallies) {
        args.push(indexOf(make.tally(this.stream, name, bucket)), `${name}|${bucket}`, bucket, key, by);
      }
    }
  }

  #pushRetries(args: (string | number)[]): void {
    args.push(this.#retries.length);
    for (const [item] of this.#retries) {
      const { entry, delayMs } = item;
      const slot = slotOf(entry);
      const record = item.kind === 'retry' ? retryRecord(entry, item.state) : postponedRecord(entry, entry.state);
      args.push(sourceOf(slot), slot.id, entry.origin, Math.max(0, Math.round(delayMs)), record);
    }
  }

  #pushDeads(args: (string | number)[]): void {
    args.push(this.#deads.length);
    for (const [{ entry, words }] of this.#deads) {
      const slot = slotOf(entry);
      args.push(sourceOf(slot), slot.id, entry.origin, deadRecord(entry, words));
    }
  }

  /** Returns how much of the reply is about the items. */
  #decode(reply: readonly (number | string)[], results: SettleResult[], oneByOne: readonly boolean[]): number {
    let at = 0;
    let part = 0;
    for (const acks of this.#acks.values()) {
      if (oneByOne[part]) for (const place of acks.places) results[place] = answer(reply[at++]);
      else spread(acks, Number(reply[at++] ?? 0), results);
      for (const slot of acks.slots) slot.settled = true;
      part += 1;
    }
    for (const [item, place] of [...this.#counted, ...this.#retries, ...this.#deads]) {
      results[place] = answer(reply[at++]);
      if (results[place] === 'done') slotOf(item.entry).settled = true;
    }
    return at;
  }

  #dropped(group: string, reply: readonly (number | string)[], from: number): readonly DroppedLetter[] {
    const letters: DroppedLetter[] = [];
    for (let at = from; at + 1 < reply.length; at += 2) {
      const place = { stream: this.stream, group, member: String(reply[at]) };
      const record = String(reply[at + 1]);
      letters.push(record === '' ? { id: letterId(place), group, eventId: undefined } : letterOf(place, record));
    }
    return letters;
  }
}

const answer = (code: number | string | undefined): SettleResult =>
  code === 1 ? 'done' : code === 2 ? 'full' : 'fenced';

/**
 * One number for many acks. When it is short, which it practically never is for entries this fresh, the ones that were
 * quiet for longest are taken to be those that somebody else has settled.
 */
function spread(part: AckPart, acked: number, results: SettleResult[]): void {
  for (const place of part.places) results[place] = 'done';
  if (acked >= part.places.length) return;
  const byAge = part.slots.map((slot, at) => ({ seenAt: slot.seenAt, place: part.places[at] as number }));
  byAge.sort((a, b) => a.seenAt - b.seenAt);
  for (const { place } of byAge.slice(0, part.places.length - acked)) results[place] = 'fenced';
}

const settleKeys = (stream: StreamKeys, route: RouteKeys): string[] => [
  stream.events,
  route.due,
  route.totals,
  stream.journal,
  route.retry,
  route.retryBody,
  route.dead,
  route.deadBody,
  stream.tallies,
];
