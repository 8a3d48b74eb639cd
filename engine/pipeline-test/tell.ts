/** A failed test for people. Pure. */
import { formatDiagnostic } from '../config/diagnostic.ts';
import type { TestResult } from './run.ts';

/** Lines that people are shown at most, of the beginning and of the end. */
const mostShown = 200;

function shortened(lines: readonly string[]): readonly string[] {
  if (lines.length <= mostShown) return lines;
  const left = (lines.length - mostShown).toLocaleString('en-US');
  const half = mostShown / 2;
  return [...lines.slice(0, half), `… ${left} lines are left out: all are in --output json`, ...lines.slice(-half)];
}

/** A failure as people read it: the place, and what happened. */
export function tellFailure(result: TestResult, sources: ReadonlyMap<string, string>): string {
  const said = result.failures.map((failure) => formatDiagnostic(failure, sources.get(failure.file)));
  const told = shortened(result.told).map((line) => `     ${line}`);
  return [...said, ['   what happened:', ...told].join('\n')].join('\n\n');
}
