/**
 * The port behind which Redis or SQLite lives, in domain verbs. `test/contract` is the exam that every implementation
 * passes. Nothing outside `bus/redis` and `bus/sqlite` knows a key, a table, a script or a client.
 *
 * Words: a *group* is one route's consumer group. Its entries come from the streams that its patterns match and from
 * its own due stream, where retries come back to life. `origin` is the identity of a delivery inside its group and
 * stream: the id that its event got when it was published.
 */
import type { BreakerState } from '../core/breaker.ts';
import type { ClaimResult, Claims, EngineInfo, GroupInfo } from '../core/claims.ts';
import type { DeadLetter, DeadReason, DeliveryState, LastWords } from '../core/delivery.ts';
import type { StreamRule } from '../core/match.ts';
import type { PurgeNote, PurgeRecord } from '../core/purge.ts';
import type { PermitRequest, Permits } from '../core/rate-limit.ts';
import type { Timers } from '../core/timers.ts';
import type { StoredEvent } from '../event.ts';
import type { GroupOrder } from './order.ts';

export type { GroupOrder, Resting, Turn } from './order.ts';

// ── publish ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Publication {
  readonly type: string;
  readonly event: StoredEvent;
  /**
   * Publishing the same key again inside the window makes no second event: `(source, id)` or the Idempotency-Key,
   * any string up to 400 characters.
   */
  readonly dedupeKey: string;
  /** Hash of what must be equal for a repeat to be the same publication. Another one under the same key is a conflict. */
  readonly fingerprint: string;
  /** Event id, given back on a duplicate so that a publisher learns the first one's id. */
  readonly eventId: string;
}

export type PublishResult =
  | { readonly kind: 'accepted'; readonly stream: string; readonly entryId: string }
  | { readonly kind: 'duplicate'; readonly stream: string; readonly entryId: string; readonly eventId: string }
  | { readonly kind: 'conflict'; readonly eventId: string };

// ── consume ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface GroupSpec {
  /** `<pipeline>.<route>`. */
  readonly group: string;
  readonly patterns: readonly string[];
  /**
   * Where a group starts that the bus has never seen: after what its streams hold now, or at their beginning.
   * A stream that appears later is joined from its beginning either way. A group that was lost is made again where it
   * was first activated, never at the end.
   */
  readonly startFrom: 'new' | 'beginning';
  /** Ends of the DLQ's life: see DeadLetterPolicy. */
  readonly deadLetter: {
    readonly retention: number;
    readonly maxEntries: number;
    readonly onFull: 'pause' | 'dropOldest';
  };
}

/** One delivery as handed out. The same object goes back in `settle`; only the bus looks into `slot`. */
export interface Entry {
  readonly stream: string;
  /** Unique within the group as long as the entry is pending. */
  readonly id: string;
  readonly origin: string;
  readonly body: string;
  /** `EventMeta` in JSON. */
  readonly meta: string | undefined;
  /** Undefined on a first attempt. */
  readonly state: DeliveryState | undefined;
  /** ms since the epoch, the bus's clock. */
  readonly publishedAt: number;
  /**
   * How often it has been handed out, this time included. More than 1: an earlier run ended without a settlement. From
   * `firstSuspectStart` on this time is not counted yet: see `countStart`.
   */
  readonly starts: number;
  /** The implementation's own. */
  readonly slot: unknown;
}

/** Added to a counter of the bus in the same step as the ack, by whoever acks first: exact under redelivery. */
export interface Tally {
  /** `[a-z0-9_]{1,64}`. */
  readonly name: string;
  /** Start of the time bucket, ms since the epoch. */
  readonly bucket: number;
  /** Dimensions, already joined; any string up to 400 characters. */
  readonly key: string;
  readonly by: number;
}

export type SettleItem =
  | {
      readonly kind: 'ack';
      readonly entry: Entry;
      readonly status: 'delivered' | 'skipped' | 'unmatched';
      readonly tallies?: readonly Tally[];
    }
  | { readonly kind: 'retry'; readonly entry: Entry; readonly delayMs: number; readonly state: DeliveryState }
  /**
   * It may not run yet, for a reason that is not its own (a rate limit, the breaker of its key, its turn in a row): it goes
   * to the retry set for `delayMs` and comes back exactly as it is, with the state of `entry`, or as a first attempt when it
   * has none; and with one start, since none has ended badly. Spends no attempt and counts as no retry. Owned like a retry.
   */
  | { readonly kind: 'postpone'; readonly entry: Entry; readonly delayMs: number }
  | { readonly kind: 'dead'; readonly entry: Entry; readonly words: LastWords };

