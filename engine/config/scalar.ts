/**
 * Places inside of a scalar: from an offset in its value to an offset in the text of the file, whatever its style. A
 * value differs from its text in white space (folded lines, indentation) and in escapes, so that the two are walked along
 * by the characters that are neither.
 */
import type { Place } from './diagnostic.ts';

/** One character of a value as the file has it. */
interface Written {
  readonly character: string;
  readonly place: Place;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0', N: '\x85', _: '\xa0' };
const hexLengths: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** The escape at `at`, where a backslash stands. */
function readEscape(text: string, at: number): { value: string; length: number } {
  const letter = text[at + 1] ?? '';
  const hex = hexLengths[letter];
  if (hex === undefined) return { value: escapes[letter] ?? letter, length: 2 };
  const code = Number.parseInt(text.slice(at + 2, at + 2 + hex), 16);
  return { value: Number.isNaN(code) ? '' : String.fromCodePoint(Math.min(code, 0x10ffff)), length: 2 + hex };
}

function* quoted(text: string, { start, end }: Place): Generator<Written> {
  const quote = text[start];
  for (let at = start + 1; at < end - 1; ) {
    const found =
      quote === '"' && text[at] === '\\'
        ? readEscape(text, at)
        : { value: text[at] ?? '', length: quote === "'" && text.startsWith("''", at) ? 2 : 1 };
    for (const character of found.value.split('')) {
      yield { character, place: { start: at, end: at + found.length } };
    }
    at += found.length;
  }
}

function* plain(text: string, { start, end }: Place): Generator<Written> {
  for (let at = start; at < end; at++) yield { character: text[at] ?? '', place: { start: at, end: at + 1 } };
}

function written(text: string, place: Place): Generator<Written> {
  switch (text[place.start]) {
    case '"':
    case "'":
      return quoted(text, place);
    case '|':
    case '>': {
      const start = text.indexOf('\n', place.start) + 1;
      return plain(text, { start: start === 0 ? place.end : start, end: place.end });
    }
    default:
      return plain(text, place);
  }
}

const isWhite = (character: string): boolean => /\s/.test(character);

/**
 * Where `within` of `value` stands in the file; `place` is that of the scalar. Undefined when the value was not made from
 * this text alone.
 */
export function placeWithin(text: string, place: Place, value: string, within: Place): Place | undefined {
  const characters = [...written(text, place)].filter(({ character }) => !isWhite(character));
  const places: Place[] = [];
  let next = 0;
  let after = characters[0]?.place.start ?? place.start;
  for (let at = 0; at < value.length; at++) {
    const character = value[at] ?? '';
    if (isWhite(character)) {
      places.push({ start: after, end: after });
      continue;
    }
    const found = characters[next++];
    if (found?.character !== character) return undefined;
    places.push(found.place);
    after = found.place.end;
  }
  if (next !== characters.length) return undefined;
  const first = places[within.start] ?? { start: after, end: after + 1 };
  const final = places[Math.max(within.start, within.end - 1)] ?? first;
  return { start: first.start, end: Math.max(final.end, first.start + 1) };
}
