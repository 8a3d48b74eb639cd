/** Times and routes as tests write them. Pure. */
import { formatDuration, parseDuration } from '../core/duration.ts';

const piece = /\d{1,9}(?:ms|s|m|h|d)/g;

/** `1m30s` in ms; the schema has seen to its form. */
export const parseTime = (text: string): number =>
  (text.match(piece) ?? []).reduce((sum, part) => sum + (parseDuration(part) ?? 0), 0);

const units: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

/** The shortest exact way to write it: `0s`, `1m30s`, `2h`, `1s250ms`. */
export function formatTime(ms: number): string {
  let rest = Math.round(ms);
  if (rest === 0) return '0s';
  if (rest < 10_000) return formatDuration(rest);
  return units.reduce((text, [unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count === 0 ? text : `${text}${count}${unit}`;
  }, '');
}

/** Both ends belong to it. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** `3s` or `1s..2s`. */
export function parseSpan(text: string): Span {
  const [from = '', to = from] = text.split('..');
  return { from: parseTime(from), to: parseTime(to) };
}

export const isWithin = (at: number, { from, to }: Span): boolean => at >= from && at <= to;
