/** `eventflow test`: the tests of pipelines, on a clock of their own and without network. */
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Settings } from '../config/index.ts';
import type { Coverage } from '../pipeline-test/coverage.ts';
import type { FileResult, TestResult } from '../pipeline-test/run.ts';
import { exit, Failure } from './exit.ts';
import { pipelinesOption, type SettingsFlags, switched, valued, wholeNumber, withSettings } from './options.ts';
import { paint, paintError, plural, print, printJson, progress, table, tell } from './output.ts';

type Format = 'text' | 'json' | 'junit' | 'github';

interface TestFlags extends SettingsFlags {
  readonly output: Format;
  readonly test?: string;
  readonly seed?: number;
  readonly watch?: boolean;
  readonly coverage?: boolean;
  readonly minCoverage?: number;
}

interface Results {
  readonly files: readonly FileResult[];
  readonly coverage: Coverage | undefined;
  /** Why the coverage is not that of all routes; undefined: it is. */
  readonly uncounted?: string;
}

function percent(text: string): number {
  const value = Number(text.replace(/%$/, ''));
  if (value >= 0 && value <= 100 && text !== '') return value;
  throw new InvalidArgumentError(`Expected a share from 0 to 100, got ${JSON.stringify(text)}.`);
}

const asked = (flags: TestFlags, paths: readonly string[], settings: Settings): readonly string[] =>
  paths.length > 0 ? paths : (flags.pipelines ?? settings.pipelines);

async function runAll(paths: readonly string[], flags: TestFlags, settings: Settings): Promise<Results> {
  const { openCatalog } = await import('./pipelines.ts');
  const { findTestFiles, missingTests } = await import('../pipeline-test/files.ts');
  const { runTestFile } = await import('../pipeline-test/run.ts');
  const catalog = await openCatalog(settings);
  const name = flags.test?.toLowerCase();
  const { files: found, missing, empty } = findTestFiles(asked(flags, paths, settings), process.cwd());
  if (found.length > 0 && empty.length > 0) tell(`expected tests (*.test.yaml) in ${empty.join(', ')} too, got none`);
  // The settings may name a folder that comes later; what is named in the command is meant.
  const files: FileResult[] = (paths.length > 0 ? missing : []).map((file) => ({
    ...{ file, tests: [], diagnostics: [missingTests(file)], sources: new Map(), routes: [], files: [resolve(file)] },
  }));
  for (const [index, file] of found.entries()) {
    const result = await runTestFile(file, {
      catalog,
      streams: settings.streams,
      cwd: process.cwd(),
      env: process.env,
      seed: flags.seed,
      ...(name === undefined ? {} : { wanted: (test) => test.toLowerCase().includes(name) }),
      onTest: (test) => progress(`${index + 1} of ${plural(found.length, 'file')}: ${test.name}`),
    });
    files.push(result);
  }
  progress('');
  const wantsCoverage = flags.coverage === true || flags.minCoverage !== undefined;
  return wantsCoverage ? { files, ...(await measure(files, settings)) } : { files, coverage: undefined };
}

/** Routes of the settings' pipelines count too; their variables are not needed for that. */
async function measure(
  files: readonly FileResult[],
  settings: Settings,
): Promise<Pick<Results, 'coverage' | 'uncounted'>> {
  const { loadPipelines } = await import('./pipelines.ts');
  const { coverageOf } = await import('../pipeline-test/coverage.ts');
  const loaded = await loadPipelines(settings, true);
  if (!loaded.ok) {
    const fault = loaded.diagnostics.find(({ severity }) => severity === 'error');
    const uncounted = `routes of pipelines without tests are not counted, since they cannot be read here: ${fault?.file}:${fault?.line}: ${fault?.message}`;
    return { coverage: coverageOf(files, []), uncounted };
  }
  const routes = [...loaded.generation.routes.values()].filter(({ enabled }) => enabled);
  return { coverage: coverageOf(files, routes) };
}

// ── text ───────────────────────────────────────────────────────────────────────────────────────────────────────────

async function resultLines(result: TestResult, sources: ReadonlyMap<string, string>): Promise<string> {
  const { formatTime } = await import('../pipeline-test/words.ts');
  const took = `${formatTime(result.passedMs)} in ${Math.round(result.tookMs)} ms`;
  const seed = result.seed === undefined ? '' : `, seed ${result.seed}`;
  const tail = paint('dim', `(${took}${seed})`);
  if (result.failures.length === 0) return `  ${paint('green', '✓')} ${result.name} ${tail}`;
  const { tellFailure } = await import('../pipeline-test/tell.ts');
  return `  ${paint('red', '✗')} ${result.name} ${tail}\n\n${tellFailure(result, sources)}\n`;
}

async function printText({ files, coverage }: Results): Promise<void> {
  const { formatAll } = await import('./settings.ts');
  for (const { file, tests, diagnostics, sources } of files) {
    if (tests.length === 0 && diagnostics.length === 0) continue;
    print(paint('bold', file));
    for (const test of tests) print(await resultLines(test, sources));
    if (diagnostics.length > 0) print(`\n${formatAll(diagnostics, sources)}\n`);
  }
  if (coverage !== undefined) await printCoverage(coverage);
}

