/** `eventflow test` as people and CI call it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { type CliEnded, eventflow } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';

const root = join(import.meta.dirname, '../..');

/** The shipped pipelines in a folder of their own, where they can be broken. */
async function copyOfPipelines(
  t: TestContext,
): Promise<{ readonly folder: string; readonly run: (...args: string[]) => Promise<CliEnded> }> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-test-'));
  t.after(() => rm(folder, { recursive: true }));
  await cp(join(root, 'pipelines'), join(folder, 'pipelines'), { recursive: true });
  await cp(join(root, 'schemas'), join(folder, 'schemas'), { recursive: true });
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  return { folder, run: (...args) => eventflow(['test', ...args], { cwd: folder }) };
}

async function edit(file: string, from: string | RegExp, to: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const edited = text.replace(from, to);
  assert.notEqual(edited, text, `${String(from)} is in ${file}`);
  await writeFile(file, edited);
}

interface Report {
  readonly summary: Readonly<Record<'files' | 'tests' | 'passed' | 'failed' | 'broken', number>>;
  readonly tests: readonly {
    readonly name: string;
    readonly result: string;
    readonly seed?: number;
    readonly timeline: readonly string[];
    readonly failures: readonly { readonly range: { readonly start: { readonly line: number } } }[];
  }[];
  readonly problems: readonly { readonly code: string }[];
  readonly coverage?: { readonly percent: number; readonly routes: readonly Record<string, unknown>[] };
}

const reportOf = ({ stdout }: CliEnded): Report => JSON.parse(stdout) as Report;

test('the shipped pipelines pass their tests, and every route has one', async () => {
  const ended = await eventflow(['test', '--min-coverage', '100', '-o', 'json'], { cwd: root });
  const report = reportOf(ended);
  assert.deepEqual([ended.code, report.summary.failed, report.summary.broken], [0, 0, 0], ended.stderr);
  assert.ok(report.summary.files >= 3 && report.summary.passed > 20);
  assert.equal(report.coverage?.percent, 100);
});

test('every example with pipelines has tests of all its routes, and they pass', async () => {
  const folders = readdirSync(join(root, 'examples')).filter((name) =>
    existsSync(join(root, 'examples', name, 'pipelines')),
  );
  assert.ok(folders.length > 0);
  for (const name of folders) {
    const ended = await eventflow(['test', '--min-coverage', '100'], { cwd: join(root, 'examples', name) });
    assert.equal(ended.code, 0, name + ended.stdout + ended.stderr);
  }
});

test('the variables of the machine are not seen, and nothing is left in the folder', async (t) => {
  const { folder } = await copyOfPipelines(t);
  const env = { RETRY_INTERVAL: '9s', SMTP_URL: 'smtp://elsewhere.example', EVENTFLOW_BUS: 'redis://127.0.0.1:1' };
  const { code, stderr } = await eventflow(['test'], { cwd: folder, env });
  assert.equal(code, 0, stderr);
});

test('a change that breaks a promise fails at the line of the promise, and says what happens now', async (t) => {
  const { folder, run } = await copyOfPipelines(t);
  assert.equal((await run()).code, 0);
  await edit(join(folder, 'pipelines/orders.yaml'), 'maxAttempts: 8', 'maxAttempts: 2');
  const { code, stdout, stderr } = await run('pipelines/orders.yaml');
  assert.equal(code, 1);
  assert.match(stdout, /✓ a refund goes to the warehouse alone/);
  assert.match(stdout, /✗ a receipt survives two refusals of the mail server/);
  const line = (await readFile(join(folder, 'pipelines/orders.test.yaml'), 'utf8'))
    .split('\n')
    .findIndex((text) => text.includes('attempts: { receipt: [0s, 1s, 3s]'));
  assert.ok(stdout.includes(`pipelines/orders.test.yaml:${line + 1}:28: error EF2110`), stdout);
  assert.match(stdout, /expected 3 attempts \(0s, 1s, 3s\), got 2 \(0s, 1s\)/);
  assert.match(stdout, /1s {2}e1 {2}orders\.receipt\s+dead letter: exhausted/);
  assert.match(stderr, /\d of 12 tests failed/);
});

test('a filter runs tests by their names, and says so when there is none', async () => {
  const one = reportOf(await eventflow(['test', '-t', 'SURVIVES two', '-o', 'json'], { cwd: root }));
  assert.deepEqual(
    one.tests.map(({ name }) => name),
    ['a receipt survives two refusals of the mail server'],
  );
  const none = await eventflow(['test', '-t', 'no such test'], { cwd: root });
  assert.equal(none.code, 1);
  assert.match(none.stderr, /expected a test with "no such test" in its name, got none/);
});

