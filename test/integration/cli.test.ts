/** The command line without a running engine: usage, findings, files, exit codes. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { version } from '../../engine/version.ts';
import { type CliEnded, type CliSetting, eventflow } from '../support/cli.ts';

const root = join(import.meta.dirname, '../..');
let folder = '';

const pipeline = (options: string): string => `apiVersion: eventflow/v1
kind: Pipeline
name: orders
routes:
  - id: hook
    on: [order.paid]
    handler: webhook
    with:
${options}
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'eventflow-cli-'));
  await mkdir(join(folder, 'good'));
  await mkdir(join(folder, 'bad'));
  await writeFile(join(folder, 'good/orders.yaml'), pipeline('      url: https://example.com/hook'));
  await writeFile(join(folder, 'bad/orders.yaml'), pipeline('      url: https://example.com/hook\n      methud: POST'));
});

after(() => rm(folder, { recursive: true }));

/** First-party plugins are found from the checkout, so that is where these commands run. */
const ef = (args: readonly string[], setting: CliSetting = {}): Promise<CliEnded> =>
  eventflow(args, { cwd: root, ...setting });

const assertUsage = ({ code, stdout, stderr }: CliEnded, message: RegExp): void => {
  assert.equal(code, 2, stderr);
  assert.equal(stdout, '');
  assert.match(stderr, message);
};

