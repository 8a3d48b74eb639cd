/** Runs the tests of one file: pipelines as their environment makes them, each test in a world of its own. */
import { type Diagnostic, hasErrors, sortDiagnostics } from '../config/diagnostic.ts';
import { type LoadResult, loadGeneration } from '../config/load.ts';
import { openReading } from '../config/reading.ts';
import type { StreamRule } from '../core/match.ts';
import type { Generation, Route } from '../core/route.ts';
import type { PluginCatalog } from '../plugins/manifest.ts';
import { planEvents } from './events.ts';
import { judge } from './judge.ts';
import { checkMeaning } from './meaning.ts';
import { checkTestNames, findRoute } from './names.ts';
import { targetOf } from './target.ts';
import type { Answers, Test } from './test-file.generated.ts';
import { atValue, environmentOf, filesOf, type OpenTestFile, openTestFile } from './test-file.ts';
import { tellTimeline } from './timeline.ts';
import { type RouteUse, Uses } from './uses.ts';
import { parseTime } from './words.ts';
import { runWorld } from './world.ts';

export interface TestDeps {
  readonly catalog: PluginCatalog;
  /** The settings' streams. */
  readonly streams: readonly StreamRule[];
  /** File names in messages start here. */
  readonly cwd: string;
  /** References in the test files themselves. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Stands in for the seeds of all tests. */
  readonly seed?: number | undefined;
  /** Whether a test is wanted [all are]. */
  readonly wanted?: (name: string) => boolean;
  readonly onTest?: (result: TestResult) => void;
}

export interface TestResult {
  readonly file: string;
  readonly name: string;
  /** Where its name stands. */
  readonly line: number;
  readonly seed: number | undefined;
  /** What went wrong; empty: it passed. */
  readonly failures: readonly Diagnostic[];
  /** What happened, one line each. */
  readonly told: readonly string[];
  /** How long it took, and how much time passed in it, ms. */
  readonly tookMs: number;
  readonly passedMs: number;
}

export interface FileResult {
  readonly file: string;
  readonly tests: readonly TestResult[];
  /** Of the file itself and its pipelines: with an error among them, tests were not run. */
  readonly diagnostics: readonly Diagnostic[];
  /** By the names in diagnostics. */
  readonly sources: ReadonlyMap<string, string>;
  /** Routes under test, whether an event came to them or not. */
  readonly routes: readonly RouteUse[];
  /** Everything that was read, absolute: a change may change the result. */
  readonly files: readonly string[];
}

/** The same variables and files make the same pipelines. */
class Loader {
  readonly #file: OpenTestFile;
  readonly #deps: TestDeps;
  readonly #loaded = new Map<string, Promise<LoadResult>>();

  constructor(file: OpenTestFile, deps: TestDeps) {
    this.#file = file;
    this.#deps = deps;
  }