/**
 * `done`; `fenced`: the entry is not ours any more, and nothing was changed (an ack of an entry that somebody else holds
 * still counts as done, since delivered is delivered; `fenced` for an ack says that it was settled before);
 * `full`: a dead letter did not fit and the policy is `pause`: the entry is still pending and ours.
 */
export type SettleResult = 'done' | 'fenced' | 'full';

export interface Reclaimed {
  readonly entries: readonly Entry[];
  /** Ids that were pending but whose entry no longer exists: proof of loss, to be counted and alerted. */
  readonly lost: readonly string[];
}

export interface GroupStats {
  /** Published, not yet handed out. `known` false: the number is a lower bound. */
  readonly lag: readonly { readonly stream: string; readonly entries: number; readonly known: boolean }[];
  /** Handed out, not settled (over all engines). */
  readonly pending: number;
  /** Age of the oldest pending entry's last sign of life, ms; 0 when there is none. */
  readonly pendingOldestMs: number;
  /** In the retry set, the postponed included. */
  readonly retrying: number;
  /** Of those: postponed, and not back in play yet. */
  readonly postponed: number;
  /** How late the most overdue retry is, ms; 0 when none is. */
  readonly retryOverdueMs: number;
  /** Retries and redrives back in play that nobody has read yet. */
  readonly due: number;
  readonly dead: number;
  /** ms since the epoch of the oldest letter, or undefined. */
  readonly deadOldestAt: number | undefined;
  /** Since the group was activated; survive restarts, move in the same step as the settlement. */
  readonly totals: GroupTotals;
}

export interface GroupTotals {
  /** Entries that reached the group: published to its streams since it was activated. */
  readonly accepted: number;
  readonly delivered: number;
  readonly skipped: number;
  /** In one of its streams but of a type that the route does not want, or one that its `when` is false for. */
  readonly unmatched: number;
  /** Dead-lettered; a letter that was redriven or discarded is taken off again by `redriven` and `discarded`. */
  readonly dead: number;
  readonly redriven: number;
  /** Purged by a named person. */
  readonly discarded: number;
  /** Dropped from a full or expired DLQ by its policy. */
  readonly dropped: number;
  readonly retries: number;
}

/** One route's door to the bus. Calls may overlap, except `read` with `read`. */
export interface Group {
  readonly name: string;
  /** The same under every name that the group has had: what must survive a renaming goes by this. */
  readonly storage: string;
  /**
   * The next entries, at most `limit`; waits up to about 2 s for the first. After `signal` aborts it resolves at once;
   * entries that had been read by then are returned all the same, and must be run or released.
   */
  read(limit: number, signal: AbortSignal): Promise<readonly Entry[]>;
  /**
   * Atomic per stream; results in the order of `items`. Proves ownership before a retry, a postponement or a dead letter. `journal` is
   * one line, stored capped in the same step (see core/journal.ts), or undefined.
   */
  settle(items: readonly SettleItem[], journal: string | undefined): Promise<readonly SettleResult[]>;
  /** Heartbeat: renews the lease of what is still ours; returns what is not. */
  extend(entries: readonly Entry[]): Promise<readonly Entry[]>;
  /** Hands entries back so that a peer can take them at once; does not count as an attempt or a start. */
  release(entries: readonly Entry[]): Promise<void>;
  /** Moves what is due from the retry set to the due stream, atomically, at most `limit`. Returns how many. */
  promote(limit: number): Promise<number>;
  /**
   * Takes over entries, of any consumer including this one, whose lease (`minIdleMs`) has run out and which `owned`
   * does not know (by `Entry.id`). Goes on where the last call stopped. Those from start
   * `firstSuspectStart` on are not counted yet: call `countStart` just before running them.
   */
  reclaim(minIdleMs: number, limit: number, owned: (id: string) => boolean): Promise<Reclaimed>;
  /**
   * Makes `entry.starts` count; resolves to the number of starts, or undefined when it is not ours any more. Calling it
   * again, as after a lost answer, counts nothing more.
   */
  countStart(entry: Entry): Promise<number | undefined>;
  stats(): Promise<GroupStats>;
  /** For routes with ordering. */
  readonly order: GroupOrder;
  /** Ends this process's part in the group: entries still pending here are handed back. The group stays. */
  close(): Promise<void>;
}

