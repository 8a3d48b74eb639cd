/** `eventflow schema` in a folder of its own: what it prints and writes, and when it says that a file is stale. */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { root } from '../repo/sources.ts';
import { temporaryFolder } from '../support/children.ts';
import { type CliEnded, eventflow } from '../support/cli.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeEach(async () => {
  folder = await temporaryFolder('eventflow-schema-');
  await symlink(join(root, 'node_modules'), join(folder.path, 'node_modules'));
  await writeFile(at('eventflow.yaml'), 'plugins: [eventflow-plugin-crm]\n');
});
afterEach(() => folder.remove());

const at = (file: string): string => join(folder.path, file);
const ef = (...args: readonly string[]): Promise<CliEnded> => eventflow(args, { cwd: folder.path });
const text = (file: string): Promise<string> => readFile(at(file), 'utf8');
type Json = Record<string, unknown>;
const json = async (file: string): Promise<Json> => JSON.parse(await text(file)) as Json;

test('the flags choose the kind, the draft, the variant and the plugins', async () => {
  const printed = async (...args: readonly string[]): Promise<Json> =>
    JSON.parse((await ef('schema', ...args)).stdout) as Json;
  const [plain, settings, tests, old, editor, other] = await Promise.all([
    printed(),
    printed('--kind', 'settings'),
    printed('--kind', 'test'),
    printed('--draft', '07'),
    printed('--variant', 'editor'),
    printed('--plugin', '@eventflow/plugin-log', '--plugin', 'eventflow-plugin-crm'),
  ]);
  assert.deepEqual([plain['title'], settings['title'], tests['title']], ['Pipeline', 'Settings', 'Tests of pipelines']);
  assert.deepEqual(
    [plain['$schema'], old['$schema']],
    ['https://json-schema.org/draft/2020-12/schema', 'http://json-schema.org/draft-07/schema#'],
  );
  assert.ok('reference' in (editor['$defs'] as Json) && !('reference' in (plain['$defs'] as Json)));
  const handlers = (schema: Json): string[] =>
    Object.keys(schema['$defs'] as Json).filter((name) => name.startsWith('handler.'));
  assert.deepEqual(handlers(plain), ['handler.crm']);
  assert.deepEqual(handlers(other), ['handler.log', 'handler.noop', 'handler.crm']);
  assert.match(
    String(other['$comment']),
    /--plugin @eventflow\/plugin-log --plugin eventflow-plugin-crm` from [0-9a-f]{16}$/,
  );
});

test('a file is written when it differs, and --check only tells', async () => {
  const args = ['schema', '--out', 'schemas/pipeline.json'];
  const missing = await ef(...args, '--check');
  assert.deepEqual([missing.code, missing.stdout], [1, '']);
  assert.match(missing.stderr, /schemas\/pipeline\.json \(out of date\)\n.*1 file out of date/);
  assert.match((await ef(...args)).stderr, /^wrote schemas\/pipeline\.json$/m);
  const { mtimeMs } = await stat(at('schemas/pipeline.json'));
  assert.deepEqual(await ef(...args), { code: 0, stdout: '', stderr: 'everything is up to date\n' });
  assert.equal((await ef(...args, '--check')).code, 0);
  assert.equal((await stat(at('schemas/pipeline.json'))).mtimeMs, mtimeMs);
});

test('--vscode writes the schemas and tells VS Code, and keeps what is in its settings', async () => {
  const own =
    '{\n  // the team likes it wide\n  "editor.rulers": [120],\n  "yaml.schemas": { "./other.json": "other/*.yaml" }\n}\n';
  await mkdir(at('.vscode'));
  await writeFile(at('.vscode/settings.json'), own);
  const { code, stderr } = await ef('schema', '--vscode');
  assert.equal(code, 0, stderr);
  const settings = await text('.vscode/settings.json');
  assert.ok(
    settings.startsWith(
      '{\n  // the team likes it wide\n  "editor.rulers": [120],\n  "yaml.schemas": { "./other.json": "other/*.yaml",',
    ),
  );
  const { 'yaml.schemas': schemas } = JSON.parse(settings.replace(/^ *\/\/.*$/m, '')) as {
    'yaml.schemas': Record<string, string[]>;
  };
  assert.deepEqual(Object.keys(schemas), [
    ...[
      './other.json',
      './.eventflow/schema.json',
      './.eventflow/settings.schema.json',
      './.eventflow/test.schema.json',
    ],
  ]);
  assert.deepEqual(schemas['./.eventflow/settings.schema.json'], ['eventflow.yaml']);
  assert.match(
    String((await json('.eventflow/schema.json'))['$comment']),
    /--kind pipeline --draft 2020-12 --variant editor`/,
  );
  assert.equal((await ef('schema', '--vscode', '--check')).code, 0);
  assert.equal((await ef('schema', '--vscode')).stderr, 'everything is up to date\n');
  assert.equal(await text('.vscode/settings.json'), settings);
});

test('settings of VS Code that cannot be read are left alone', async () => {
  await mkdir(at('.vscode'));
  await writeFile(at('.vscode/settings.json'), '{ "a": }');
  const { code, stderr } = await ef('schema', '--vscode');
  assert.equal(code, 1);
  assert.match(
    stderr,
    /settings\.json to be JSON with comments, got no JSON from line 1 on; mend it, or put in\n {2}"yaml\.schemas"/,
  );
  assert.equal(await text('.vscode/settings.json'), '{ "a": }');
  await assert.rejects(stat(at('.eventflow')));
});

test('--types gives the declared event types to TypeScript', async () => {
  await mkdir(at('pipelines'));
  await cp(join(root, 'schemas/events'), at('schemas/events'), { recursive: true });
  await writeFile(
    at('pipelines/orders.yaml'),
    `apiVersion: eventflow/v1
kind: Pipeline
name: orders
eventTypes:
  order.paid: { schema: ../schemas/events/order.paid.schema.json }
  order.shipped:
routes:
  - { id: noop, on: [order.*], handler: crm, with: { baseUrl: "https://crm.example", token: "\${TOKEN}" } }
`,
  );
  const { code, stdout, stderr } = await eventflow(['schema', '--types'], { cwd: folder.path, env: { TOKEN: 'a' } });
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^export interface EventTypes \{\n {2}'order\.paid': OrderPaid;\n {2}'order\.shipped': unknown;\n\}$/m,
  );
  assert.match(stdout, /^export type OrderPaid = \{$/m);
});

test('flags that do not go together are usage errors', async () => {
  const [both, lonely] = await Promise.all([ef('schema', '--vscode', '--out', 'x.json'), ef('schema', '--check')]);
  assert.deepEqual([both.code, lonely.code], [2, 2]);
  assert.match(both.stderr, /expected --vscode alone/);
  assert.match(lonely.stderr, /expected --check with --out or --vscode/);
});
