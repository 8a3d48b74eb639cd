/** The journal's line format: one line per settled batch, one row per delivery in it. Pure. */
import type { DeadReason } from './delivery.ts';
import type { Fault } from './outcome.ts';

export type JournalStatus = 'delivered' | 'skipped' | 'retry' | 'dead';

/** What one settlement says about one delivery. Times are ms since the epoch. */
export interface JournalRow {
  readonly eventId: string;
  readonly eventType: string;
  readonly publishedAt: number;
  readonly attempt: number;
  readonly status: JournalStatus;
  readonly startedAt: number;
  readonly ms: number;
  /** When the retry is due; undefined unless `status` is `retry`. */
  readonly nextAt: number | undefined;
  readonly reason: DeadReason | undefined;
  readonly fault: Fault | undefined;
}

const codes: Readonly<Record<JournalStatus, number>> = { delivered: 0, skipped: 1, retry: 2, dead: 3 };
const statuses: readonly JournalStatus[] = ['delivered', 'skipped', 'retry', 'dead'];

/** `JSON.stringify` for texts that rarely need escapes, such as ids. */
const quote = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));
const plain = /^[\w.:/ -]*$/;

/** Neighbours share their times, and text for large numbers is dear: the last one is kept. */
class TimeText {
  #time = Number.NaN;
  #text = '';

  of(time: number): string {
    if (time !== this.#time) {
      this.#time = time;
      this.#text = String(time);
    }
    return this.#text;
  }
}

const publishedText = new TimeText();
const startedText = new TimeText();

/** A row as a JSON array without its trailing empty places: about 90 bytes for a plain success. */
export function encodeRow(row: JournalRow): string {
  const head = `${quote(row.eventId)},${quote(row.eventType)},${publishedText.of(row.publishedAt)},${row.attempt},${codes[row.status]},${startedText.of(row.startedAt)},${Math.round(row.ms)}`;
  if (row.status === 'delivered') return `[${head}]`;
  return `[${head},${row.nextAt ?? 0},${JSON.stringify(row.reason ?? '')}${row.fault === undefined ? '' : `,${JSON.stringify(row.fault)}`}]`;
}

export const encodeLine = (rows: readonly string[]): string => `[${rows.join(',')}]`;

type RowTuple = [string, string, number, number, number, number, number, number?, string?, Fault?];

export function decodeLine(line: string): readonly JournalRow[] {
  return (JSON.parse(line) as RowTuple[]).map(
    ([eventId, eventType, publishedAt, attempt, code, startedAt, ms, nextAt, reason, fault]) => ({
      eventId,
      eventType,
      publishedAt,
      attempt,
      status: statuses[code] ?? 'delivered',
      startedAt,
      ms,
      nextAt: nextAt === undefined || nextAt === 0 ? undefined : nextAt,
      reason: reason === undefined || reason === '' ? undefined : (reason as DeadReason),
      fault,
    }),
  );
}
