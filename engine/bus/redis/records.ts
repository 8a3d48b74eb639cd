/**
 * How deliveries rest outside of their stream. A record is one line of JSON, a line end, and the event's bytes, so that
 * scripts move the bytes without looking into them. An entry of a due stream is the same in two fields: `s` and `d`.
 */

import type { DeadLetter, DeliveryState, LastWords } from '../../core/delivery.ts';
import type { Resting } from '../order.ts';

/** What a due entry says about its delivery, in JSON. */
export interface DueState extends DeliveryState {
  readonly origin: string;
  readonly publishedAt: number;
  readonly meta?: string;
}

/** What a letter says, in JSON. */
type LetterHead = LastWords & { readonly origin: string; readonly publishedAt: number; readonly meta?: string };

interface Delivered {
  readonly origin: string;
  readonly publishedAt: number;
  readonly meta: string | undefined;
  readonly body: string;
}

const withMeta = (meta: string | undefined): { meta?: string } => (meta === undefined ? {} : { meta });

const firstState: DeliveryState = { attempt: 1, attempts: [] };

export function dueState(delivery: Omit<Delivered, 'body'>, state: DeliveryState): string {
  const { origin, publishedAt, meta } = delivery;
  return JSON.stringify({ ...state, origin, publishedAt, ...withMeta(meta) } satisfies DueState);
}

export const retryRecord = (delivery: Delivered, state: DeliveryState): string =>
  `${dueState(delivery, state)}\n${delivery.body}`;

/** The mark at its head is counted by the scripts that put it into the retry set and take it out; no state begins so. */
export const postponedRecord = (delivery: Delivered, state: DeliveryState | undefined): string =>
  `~${retryRecord(delivery, state ?? firstState)}`;

/** A record of the retry set, and when it is due. */
export function restingOf(stream: string, record: string, dueAt: number): Resting {
  const postponed = record.startsWith('~');
  const line = record.indexOf('\n');
  const { origin, publishedAt, meta, ...state } = JSON.parse(record.slice(Number(postponed), line)) as DueState;
  const body = record.slice(line + 1);
  return { stream, origin, publishedAt, body, meta, state, dueAt: postponed ? undefined : dueAt };
}

export function deadRecord(delivery: Delivered, words: LastWords): string {
  const { origin, publishedAt, meta, body } = delivery;
  return `${JSON.stringify({ ...words, origin, publishedAt, ...withMeta(meta) } satisfies LetterHead)}\n${body}`;
}

/** The state of a delivery that a letter makes when it is redriven. */
export function redriveState(record: string, letterId: string): string {
  const head = headOf(record);
  return dueState({ ...head, meta: head.meta }, { attempt: 1, attempts: [], redrivenFrom: letterId });
}

const headOf = (record: string): LetterHead => JSON.parse(record.slice(0, record.indexOf('\n'))) as LetterHead;

/** Where a letter rests. `member` is its name there: `origin~deadAt`. */
export interface LetterPlace {
  readonly stream: string;
  readonly group: string;
  readonly member: string;
}

const urlSafe = (text: string): string => encodeURIComponent(text).replaceAll('~', '%7E');

/** Unique over the bus, and safe in a URL. */
export const letterId = ({ stream, group, member }: LetterPlace): string =>
  `${urlSafe(stream)}~${urlSafe(group)}~${member}`;

/** Undefined: no id of ours. */
export function letterPlace(id: string): LetterPlace | undefined {
  const found = /^([^~]+)~([^~]+)~(\d+-\d+~\d+)$/.exec(id);
  if (found === null) return undefined;
  const [, stream, group, member] = found as unknown as [string, string, string, string];
  try {
    return { stream: decodeURIComponent(stream), group: decodeURIComponent(group), member };
  } catch {
    return undefined;
  }
}

export function letterOf(place: LetterPlace, record: string): DeadLetter {
  const { origin: _, meta, publishedAt, ...words } = headOf(record);
  return {
    ...words,
    id: letterId(place),
    group: place.group,
    stream: place.stream,
    body: record.slice(record.indexOf('\n') + 1),
    meta,
    publishedAt,
    deadAt: Number(place.member.slice(place.member.lastIndexOf('~') + 1)),
  };
}
