/** One event for one group, as the ledger has it. */
import type { SettleItem } from '../../engine/bus/bus.ts';

export interface Recorded {
  readonly origin: string;
  readonly stream: string;
  readonly n: number;
  readonly eventId: string;
  readonly type: string;
  /** Its publisher has an answer that it is stored. */
  confirmed: boolean;
}

/** One event for one group. */
export interface Pair {
  readonly group: string;
  readonly event: Recorded;
  /** `gone`: discarded by a person, or dropped by the policy. */
  state: 'open' | 'acked' | 'gone';
  holder: string | undefined;
  /** The entry that was handed out last. */
  entry: string | undefined;
  handOuts: number;
  runs: number;
  succeeded: number;
  skipped: number;
  /** Runs that ended by permanent failure. */
  refused: number;
  /** Hand-outs of this attempt that ended without a settlement, because their holder lost the lease. */
  lostLeases: number;
  dueAt: number;
  dueAttempt: number;
  /** It was postponed, and has not run since. */
  waits: boolean;
  /** A failing endpoint has met it: what becomes of it is not its script's alone. */
  touched: boolean;
  /** Acked as not wanted: which types its route wanted then was another matter. */
  unmatched: boolean;
}

export const newPair = (group: string, event: Recorded): Pair => ({
  ...{ group, event, state: 'open', holder: undefined, entry: undefined },
  ...{ handOuts: 0, runs: 0, succeeded: 0, skipped: 0, refused: 0, lostLeases: 0 },
  ...{ dueAt: 0, dueAttempt: 0, waits: false, touched: false, unmatched: false },
});

/** Of a settlement, for the trace. */
export function textOf(item: SettleItem): string {
  switch (item.kind) {
    case 'ack':
      return item.status;
    case 'retry':
      return `retry in ${item.delayMs} ms`;
    case 'postpone':
      return `postpone for ${item.delayMs} ms`;
    case 'dead':
      return item.words.reason;
  }
}
