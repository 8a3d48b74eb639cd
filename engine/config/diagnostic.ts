/** What is wrong with a file, where, and what to do about it: the shape, the order and the printed forms. */
import type { ErrorCode } from '../errors.ts';
import { hideCredentials } from './credentials.ts';

export interface Diagnostic {
  readonly code: ErrorCode;
  readonly severity: 'error' | 'warning';
  /** Relative to the working directory where it is inside, with `/`. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units; `endColumn` is the column after the last one meant, on the same line. */
  readonly column: number;
  readonly endColumn: number;
  /** Such as `routes[0].with.priority`; empty for the whole file. */
  readonly path: string;
  readonly message: string;
  readonly help?: string;
}

/** What stands in a file, as offsets into its text. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

export type PathStep = string | number;

/** `routes[0].with.priority`; keys that are no plain words are quoted: `eventTypes["order.paid"]`. */
export const pathText = (path: readonly PathStep[]): string =>
  path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    if (!/^[A-Za-z_][\w-]*$/.test(step)) return `${text}[${JSON.stringify(step)}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');

export const hasErrors = (diagnostics: readonly Diagnostic[]): boolean =>
  diagnostics.some((diagnostic) => diagnostic.severity === 'error');

const mostPerFile = 100;

/** So many of each file, and how many more there are: nobody reads thousands, and they come back when these are gone. */
export function limitPerFile(sorted: readonly Diagnostic[]): Diagnostic[] {
  const byFile = Map.groupBy(sorted, ({ file }) => file);
  return [...byFile.values()].flatMap((all) => {
    if (all.length <= mostPerFile) return all;
    const rest = all.slice(mostPerFile);
    const [first, errors] = [rest[0] as Diagnostic, rest.filter(({ severity }) => severity === 'error').length];
    const message = `expected at most ${mostPerFile} problems in one file, got ${rest.length} more from here on`;
    const severity = errors > 0 ? 'error' : 'warning';
    return [...all.slice(0, mostPerFile), { ...first, code: 'EF1019', severity, path: '', message } as const];
  });
}

const order = (a: Diagnostic, b: Diagnostic): number =>
  (a.file < b.file ? -1 : Number(a.file > b.file)) ||
  a.line - b.line ||
  a.column - b.column ||
  (a.code < b.code ? -1 : Number(a.code > b.code)) ||
  (a.message < b.message ? -1 : Number(a.message > b.message));

/** In the order of the files; what is said twice of one place is said once (an anchor is read at each of its aliases). */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const seen = new Set<string>();
  return [...diagnostics].sort(order).filter(({ file, line, column, code, message }) => {
    const key = JSON.stringify([file, line, column, code, message]);
    return !seen.has(key) && seen.add(key);
  });
}

const headline = (d: Diagnostic): string =>
  `${d.file}:${d.line}:${d.column}: ${d.severity} ${d.code} ${d.path === '' ? '' : `${d.path}: `}${d.message}`;

const longestLine = 200;
/** Control characters would let a file write to the reader's terminal. */
const printable = (text: string): string =>
  text.replace(/[\p{Cc}\u2028\u2029]/gu, (control) => (control === '\t' ? control : '\ufffd')).slice(0, longestLine);

/** The diagnostics of a file come one after the other, so its lines are found once. */
let latest: { readonly text: string; readonly lines: readonly string[] } = { text: '', lines: [''] };

function linesOf(text: string): readonly string[] {
  if (latest.text !== text) latest = { text, lines: text.split(/\r?\n/) };
  return latest.lines;
}

function frame(d: Diagnostic, text: string): string[] {
  const lines = linesOf(text);
  const here = lines[d.line - 1];
  if (here === undefined) return [];
  const numbered = (line: string, at: number): string =>
    `${String(at).padStart(4)} | ${printable(hideCredentials(line))}`.trimEnd();
  const before = lines[d.line - 2];
  const shown = here.slice(0, longestLine);
  const indent = shown.slice(0, d.column - 1).replace(/[^\t]/g, ' ');
  const carets = '^'.repeat(Math.max(1, Math.min(d.endColumn - 1, shown.length) - (d.column - 1)));
  return [
    ...(before === undefined ? [] : [numbered(before, d.line - 1)]),
    numbered(here, d.line),
    ...(d.column <= longestLine ? [`     | ${indent}${carets}`] : []),
  ];
}

/**
 * The form for people: one line, the code around the place when `sourceText` is given, and the help. Give the text that
 * the load result carries in `sources`: plain-text secrets are masked there.
 */
export const formatDiagnostic = (diagnostic: Diagnostic, sourceText?: string): string =>
  [
    printableLine(headline(diagnostic)),
    ...(sourceText === undefined ? [] : frame(diagnostic, sourceText)),
    ...(diagnostic.help === undefined ? [] : [`   = help: ${printableLine(diagnostic.help)}`]),
  ].join('\n');

const printableLine = (text: string): string => text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');

export interface JsonDiagnostic {
  readonly file: string;
  readonly range: {
    readonly start: { readonly line: number; readonly column: number };
    readonly end: { readonly line: number; readonly column: number };
  };
  readonly severity: 'error' | 'warning';
  readonly code: string;
  readonly path: string;
  readonly message: string;
  readonly help?: string;
}

/** The form for programs, ready for JSON.stringify. */
export const toJson = ({ file, line, column, endColumn, ...rest }: Diagnostic): JsonDiagnostic => ({
  file,
  range: { start: { line, column }, end: { line, column: endColumn } },
  severity: rest.severity,
  code: rest.code,
  path: rest.path,
  message: rest.message,
  ...(rest.help === undefined ? {} : { help: rest.help }),
});

const data = (text: string): string => text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
const property = (text: string): string => data(text).replace(/:/g, '%3A').replace(/,/g, '%2C');

/** A workflow command of GitHub Actions: shows up on the line of the pull request. */
export function toGithub(d: Diagnostic): string {
  const where = `file=${property(d.file)},line=${d.line},col=${d.column},endColumn=${d.endColumn},title=${d.code}`;
  const text = `${d.path === '' ? '' : `${d.path}: `}${d.message}${d.help === undefined ? '' : ` (${d.help})`}`;
  return `::${d.severity} ${where}::${data(text)}`;
}
