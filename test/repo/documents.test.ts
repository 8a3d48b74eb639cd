/** What the documents show works: pipelines and settings load, commands and flags exist, links lead somewhere. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { describeProgram } from '../../engine/cli/program.ts';
import { formatDiagnostic, loadGeneration, loadSettings, readCatalog } from '../../engine/config/index.ts';
import { version } from '../../engine/version.ts';
import { type Block, blocksOf, commandsOf, linksOf } from './markdown.ts';
import { files, root, textOf } from './sources.ts';

const documents = files.filter((file) => file.endsWith('.md') && file !== 'CHANGELOG.md');
const settingsKeys = ['bus', 'streams', 'pipelines', 'plugins', 'http', 'journal', 'durability', 'overload', 'log'];
const plugins = ['webhook', 'email', 'notification', 'analytics', 'log'].map((name) => `@eventflow/plugin-${name}`);

/** Every variable that a text refers to, with something in it. */
const variablesIn = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/\$\{([A-Z_][A-Z0-9_]*)/g)].map(([, name = '']) => [name, 'https://example.com/x']),
  );

type Kind = 'pipeline' | 'settings' | 'other';

function kindOf({ text }: Block): Kind {
  const value: unknown = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'other';
  const keys = Object.keys(value);
  if ('kind' in value && value.kind === 'Pipeline') return 'pipeline';
  return keys.every((key) => settingsKeys.includes(key)) ? 'settings' : 'other';
}

const examples = documents.flatMap((file) =>
  blocksOf(textOf(file))
    .filter(({ language }) => language === 'yaml')
    .map((block) => ({ file, block, kind: kindOf(block) })),
);

async function problemsOf(kind: Kind, text: string, folder: string): Promise<readonly string[]> {
  const env = variablesIn(text);
  if (kind === 'settings') {
    await writeFile(join(folder, 'eventflow.yaml'), text);
    const read = await loadSettings({ cwd: folder, env });
    await rm(join(folder, 'eventflow.yaml'));
    return read.ok ? [] : read.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, text));
  }
  const { catalog } = readCatalog([...plugins, 'eventflow-plugin-crm'], root);
  await writeFile(join(folder, 'pipelines/example.yaml'), text);
  const loaded = await loadGeneration({ paths: ['pipelines/example.yaml'], catalog, env, cwd: folder });
  return loaded.ok ? [] : loaded.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, text));
}

test('the README shows a pipeline and commands', () => {
  assert.ok(examples.some(({ file, kind }) => file === 'README.md' && kind === 'pipeline'));
  assert.ok(commandsOf(textOf('README.md')).some(({ words }) => words.includes('demo')));
});

for (const { file, block, kind } of examples) {
  if (kind === 'other') continue;
  test(`the ${kind} at ${file}:${block.line} loads`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'eventflow-documents-'));
    t.after(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, 'pipelines'));
    await cp(join(root, 'schemas'), join(folder, 'schemas'), { recursive: true });
    assert.deepEqual(await problemsOf(kind, block.text, folder), []);
  });
}

/** The words after `eventflow` when the command is one of ours. */
function argumentsOf(words: readonly string[]): readonly string[] | undefined {
  const at = words.indexOf('eventflow');
  const before = words.slice(0, Math.max(at, 0)).join(' ');
  if (at === -1 || !['', 'npx', 'npm run', 'npm run -s'].includes(before)) return undefined;
  return words.slice(at + 1).filter((word, index) => !(index === 0 && word === '--'));
}

const commands = documents.flatMap((file) => commandsOf(textOf(file)).map((command) => ({ file, ...command })));

test('commands in the documents have flags and arguments that exist', async () => {
  const wrong: string[] = [];
  for (const { file, line, words } of commands) {
    const args = argumentsOf(words);
    if (args === undefined) continue;
    // A program of its own for each: commander keeps what it has parsed.
    const program = await describeProgram(version);
    program.configureOutput({ writeOut: () => undefined, outputError: () => undefined });
    for (const command of [program, ...program.commands.flatMap((one) => [one, ...one.commands])]) {
      if (command.commands.length === 0) command.action(() => undefined);
      command.configureOutput({ writeOut: () => undefined, outputError: () => undefined });
    }
    await program.parseAsync(args, { from: 'user' }).catch((error: Error & { exitCode?: number }) => {
      if (error.exitCode !== 0) wrong.push(`${file}:${line} eventflow ${args.join(' ')}: ${error.message}`);
    });
  }
  assert.deepEqual(wrong, []);
});

test('npm scripts in the documents exist', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  const wrong = commands.flatMap(({ file, line, words: [npm, run, name] }) => {
    if (npm !== 'npm') return [];
    const script = run === 'test' ? 'test' : run === 'run' ? (name ?? '') : undefined;
    return script === undefined || script in scripts || documentOfAPackage(file, script)
      ? []
      : [`${file}:${line} npm ${run} ${name}`];
  });
  assert.deepEqual(wrong, []);
});

/** A package of its own has scripts of its own. */
function documentOfAPackage(file: string, script: string): boolean {
  const manifest = textOf(join(dirname(file), 'package.json'));
  return manifest !== '' && script in ((JSON.parse(manifest) as { scripts?: object }).scripts ?? {});
}

test('links in the documents lead to files of the checkout', () => {
  const wrong = documents.flatMap((file) =>
    linksOf(textOf(file))
      .filter((target) => !existsSync(join(root, dirname(file), target)))
      .map((target) => `${file}: ${target}`),
  );
  assert.deepEqual(wrong, []);
});
