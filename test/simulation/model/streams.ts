/** The model's streams: publishing with dedupe, what a group has not read yet, trimming. */
import type { Publication, PublishResult } from '../../../engine/bus/bus.ts';
import { readsStream, type StreamRule, streamOf } from '../../../engine/core/match.ts';
import type { Bug } from './bugs.ts';
import { type ModelEntry, type ModelGroup, type ModelStream, originOf, type State } from './state.ts';

export class Streams {
  readonly rules: readonly StreamRule[];
  readonly streamOf: (type: string) => string;
  readonly #state: State;
  readonly #bug: Bug | undefined;

  constructor(rules: readonly StreamRule[], bug: Bug | undefined, state: State) {
    this.rules = rules;
    this.streamOf = streamOf(rules);
    this.#state = state;
    this.#bug = bug;
  }

  newId(now: number): number {
    this.#state.lastId = Math.max(this.#state.lastId + 1, now * 1_000);
    return this.#state.lastId;
  }

  publish(item: Publication, now: number): PublishResult {
    const stream = this.open(this.streamOf(item.type));
    const key = this.#keyOf(item);
    const known = this.#bug === 'forgets the dedupe key' ? undefined : this.#state.keys.get(key);
    if (known !== undefined) {
      if (known.fingerprint !== item.fingerprint) return { kind: 'conflict', eventId: known.eventId };
      return { kind: 'duplicate', stream: known.stream, entryId: String(known.n), eventId: known.eventId };
    }
    const n = this.newId(now);
    const meta = item.event.meta === undefined ? undefined : JSON.stringify(item.event.meta);
    const origin = originOf(stream.name, n);
    stream.entries.push({ stream: stream.name, n, origin, type: item.type, body: item.event.body, meta, at: now });
    stream.added += 1;
    stream.last = n;
    if (this.#bug === 'MAXLEN on the stream') cut(stream, stream.entries.length - 12);
    const { fingerprint, eventId } = item;
    this.#state.keys.set(key, { fingerprint, eventId, stream: stream.name, n });
    return { kind: 'accepted', stream: stream.name, entryId: String(n) };
  }

  #keyOf({ type, dedupeKey }: Publication): string {
    return `${this.streamOf(type)} ${dedupeKey}`;
  }

  /** Whether something was published under the same key. */
  knows(item: Publication): boolean {
    return this.#state.keys.has(this.#keyOf(item));
  }

  /** A stream that appears is joined by every group that wants it, from its beginning. */
  open(name: string): ModelStream {
    const known = this.#state.streams.get(name);
    if (known !== undefined) return known;
    const stream: ModelStream = { name, added: 0, removed: 0, last: 0, entries: [] };
    this.#state.streams.set(name, stream);
    for (const group of this.#state.groups.values()) {
      if (readsStream(group.patterns, this.rules, name)) group.cursors.set(name, { start: 0, next: 0 });
    }
    return stream;
  }

  *sizes(): Iterable<{ readonly name: string; readonly entries: number }> {
    for (const { name, entries } of this.#state.streams.values()) yield { name, entries: entries.length };
  }

  /** Where an entry rests in its stream, counted in entries ever added; -1: it does not. */
  placeOf(name: string, n: number): number {
    const stream = this.#state.streams.get(name);
    if (stream === undefined) return -1;
    let [low, high] = [0, stream.entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((stream.entries[middle]?.n ?? 0) < n) low = middle + 1;
      else high = middle;
    }
    return stream.entries[low]?.n === n ? stream.removed + low : -1;
  }

  /** True for an entry newer than anything that was ever published here. */
  isBehind(name: string, n: number): boolean {
    return (this.#state.streams.get(name)?.last ?? 0) < n;
  }

  unread(group: ModelGroup, name: string): readonly ModelEntry[] {
    const stream = this.#state.streams.get(name);
    const next = group.cursors.get(name)?.next;
    if (stream === undefined || next === undefined || next >= stream.added) return [];
    return stream.entries.slice(Math.max(0, next - stream.removed));
  }

  unreadCount(group: ModelGroup, name: string): number {
    const { added = 0, removed = 0 } = this.#state.streams.get(name) ?? {};
    return added - Math.max(removed, group.cursors.get(name)?.next ?? added);
  }

  /** Passes over what is no longer there: only a bus with a fault has such. */
  skipHoles(group: ModelGroup): void {
    for (const [name, cursor] of group.cursors) {
      cursor.next = Math.max(cursor.next, this.#state.streams.get(name)?.removed ?? 0);
    }
  }

  /** Removes what every group has settled; a stream without groups is left alone. */
  trim(): number {
    let removed = 0;
    for (const stream of this.#state.streams.values()) {
      const count = Math.max(0, this.#neededFrom(stream) - stream.removed);
      cut(stream, count);
      removed += count;
    }
    return removed;
  }

  #neededFrom(stream: ModelStream): number {
    const readers = [...this.#state.groups.values()].filter((group) => group.cursors.has(stream.name));
    if (readers.length === 0) return stream.removed;
    let needed = stream.added;
    for (const group of readers) {
      needed = Math.min(needed, group.cursors.get(stream.name)?.next ?? 0);
      if (this.#bug === 'trims what is pending') continue;
      for (const { entry, later } of group.pending.values()) {
        if (later !== undefined || entry.stream !== stream.name) continue;
        const place = this.placeOf(stream.name, entry.n);
        if (place >= 0) needed = Math.min(needed, place);
      }
    }
    return needed;
  }
}

function cut(stream: ModelStream, count: number): void {
  if (count <= 0) return;
  stream.entries.splice(0, count);
  stream.removed += count;
}
