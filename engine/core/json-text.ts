/**
 * JSON as text: what must be known about it before, or without, parsing it. Bytes out = bytes in, so items of an array
 * are cut out of the original text instead of being parsed and printed again. Pure.
 */

/** One JSON value in its own text, without blanks around it. */
export interface JsonPiece {
  readonly text: string;
  /** Of brackets; 0 for a string, a number, a literal. */
  readonly depth: number;
  /** Values in it, itself included; an empty container counts as one more than it is. */
  readonly nodes: number;
}

const QUOTE = 34;
const COMMA = 44;
const OPEN_ARRAY = 91;
const BACKSLASH = 92;
const CLOSE_ARRAY = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

const isBlank = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9;

function skipBlanks(text: string, at: number): number {
  let next = at;
  while (isBlank(text.charCodeAt(next))) next++;
  return next;
}

/** Index of the quote that ends the string that begins at `at`; the text's length when there is none. */
function endOfString(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

/** Reads up to the comma or bracket that ends the value. Believes the text: whether it is JSON, `JSON.parse` decides. */
function readValue(
  text: string,
  start: number,
): { readonly end: number; readonly depth: number; readonly nodes: number } {
  let depth = 0;
  let deepest = 0;
  let nodes = 1;
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      nodes++;
      depth++;
      if (depth > deepest) deepest = depth;
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      if (depth === 0) return { end: at, depth: deepest, nodes };
      depth--;
    } else if (code === COMMA) {
      if (depth === 0) return { end: at, depth: deepest, nodes };
      nodes++;
    }
  }
  return { end: text.length, depth: deepest, nodes };
}

/** The whole text as one piece. */
export function measure(text: string): JsonPiece {
  const { depth, nodes } = readValue(text, 0);
  return { text, depth, nodes };
}

function cut(text: string, start: number, end: number): string {
  const from = skipBlanks(text, start);
  let to = end;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

/** Whether the text's first value is an array. */
export const isArrayText = (text: string): boolean => text.charCodeAt(skipBlanks(text, 0)) === OPEN_ARRAY;

/**
 * The items of a JSON array, each in its own bytes. Undefined when the brackets do not add up. The text is JSON exactly
 * when this succeeds and `JSON.parse` takes every piece.
 */
export function splitArray(text: string): readonly JsonPiece[] | undefined {
  if (!isArrayText(text)) return undefined;
  const pieces: JsonPiece[] = [];
  for (let at = skipBlanks(text, 0) + 1; ; ) {
    const { end, depth, nodes } = readValue(text, at);
    const piece = { text: cut(text, at, end), depth, nodes };
    const code = text.charCodeAt(end);
    if (code === COMMA) {
      pieces.push(piece);
      at = end + 1;
      continue;
    }
    if (code !== CLOSE_ARRAY || skipBlanks(text, end + 1) !== text.length) return undefined;
    if (piece.text === '' && pieces.length === 0) return pieces;
    pieces.push(piece);
    return pieces;
  }
}

/** True when the text may hide what {@link findHazard} looks for: a test without parsing, right in all but rare cases. */
export const mayHideHazard = (text: string): boolean =>
  text.includes('\\u') || text.includes('__proto__') || text.includes('constructor');

export type Hazard = { readonly kind: 'lone_surrogate' | 'forbidden_key'; readonly pointer: string };

const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1').toWellFormed();

const isForbidden = (key: string, value: unknown): boolean =>
  key === '__proto__' ||
  (key === 'constructor' && typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype'));

/** The first thing in a parsed value that must not be stored, with its JSON pointer. Bounded depth is the caller's job. */
export function findHazard(value: unknown, pointer = '#'): Hazard | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : { kind: 'lone_surrogate', pointer };
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, child] of Object.entries(value)) {
    const place = `${pointer}/${escapePointer(key)}`;
    if (!key.isWellFormed()) return { kind: 'lone_surrogate', pointer: place };
    if (isForbidden(key, child)) return { kind: 'forbidden_key', pointer: place };
    const hazard = findHazard(child, place);
    if (hazard !== undefined) return hazard;
  }
  return undefined;
}
