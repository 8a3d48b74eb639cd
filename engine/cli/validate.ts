/** `eventflow validate`: everything that is wrong with the settings and the pipelines, all at once. */
import { type Command, Option } from 'commander';
import type { Checked } from './check-all.ts';
import { describeFailure, exit, Failure } from './exit.ts';
import { pipelinesOption, type SettingsFlags, switched, valued, wholeNumber, withSettings } from './options.ts';
import { paintError, plural, print, printJson, tell } from './output.ts';

type Format = 'text' | 'json' | 'github' | 'sarif';

interface ValidateFlags extends SettingsFlags {
  readonly output: Format;
  readonly denyWarnings?: boolean;
  readonly maxProblems?: number;
  readonly watch?: boolean;
}

async function show({ diagnostics: all, sources }: Checked, { output, maxProblems }: ValidateFlags): Promise<void> {
  const diagnostics = all.slice(0, maxProblems);
  const { toGithub, toJson } = await import('../config/diagnostic.ts');
  switch (output) {
    case 'json':
      return printJson(diagnostics.map(toJson));
    case 'sarif': {
      const { toSarif } = await import('../config/sarif.ts');
      const { version } = await import('../version.ts');
      return printJson(toSarif(diagnostics, version));
    }
    case 'github':
      for (const diagnostic of diagnostics) print(toGithub(diagnostic));
      return;
    case 'text': {
      const { formatAll } = await import('./settings.ts');
      if (diagnostics.length > 0) print(`${formatAll(diagnostics, sources)}\n`);
    }
  }
}

function summary({ diagnostics, ok, pipelines, routes }: Checked, most = Number.POSITIVE_INFINITY): string {
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  const left = diagnostics.length - most;
  const hidden = left > 0 ? ` (${left} not shown)` : '';
  const counts = `${plural(errors, 'error')}, ${plural(diagnostics.length - errors, 'warning')}${hidden}`;
  if (!ok) return paintError('red', counts);
  const valid = `${plural(pipelines, 'pipeline')} with ${plural(routes, 'route')}`;
  return diagnostics.length === 0 ? paintError('green', `${valid}: no problems`) : `${valid}: ${counts}`;
}

async function checkOnce(paths: readonly string[], flags: ValidateFlags): Promise<Checked> {
  const { checkAll } = await import('./check-all.ts');
  const checked = await checkAll(flags, paths);
  await show(checked, flags);
  tell(summary(checked, flags.maxProblems));
  return checked;
}

/** Nothing for pipelines while the settings are wrong: those are looked at in any case. */
async function watchedPaths(paths: readonly string[], flags: ValidateFlags): Promise<readonly string[]> {
  if (paths.length > 0) return paths.filter((path) => path !== '-');
  const { loadSettings } = await import('../config/index.ts');
  const { settingsRequest } = await import('./settings.ts');
  const read = await loadSettings(settingsRequest(flags));
  return read.ok ? read.settings.pipelines : [];
}

/** The files that it read; undefined when it could not be done, which has been said then. */
async function tryCheck(paths: readonly string[], flags: ValidateFlags): Promise<readonly string[] | undefined> {
  try {
    return (await checkOnce(paths, flags)).files;
  } catch (error) {
    tell(`${paintError('red', 'error:')} ${describeFailure(error).message}`);
    return undefined;
  }
}

const signalled = (): Promise<'ended'> =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve('ended'));
  });

/**
 * Again at each change, until somebody ends it. What is watched can be another folder after each change, so each check
 * has a watcher of its own, which knows what was there before the check looked.
 */
async function checkOnChange(paths: readonly string[], flags: ValidateFlags): Promise<void> {
  const { watchFiles } = await import('../config/index.ts');
  const settings = flags.config ?? 'eventflow.yaml';
  let files: readonly string[] = [];
  let ended: Promise<'ended'> | undefined;
  for (;;) {
    const { promise: changed, resolve } = Promise.withResolvers<'changed'>();
    const watching = watchFiles({
      paths: await watchedPaths(paths, flags),
      files: [settings, ...files],
      onChange: () => resolve('changed'),
      onError: (error) => tell(`${paintError('red', 'error:')} ${error.message}`),
    });
    files = (await tryCheck(paths, flags)) ?? files;
    watching.update([settings, ...files]);
    await watching.ready;
    if (ended === undefined) tell('waiting for changes; Ctrl-C ends this');
    ended ??= signalled();
    const why = await Promise.race([changed, ended]);
    await watching.close();
    if (why === 'ended') return;
  }
}

async function validate(named: readonly string[], flags: ValidateFlags): Promise<void> {
  const paths = named.length > 0 ? named : (flags.pipelines ?? []);
  if (flags.watch === true) return checkOnChange(paths, flags);
  const { ok, diagnostics } = await checkOnce(paths, flags);
  if (!ok || (flags.denyWarnings === true && diagnostics.length > 0)) throw new Failure(exit.failed);
}

export function define(program: Command): void {
  const output = new Option('-o, --output <format>', 'how findings are printed')
    .env('EVENTFLOW_OUTPUT')
    .choices(['text', 'json', 'github', 'sarif'])
    .default('text');
  const command = program
    .command('validate')
    .description('checks settings and pipelines; runs no plugin code and connects to nothing')
    .argument('[paths...]', "files, folders, globs, Markdown documents, - for stdin (default: the settings' pipelines)")
    .addOption(output)
    .addOption(switched('-W, --deny-warnings', 'EVENTFLOW_DENY_WARNINGS', 'warnings count as errors'))
    .addOption(
      valued('--max-problems <n>', 'EVENTFLOW_MAX_PROBLEMS', 'prints no more than so many').argParser(wholeNumber(1)),
    )
    .addOption(switched('-w, --watch', 'EVENTFLOW_VALIDATE_WATCH', 'checks again whenever a file changes'))
    .addOption(pipelinesOption());
  withSettings(command).action(validate);
}
