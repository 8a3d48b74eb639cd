/** The sets of characters that a pattern names. */

/** Code points, from and to, both included. */
export type Range = readonly [number, number];

const last = 0x10ffff;
export const point = (text: string): number => text.codePointAt(0) ?? 0;
const digits: Range[] = [[point('0'), point('9')]];
const words: Range[] = [...digits, [point('A'), point('Z')], [point('_'), point('_')], [point('a'), point('z')]];
const spaces: Range[] = [
  [9, 10],
  [12, 13],
  [32, 32],
];
/** `\d` and the like. */
export const classes: Readonly<Record<string, readonly Range[]>> = { d: digits, w: words, s: spaces };

const uppers: Range[] = [[point('A'), point('Z')]];
const lowers: Range[] = [[point('a'), point('z')]];
const punctuation: Range[] = [
  [33, 47],
  [58, 64],
  [91, 96],
  [123, 126],
];
/** `[:alpha:]` and the like: of ASCII alone, as in RE2. */
export const namedClasses: ReadonlyMap<string, readonly Range[]> = new Map([
  ['alnum', [...digits, ...uppers, ...lowers]],
  ['alpha', [...uppers, ...lowers]],
  ['ascii', [[0, 127]]],
  [
    'blank',
    [
      [9, 9],
      [32, 32],
    ],
  ],
  [
    'cntrl',
    [
      [0, 31],
      [127, 127],
    ],
  ],
  ['digit', digits],
  ['graph', [[33, 126]]],
  ['lower', lowers],
  ['print', [[32, 126]]],
  ['punct', punctuation],
  [
    'space',
    [
      [9, 13],
      [32, 32],
    ],
  ],
  ['upper', uppers],
  ['word', words],
  ['xdigit', [...digits, [point('A'), point('F')], [point('a'), point('f')]]],
]);

export function complement(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort(([a], [b]) => a - b);
  const gaps: Range[] = [];
  let from = 0;
  for (const [low, high] of sorted) {
    if (low > from) gaps.push([from, low - 1]);
    from = Math.max(from, high + 1);
  }
  return from > last ? gaps : [...gaps, [from, last]];
}

/** With the letters of the Latin alphabet in the other case. */
export function bothCases([low, high]: Range): Range[] {
  const shifted = (from: string, to: string, by: number): Range[] => {
    const [a, b] = [Math.max(low, point(from)), Math.min(high, point(to))];
    return a > b ? [] : [[a + by, b + by]];
  };
  return [[low, high], ...shifted('a', 'z', -32), ...shifted('A', 'Z', 32)];
}
