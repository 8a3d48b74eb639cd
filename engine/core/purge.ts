/** What a person threw away with a group whose route was gone. It is kept for good, so that the books still add up. */

export interface PurgeNote {
  /** Who did it, and why. */
  readonly by: string;
  readonly reason: string;
}

/** `accepted` = `settled` + the rest, which is what was thrown away, when nothing was missing. */
export interface PurgeRecord extends PurgeNote {
  readonly group: string;
  /** ms since the epoch, the bus's clock. */
  readonly at: number;
  readonly accepted: number;
  /** Delivered, skipped, unmatched, and dead letters that were discarded or dropped. */
  readonly settled: number;
  readonly waiting: number;
  readonly pending: number;
  readonly retrying: number;
  readonly due: number;
  readonly dead: number;
}