// ── breakers ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** A breaker's shared state. `version` grows with every change; 0: nothing stored yet. */
export interface StoredBreaker {
  readonly key: string;
  readonly version: number;
  readonly state: BreakerState;
}

export interface BreakerStore {
  /** Every breaker that was ever changed. */
  list(): Promise<readonly StoredBreaker[]>;
  /** Compare and set. Returns what is stored afterwards: ours, with `version` (more than `expected`), exactly when `won`. */
  swap(
    key: string,
    expected: number,
    state: BreakerState,
    version?: number,
  ): Promise<{ readonly won: boolean; readonly stored: StoredBreaker }>;
  /** Removes it, unless it was changed since `expected`. From then on it is as if it had never been. */
  forget(key: string, expected: number): Promise<void>;
}

// ── rate limits ──────────────────────────────────────────────────────────────────────────────────────────────────

export interface LimitStore {
  /**
   * Permits of the limit called `key` (any string up to 400 characters), which all engines share: `take` of
   * core/rate-limit.ts, in one step, by the bus's clock. What is kept of a key ends by itself. An answer that is lost
   * costs the permits that it brought, never more.
   */
  take(key: string, request: PermitRequest): Promise<Permits>;
}

// ── dead letters, journal, state of the whole ────────────────────────────────────────────────────────────────────

export interface DeadLetterFilter {
  readonly group?: string;
  readonly reason?: DeadReason;
  readonly eventId?: string;
  readonly eventType?: string;
  /** Newest first. */
  readonly limit: number;
}

export interface DeadLetterStore {
  list(filter: DeadLetterFilter): Promise<readonly DeadLetter[]>;
  get(id: string): Promise<DeadLetter | undefined>;
  /** Back to the route's due stream with attempt 1; returns the ids that were there. Atomic per letter. */
  redrive(ids: readonly string[]): Promise<readonly string[]>;
  /** Removes for good; returns the ids that were there. */
  discard(ids: readonly string[]): Promise<readonly string[]>;
}

export interface JournalLine {
  /** ms since the epoch, the bus's clock. */
  readonly at: number;
  readonly group: string;
  readonly line: string;
}

export type { GroupInfo };

export interface Durability {
  readonly mode: 'fsync' | 'replicated' | 'none';
  /** `guaranteed`: what the mode says was verified against the store. */
  readonly level: 'guaranteed' | 'best_effort';
  /** Why, when it is best effort; one sentence that says what to set. */
  readonly reason: string | undefined;
}

/** Room in the store, bytes. */
export interface Fill {
  readonly used: number;
  readonly limit: number;
}

export interface StoreServer {
  readonly name: 'Redis' | 'Valkey';
  readonly version: string;
  /** `master` or `slave`, as the server says it. */
  readonly role: string;
  readonly appendOnly: boolean;
  /** The last snapshot, and the last rewrite of the append-only file, went wrong. */
  readonly snapshotFailed: boolean;
  readonly rewriteFailed: boolean;
}

export interface StoreExamination {
  /** Every master. */
  readonly servers: readonly StoreServer[];
  /** What this user would have to be allowed, as the server writes it. */
  readonly missingRights: readonly string[];
}

/** A clock and an event loop that somebody else may move. `clock`: ms since the epoch. */
export interface BusTime extends Omit<Timers, 'wait'> {
  readonly clock: () => number;
}

export interface BusOptions {
  readonly streams?: readonly StreamRule[];
  /** Key prefix in Redis [ef]; ignored by SQLite. */
  readonly prefix?: string;
  readonly dedupeWindowMs?: number;
  /** Unrouted events are kept this long; settled ones go with the next trim. */
  readonly retentionMs?: number;
  readonly journal?: { readonly keep: 'all' | 'off'; readonly retentionMs: number; readonly maxEntries: number };
  readonly durability?: { readonly mode: 'fsync' | 'replicated' | 'none'; readonly replicas?: number };
  /** Name of this engine [host-pid-random]; consumers carry it. */
  readonly consumer?: string;
  /** The time that the embedded bus goes by [the process's own]. Redis goes by its own. */
  readonly time?: BusTime;
  /** Called for what goes wrong in the background: lost connection, lost group. */
  readonly onFault?: (fault: BusFault) => void;
  /** Called for letters that this process dropped from a full DLQ whose policy is `dropOldest`. */
  readonly onDropped?: (letters: readonly DroppedLetter[]) => void;
}

