/** `eventflow validate` as people and workflows call it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
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

test('validate --watch checks again at each change, until it is ended', async () => {
  const path = join(folder, 'watched.yaml');
  await writeFile(path, bad);
  const child = spawn(process.execPath, ['--conditions=eventflow-source', cli, 'validate', '--watch', path], {
    cwd: root,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk));
  await eventually('the first report', () => said.includes('waiting for changes'), 30_000);
  assert.match(said, /EF2001/);
  await writeFile(path, good);
  await eventually('the second report', () => said.includes('no problems'), 30_000);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, 0);
});
