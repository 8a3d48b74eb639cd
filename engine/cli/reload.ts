/** `eventflow reload`: a running engine reads its files again. */
import type { Command } from 'commander';
import type { ReloadReport } from '../operations/operations.ts';
import { exit, Failure } from './exit.ts';
import { type TargetFlags, withTarget } from './options.ts';
import { inert, paint, paintError, print, printJson, tell } from './output.ts';

const bySign = ({ started, changed, renamed, stopped }: ReloadReport['changes']): string[] => [
  ...started.map((route) => `${paint('green', '+')} ${route}`),
  ...renamed.map(({ from, to }) => `${paint('cyan', '»')} ${from} → ${to}`),
  ...changed.map((route) => `${paint('yellow', '~')} ${route}`),
  ...stopped.map((route) => `${paint('red', '-')} ${route}`),
];

const value = (of: unknown): string => (of === undefined ? '–' : inert(JSON.stringify(of)));

/** One line per route that changed, and under it one per field. */
function changesText({ changes, fields = [] }: Pick<ReloadReport, 'changes' | 'fields'>): string[] {
  const lines = bySign(changes);
  const told = fields.flatMap(({ route, fields: of }) =>
    of.map(({ path, before, after }) => `    ${route}: ${path}: ${value(before)} → ${value(after)}`),
  );
  return [...lines, ...told];
}

/** Ends with 1 when the engine refused. */
export function tellReport(report: ReloadReport, flags: TargetFlags): void {
  if (flags.json) printJson(report);
  const { result, generation, problems, pinned } = report;
  if (result === 'rejected') {
    if (!flags.json) tell(problems.join('\n\n'));
    throw new Failure(exit.failed, `${paintError('red', 'refused')}: generation ${generation} goes on`);
  }
  if (flags.json) return;
  for (const line of changesText(report)) print(line);
  tell(`generation ${generation} runs${result === 'unchanged' ? ', nothing changed' : ''}`);
  if (pinned !== undefined) tell(pinned);
}

async function reload(flags: TargetFlags): Promise<void> {
  const [{ adminAddress }, { remoteReload }] = await Promise.all([
    import('./target.ts'),
    import('../operations/index.ts'),
  ]);
  tellReport(await remoteReload(await adminAddress(flags)), flags);
}

export function define(program: Command): void {
  withTarget(
    program.command('reload').description('lets a running engine read its files again, and tells what came of it'),
  )
    .addHelpText(
      'after',
      '\nEnds with 0 when the files are in force, 1 when they are refused, 69 when no engine answers.',
    )
    .action(reload);
}