test('one seed gives one run, another seed another', async () => {
  const at = async (seed: string): Promise<readonly string[]> => {
    const args = ['test', 'pipelines/orders.test.yaml', '-t', 'with jitter', '--seed', seed, '-o', 'json'];
    const [only] = reportOf(await eventflow(args, { cwd: root })).tests;
    assert.equal(only?.seed, Number(seed));
    return only?.timeline ?? [];
  };
  const first = await at('7');
  assert.deepEqual(await at('7'), first);
  assert.notDeepEqual(await at('8'), first);
});

test('the report for CI is well-formed XML, whatever a test is called', async (t) => {
  const { folder, run } = await copyOfPipelines(t);
  const file = join(folder, 'pipelines/orders.test.yaml');
  await edit(file, 'name: nobody asks', 'name: "<b> & \\"quotes\\" \\u0001 ]]> nobody asks');
  await edit(file, 'shipped orders yet', 'shipped orders yet"');
  await edit(join(folder, 'pipelines/orders.yaml'), 'maxAttempts: 8', 'maxAttempts: 2');
  await edit(join(folder, 'pipelines/payments.test.yaml'), 'on-call: connection }', 'on-cal: connection }');
  const { code, stdout } = await run('-o', 'junit');
  assert.equal(code, 1);
  assert.equal(XMLValidator.validate(stdout), true);
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '',
    isArray: (name, _path, _isLeaf, isAttribute) => !isAttribute && name !== 'testsuites',
  });
  const { testsuites } = parser.parse(stdout) as {
    testsuites: {
      testsuite: {
        name: string;
        tests: string;
        failures: string;
        errors: string;
        testcase: { name: string; failure?: unknown[]; error?: { type: string }[] }[];
      }[];
    };
  };
  for (const suite of testsuites.testsuite) {
    assert.equal(Number(suite.tests), suite.testcase.length);
    assert.equal(Number(suite.failures), suite.testcase.filter(({ failure }) => failure !== undefined).length);
    assert.equal(Number(suite.errors), suite.testcase.filter(({ error }) => error !== undefined).length);
  }
  const cases = testsuites.testsuite.flatMap(({ testcase }) => testcase);
  assert.equal(cases[8]?.name, '<b> & "quotes" \ufffd ]]> nobody asks for shipped orders yet');
  assert.deepEqual(
    testsuites.testsuite.map(({ failures, errors }) => [Number(failures) > 0, errors]),
    [
      [false, '0'],
      [true, '0'],
      [false, '1'],
    ],
  );
  assert.deepEqual(
    cases.flatMap(({ error }) => error?.map(({ type }) => type) ?? []),
    ['EF2102'],
  );
});

test('annotations of a pull request stand at the expectations that are not met', async (t) => {
  const { folder, run } = await copyOfPipelines(t);
  await edit(join(folder, 'pipelines/orders.yaml'), 'maxAttempts: 8', 'maxAttempts: 2');
  const { stdout } = await run('-o', 'github');
  assert.match(stdout, /^::error file=pipelines\/orders\.test\.yaml,line=\d+,col=\d+,endColumn=\d+,title=EF2110::/);
});

test('coverage names the routes without a test, and a share can be asked for', async (t) => {
  const { folder, run } = await copyOfPipelines(t);
  await rm(join(folder, 'pipelines/accounts.test.yaml'));
  const { code, stdout, stderr } = await run('--coverage', '--min-coverage', '90');
  assert.equal(code, 1);
  assert.match(stdout, /accounts\.crm +– +– +– +– +pipelines\/accounts\.yaml:\d+/);
  assert.match(stdout, /orders\.receipt +✓ +✓ +✓ +– +pipelines\/orders\.yaml:\d+/);
  assert.match(stdout, /5 of 8 routes tested \(62\.5 %\)/);
  assert.match(stderr, /expected tests for at least 90 % of the routes, got 62\.5 %/);
  assert.equal((await run('--min-coverage', '60')).code, 0);
  const { coverage } = reportOf(await run('--coverage', '-o', 'json'));
  const receipt = coverage?.routes.find(({ route }) => route === 'orders.receipt');
  assert.deepEqual([receipt?.['delivered'], receipt?.['skipped']], [true, false]);
});

