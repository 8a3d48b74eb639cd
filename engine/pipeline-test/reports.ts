/** Results of tests for programs: JSON, and the XML that CI systems read. Pure. */
import { type Diagnostic, type JsonDiagnostic, toJson } from '../config/diagnostic.ts';
import type { Coverage } from './coverage.ts';
import type { FileResult, TestResult } from './run.ts';
import { outcomes } from './uses.ts';

const isError = ({ severity }: Diagnostic): boolean => severity === 'error';

/** Files that could not be run, or not all of them. */
export const brokenFiles = (results: readonly FileResult[]): FileResult[] =>
  results.filter(({ diagnostics }) => diagnostics.some(isError));

export const failedTests = (results: readonly FileResult[]): TestResult[] =>
  results.flatMap(({ tests }) => tests).filter(({ failures }) => failures.length > 0);

interface JsonReport {
  readonly summary: {
    readonly files: number;
    readonly tests: number;
    readonly passed: number;
    readonly failed: number;
    readonly broken: number;
  };
  readonly tests: readonly object[];
  /** What is wrong with the files themselves. */
  readonly problems: readonly JsonDiagnostic[];
  readonly coverage?: object;
}

function coverageJson({ routes, covered, percent }: Coverage): object {
  return {
    percent: Math.round(percent * 10) / 10,
    covered,
    routes: routes.map(({ group, file, line, outcomes: seen }) => ({
      route: group,
      file,
      line,
      ...Object.fromEntries(outcomes.map((outcome) => [outcome, seen.has(outcome)])),
    })),
  };
}

export function jsonReport(results: readonly FileResult[], coverage: Coverage | undefined): JsonReport {
  const tests = results.flatMap((result) => result.tests);
  const failed = failedTests(results).length;
  return {
    summary: {
      files: results.length,
      tests: tests.length,
      passed: tests.length - failed,
      failed,
      broken: brokenFiles(results).length,
    },
    tests: tests.map(({ failures, told, tookMs, seed, ...rest }) => ({
      ...rest,
      result: failures.length === 0 ? 'passed' : 'failed',
      ...(seed === undefined ? {} : { seed }),
      tookMs: Math.round(tookMs),
      failures: failures.map(toJson),
      timeline: told,
    })),
    problems: results.flatMap(({ diagnostics }) => diagnostics.map(toJson)),
    ...(coverage === undefined ? {} : { coverage: coverageJson(coverage) }),
  };
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** XML 1.0 has no place for most control characters and for halves of surrogate pairs. */
const xml = (text: string): string =>
  text
    .toWellFormed()
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"]/g, (char) => entities[char] ?? char)
    .replace(/\r/g, '&#13;');

const attribute = (text: string): string => xml(text).replace(/\n/g, '&#10;').replace(/\t/g, '&#9;');

const seconds = (ms: number): string => (ms / 1_000).toFixed(3);

const place = ({ file, line, column, code, message }: Diagnostic): string =>
  `${file}:${line}:${column}: ${code} ${message}`;

function testCase({ file, name, tookMs, failures, told, line }: TestResult): string[] {
  const head = `<testcase name="${attribute(name)}" classname="${attribute(file)}" file="${attribute(file)}" line="${line}" time="${seconds(tookMs)}"`;
  const [first] = failures;
  if (first === undefined) return [`    ${head}/>`];
  const text = xml([...failures.map(place), '', 'what happened:', ...told].join('\n'));
  const failure = `<failure type="${first.code}" message="${attribute(first.message)}">${text}</failure>`;
  return [`    ${head}>`, `      ${failure}`, '    </testcase>'];
}

/** A file that could not be run is an error of its own. */
function brokenCase({ file, diagnostics }: FileResult): string[] {
  const errors = diagnostics.filter(isError);
  const [first] = errors;
  if (first === undefined) return [];
  const text = xml(errors.map(place).join('\n'));
  return [
    `    <testcase name="can be run" classname="${attribute(file)}" file="${attribute(file)}" line="${first.line}" time="0.000">`,
    `      <error type="${first.code}" message="${attribute(first.message)}">${text}</error>`,
    '    </testcase>',
  ];
}

function suite(result: FileResult): string[] {
  const broken = brokenCase(result);
  const { tests } = result;
  const failed = failedTests([result]).length;
  const time = seconds(tests.reduce((sum, { tookMs }) => sum + tookMs, 0));
  const errors = broken.length === 0 ? 0 : 1;
  return [
    `  <testsuite name="${attribute(result.file)}" tests="${tests.length + errors}" failures="${failed}" errors="${errors}" skipped="0" time="${time}">`,
    ...tests.flatMap(testCase),
    ...broken,
    '  </testsuite>',
  ];
}

/** JUnit's XML, as the common readers of it take it. */
export const junitReport = (results: readonly FileResult[]): string =>
  ['<?xml version="1.0" encoding="UTF-8"?>', '<testsuites>', ...results.flatMap(suite), '</testsuites>'].join('\n');
