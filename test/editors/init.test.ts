/** `eventflow init`: whatever it writes works at once, and nothing that was there is harmed. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { openAsking } from '../../engine/cli/ask.ts';
import { Failure } from '../../engine/cli/exit.ts';
import { templates } from '../../engine/cli/init-files.ts';
import { root } from '../repo/sources.ts';
import { temporaryFolder } from '../support/children.ts';
import { type CliEnded, eventflow } from '../support/cli.ts';
import { spawnEngine } from '../support/engine-process.ts';
import { openEditor } from '../support/language-server.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeEach(async () => {
  folder = await temporaryFolder('eventflow-init-');
});
afterEach(() => folder.remove());

const at = (file: string): string => join(folder.path, file);
const ef = (...args: readonly string[]): Promise<CliEnded> => eventflow(args, { cwd: folder.path });
const install = (): Promise<void> => symlink(join(root, 'node_modules'), at('node_modules'));
const read = (file: string): Promise<string> => readFile(at(file), 'utf8');

const written = async (): Promise<readonly string[]> =>
  (await readdir(folder.path, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.path.length + 1))
    .sort();

async function assertOk(...args: readonly string[]): Promise<CliEnded> {
  const ended = await ef(...args);
  assert.equal(ended.code, 0, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`);
  return ended;
}

for (const template of Object.keys(templates)) {
  describe(`the template ${template}`, () => {
    beforeEach(async () => {
      await install();
      await assertOk('init', '--template', template);
    });

    test('passes validate, fmt and its tests, and leaves doctor nothing to say about its files', async () => {
      const { stderr } = await assertOk('validate', '--deny-warnings');
      assert.match(stderr, /no problems/);
      await assertOk('fmt', '--check');
      assert.match((await assertOk('test')).stdout, /✓ /);
      await assertOk('schema', '--vscode', '--check');
      const { stdout } = await ef('doctor', '--json');
      const { findings } = JSON.parse(stdout) as { readonly findings: readonly { check: string; status: string }[] };
      for (const check of ['configuration', 'plugins', 'schema']) {
        assert.ok(
          findings.every((finding) => finding.check !== check || finding.status === 'ok'),
          stdout,
        );
      }
    });

    test('runs', async () => {
      const env = { EVENTFLOW_BUS: 'sqlite::memory:' };
      const engine = await spawnEngine([], env, { cwd: folder.path });
      assert.equal(await engine.stop(), 0);
    });

    test('has nothing underlined in an editor, neither by modeline nor by the settings of VS Code', async () => {
      const settings = JSON.parse(await read('.vscode/settings.json')) as { 'yaml.schemas': Record<string, string[]> };
      const editor = await openEditor(folder.path, settings['yaml.schemas']);
      for (const file of (await written()).filter((name) => name.endsWith('.yaml'))) {
        const text = await read(file);
        assert.match(text, /^# yaml-language-server: \$schema=\S+\n/, file);
        assert.deepEqual(await editor.diagnose(file, text), [], file);
        assert.deepEqual(await editor.diagnose(file, text.slice(text.indexOf('\n') + 1)), [], file);
      }
      await editor.close();
    });
  });
}

const minimal = [
  ...[
    '.env.example',
    '.eventflow/schema.json',
    '.eventflow/settings.schema.json',
    '.eventflow/test.schema.json',
    '.gitignore',
  ],
  ...['.vscode/extensions.json', '.vscode/settings.json', 'README.md', 'eventflow.yaml', 'package.json'],
  ...['pipelines/hello.test.yaml', 'pipelines/hello.yaml'],
];

test('without a terminal nobody is asked, and the smallest template is written', async () => {
  const { stdout, stderr } = await assertOk('init');
  assert.equal(stdout, '');
  assert.deepEqual(await written(), minimal);
  for (const file of minimal) assert.match(stderr, new RegExp(`^wrote ${file.replaceAll('.', '\\.')}$`, 'm'));
});

test('a folder of its own is made, and what to do next is told', async () => {
  const { stderr } = await assertOk('init', 'shop/events', '--yes');
  assert.deepEqual(
    await written(),
    minimal.map((file) => `shop/events/${file}`),
  );
  const commands = stderr
    .split('next:\n')[1]
    ?.split('\n')
    .map((line) => line.split('#')[0]?.trim());
  assert.deepEqual(commands?.slice(0, 3), ['cd shop/events', 'npm install', 'npx eventflow schema --vscode']);
  const { dependencies } = JSON.parse(await read('shop/events/package.json')) as { dependencies: object };
  assert.deepEqual(Object.keys(dependencies), ['@eventflow/plugin-log', 'eventflow']);
});

test('what is there is not overwritten without --force, and nothing is written then', async () => {
  await mkdir(at('pipelines'));
  await writeFile(at('pipelines/hello.yaml'), 'mine\n');
  await writeFile(at('eventflow.yaml'), 'mine\n');
  const refused = await ef('init');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /got eventflow\.yaml, pipelines\/hello\.yaml: nothing was written; --force overwrites/);
  assert.deepEqual(await written(), ['eventflow.yaml', 'pipelines/hello.yaml']);
  await assertOk('init', '--force');
  assert.match(await read('pipelines/hello.yaml'), /^kind: Pipeline$/m);
});

test('files that a project has anyway stay its own, and get what they lack', async () => {
  await mkdir(at('.vscode'));
  await writeFile(at('README.md'), '# Ours\n');
  await writeFile(at('package.json'), '{ "name": "ours" }\n');
  await writeFile(at('.gitignore'), '.env\n/out');
  await writeFile(at('.vscode/settings.json'), '{\n  // ours\n  "editor.tabSize": 2\n}\n');
  await assertOk('init', '--force');
  assert.deepEqual([await read('README.md'), await read('package.json')], ['# Ours\n', '{ "name": "ours" }\n']);
  assert.equal(await read('.gitignore'), '.env\n/out\nnode_modules/\n.eventflow/*\n!.eventflow/*schema.json\n');
  assert.match(
    await read('.vscode/settings.json'),
    /^\{\n {2}\/\/ ours\n {2}"editor\.tabSize": 2,\n {2}"yaml\.schemas"/,
  );
});

test('settings of VS Code that are no JSON are told about before anything is written', async () => {
  await mkdir(at('.vscode'));
  await writeFile(at('.vscode/settings.json'), 'no json\n');
  const { code, stderr } = await ef('init');
  assert.equal(code, 1);
  assert.match(stderr, /expected \S+settings\.json to be JSON with comments, got no JSON from line 1 on/);
  assert.deepEqual(await written(), ['.vscode/settings.json']);
});

test('what is written is told, also when the rest cannot be', async () => {
  await writeFile(at('.eventflow'), 'in the way of a folder\n');
  const { code, stderr } = await ef('init');
  assert.equal(code, 1);
  assert.match(stderr, /^wrote eventflow\.yaml$/m);
});

test('a second time there is nothing to write', async () => {
  await install();
  await assertOk('init');
  const { stderr } = await assertOk('init');
  assert.doesNotMatch(stderr, /^wrote/m);
  await rm(at('pipelines/hello.test.yaml'));
  assert.match((await assertOk('init')).stderr, /^wrote pipelines\/hello\.test\.yaml$/m);
});

interface Terminal {
  readonly asking: ReturnType<typeof openAsking>;
  readonly input: PassThrough;
  readonly said: () => Promise<string>;
}

/** Somebody who types these lines. */
function typing(...lines: readonly string[]): Terminal {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const said = textOf(output);
  const asking = openAsking(input, output);
  for (const line of lines) input.write(`${line}\n`);
  return {
    asking,
    input,
    said: () => {
      asking.close();
      output.end();
      return said;
    },
  };
}

