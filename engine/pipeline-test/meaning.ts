/** What a test says that is fine word by word and makes no sense. */
import { resolve } from 'node:path';
import type { Diagnostic, PathStep } from '../config/diagnostic.ts';
import { isByEvent } from './answers.ts';
import { checkPatterns } from './compare.ts';
import { planEvents, readEventFile } from './events.ts';
import type { Answer, Expect, PlainAnswers, Test } from './test-file.generated.ts';
import { atKey, atValue, type OpenTestFile } from './test-file.ts';
import { formatTime, parseTime } from './words.ts';

/** Of one test: more would say no more about a pipeline. */
const mostEvents = 10_000;

function tooMany(file: OpenTestFile, test: Test, path: readonly PathStep[]): Diagnostic[] {
  const count = test.events.reduce((sum, { repeat = 1 }) => sum + repeat, 0);
  if (count <= mostEvents) return [];
  const message = `expected at most ${mostEvents.toLocaleString('en-US')} events, got ${count.toLocaleString('en-US')}`;
  return [atValue(file, [...path, 'events'], 'EF2106', message)];
}

/** Reports and filters name tests by their names. */
function repeatedNames(file: OpenTestFile): Diagnostic[] {
  const names = file.valid.tests.map(({ name }) => name);
  return names.flatMap((name, index) =>
    names.indexOf(name) === index
      ? []
      : [atValue(file, ['tests', index, 'name'], 'EF2104', `expected a name of its own, got ${JSON.stringify(name)}`)],
  );
}

function eventFiles(file: OpenTestFile, test: Test, path: readonly PathStep[]): Diagnostic[] {
  return test.events.flatMap((event, index) => {
    const read = event.file === undefined ? {} : readEventFile(resolve(file.folder, event.file));
    if (typeof read !== 'string') return [];
    const message = `expected a JSON file with an event, got: ${read}`;
    return [atValue(file, [...path, 'events', index, 'file'], 'EF2105', message)];
  });
}

function eventIds(file: OpenTestFile, test: Test, path: readonly PathStep[]): Diagnostic[] {
  if (tooMany(file, test, path).length > 0) return [];
  const sources = new Map<string, unknown>();
  return planEvents(test.events, file.folder).flatMap(({ id, envelope: { source }, index }) => {
    const isFirst = !sources.has(id);
    const known = isFirst ? source : sources.get(id);
    sources.set(id, known);
    if (isFirst) return [];
    const own = test.events[index]?.id === undefined ? [] : ['id'];
    const message = `expected an id of its own for each event, got ${JSON.stringify(id)} again`;
    if (known !== source) {
      const other = `${message}, from another source`;
      const alone = 'tests name events by their ids alone, and could not tell the two apart';
      return [atValue(file, [...path, 'events', index, ...own], 'EF2104', other, { help: alone })];
    }
    const help = 'the store takes a second event of the same id and source for a repeat of the first';
    return [atValue(file, [...path, 'events', index, ...own], 'EF2104', message, { help, severity: 'warning' })];
  });
}

function timesInOrder(file: OpenTestFile, test: Test, path: readonly PathStep[]): Diagnostic[] {
  let last = 0;
  return test.events.flatMap((event, index) => {
    if (event.at === undefined) return [];
    const at = parseTime(event.at);
    const before = last;
    last = Math.max(last, at);
    if (at >= before) return [];
    const message = `expected the events in the order of time, got ${formatTime(at)} after ${formatTime(before)}`;
    return [atValue(file, [...path, 'events', index, 'at'], 'EF2106', message)];
  });
}

function lateChecks(file: OpenTestFile, test: Test, path: readonly PathStep[]): Diagnostic[] {
  const { until, checks = [] } = test;
  if (until === undefined) return [];
  return checks.flatMap(({ at }, index) =>
    parseTime(at) <= parseTime(until)
      ? []
      : [atValue(file, [...path, 'checks', index, 'at'], 'EF2106', `expected a moment up to ${until}, got ${at}`)],
  );
}

