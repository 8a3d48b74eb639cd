/** `eventflow validate` as people and workflows call it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { endsWithUs } from '../support/children.ts';
import { type CliEnded, type CliSetting, eventflow } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';

const root = join(import.meta.dirname, '../..');
const cli = join(root, 'engine/cli/main.ts');
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
const good = pipeline('      url: https://example.com/hook');
const bad = pipeline('      url: https://example.com/hook\n      methud: POST');

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'eventflow-validate-'));
});

after(() => rm(folder, { recursive: true }));

/** First-party plugins are found from the checkout, so that is where these commands run. */
const ef = (args: readonly string[], setting: CliSetting = {}): Promise<CliEnded> =>
  eventflow(args, { cwd: root, ...setting });

test('validate reads stdin and documents, and prints SARIF', async () => {
  const text = bad;
  const { code, stdout } = await ef(['validate', '-', '-o', 'sarif'], { input: text });
  assert.equal(code, 1);
  const { runs } = JSON.parse(stdout) as { runs: { results: { ruleId: string }[] }[] };
  assert.deepEqual(
    runs[0]?.results.map(({ ruleId }) => ruleId),
    ['EF2001'],
  );
  await writeFile(join(folder, 'how.md'), `# How\n\n\`\`\`yaml\n${text}\`\`\`\n`);
  const document = await ef(['validate', join(folder, 'how.md')]);
  assert.equal(document.code, 1);
  assert.match(document.stdout, /how\.md:13:7: error EF2001 routes\[0\]\.with\.methud: unknown field/);
  const fine = await ef(['validate', '-'], { input: good });
  assert.equal(fine.code, 0, fine.stdout);
  assert.match(fine.stderr, /1 pipeline with 1 route: no problems/);
});

test('validate prints as many problems as it is told to, and counts them all', async () => {
  const text = pipeline('      url: https://example.com/hook\n      methud: POST\n      bodi: x');
  const { code, stdout, stderr } = await ef(['validate', '-', '--max-problems', '1'], { input: text });
  assert.equal(code, 1);
  assert.equal(stdout.match(/EF2001/g)?.length, 1);
  assert.match(stderr, /2 errors, 0 warnings \(1 not shown\)/);
});

test('commas in braces and in names of files part nothing', async () => {
  await writeFile(join(folder, 'one,two.yaml'), good);
  await writeFile(join(folder, 'three.yaml'), good.replaceAll('order', 'offer'));
  const named = await ef(['validate', join(folder, 'one,two.yaml')]);
  assert.match(named.stderr, /^1 pipeline with 1 route: no problems/, named.stdout);
  const glob = join(folder, '{one?two,three}.yaml');
  const globbed = await ef(['validate', glob]);
  assert.match(globbed.stderr, /^2 pipelines with 2 routes: no problems/, globbed.stdout);
  for (const drawn of [await ef(['graph', '-p', glob]), await ef(['graph'], { env: { EVENTFLOW_PIPELINES: glob } })]) {
    assert.equal(drawn.code, 0, drawn.stderr);
    assert.match(drawn.stdout, /offers/);
  }
});

test('settings that are named are checked as settings, and pipelines beside them as before', async () => {
  const place = await mkdtemp(join(folder, 'settings-'));
  const [settings, path] = [join(place, 'eventflow.yaml'), join(place, 'a.yaml')];
  await writeFile(settings, 'log: { level: loud }\n');
  await writeFile(path, good);
  for (const paths of [[settings], [settings, path], [join(place, 'eventflow.yml'), settings]]) {
    const { code, stdout } = await ef(['validate', ...paths]);
    assert.equal(code, 1);
    assert.match(stdout, /eventflow\.yaml:1:15: error EF2003 log\.level/);
    assert.doesNotMatch(stdout, /apiVersion|a\.yaml:/);
  }
  await writeFile(settings, 'log: { level: warn }\n');
  for (const paths of [[settings], [settings, path]]) {
    const { code, stdout, stderr } = await ef(['validate', ...paths]);
    assert.equal(code, 0, stdout);
    assert.match(stderr, /: no problems/);
  }
});