test('a template is chosen by its number, its name, or by typing nothing', async () => {
  for (const [typed, chosen] of [
    ['2', 'webhooks'],
    [' Full ', 'full'],
    ['', 'minimal'],
  ] as const) {
    const { asking, said } = typing(typed);
    assert.equal(await asking.choose('Which?', templates), chosen);
    assert.match(await said(), /^Which\?\n {2}1 {2}minimal +one route .*\n {2}2 {2}webhooks /);
  }
});

test('whoever types something else is asked again', async () => {
  const { asking, said } = typing('7', '3');
  assert.equal(await asking.choose('Which?', templates), 'full');
  assert.match(await said(), /expected a number from 1 to 3 or a name/);
});

test('only a clear yes is one', async () => {
  for (const [typed, expected] of [
    ['y', true],
    ['YES', true],
    ['', false],
    ['yo', false],
  ] as const) {
    const { asking, said } = typing(typed);
    assert.equal(await asking.confirm('Overwrite?'), expected, typed);
    assert.match(await said(), /Overwrite\? \[y\/N\] /);
  }
});

test('an input that ends without an answer ends the command', async () => {
  const { asking, input } = typing();
  const asked = asking.confirm('Overwrite?');
  input.end();
  await assert.rejects(asked, (error) => error instanceof Failure && error.message === 'nothing was written');
});