/** They would never be published. One for each item of the list: the last of its repeats says it all. */
function lateEvents(file: OpenTestFile, test: Test, path: readonly PathStep[]): Diagnostic[] {
  const { until } = test;
  if (until === undefined || tooMany(file, test, path).length > 0) return [];
  const lasts = new Map(planEvents(test.events, file.folder).map(({ index, at }) => [index, at]));
  return [...lasts].flatMap(([index, at]) => {
    if (at <= parseTime(until)) return [];
    const event = test.events[index];
    const field = event?.every === undefined ? (event?.at === undefined ? [] : ['at']) : ['every'];
    const message = `expected events up to ${until}, got one at ${formatTime(at)}`;
    const help = 'what is later than until: is never published';
    return [atValue(file, [...path, 'events', index, ...field], 'EF2106', message, { help })];
  });
}

const silenced = ['status', 'skip', 'permanent', 'unavailable', 'code', 'message', 'body', 'retryAfter'] as const;

/** Whoever says nothing until the timeout cannot say anything of a fault. */
function contradictions(file: OpenTestFile, { answers = {} }: Test, path: readonly PathStep[]): Diagnostic[] {
  const oneOf = (answer: Answer, at: readonly PathStep[]): Diagnostic[] => {
    if (typeof answer !== 'object' || answer.fault !== 'timeout') return [];
    const said = silenced.filter((field) => answer[field] !== undefined && answer[field] !== false);
    return said.map((field) => {
      const message = `expected nothing but after and times beside fault: timeout, got ${field}`;
      return atKey(file, [...at, field], 'EF2109', message);
    });
  };
  const plain = (written: PlainAnswers, at: readonly PathStep[]): Diagnostic[] =>
    Array.isArray(written) ? written.flatMap((one, n) => oneOf(one, [...at, n])) : oneOf(written, at);
  return Object.entries(answers).flatMap(([route, written]) => {
    const at = [...path, 'answers', route];
    if (!isByEvent(written)) return plain(written, at);
    const own = Object.entries(written.events).flatMap(([id, one]) => plain(one, [...at, 'events', id]));
    return written.others === undefined ? own : [...own, ...plain(written.others, [...at, 'others'])];
  });
}

/** `...` stands for what follows, so nothing follows it. */
function unendedLists(file: OpenTestFile, { attempts = {} }: Expect, path: readonly PathStep[]): Diagnostic[] {
  const lists = Object.entries(attempts).flatMap(([route, value]): [PathStep[], readonly string[]][] => {
    const at = [...path, 'attempts', route];
    if (Array.isArray(value)) return [[at, value]];
    if (typeof value === 'number') return [];
    return Object.entries(value).flatMap(([event, inner]): [PathStep[], readonly string[]][] =>
      Array.isArray(inner) ? [[[...at, event], inner]] : [],
    );
  });
  return lists.flatMap(([at, times]) => {
    const more = times.indexOf('...');
    if (more === -1 || more === times.length - 1) return [];
    return [atValue(file, [...at, more], 'EF2106', 'expected ... at the end of the list, got it before the end')];
  });
}

function checkExpect(file: OpenTestFile, expect: Expect, path: readonly PathStep[]): Diagnostic[] {
  const patterns = checkPatterns(expect.options ?? {}, [...path, 'options']);
  return [
    ...unendedLists(file, expect, path),
    ...patterns.map(({ path: at, message }) => atKey(file, at, 'EF2107', message)),
  ];
}

/** Everything about one file that needs no pipeline. */
export function checkMeaning(file: OpenTestFile): Diagnostic[] {
  const tests = file.valid.tests.flatMap((test, index) => {
    const path: PathStep[] = ['tests', index];
    const checks = (test.checks ?? []).flatMap(({ expect }, at) =>
      checkExpect(file, expect, [...path, 'checks', at, 'expect']),
    );
    return [
      ...eventFiles(file, test, path),
      ...tooMany(file, test, path),
      ...eventIds(file, test, path),
      ...timesInOrder(file, test, path),
      ...lateEvents(file, test, path),
      ...lateChecks(file, test, path),
      ...contradictions(file, test, path),
      ...checkExpect(file, test.expect, [...path, 'expect']),
      ...checks,
    ];
  });
  return [...repeatedNames(file), ...tests];
}
