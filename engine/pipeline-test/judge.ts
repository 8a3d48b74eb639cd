/** A run against its test: everything that is not as expected, at its place in the file. */
import type { Diagnostic, PathStep } from '../config/diagnostic.ts';
import { nodeAt } from '../config/tree.ts';
import type { Generation, Route } from '../core/route.ts';
import { failuresOf, type Happened } from './expectations.ts';
import type { Test } from './test-file.generated.ts';
import { atKey, atValue, type OpenTestFile } from './test-file.ts';
import { waitingIn } from './verdicts.ts';
import { formatTime, parseTime } from './words.ts';
import type { RunRecord } from './world.ts';

const enabled = ({ routes }: Generation): Route[] => [...routes.values()].filter((route) => route.enabled);

/** A test that says no end has one when everything is settled. */
function endFailures(file: OpenTestFile, index: number, record: RunRecord, happened: Happened): Diagnostic[] {
  const path: PathStep[] = ['tests', index, 'name'];
  const { until } = file.valid.tests[index] as Test;
  const when = formatTime(record.endedAt);
  if (record.ending === 'endless') {
    const message = `expected the test to come to an end, got no end of things that happen, up to ${when}`;
    return [atValue(file, path, 'EF2110', message, { help: 'say with until: how much time passes' })];
  }
  if (record.ending === 'settled' || until !== undefined) return [];
  const waiting = enabled(happened.generation).flatMap((route) =>
    waitingIn(route, happened.events, record.timeline).map((event) => `${route.group} ${event}`),
  );
  const shown = waiting.slice(0, 10).join(', ');
  const message = `expected every delivery to be settled, got ${waiting.length} that wait after ${when}: ${shown}`;
  const help = 'say with until: how much time passes, and expect what waits then';
  return [atValue(file, path, 'EF2110', message, { help })];
}

/** `index`: which test of the file was run. */
export function judge(file: OpenTestFile, index: number, record: RunRecord, happened: Happened): Diagnostic[] {
  const test = file.valid.tests[index] as Test;
  const path: PathStep[] = ['tests', index];
  const checks = (test.checks ?? []).flatMap(({ at, expect }, n) => {
    const timeline = record.timeline.upTo(parseTime(at));
    return failuresOf(expect, [...path, 'checks', n, 'expect'], { ...happened, timeline }, false);
  });
  const failures = [...failuresOf(test.expect, [...path, 'expect'], happened, true), ...checks];
  return [
    ...endFailures(file, index, record, happened),
    ...failures.map((failure) => {
      const atWhole = nodeAt(file.tree, failure.path)?.kind === 'fields';
      return (atWhole ? atKey : atValue)(file, failure.path, 'EF2110', failure.message);
    }),
  ];
}