test('the version is printed alone', async () => {
  assert.deepEqual(await ef(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
});

test('help goes to stdout and is no failure; without a command it goes to stderr and is one', async () => {
  const help = await ef(['--help']);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /^Usage: eventflow/);
  assertUsage(await ef([]), /^Usage: eventflow/);
});

test('usage errors end with 2 and say what was meant', async () => {
  assertUsage(await ef(['vaildate']), /unknown command 'vaildate'\n\(Did you mean validate\?\)/);
  assertUsage(await ef(['run', '--pipeline', 'x']), /unknown option '--pipeline'\n\(Did you mean --pipelines\?\)/);
  assertUsage(await ef(['validate', '-o', 'xml']), /Allowed choices are text, json, github, sarif/);
  assertUsage(await ef(['generate', 'alerts']), /--out <dir>' not specified/);
  assertUsage(await ef(['dlq', 'redrive']), /expected ids, a filter \(.*\) or --all/);
  assertUsage(await ef(['dlq', 'redrive', 'a', '--all']), /either ids, or a filter, or --all/);
  assertUsage(await ef(['publish', 'order.paid', '--file', 'x.json']), /expected a TYPE or --file, got both/);
  assertUsage(await ef(['publish', 'order.paid', '--id', '1', '--count', '2']), /--id or --count, got both/);
  assertUsage(await ef(['publish', '--data', '{}']), /expected --data together with a TYPE/);
  assertUsage(await ef(['publish', 'order.paid', '--rate', 'fast']), /Expected a rate such as 20\/s, got "fast"/);
  assertUsage(await ef(['publish', 'order.paid', '--url', 'localhost']), /expected --url to be http:\/\/HOST:PORT/);
});

test('every flag has a variable', async () => {
  const { describeProgram } = await import('../../engine/cli/program.ts');
  const program = await describeProgram(version);
  const leaves = program.commands.flatMap((command) => (command.commands.length > 0 ? command.commands : [command]));
  const without = leaves.flatMap((command) =>
    command.options
      .filter(({ negate, envVar }) => !negate && !envVar?.startsWith('EVENTFLOW_'))
      .map(({ long }) => `${command.name()} ${long}`),
  );
  assert.deepEqual(without, []);
  assert.ok(leaves.length > 10);
});

test('a variable stands in for its flag, the flag wins, and a switch reads the text of its variable', async () => {
  const env = { EVENTFLOW_OUTPUT: 'json', EVENTFLOW_PIPELINES: join(folder, 'bad') };
  assert.equal((JSON.parse((await ef(['validate'], { env })).stdout) as unknown[]).length, 1);
  assert.match((await ef(['validate', '-o', 'github'], { env })).stdout, /^::error /);
  assert.equal((await ef(['validate', '-p', join(folder, 'good')], { env })).code, 0);
  const off = await ef(['explain', 'EF4001'], { env: { EVENTFLOW_JSON: 'false' } });
  assert.match(off.stdout, /^EF4001: /);
  const on = await ef(['explain', 'EF4001'], { env: { EVENTFLOW_JSON: 'true' } });
  assert.equal((JSON.parse(on.stdout) as { code: string }).code, 'EF4001');
  assertUsage(
    await ef(['explain'], { env: { EVENTFLOW_JSON: 'maybe' } }),
    /EVENTFLOW_JSON to be true or false, got "maybe"/,
  );
});

test('a file of variables that is not there is a usage error', async () => {
  assertUsage(await ef(['explain'], { env: { EVENTFLOW_ENV_FILE: 'no-such-file' } }), /--env-file: .*no-such-file/);
});

test('variables of --env-file count, and those of the environment win', async () => {
  const file = join(folder, 'variables');
  await writeFile(file, `EVENTFLOW_PIPELINES=${join(folder, 'bad')}\n`);
  assert.equal((await ef(['validate', '--env-file', file])).code, 1);
  assert.equal(
    (await ef(['validate', `--env-file=${file}`], { env: { EVENTFLOW_PIPELINES: join(folder, 'good') } })).code,
    0,
  );
});

test('validate says nothing on stdout when all is well', async () => {
  const ended = await ef(['validate', join(folder, 'good')]);
  assert.deepEqual(ended, { code: 0, stdout: '', stderr: '1 pipeline with 1 route: no problems\n' });
});

test('validate prints findings at their place, with the code around it, and ends with 1', async () => {
  const { code, stdout, stderr } = await ef(['validate', join(folder, 'bad')]);
  assert.equal(code, 1);
  assert.match(stdout, /orders\.yaml:10:7: error EF\d{4} routes\[0\]\.with\.methud: /);
  assert.match(stdout, / {2}10 \| {7}methud: POST\n {5}\| {7}\^{6}/);
  assert.match(stdout, /= help: did you mean "method"/);
  assert.equal(stderr, '1 error, 0 warnings\n');
});

test('validate speaks JSON and the language of GitHub', async () => {
  const [finding] = JSON.parse((await ef(['validate', '-o', 'json', join(folder, 'bad')])).stdout) as {
    severity: string;
    range: { start: { line: number; column: number } };
  }[];
  assert.equal(finding?.severity, 'error');
  assert.deepEqual(finding?.range.start, { line: 10, column: 7 });
  const { stdout } = await ef(['validate', '-o', 'github', join(folder, 'bad')]);
  assert.match(
    stdout,
    /^::error file=.*orders\.yaml,line=10,col=7,endColumn=13,title=EF\d{4}::routes\[0\]\.with\.methud/,
  );
});

test('validate reports wrong settings as findings too', async () => {
  const file = join(folder, 'wrong.yaml');
  await writeFile(file, 'jurnal: {}\n');
  const { code, stdout } = await ef(['validate', '--config', file, join(folder, 'good')]);
  assert.equal(code, 1);
  assert.match(stdout, /wrong\.yaml:1:1: error EF\d{4} .*jurnal/);
});

test('other commands end with 78 when settings or pipelines are wrong', async () => {
  const file = join(folder, 'wrong-too.yaml');
  await writeFile(file, 'jurnal: {}\n');
  const settings = await ef(['schema', '--config', file]);
  assert.equal(settings.code, 78);
  assert.match(settings.stderr, /wrong-too\.yaml:1:1: error EF/);
  const pipelines = await ef(['generate', 'all', '--out', join(folder, 'never'), '-p', join(folder, 'bad')]);
  assert.equal(pipelines.code, 78);
  assert.match(pipelines.stderr, /orders\.yaml:10:7: error EF/);
});

test('explain knows every code, guesses at misspelt ones and lists them all', async () => {
  assert.match((await ef(['explain', 'ef4001'])).stdout, /^EF4001: .*\n\n\w/);
  const unknown = await ef(['explain', 'EF4x01']);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /did you mean EF4001\?/);
  assert.ok((JSON.parse((await ef(['explain', '--json'])).stdout) as unknown[]).length > 30);
});

test('schema prints a schema that knows the options of installed handlers', async () => {
  const { stdout } = await ef(['schema']);
  assert.match(stdout, /"webhook"/);
  assert.match((JSON.parse(stdout) as { $schema: string }).$schema, /json-schema/);
  const file = join(folder, 'pipeline.schema.json');
  const ended = await ef(['schema', '--out', file]);
  assert.equal(ended.stdout, '');
  assert.equal(await readFile(file, 'utf8'), stdout);
});

test('plugins list shows the handlers without running them', async () => {
  assert.match((await ef(['plugins', 'list'])).stdout, /^webhook +@eventflow\/plugin-webhook +\d/m);
  const list = JSON.parse((await ef(['plugins', 'list', '--json'])).stdout) as { handler: string }[];
  assert.ok(list.some(({ handler }) => handler === 'email'));
});

test('generate writes what the pipelines need, and --check tells when it is out of date', async () => {
  const out = join(folder, 'generated');
  const args = ['generate', 'all', '--out', out, '-p', join(folder, 'good')];
  const written = await ef(args);
  assert.equal(written.code, 0, written.stderr);
  assert.deepEqual((await readdir(out)).sort(), ['alerts', 'dashboards']);
  assert.equal((await ef([...args, '--check'])).code, 0);
  const [first = ''] = written.stdout.split('\n');
  await writeFile(first, 'changed');
  const stale = await ef([...args, '--check']);
  assert.deepEqual([stale.code, stale.stdout], [1, `${first} (changed)\n`]);
  assert.equal(await readFile(first, 'utf8'), 'changed');
});

test('what cannot be reached ends with 69, and looking does not make a bus', async () => {
  const [missing, redis, admin, ingest] = await Promise.all([
    ef(['circuits', 'list', '--bus', `sqlite:${join(folder, 'none/bus.db')}`]),
    ef(['dlq', 'list', '--bus', 'redis://127.0.0.1:1/0']),
    ef(['verify', '--admin', 'http://127.0.0.1:1']),
    ef(['publish', 'order.paid', '--url', 'http://127.0.0.1:1']),
  ]);
  assert.match(missing.stderr, /EF5001 expected a bus at .*none\/bus\.db, there is none/);
  await assert.rejects(readdir(join(folder, 'none')));
  assert.match(admin.stderr, /EF6021 /);
  assert.deepEqual(
    [missing, redis, admin, ingest].map(({ code }) => code),
    [69, 69, 69, 69],
    redis.stderr + ingest.stderr,
  );
});

test('a reader that stops early is no failure', async () => {
  const { spawn } = await import('node:child_process');
  const child = spawn(process.execPath, ['--conditions=eventflow-source', join(root, 'engine/cli/main.ts'), 'schema'], {
    cwd: root,
  });
  child.stdout.destroy();
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 0);
});
