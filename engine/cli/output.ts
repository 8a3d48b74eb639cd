/** Data goes to stdout, everything said to people to stderr. Colours only where a terminal shows them (and not under NO_COLOR). */
import { stripVTControlCharacters, styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** One block of data; a line end is added. */
export const print = (text: string): void => void process.stdout.write(`${text}\n`);

export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));

/** To people. */
export const tell = (text: string): void => void process.stderr.write(`${text}\n`);

export const paint = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout });

export const paintError = (style: Style, text: string): string => styleText(style, text, { stream: process.stderr });

/** Text of somebody else in one line that cannot steer the terminal. */
export const inert = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  stripVTControlCharacters(text).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');

export const shorten = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`;

const width = (text: string): number => stripVTControlCharacters(text).length;

/** Columns under dim headings; the last one is not padded. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, at) => Math.max(heading.length, ...rows.map((row) => width(row[at] ?? ''))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell + ' '.repeat(Math.max(0, (widths[at] ?? 0) - width(cell))))
      .join('  ')
      .trimEnd();
  return [paint('dim', line(headings)), ...rows.map(line)].join('\n');
}

export const time = (ms: number | undefined): string => (ms === undefined ? '–' : new Date(ms).toISOString());

/** `1 letter`, `2 letters`. */
export const plural = (count: number, word: string): string =>
  `${count.toLocaleString('en-US')} ${word}${count === 1 ? '' : 's'}`;

/** A line on stderr that is written over; silent where nobody watches. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
}
