/**
 * `npm test`: the checks of the text, then every test; says at the start what it runs against and at the end what
 * failed. Arguments pick a part: `checks`, a folder of `test/` (`core`, `contract`, …), or files.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { provideForTests } from './provide.ts';

const root = join(import.meta.dirname, '../..');
process.chdir(root);

const checks = {
  'format and lint': ['biome', 'ci', '--colors=off'],
  'floating promises': ['oxlint', '--type-aware', '--quiet'],
  types: ['tsc'],
  'unused code': ['knip', '--no-progress'],
} as const;

/** They take minutes or a browser, and have commands of their own. */
const apart = ['bench', 'browser', 'support'];
/** They keep the machine busy by themselves: first, so that neither they nor the others wait for times that are not theirs. */
const alone = ['test/chaos/faults.test.ts'];

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

function start(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  show: boolean,
): Promise<Ended> {
  const path = `${join(root, 'node_modules/.bin')}${delimiter}${process.env['PATH']}`;
  const child = spawn(command, args, {
    env: { ...process.env, ...env, PATH: path },
    stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ code: 1, output: `${command}: ${error.message}` }));
    child.on('close', (code) => resolve({ code, output }));
  });
}

/** All at once; what passes takes one line, what fails shows everything. Resolves to the names of what failed. */
async function runChecks(): Promise<readonly string[]> {
  const runs = Object.entries(checks).map(async ([name, [command, ...args]]) => {
    const started = performance.now();
    const { code, output } = await start(command, args, {}, false);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${code === 0 ? '✔' : '✖'} ${name} (${seconds} s)${code === 0 ? '' : `\n${output}`}`);
    return code === 0 ? [] : [name];
  });
  return (await Promise.all(runs)).flat();
}

function testFiles(wanted: readonly string[]): readonly string[] {
  const all = globSync('test/**/*.test.ts');
  if (wanted.length === 0) return all.filter((file) => !apart.some((name) => file.startsWith(`test/${name}/`))).sort();
  const picked = all.filter((file) => wanted.some((want) => file === want || file.startsWith(`test/${want}/`)));
  if (picked.length === 0)
    throw new Error(`expected \`checks\`, a folder of test/ or test files, got ${wanted.join(' ')}`);
  return picked.sort();
}

/** The counts at the end of a TAP report: `# skipped 0`. */
const count = (tap: string, what: string): number => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(tap)?.[1] ?? 0);

/** Resolves to what failed. */
async function runAllTests(
  files: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-test-'));
  const failed = new Set<string>();
  // Hundreds of processes load the same sources.
  const all = { ...env, NODE_COMPILE_CACHE: join(folder, 'compiled') };
  for (const part of [files.filter((file) => alone.includes(file)), files.filter((file) => !alone.includes(file))]) {
    if (part.length > 0) for (const what of await runTests(part, all, folder)) failed.add(what);
  }
  await rm(folder, { recursive: true });
  return [...failed];
}

/** Resolves to what failed. A test that was skipped counts as a failure: nothing is left out in silence. */
async function runTests(
  files: readonly string[],
  env: Readonly<Record<string, string>>,
  folder: string,
): Promise<readonly string[]> {
  const report = join(folder, 'report.tap');
  const reporters = ['spec', 'stdout', 'tap', report].map((to, at) =>
    at % 2 === 0 ? `--test-reporter=${to}` : `--test-reporter-destination=${to}`,
  );
  const flags = ['--conditions=eventflow-source', '--test', `--test-concurrency=${availableParallelism()}`];
  const { code } = await start('node', [...flags, ...reporters, ...files], env, true);
  const tap = await readFile(report, 'utf8');
  const left = count(tap, 'skipped') + count(tap, 'todo');
  return [...(code === 0 ? [] : ['tests']), ...(left === 0 ? [] : [`${left} tests were skipped`])];
}

async function main(args: readonly string[]): Promise<number> {
  const started = performance.now();
  console.log(`Node ${process.version} on ${process.platform} ${process.arch}`);
  const wantsChecks = args.length === 0 || args.includes('checks');
  const wanted = args.filter((arg) => arg !== 'checks');
  const failed: string[] = [];
  const wantsTests = args.length === 0 || wanted.length > 0;
  const provided = wantsTests ? await provideForTests() : undefined;
  if (provided !== undefined) console.log(`Tests against ${provided.text}`);
  if (wantsChecks) failed.push(...(await runChecks()));
  if (provided !== undefined) failed.push(...(await runAllTests(testFiles(wanted), provided.env)));
  const seconds = Math.round((performance.now() - started) / 1000);
  if (provided !== undefined) console.log(`\nRan against Node ${process.version} and ${provided.text}`);
  console.log(failed.length === 0 ? `✔ all passed (${seconds} s)` : `✖ failed: ${failed.join(', ')} (${seconds} s)`);
  return failed.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2)).catch((error: Error) => {
  console.error(`✖ ${error.message}`);
  return 1;
});
