/** `eventflow doctor` about the schemas that editors read. */
import assert from 'node:assert/strict';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { root } from '../repo/sources.ts';
import { temporaryFolder } from '../support/children.ts';
import { eventflow } from '../support/cli.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeEach(async () => {
  folder = await temporaryFolder('eventflow-doctor-');
  await symlink(join(root, 'node_modules'), at('node_modules'));
  await mkdir(at('pipelines'));
  await settle('@eventflow/plugin-log');
  await name('../.eventflow/schema.json');
});
afterEach(() => folder.remove());

const at = (file: string): string => join(folder.path, file);
const settle = (...plugins: readonly string[]): Promise<void> =>
  writeFile(at('eventflow.yaml'), JSON.stringify({ plugins }));
const name = (schema: string): Promise<void> =>
  writeFile(
    at('pipelines/a.yaml'),
    `# yaml-language-server: $schema=${schema}\napiVersion: eventflow/v1\nkind: Pipeline\nname: a\nroutes: [{ id: a, on: [a], handler: log }]\n`,
  );

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly got: string;
  readonly advice?: string;
}

async function findings(): Promise<readonly string[]> {
  const { stdout } = await eventflow(['doctor', '--json'], { cwd: folder.path });
  const { findings: all } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  return all.filter(({ check }) => check === 'schema').map(({ status, got, advice }) => `${status}: ${got}; ${advice}`);
}

test('a schema that a pipeline names and that is not there is told', async () => {
  assert.deepEqual(await findings(), [
    'warning: pipelines/a.yaml names the schema .eventflow/schema.json, which is not there; run `eventflow schema --vscode`, or mend the first line',
  ]);
});

test('a schema is stale when other plugins are installed than it was made of, and the advice mends it', async () => {
  assert.equal((await eventflow(['schema', '--vscode'], { cwd: folder.path })).code, 0);
  assert.deepEqual(await findings(), ['ok: editors know what is installed; undefined']);
  await settle('@eventflow/plugin-log', 'eventflow-plugin-crm');
  const [stale = '', ...others] = await findings();
  assert.match(stale, /^warning: \.eventflow\/schema\.json is out of date: .*; run `eventflow schema --vscode`$/);
  assert.deepEqual(others, []);
  await eventflow(['schema', '--vscode'], { cwd: folder.path });
  assert.deepEqual(await findings(), ['ok: editors know what is installed; undefined']);
});

test('a schema in a place of its own is made again by the command that made it', async () => {
  const flags = '--kind pipeline --draft 07 --variant strict';
  await eventflow(['schema', ...flags.split(' '), '--out', 'my.json'], { cwd: folder.path });
  await name('../my.json');
  assert.deepEqual(await findings(), ['ok: editors know what is installed; undefined']);
  await settle();
  await rm(at('pipelines/a.yaml'));
  await name('../my.json');
  assert.match(
    (await findings()).join(),
    /^warning: my\.json is out of date: .*; run `eventflow schema --kind pipeline --draft 07 --variant strict --out my\.json`$/,
  );
  await eventflow(['schema', '--plugin', '@eventflow/plugin-log', '--out', 'my.json'], { cwd: folder.path });
  assert.match((await findings()).join(), /^ok/, 'made of one plugin on purpose');
});

test('a schema of somebody else, or from elsewhere, is none of our business', async () => {
  await writeFile(at('theirs.json'), '{ "$comment": "ours" }');
  await name('../theirs.json');
  assert.match((await findings()).join(), /^ok/);
  await name('https://schemas.example/pipeline.json');
  assert.deepEqual(await findings(), ['ok: no pipeline names a schema of its own; undefined']);
});