async function printCoverage({ routes, covered, percent: share }: Coverage): Promise<void> {
  const { outcomes } = await import('../pipeline-test/uses.ts');
  const rows = routes.map(({ group, file, line, outcomes: seen }) => [
    seen.size === 0 ? paint('yellow', group) : group,
    ...outcomes.map((outcome) => (seen.has(outcome) ? '✓' : '–')),
    `${file}:${line}`,
  ]);
  print(`\n${table(['ROUTE', ...outcomes.map((outcome) => outcome.toUpperCase()), 'WHERE'], rows)}`);
  print(`\n${covered} of ${plural(routes.length, 'route')} tested (${share.toFixed(1)} %)`);
}

// ── all formats ────────────────────────────────────────────────────────────────────────────────────────────────────

async function show(results: Results, format: Format): Promise<void> {
  switch (format) {
    case 'text':
      return printText(results);
    case 'json': {
      const { jsonReport } = await import('../pipeline-test/reports.ts');
      return printJson(jsonReport(results.files, results.coverage));
    }
    case 'junit': {
      const { junitReport } = await import('../pipeline-test/reports.ts');
      return print(junitReport(results.files));
    }
    case 'github': {
      const { toGithub } = await import('../config/diagnostic.ts');
      const tests = results.files.flatMap((file) => file.tests);
      const said = [...tests.flatMap(({ failures }) => failures), ...results.files.flatMap((file) => file.diagnostics)];
      for (const diagnostic of said) print(toGithub(diagnostic));
    }
  }
}

/** Says how it went. False: something has to be done. */
async function sum(
  { files, coverage, uncounted }: Results,
  flags: TestFlags,
  where: readonly string[],
): Promise<boolean> {
  const { brokenFiles, failedTests } = await import('../pipeline-test/reports.ts');
  const tests = files.flatMap((file) => file.tests).length;
  const [failed, broken] = [failedTests(files).length, brokenFiles(files).length];
  const faults: string[] = [];
  if (files.length === 0) faults.push(`expected at least one file *.test.yaml in ${where.join(', ')}, got none`);
  else if (tests === 0 && broken === 0)
    faults.push(`expected a test with ${JSON.stringify(flags.test)} in its name, got none`);
  if (failed > 0) faults.push(`${failed} of ${plural(tests, 'test')} failed`);
  if (broken > 0) faults.push(`${plural(broken, 'file')} cannot be run`);
  const least = flags.minCoverage;
  if (least !== undefined && coverage !== undefined && coverage.percent < least) {
    faults.push(`expected tests for at least ${least} % of the routes, got ${coverage.percent.toFixed(1)} %`);
  }
  if (uncounted !== undefined && least !== undefined) faults.push(uncounted);
  else if (uncounted !== undefined) tell(uncounted);
  tell(
    faults.length === 0 ? paintError('green', `${plural(tests, 'test')} passed`) : paintError('red', faults.join('; ')),
  );
  return faults.length === 0;
}

async function once(
  paths: readonly string[],
  flags: TestFlags,
): Promise<{ results: Results; settings: Settings; good: boolean }> {
  const { readSettings } = await import('./settings.ts');
  const settings = await readSettings(flags);
  const results = await runAll(paths, flags, settings);
  await show(results, flags.output);
  return { results, settings, good: await sum(results, flags, asked(flags, paths, settings)) };
}

const filesOf = ({ files }: Results): string[] => files.flatMap((file) => file.files);

/** Runs again whenever something changes; ends with a signal. */
async function watchAll(paths: readonly string[], flags: TestFlags): Promise<void> {
  const { watchFiles } = await import('../config/index.ts');
  const { results, settings } = await once(paths, flags);
  const again = async (): Promise<void> => {
    print('');
    watching.update(filesOf((await once(paths, flags)).results));
  };
  const watching = watchFiles({
    paths: asked(flags, paths, settings),
    cwd: process.cwd(),
    files: filesOf(results),
    onChange: again,
  });
  await watching.ready;
  tell(paintError('dim', 'waiting for changes'));
  await new Promise<void>((stop) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop());
  });
  await watching.close();
}

async function test(paths: readonly string[], flags: TestFlags): Promise<void> {
  if (flags.watch === true) return watchAll(paths, flags);
  const { good } = await once(paths, flags);
  if (!good) throw new Failure(exit.failed);
}

export function define(program: Command): void {
  const command = program
    .command('test')
    .description(
      'runs the tests of pipelines (*.test.yaml) on a clock of their own, without network and without plugin code',
    )
    .argument('[paths...]', "tests, pipelines, folders or globs (default: beside the settings' pipelines)")
    .addOption(
      new Option('-o, --output <format>', 'how results are printed')
        .env('EVENTFLOW_TEST_OUTPUT')
        .choices(['text', 'json', 'junit', 'github'])
        .default('text'),
    )
    .addOption(valued('-t, --test <name>', 'EVENTFLOW_TEST_NAME', 'only tests with this in their names'))
    .addOption(
      valued('--seed <n>', 'EVENTFLOW_TEST_SEED', 'throws the dice of jitter, in every test, with this seed').argParser(
        wholeNumber(0),
      ),
    )
    .addOption(switched('--coverage', 'EVENTFLOW_TEST_COVERAGE', 'tells which routes have tests, and what those saw'))
    .addOption(
      valued(
        '--min-coverage <percent>',
        'EVENTFLOW_TEST_MIN_COVERAGE',
        'fails when less of the routes have tests',
      ).argParser(percent),
    )
    .addOption(switched('-w, --watch', 'EVENTFLOW_TEST_WATCH', 'runs again when a file changes'))
    .addOption(pipelinesOption());
  withSettings(command).action(test);
}
