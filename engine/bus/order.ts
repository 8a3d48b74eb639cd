/**
 * The part of the port that routes with `ordering` use, and no others: one consumer at a time reads the group, the one
 * that holds its *turn*, a lease with an end and a number that grows. Nothing here is asked for a route without ordering.
 */
import type { DeliveryState } from '../core/delivery.ts';
import type { Entry, Reclaimed } from './bus.ts';

export interface Turn {
  readonly held: boolean;
  /** Grows whenever the turn goes to another consumer, and when a former one gets it back from one. */
  readonly term: number;
}

/** A delivery that rests in the bus outside of its stream and in nobody's hands, or was just handed out from there. */
export interface Resting extends Pick<Entry, 'stream' | 'origin' | 'publishedAt' | 'body' | 'meta'> {
  readonly state: DeliveryState | undefined;
  /** It comes back by itself then, ms since the epoch; undefined: it was postponed, and has no time of its own. */
  readonly dueAt: number | undefined;
}

export interface GroupOrder {
  /**
   * Takes the turn when it is free, or renews it, for `ttlMs`. A consumer whose turn has run out, and nobody took it,
   * gets it back with the same term.
   */
  hold(ttlMs: number): Promise<Turn>;
  /** Somebody else may have the turn at once. Does nothing when it is not ours. */
  giveBack(): Promise<void>;
  /** The answer to a read may have been lost, since `missed` was asked last: what it held is ours, and nobody knows. */
  readonly mayHaveMissed: boolean;
  /** Everything that is pending here without `owned` knowing (by `Entry.id`), in its order. Not beside a read. */
  missed(owned: (id: string) => boolean): Promise<Reclaimed>;
  /** Whether anything is pending in other hands than ours, or was handed back and taken by nobody yet. */
  elsewhere(): Promise<boolean>;
  /**
   * All that rests in the retry set and in the due stream, a page at a time, in no order. What is there all the while is
   * told at least once; what moves meanwhile may be told or not, but a move from the one to the other loses nothing.
   */
  resting(): AsyncIterable<readonly Resting[]>;
  /** Brings what was postponed back into play at once. What waits for its retry, or is not there, is passed over. */
  recall(deliveries: readonly Pick<Entry, 'stream' | 'origin'>[]): Promise<void>;
}