test('a byte order mark on stdin changes no column', async () => {
  const { stdout } = await ef(['validate', '-'], { input: '\ufeffapiversion: eventflow/v1\n' });
  assert.match(stdout, /^stdin:1:1: error EF2001 apiversion/m);
});

test('packages are left out of globs too, unless a glob names their folder', async () => {
  const place = await mkdtemp(join(folder, 'packages-'));
  await mkdir(join(place, 'node_modules/other'), { recursive: true });
  await writeFile(join(place, 'a.yaml'), good);
  await writeFile(join(place, 'node_modules/other/b.yaml'), bad);
  await writeFile(join(place, 'node_modules/other/b.test.yaml'), 'none: of ours\n');
  assert.match((await ef(['validate', join(place, '**/*.yaml')])).stderr, /^1 pipeline with 1 route: no problems/);
  assert.match((await ef(['validate', join(place, 'node_modules/**/*.yaml')])).stdout, /b\.yaml:\d+:\d+: error EF2001/);
});

interface Watched {
  /** All that it has said, on both streams. */
  readonly said: () => string;
  /** Resolves to its exit code. */
  readonly end: () => Promise<number | null>;
}

/** Resolves when it waits for changes. */
async function watch(t: TestContext, args: readonly string[], cwd: string, input = ''): Promise<Watched> {
  const child = spawn(process.execPath, ['--conditions=eventflow-source', cli, 'validate', '--watch', ...args], {
    cwd,
    env: { PATH: process.env['PATH'], NO_COLOR: '1' },
  });
  endsWithUs(child);
  t.after(() => child.kill('SIGKILL'));
  const closed = once(child, 'close') as Promise<[number | null]>;
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  await eventually('the first report', () => said.includes('waiting for changes'), 30_000);
  const end = async (): Promise<number | null> => {
    child.kill('SIGTERM');
    return (await closed)[0];
  };
  return { said: () => said, end };
}

test('validate --watch waits for broken settings to be mended', async (t) => {
  const place = await mkdtemp(join(folder, 'broken-'));
  await writeFile(join(place, 'eventflow.yaml'), 'log: { level: loud }\n');
  const watched = await watch(t, [], place);
  assert.equal(watched.said().match(/EF2003/g)?.length, 1);
  await mkdir(join(place, 'pipelines'));
  await writeFile(join(place, 'eventflow.yaml'), 'log: { level: warn }\n');
  await eventually('the next report', () => watched.said().includes('EF1016'), 30_000);
  assert.equal(await watched.end(), 0);
});

test('validate --watch follows the settings to another folder', async (t) => {
  const place = await mkdtemp(join(folder, 'moved-'));
  for (const name of ['one', 'two']) {
    await mkdir(join(place, name));
    await writeFile(join(place, name, 'a.yaml'), `in: ${name}\n`);
  }
  await writeFile(join(place, 'eventflow.yaml'), 'pipelines: [one]\n');
  const watched = await watch(t, [], place);
  await writeFile(join(place, 'eventflow.yaml'), 'pipelines: [two]\n');
  await eventually('the report about the other folder', () => watched.said().includes('two/a.yaml:1'), 30_000);
  await writeFile(join(place, 'two/new.yaml'), 'also: wrong\n');
  await eventually('the report about a new file there', () => watched.said().includes('two/new.yaml:1'), 30_000);
  assert.equal(await watched.end(), 0);
});

test('validate --watch keeps what it read from stdin', async (t) => {
  const path = join(folder, 'beside-stdin.yaml');
  await writeFile(path, good);
  const watched = await watch(t, ['-', path], root, bad.replaceAll('order', 'offer'));
  await writeFile(path, good.replace('hook\n', 'hooks\n'));
  await eventually('a second report', () => (watched.said().match(/^stdin:.* EF2001/gm)?.length ?? 0) > 1, 30_000);
  assert.doesNotMatch(watched.said(), /EF1011/);
  assert.equal(await watched.end(), 0);
});

test('validate --watch checks again at each change, until it is ended', async (t) => {
  const path = join(folder, 'watched.yaml');
  await writeFile(path, bad);
  const watched = await watch(t, [path], root);
  assert.match(watched.said(), /EF2001/);
  await writeFile(path, good);
  await eventually('the second report', () => watched.said().includes('no problems'), 30_000);
  assert.equal(await watched.end(), 0);
});
