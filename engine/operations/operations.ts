/** What people do with a running system, whichever side of an admin listener they sit on. Plain JSON values throughout. */
import type { DeadLetterFilter, GroupStats } from '../bus/bus.ts';
import type { BreakerState } from '../core/breaker.ts';
import type { DeadLetter, DeadReason } from '../core/delivery.ts';
import type { FieldChange } from '../core/diff.ts';
import type { Fault } from '../core/outcome.ts';
import type { PurgeNote, PurgeRecord } from '../core/purge.ts';

export type { DeadLetterFilter } from '../bus/bus.ts';

export type RedriveRequest = {
  /** Counts only; nothing is sent again. */
  readonly dryRun: boolean;
} & (
  | { readonly ids: readonly string[] }
  | {
      /** All of these, oldest first; `limit` bounds how many. */
      readonly filter: DeadLetterFilter;
    }
);

export interface RedriveReport {
  readonly dryRun: boolean;
  /** Letters that were found. */
  readonly matched: number;
  /** The same by group. */
  readonly byGroup: Readonly<Record<string, number>>;
  /** Ids that went back to their routes; empty in a dry run. */
  readonly redriven: readonly string[];
  /** Ids that were asked for and are no dead letters (any more). */
  readonly missing: readonly string[];
}

/** `waiting`: nothing has been settled yet. `unknown`: the route wants the type, and the journal says nothing. */
export type DeliveryStatus = 'delivered' | 'skipped' | 'retrying' | 'dead' | 'waiting' | 'unknown';

export interface TimelineAttempt {
  readonly attempt: number;
  /** Start, ms since the epoch. */
  readonly at: number;
  readonly ms: number;
  readonly outcome: 'delivered' | 'skipped' | 'failed';
  readonly fault: Fault | undefined;
  /** The head of the hash of the route that ran it; absent where the journal does not reach. */
  readonly config?: string;
}

export interface TimelineDelivery {
  readonly group: string;
  readonly status: DeliveryStatus;
  /** In the order in which they began. */
  readonly attempts: readonly TimelineAttempt[];
  /** Of the newest failed attempt. */
  readonly lastFault: Fault | undefined;
  /** When the next attempt is due, ms since the epoch. */
  readonly nextAt: number | undefined;
  readonly deadReason: DeadReason | undefined;
  readonly deadLetterId: string | undefined;
  /** Of the newest thing known, ms since the epoch. */
  readonly updatedAt: number | undefined;
}

export interface Timeline {
  readonly eventId: string;
  readonly eventType: string | undefined;
  readonly publishedAt: number | undefined;
  /** By group, sorted. Empty: the journal and the dead letters know nothing of this event. */
  readonly deliveries: readonly TimelineDelivery[];
}

export interface Circuit {
  readonly key: string;
  readonly state: BreakerState['kind'];
  readonly why: string | undefined;
  /** When it opened, ms since the epoch; undefined unless open. */
  readonly since: number | undefined;
  /** ms since the epoch; undefined unless open. */
  readonly nextProbeAt: number | undefined;
  /** Counted in the closed state. */
  readonly failures: number;
}

export interface RouteStatus {
  readonly group: string;
  /** Where its state rests: the same for all of its names. */
  readonly storage: string;
  /** What it was called before, the latest first. */
  readonly former: readonly string[];
  /** Live engines that have the route; none: it is detached. */
  readonly engines: readonly string[];
  /** Where it is: what waits for it waits on. */
  readonly disabled: boolean;
  /** Since when its route is known to be removed, ms since the epoch. */
  readonly removedAt: number | undefined;
  readonly patterns: readonly string[];
  readonly streams: readonly string[];
  readonly activatedAt: number;
  readonly stats: GroupStats;
}

/**
 * The conservation law of one group: accepted = delivered + skipped + unmatched + waiting + pending + retrying + due +
 * dead + discarded + dropped + residue.
 */
export interface GroupBalance {
  readonly group: string;
  readonly accepted: number;
  readonly delivered: number;
  readonly skipped: number;
  readonly unmatched: number;
  readonly waiting: number;
  readonly pending: number;
  readonly retrying: number;
  readonly due: number;
  /** At rest now. */
  readonly dead: number;
  readonly discarded: number;
  readonly dropped: number;
  /** What is missing (above 0) or too much (below). 0 at rest. */
  readonly residue: number;
  /** False: a lag is a lower bound, so the residue is no proof. */
  readonly exact: boolean;
}

export interface Verification {
  readonly groups: readonly GroupBalance[];
  /** Sums of all groups. */
  readonly total: Omit<GroupBalance, 'group'>;
  /** Groups that are in the sums no more, because a person threw them away; the newest first. */
  readonly purges: readonly PurgeRecord[];
}

export interface PurgeRequest extends PurgeNote {
  readonly group: string;
}

/** Rejects with `EF5xxx` when the bus, and with `EF6021` when the engine cannot be reached. */
export interface Operations {
  deadLetters(filter: DeadLetterFilter): Promise<readonly DeadLetter[]>;
  deadLetter(id: string): Promise<DeadLetter | undefined>;
  redrive(request: RedriveRequest): Promise<RedriveReport>;
  timeline(eventId: string): Promise<Timeline>;
  circuits(): Promise<readonly Circuit[]>;
  routes(): Promise<readonly RouteStatus[]>;
  verify(): Promise<Verification>;
  /** Undefined: no such group. Rejects with `EF6030` while an engine has its route. */
  purge(request: PurgeRequest): Promise<PurgeRecord | undefined>;
}

/** What asked for it. `files`: the watcher saw a change. `last-good`: a start on broken files. */
export type ReloadReason = 'start' | 'files' | 'signal' | 'request' | 'rollback' | 'last-good';

/** What is different about one route, field by field. */
export interface RouteFields {
  readonly route: string;
  readonly fields: readonly FieldChange[];
}

export interface ReloadReport {
  readonly result: 'changed' | 'unchanged' | 'rejected';
  /** Number of the generation that runs afterwards. */
  readonly generation: number;
  readonly hash: string;
  /** Printed diagnostics, when rejected. */
  readonly problems: readonly string[];
  readonly changes: {
    readonly started: readonly string[];
    readonly changed: readonly string[];
    readonly renamed: readonly { readonly from: string; readonly to: string }[];
    readonly stopped: readonly string[];
  };
  /** Of the changed and the renamed routes. */
  readonly fields?: readonly RouteFields[];
  /** Why something else runs than the files say; undefined while it does not. */
  readonly pinned?: string | undefined;
}

/** One that ran, and is kept so that it can run again. */
export interface GenerationInfo {
  readonly number: number;
  readonly hash: string;
  /** Since when it ran, ms since the epoch. */
  readonly at: number;
  readonly why: ReloadReason;
  /** Against the one before it. */
  readonly changes: ReloadReport['changes'];
  readonly fields: readonly RouteFields[];
  readonly running: boolean;
}

/** What an engine keeps, newest first, and what it runs. */
export interface GenerationList {
  readonly status: ConfigStatus;
  readonly generations: readonly GenerationInfo[];
}

/** How an engine stands to its files. */
export interface ConfigStatus {
  readonly generation: number;
  readonly hash: string;
  readonly pinned: string | undefined;
  /** The last load of the files; a rollback is none. */
  readonly last: {
    readonly result: ReloadReport['result'];
    readonly why: ReloadReason;
    readonly at: number;
    /** Printed diagnostics; gone with the next good load. */
    readonly problems: readonly string[];
  };
}
