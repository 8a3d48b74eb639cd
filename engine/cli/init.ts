/** `eventflow init`: a folder with pipelines that run, their tests, and everything an editor needs to know about them. */
import { join, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Asking } from './ask.ts';
import { exit, Failure } from './exit.ts';
import type { Files } from './files-on-disk.ts';
import type { Template } from './init-files.ts';
import { switched } from './options.ts';
import { paint, tell } from './output.ts';

interface InitFlags {
  readonly template?: Template;
  readonly yes?: boolean;
  readonly force?: boolean;
}

/** Undefined when nobody is there to be asked, or wants to be. */
async function openTerminal({ yes }: InitFlags): Promise<Asking | undefined> {
  if (yes === true || !process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  const { openAsking } = await import('./ask.ts');
  return openAsking(process.stdin, process.stderr);
}

async function expectFree(folder: string, files: Files, flags: InitFlags, asking: Asking | undefined): Promise<void> {
  const { readIfThere, staleAmong } = await import('./files-on-disk.ts');
  const stale = [...(await staleAmong(files)).keys()];
  const there = await Promise.all(stale.map((path) => readIfThere(path)));
  const taken = stale.filter((_path, at) => there[at] !== undefined).map((path) => relative(folder, path));
  if (taken.length === 0 || flags.force === true) return;
  if (asking !== undefined && (await asking.confirm(`Overwrite ${taken.join(', ')}?`))) return;
  throw new Failure(
    exit.failed,
    `expected an empty place, got ${taken.join(', ')}: nothing was written; --force overwrites`,
  );
}

/** Schemas and settings for editors, by what is installed; and the plugins that are still to be. */
async function forEditors(folder: string): Promise<{ readonly files: Files; readonly missing: boolean }> {
  const { loadSettings, readCatalog } = await import('../config/index.ts');
  const { editorFiles } = await import('./editor-files.ts');
  const loaded = await loadSettings({ cwd: folder, env: {} });
  if (!loaded.ok) throw new Failure(exit.failed, loaded.diagnostics.map(({ message }) => message).join('\n'));
  const { catalog, diagnostics } = readCatalog(loaded.settings.plugins, loaded.settings.folder);
  return { files: await editorFiles(loaded.settings, catalog), missing: diagnostics.length > 0 };
}

function tellNext(folder: string, missing: boolean): void {
  const steps: readonly (readonly [boolean, string, string])[] = [
    [folder !== process.cwd(), `cd ${relative(process.cwd(), folder)}`, ''],
    [missing, 'npm install', 'the engine and the plugins'],
    [missing, 'npx eventflow schema --vscode', 'editors get to know the plugins'],
    [true, 'npx eventflow validate', 'what is wrong, at its line and column'],
    [true, 'npx eventflow test', 'what comes of which events'],
    [true, 'npx eventflow run', 'and save a file while it runs'],
  ];
  tell('\nnext:');
  for (const [wanted, command, why] of steps) {
    if (wanted) tell(`  ${paint('cyan', command.padEnd(30))}${why === '' ? '' : `# ${why}`}`.trimEnd());
  }
}

async function create(folder: string, flags: InitFlags, asking: Asking | undefined): Promise<void> {
  const { pluginsOf, sharedFiles, templateFiles, templates } = await import('./init-files.ts');
  const { staleAmong, writeAll } = await import('./files-on-disk.ts');
  const { expectSettingsOfVsCode } = await import('./editor-files.ts');
  const template = flags.template ?? (await asking?.choose('Which template?', templates)) ?? 'minimal';
  const relatives = await templateFiles(template);
  const files = new Map([...relatives].map(([path, text]) => [join(folder, path), text] as const));
  await expectFree(folder, files, flags, asking);
  const shared = await sharedFiles(folder, pluginsOf(relatives));
  const write = async (wanted: Files): Promise<void> => {
    const stale = await staleAmong(wanted);
    await writeAll(stale);
    for (const path of [...stale.keys()].sort()) tell(`wrote ${relative(folder, path)}`);
  };
  await expectSettingsOfVsCode(folder, ['pipelines']);
  await write(new Map([...files, ...shared]));
  const editors = await forEditors(folder);
  await write(editors.files);
  tellNext(folder, editors.missing);
}

async function init(dir: string, flags: InitFlags): Promise<void> {
  const asking = await openTerminal(flags);
  try {
    await create(resolve(dir), flags, asking);
  } finally {
    asking?.close();
  }
}

export function define(program: Command): void {
  program
    .command('init')
    .description('writes a first pipeline with its tests, settings, and what editors need; overwrites nothing')
    .argument('[dir]', 'the folder, made when it is not there', '.')
    .addOption(
      new Option('--template <name>', 'what to start with (default: minimal; asked for on a terminal)')
        .env('EVENTFLOW_TEMPLATE')
        .choices(['minimal', 'webhooks', 'full']),
    )
    .addOption(switched('-y, --yes', 'EVENTFLOW_YES', 'asks nothing'))
    .addOption(switched('--force', 'EVENTFLOW_FORCE', 'overwrites files of the template that are there'))
    .action(init);
}
