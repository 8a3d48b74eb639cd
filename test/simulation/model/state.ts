/** What the model of the bus knows, as plain data, so that it can be copied. */
import type { Entry, GroupSpec, GroupTotals, SettleResult, StoredBreaker } from '../../../engine/bus/bus.ts';
import type { DeadLetter, DeliveryState, LastWords } from '../../../engine/core/delivery.ts';
import type { PermitState } from '../../../engine/core/rate-limit.ts';
import type { Called, Life } from './claims.ts';

export interface ModelEntry {
  readonly stream: string;
  /** Made of the time, like the ids of Redis: never given twice, also when the last ones were lost. */
  readonly n: number;
  /** Identity of its deliveries, in each group. */
  readonly origin: string;
  readonly type: string;
  readonly body: string;
  readonly meta: string | undefined;
  readonly at: number;
}

export interface ModelStream {
  readonly name: string;
  /** Entries ever added, and those of them that were trimmed away. */
  added: number;
  removed: number;
  last: number;
  /** From the oldest that was not trimmed. */
  entries: ModelEntry[];
}

/** A group's place in a stream, counted in entries ever added. */
interface Cursor {
  readonly start: number;
  next: number;
}

export interface Later {
  readonly entry: ModelEntry;
  readonly id: number;
  readonly state: DeliveryState;
  readonly due: number;
  readonly postponed?: true;
}

export interface Lease {
  readonly id: string;
  readonly entry: ModelEntry;
  readonly later: Later | undefined;
  holder: string | undefined;
  at: number;
  /** Those that count. */
  starts: number;
}

interface Letter {
  readonly id: string;
  readonly entry: ModelEntry;
  readonly at: number;
  readonly words: LastWords;
}

export interface ModelGroup {
  readonly name: string;
  patterns: readonly string[];
  policy: GroupSpec['deadLetter'];
  readonly cursors: Map<string, Cursor>;
  /** By entry id. */
  readonly pending: Map<string, Lease>;
  /** By origin. */
  readonly retrying: Map<string, Later>;
  due: Later[];
  readonly dead: Map<string, Letter>;
  /** Whose turn it is, where the route has ordering. */
  readonly turn: { holder: string | undefined; ends: number; term: number };
  readonly totals: { -readonly [name in Exclude<keyof GroupTotals, 'accepted'>]: number };
}

interface Key {
  readonly fingerprint: string;
  readonly eventId: string;
  readonly stream: string;
  readonly n: number;
}

export interface State {
  lastId: number;
  readonly streams: Map<string, ModelStream>;
  readonly groups: Map<string, ModelGroup>;
  readonly keys: Map<string, Key>;
  readonly breakers: Map<string, StoredBreaker>;
  readonly permits: Map<string, PermitState>;
  /** By storage: groups that have had another name, or whose route is gone. */
  readonly called: Map<string, Called>;
  readonly engines: Map<string, Life>;
  /** Acked but not parked yet; always empty without the bug of that name. */
  readonly between: Map<string, { readonly group: string; readonly later: Later }>;
}

/** What the model keeps in `Entry.slot`: whether a start was counted for this hand-out. */
export interface Slot {
  counted: boolean;
}

export interface Settled {
  readonly results: readonly SettleResult[];
  /** Origins of letters that were dropped to make room. */
  readonly dropped: readonly string[];
}

export interface Swept {
  readonly entries: readonly Entry[];
  readonly lost: readonly string[];
  /** Who held each entry before; undefined: it had been handed back. */
  readonly from: readonly (string | undefined)[];
}

export const originOf = (stream: string, n: number | string): string => `${stream}/${n}`;

export const laterId = ({ entry, id }: Later): string => `${entry.stream}/due/${id}`;

export const newState = (): State => ({
  lastId: 0,
  streams: new Map(),
  groups: new Map(),
  keys: new Map(),
  breakers: new Map(),
  permits: new Map(),
  called: new Map(),
  engines: new Map(),
  between: new Map(),
});

export const newGroup = (spec: GroupSpec): ModelGroup => ({
  name: spec.group,
  patterns: spec.patterns,
  policy: spec.deadLetter,
  cursors: new Map(),
  pending: new Map(),
  retrying: new Map(),
  due: [],
  dead: new Map(),
  turn: { holder: undefined, ends: 0, term: 0 },
  totals: { delivered: 0, skipped: 0, unmatched: 0, dead: 0, redriven: 0, discarded: 0, dropped: 0, retries: 0 },
});

export const letterOf = (group: string, { id, entry, at, words }: Letter): DeadLetter => ({
  ...words,
  id,
  group,
  stream: entry.stream,
  body: entry.body,
  meta: entry.meta,
  publishedAt: entry.at,
  deadAt: at,
});
