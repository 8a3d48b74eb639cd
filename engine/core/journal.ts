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
  /** The head of the hash of the route that ran it: the configuration that was in force. Absent where none was. */
  readonly config?: string;
}

const codes: Readonly<Record<JournalStatus, number>> = { delivered: 0, skipped: 1, retry: 2, dead: 3 };
const statuses: readonly JournalStatus[] = ['delivered', 'skipped', 'retry', 'dead'];

/** `JSON.stringify` for texts that rarely need escapes, such as ids. */
const quote = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));
const plain = /^[\w.:/ -]*$/;

/**
 * The line is a JSON array. Most of what is settled was delivered at once, next to its neighbours in time, so what
 * neighbours share is written once:
 *   { c: config }                    the configuration of all that follow
 *   [type, publishedAt, startedAt]   holds for the successes that follow
 *   [ms, ms]                         so much later than the last were these published and started
 *   "id" | ["id", ms]                delivered by its first attempt, within half a millisecond or in so many
 *   [id, type, publishedAt, attempt, status, startedAt, ms, nextAt, reason, fault]   everything else
 */
/** `config` is that of all rows. */
export function encodeLine(rows: readonly JournalRow[], config?: string): string {
  let line = config === undefined ? '' : `,{"c":${quote(config)}}`;
  let type: string | undefined;
  let published = 0;
  let started = 0;
  for (const row of rows) {
    if (row.status !== 'delivered' || row.attempt !== 1) {
      line += `,${encodeRow(row)}`;
      continue;
    }
    if (row.eventType !== type) {
      type = row.eventType;
      line += `,[${quote(type)},${row.publishedAt},${row.startedAt}]`;
    } else if (row.publishedAt !== published || row.startedAt !== started) {
      line += `,[${row.publishedAt - published},${row.startedAt - started}]`;
    }
    published = row.publishedAt;
    started = row.startedAt;
    const ms = Math.round(row.ms);
    line += ms === 0 ? `,${quote(row.eventId)}` : `,[${quote(row.eventId)},${ms}]`;
  }
  return `[${line.slice(1)}]`;
}

function encodeRow(row: JournalRow): string {
  const { eventId, eventType, publishedAt, attempt, startedAt, nextAt = 0, reason = '', fault } = row;
  const head = [eventId, eventType, publishedAt, attempt, codes[row.status], startedAt, Math.round(row.ms)];
  return JSON.stringify([...head, nextAt, reason, ...(fault === undefined ? [] : [fault])]);
}

type Shared = readonly [type: string, publishedAt: number, startedAt: number];
type Full = [string, string, number, number, number, number, number, number, string, Fault?];
type Later = readonly [published: number, started: number];
type Stamp = { readonly c: string };
type Item = string | readonly [id: string, ms: number] | Later | Shared | Full | Stamp;

const isList = (item: Item): item is Exclude<Item, string | Stamp> => Array.isArray(item);
const isStamp = (item: Item): item is Stamp => typeof item !== 'string' && !isList(item);
const isLater = (item: Item): item is Later => isList(item) && typeof item[0] === 'number';
const isShared = (item: Item): item is Shared => isList(item) && item.length === 3;
const isFull = (item: Item): item is Full => isList(item) && item.length > 3;

export function decodeLine(line: string): readonly JournalRow[] {
  let shared: Shared = ['', 0, 0];
  let stamp: { config?: string } = {};
  return (JSON.parse(line) as Item[]).flatMap((item): JournalRow[] => {
    if (isStamp(item)) {
      stamp = { config: item.c };
      return [];
    }
    if (isShared(item)) {
      shared = item;
      return [];
    }
    if (isLater(item)) {
      shared = [shared[0], shared[1] + item[0], shared[2] + item[1]];
      return [];
    }
    if (isFull(item)) return [{ ...fullRow(item), ...stamp }];
    const [eventType, publishedAt, startedAt] = shared;
    const [eventId, ms] = typeof item === 'string' ? [item, 0] : item;
    return [{ ...success, eventId, eventType, publishedAt, startedAt, ms, ...stamp }];
  });
}

const success = { attempt: 1, status: 'delivered', nextAt: undefined, reason: undefined, fault: undefined } as const;

function fullRow([
  eventId,
  eventType,
  publishedAt,
  attempt,
  code,
  startedAt,
  ms,
  nextAt,
  reason,
  fault,
]: Full): JournalRow {
  return {
    eventId,
    eventType,
    publishedAt,
    attempt,
    status: statuses[code] ?? 'delivered',
    startedAt,
    ms,
    nextAt: nextAt === 0 ? undefined : nextAt,
    reason: reason === '' ? undefined : (reason as DeadReason),
    fault,
  };
}