export type DroppedLetter = Pick<DeadLetter, 'id' | 'group' | 'eventId'>;

export interface BusFault {
  /**
   * Low cardinality: `connection`, `timeout`, `clock`, `loading`, `readonly`, `oom`, `misconf`, `noreplicas`, `noperm`, `cluster`,
   * `disk`, `nogroup`, `store_reset` (streams or groups were gone and were made again), `other`.
   */
  readonly kind: string;
  readonly message: string;
  /** It is over: what `message` said is told no more. Undefined while it lasts. */
  readonly over?: { readonly seconds: number; readonly times: number };
}

export interface Bus {
  /** The URL without credentials, for people. */
  readonly label: string;
  /** The bus's clock, ms since the epoch: local clock plus the last measured difference. Synchronous. */
  now(): number;
  /** Resolves after the durability barrier, results in order. Rejects with `EF5xxx` when it cannot be known to be stored. */
  publish(items: readonly Publication[]): Promise<readonly PublishResult[]>;
  /** The group rests where the last `claim` found it to; one that was not claimed, under its name. */
  openGroup(spec: GroupSpec): Promise<Group>;
  /**
   * Says which routes this engine has, under which names, and that it lives: to be called before the groups of a generation
   * are opened, and then again every few seconds, well within `engineLifeMs`. Groups that are known under another name get
   * the new one (see core/claims.ts); nothing is moved.
   */
  claim(claims: Claims): Promise<ClaimResult>;
  /** Engines that gave a sign of life lately, this one included. */
  engines(): Promise<readonly EngineInfo[]>;
  /** Notes since when a group's route is removed, or with undefined that it is not. Opening the group does the latter too. */
  markRemoved(group: string, at: number | undefined): Promise<void>;
  /**
   * A group that no route opens any more, to be cleared: `read` gives only what is due again, never what is waiting in
   * the streams. Undefined: no such group.
   */
  openRemoved(group: string): Promise<Group | undefined>;
  /**
   * Removes a group with everything that rests in it, for good, and notes who did it. Undefined: no such group. Rejects
   * with `EF6030` while a live engine has its route, or when one opened it meanwhile. May be repeated after a fault.
   */
  purge(group: string, note: PurgeNote): Promise<PurgeRecord | undefined>;
  /** Everything that was ever purged, the newest first. */
  purges(): Promise<readonly PurgeRecord[]>;
  /** Every group the bus knows, also those that no route uses any more. */
  groups(): Promise<readonly GroupInfo[]>;
  /** The same numbers as `Group.stats`, also for a group that is not open. Undefined: no such group. */
  groupStats(group: string): Promise<GroupStats | undefined>;
  /** Known streams with the number of entries that rest in them. */
  streams(): Promise<readonly { readonly name: string; readonly entries: number }[]>;
  /** Removes what every group has settled. Returns the number of entries removed. Never touches what one group needs. */
  trim(): Promise<number>;
  readonly breakers: BreakerStore;
  readonly limits: LimitStore;
  readonly deadLetters: DeadLetterStore;
  /** Newest first. */
  journal(): AsyncIterable<JournalLine>;
  /** Sums per bucket and key, `from` ≤ bucket < `to`. */
  tallies(name: string, from: number, to: number): Promise<readonly Tally[]>;
  /** Names of all tallies. */
  tallyNames(): Promise<readonly string[]>;
  durability(): Promise<Durability>;
  /**
   * Settings of the store under which it may drop what it was given: one sentence each, that says what to set. Absent
   * where there are no such settings.
   */
  hazards?(): Promise<readonly string[]>;
  /** How full the fullest part of the store is; undefined without a limit. Absent where the store knows no limit. */
  fill?(): Promise<Fill | undefined>;
  /** For people who look for what is wrong. Absent where there is no server to look at. */
  examine?(): Promise<StoreExamination>;
  /**
   * Tells other processes where this engine's admin listener is, when they cannot use the store themselves: an embedded
   * bus has one owner, and everybody else talks to it over HTTP. Absent where the store is open to all.
   */
  announce?(adminUrl: string): Promise<void>;
  /** Resolves when the store answers; rejects otherwise. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