  load(test: Test): Promise<LoadResult> {
    const env = environmentOf(this.#file, test);
    const replaced = filesOf(this.#file, test);
    const key = JSON.stringify([env, [...replaced]]);
    const { catalog, cwd, streams } = this.#deps;
    const request = { paths: this.#file.pipelines, streams, catalog, env, cwd, reading: { replaced } };
    const loading = this.#loaded.get(key) ?? loadGeneration(request);
    this.#loaded.set(key, loading);
    return loading;
  }
}

function answersOf(test: Test, generation: Generation): Map<string, Answers> {
  return new Map(
    Object.entries(test.answers ?? {}).flatMap(([name, answers]): [string, Answers][] => {
      const choice = findRoute(generation, name);
      return choice.kind === 'found' ? [[choice.route.group, answers]] : [];
    }),
  );
}

async function runOne(
  file: OpenTestFile,
  index: number,
  { generation, secrets }: Extract<LoadResult, { ok: true }>,
  deps: TestDeps,
  uses: Uses,
): Promise<TestResult> {
  const test = file.valid.tests[index] as Test;
  const events = planEvents(test.events, file.folder);
  const mask = (text: string): string =>
    secrets.reduce((masked, secret) => (secret.length < 3 ? masked : masked.replaceAll(secret, '[secret]')), text);
  const seed = deps.seed ?? test.seed;
  const began = performance.now();
  const record = await runWorld({
    generation,
    catalog: deps.catalog,
    streams: deps.streams,
    events,
    answers: answersOf(test, generation),
    seed,
    until: test.until === undefined ? undefined : parseTime(test.until),
    mask,
  });
  const { timeline } = record;
  uses.saw(timeline);
  const target = (route: Route): string | undefined => targetOf(route, deps.catalog);
  const failures = judge(file, index, record, { generation, events, timeline, targetOf: target });
  return {
    file: file.source.file,
    name: test.name,
    line: atValue(file, ['tests', index, 'name'], 'EF2110', '').line,
    seed,
    failures: sortDiagnostics(failures).map((one) => ({ ...one, message: mask(one.message) })),
    told: tellTimeline(timeline, mask),
    tookMs: performance.now() - began,
    passedMs: record.endedAt,
  };
}

/** A file that was read, with the pipelines of each of its tests. */
interface Prepared extends Pick<FileResult, 'file' | 'diagnostics' | 'sources' | 'files'> {
  readonly opened: OpenTestFile | undefined;
  /** By the index of the test. */
  readonly loads: readonly LoadResult[];
}

/** A test sees nothing of the machine, so what is missing there is missing in the test. */
function inTest(diagnostic: Diagnostic): Diagnostic {
  if (diagnostic.code === 'EF1013') return { ...diagnostic, help: 'give it in the test, under env:' };
  return diagnostic.code === 'EF1015' ? { ...diagnostic, help: 'give it in the test, under files:' } : diagnostic;
}

async function prepare(path: string, deps: TestDeps): Promise<Prepared> {
  const reading = openReading(deps.cwd, deps.env);
  const { file: opened, source, diagnostics } = await openTestFile(path, reading);
  const own = source === undefined ? [] : [[source.file, source.text] as const];
  const file = reading.name(path);
  if (opened === undefined) return { file, opened, loads: [], diagnostics, sources: new Map(own), files: [path] };
  const loader = new Loader(opened, deps);
  const loads = await Promise.all(opened.valid.tests.map((test) => loader.load(test)));
  const unknown = loads.map((loaded, index) =>
    loaded.ok ? checkTestNames(opened, index, loaded.generation) : loaded.diagnostics.map(inTest),
  );
  return {
    file,
    opened,
    loads,
    diagnostics: sortDiagnostics([...diagnostics, ...checkMeaning(opened), ...unknown.flat()]),
    sources: new Map([...loads.flatMap(({ sources }) => [...sources]), ...own]),
    files: [...new Set([path, ...loads.flatMap(({ files }) => files)])],
  };
}

/** Everything that is wrong with a file of tests, and with its pipelines as it sees them; nothing is run. */
export const checkTestFile = async (path: string, deps: TestDeps): Promise<Omit<FileResult, 'tests' | 'routes'>> =>
  prepare(path, deps);

/** Runs the tests of a file, unless something is wrong with it. Never rejects because of what stands in a file. */
export async function runTestFile(path: string, deps: TestDeps): Promise<FileResult> {
  const { opened, loads, ...prepared } = await prepare(path, deps);
  const uses = new Uses();
  const tests: TestResult[] = [];
  for (const [index, loaded] of loads.entries()) {
    if (!loaded.ok || opened === undefined) continue;
    uses.know(loaded.generation);
    const name = opened.valid.tests[index]?.name ?? '';
    if (hasErrors(prepared.diagnostics) || deps.wanted?.(name) === false) continue;
    const result = await runOne(opened, index, loaded, deps, uses);
    deps.onTest?.(result);
    tests.push(result);
  }
  return { ...prepared, tests, routes: uses.list() };
}
