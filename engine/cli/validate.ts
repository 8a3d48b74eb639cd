/** `eventflow validate`: everything that is wrong with the settings and the pipelines, all at once. */
import { type Command, Option } from 'commander';
import { exit, Failure } from './exit.ts';
import { pipelinesOption, type SettingsFlags, switched, withSettings } from './options.ts';
import { paintError, plural, print, printJson, tell } from './output.ts';
import type { Findings } from './pipelines.ts';

type Format = 'text' | 'json' | 'github';

interface ValidateFlags extends SettingsFlags {
  readonly output: Format;
  readonly denyWarnings?: boolean;
}

async function show({ diagnostics, sources }: Findings, format: Format): Promise<void> {
  switch (format) {
    case 'json': {
      const { toJson } = await import('../config/diagnostic.ts');
      return printJson(diagnostics.map(toJson));
    }
    case 'github': {
      const { toGithub } = await import('../config/diagnostic.ts');
      for (const diagnostic of diagnostics) print(toGithub(diagnostic));
      return;
    }
    case 'text': {
      const { formatAll } = await import('./settings.ts');
      if (diagnostics.length > 0) print(`${formatAll(diagnostics, sources)}\n`);
    }
  }
}

function summary({ diagnostics, generation }: Findings): string {
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  const counts = [plural(errors, 'error'), plural(diagnostics.length - errors, 'warning')].join(', ');
  if (generation === undefined) return paintError('red', counts);
  const { pipelines, routes } = generation;
  const valid = `${plural(pipelines.length, 'pipeline')} with ${plural(routes.size, 'route')}`;
  return diagnostics.length === 0 ? paintError('green', `${valid}: no problems`) : `${valid}: ${counts}`;
}

async function validate(paths: readonly string[], flags: ValidateFlags): Promise<void> {
  const { findProblems } = await import('./pipelines.ts');
  const findings = await findProblems(flags, paths.length > 0 ? paths : (flags.pipelines ?? []));
  await show(findings, flags.output);
  tell(summary(findings));
  const { generation, diagnostics } = findings;
  if (generation === undefined || (flags.denyWarnings === true && diagnostics.length > 0)) {
    throw new Failure(exit.failed);
  }
}

export function define(program: Command): void {
  const output = new Option('-o, --output <format>', 'how findings are printed')
    .env('EVENTFLOW_OUTPUT')
    .choices(['text', 'json', 'github'])
    .default('text');
  const command = program
    .command('validate')
    .description('checks settings and pipelines; runs no plugin code and connects to nothing')
    .argument('[paths...]', "files, folders or globs (default: the settings' pipelines)")
    .addOption(output)
    .addOption(switched('-W, --deny-warnings', 'EVENTFLOW_DENY_WARNINGS', 'warnings count as errors'))
    .addOption(pipelinesOption());
  withSettings(command).action(validate);
}
