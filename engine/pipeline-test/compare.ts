/** Values against what is expected of them: maps may have more fields, lists may not. Pure. */
import type { PathStep } from '../config/diagnostic.ts';

export interface Mismatch {
  /** Where the expectation stands. */
  readonly path: readonly PathStep[];
  readonly message: string;
}

type Map = Readonly<Record<string, unknown>>;

const isMap = (value: unknown): value is Map => typeof value === 'object' && value !== null && !Array.isArray(value);

const longest = 200;

/** A value as people read it. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

/** A map with one key that begins with `$` stands for a value. */
function patternIn(expected: unknown): readonly [word: string, argument: unknown] | undefined {
  if (!isMap(expected)) return undefined;
  const [only, ...others] = Object.entries(expected);
  return only !== undefined && others.length === 0 && only[0].startsWith('$') ? only : undefined;
}

const asText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** What is wrong with `got`; undefined when it fits. */
function against([word, argument]: readonly [string, unknown], got: unknown): string | undefined {
  switch (word) {
    case '$absent':
      return (got === undefined) === argument ? undefined : `expected ${argument === true ? 'nothing' : 'a value'}`;
    case '$contains':
      return got !== undefined && asText(got).includes(String(argument))
        ? undefined
        : `expected a text with ${show(argument)} in it`;
    default:
      return got !== undefined && new RegExp(String(argument), 'u').test(asText(got))
        ? undefined
        : `expected a text that matches ${String(argument)}`;
  }
}

export function compare(expected: unknown, got: unknown, path: readonly PathStep[]): Mismatch[] {
  const pattern = patternIn(expected);
  if (pattern !== undefined) {
    const wrong = against(pattern, got);
    return wrong === undefined ? [] : [{ path, message: `${wrong}, got ${show(got)}` }];
  }
  if (isMap(expected)) {
    if (!isMap(got)) return [{ path, message: `expected a map, got ${show(got)}` }];
    return Object.entries(expected).flatMap(([key, inner]) => compare(inner, got[key], [...path, key]));
  }
  if (Array.isArray(expected)) return compareLists(expected, got, path);
  return Object.is(expected, got) ? [] : [{ path, message: `expected ${show(expected)}, got ${show(got)}` }];
}

function compareLists(expected: readonly unknown[], got: unknown, path: readonly PathStep[]): Mismatch[] {
  if (!Array.isArray(got)) return [{ path, message: `expected a list, got ${show(got)}` }];
  if (got.length !== expected.length) {
    return [{ path, message: `expected a list of ${expected.length}, got ${got.length}: ${show(got)}` }];
  }
  return expected.flatMap((inner, index) => compare(inner, got[index], [...path, index]));
}

function wrongArgument([word, argument]: readonly [string, unknown]): string | undefined {
  switch (word) {
    case '$absent':
      return typeof argument === 'boolean' ? undefined : `expected $absent: true or false, got ${show(argument)}`;
    case '$contains':
      return typeof argument === 'string' ? undefined : `expected a text after $contains, got ${show(argument)}`;
    case '$matches':
      return typeof argument === 'string'
        ? regexFault(argument)
        : `expected a regular expression, got ${show(argument)}`;
    default:
      return `expected $contains, $matches or $absent, got ${word}`;
  }
}

function regexFault(source: string): string | undefined {
  try {
    new RegExp(source, 'u');
    return undefined;
  } catch (error) {
    return `expected a regular expression, got ${show(source)}: ${(error as Error).message}`;
  }
}

/** Patterns that mean nothing. The path leads to their key. */
export function checkPatterns(expected: unknown, path: readonly PathStep[]): Mismatch[] {
  const pattern = patternIn(expected);
  if (pattern !== undefined) {
    const wrong = wrongArgument(pattern);
    return wrong === undefined ? [] : [{ path: [...path, pattern[0]], message: wrong }];
  }
  if (typeof expected !== 'object' || expected === null) return [];
  return Object.entries(expected).flatMap(([key, inner]) =>
    checkPatterns(inner, [...path, Array.isArray(expected) ? Number(key) : key]),
  );
}
