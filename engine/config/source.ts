/** The text of one file, and how places in it become lines and columns. */
import type { ErrorCode } from '../errors.ts';
import { type Diagnostic, type PathStep, type Place, pathText } from './diagnostic.ts';

export interface Source {
  /** Absolute. */
  readonly path: string;
  /** As diagnostics name it. */
  readonly file: string;
  readonly text: string;
  at(place: Place): { readonly line: number; readonly column: number; readonly endColumn: number };
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** The index of the last start that is not after `offset`. */
function lineOf(starts: readonly number[], offset: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function createSource(path: string, file: string, text: string): Source {
  const starts = lineStarts(text);
  return {
    path,
    file,
    text,
    at({ start, end }) {
      const line = lineOf(starts, start);
      const lineStart = starts[line] ?? 0;
      const rest = text.slice(lineStart, starts[line + 1] ?? text.length).replace(/\r?\n$/, '').length + lineStart;
      const until = Math.max(start + 1, Math.min(end, rest));
      return { line: line + 1, column: start - lineStart + 1, endColumn: until - lineStart + 1 };
    },
  };
}

export interface Said {
  readonly help?: string | undefined;
  readonly severity?: 'error' | 'warning';
}

export function diagnose(
  source: Source,
  place: Place,
  code: ErrorCode,
  path: readonly PathStep[],
  message: string,
  said: Said = {},
): Diagnostic {
  return {
    code,
    severity: said.severity ?? 'error',
    file: source.file,
    ...source.at(place),
    path: pathText(path),
    message,
    ...(said.help === undefined ? {} : { help: said.help }),
  };
}

/** About a file as a whole: stands at its first character. */
export const diagnoseFile = (file: string, code: ErrorCode, message: string, said: Said = {}): Diagnostic => ({
  code,
  severity: said.severity ?? 'error',
  file,
  line: 1,
  column: 1,
  endColumn: 2,
  path: '',
  message,
  ...(said.help === undefined ? {} : { help: said.help }),
});