test('variables that are missing here hide no route from the coverage, and pipelines that are wrong fail it', async (t) => {
  const { folder, run } = await copyOfPipelines(t);
  const file = join(folder, 'pipelines/extra.yaml');
  const route = '  - { id: hook, on: [order.*], handler: webhook, with: { url: "${NOBODY_SETS_IT}" } }\n';
  await writeFile(file, `apiVersion: eventflow/v1\nkind: Pipeline\nname: extra\nroutes:\n${route}`);
  const hidden = await run('--min-coverage', '100');
  assert.equal(hidden.code, 1);
  assert.match(hidden.stderr, /expected tests for at least 100 % of the routes, got 88\.9 %/);
  await edit(file, 'handler: webhook', 'handler: webhok');
  const wrong = await run('--min-coverage', '50');
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /cannot be read here: pipelines\/extra\.yaml:5: .*webhok/);
  assert.equal((await run('--coverage')).code, 0);
});

test('what is named and not there is a fault, what has no tests is told', async (t) => {
  const { run } = await copyOfPipelines(t);
  const good = 'pipelines/accounts.test.yaml';
  const missing = await run(good, 'pipelines/acounts.test.yaml');
  assert.equal(missing.code, 1);
  assert.match(missing.stdout, /pipelines\/acounts\.test\.yaml:1:1: error EF2108 .*there is none/);
  assert.match(missing.stderr, /1 file cannot be run/);
  assert.deepEqual(
    reportOf(await run(good, 'nowhere', '-o', 'json')).problems.map(({ code }) => code),
    ['EF2108'],
  );
  const empty = await run(good, 'schemas', 'none-*.yaml');
  assert.equal(empty.code, 0);
  assert.match(empty.stderr, /expected tests \(\*\.test\.yaml\) in schemas, none-\*\.yaml too, got none/);
});

test('the command line is told apart from failing tests, and broken settings from both', async (t) => {
  const { folder, run } = await copyOfPipelines(t);
  assert.equal((await run('-o', 'yaml')).code, 2);
  assert.equal((await run('--min-coverage', 'all')).code, 2);
  const empty = await run('schemas');
  assert.equal(empty.code, 1);
  assert.match(empty.stderr, /expected at least one file \*\.test\.yaml in schemas, got none/);
  await writeFile(join(folder, 'eventflow.yaml'), 'plugins: ["@acme/eventflow-plugin-crm"]\n');
  const missing = await run();
  assert.equal(missing.code, 78);
  assert.match(missing.stderr, /EF3001 .*the plugin @acme\/eventflow-plugin-crm is not installed/);
  assert.match(missing.stderr, /npm install @acme\/eventflow-plugin-crm/);
});

test('while it watches, a saved file is tested again', async (t) => {
  const { folder } = await copyOfPipelines(t);
  const cli = join(root, 'engine/cli/main.ts');
  const child = spawn(process.execPath, ['--conditions=eventflow-source', cli, 'test', '--watch', '-o', 'json'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], NO_COLOR: '1' },
  });
  t.after(() => child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
  const ended = new Promise((resolve) => child.on('close', resolve));
  await eventually('a first run', () => stderr.includes('waiting for changes'), 60_000);
  assert.match(stderr, /23 tests passed/);
  await edit(join(folder, 'pipelines/orders.yaml'), 'maxAttempts: 8', 'maxAttempts: 2');
  await eventually('a second run', () => /\d of 23 tests failed/.test(stderr), 60_000);
  assert.match(stdout, /"result": "failed"/);
  child.kill('SIGINT');
  assert.equal(await ended, 0);
});

test('eventflow validate checks tests, and takes none of them for a pipeline', async (t) => {
  const { folder } = await copyOfPipelines(t);
  const validate = (...args: string[]) => eventflow(['validate', ...args], { cwd: folder });
  assert.match((await validate('pipelines')).stderr, /^3 pipelines with 8 routes: no problems/);
  assert.match((await validate('pipelines/*.yaml')).stderr, /^3 pipelines with 8 routes: no problems/);
  await edit(join(folder, 'pipelines/orders.test.yaml'), 'receipt: matched', 'reciept: matched');
  for (const paths of [[], ['pipelines'], ['pipelines/orders.yaml'], ['pipelines/orders.test.yaml']]) {
    const { code, stdout } = await validate(...paths);
    assert.equal(code, 1, paths.join());
    assert.match(stdout, /orders\.test\.yaml:\d+:17: error EF2102 .*got "reciept"\n[\s\S]*did you mean "receipt"\?/);
  }
  assert.match((await validate('pipelines/oders.test.yaml')).stdout, /oders\.test\.yaml:1:1: error EF2108/);
});
