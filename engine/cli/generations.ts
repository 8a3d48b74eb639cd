/** `eventflow generations`: what a running engine ran lately, and how it stands to its files. */
import type { Command } from 'commander';
import type { GenerationInfo, GenerationList } from '../operations/operations.ts';
import { type TargetFlags, withTarget } from './options.ts';
import { paint, paintError, plural, print, printJson, table, tell, time } from './output.ts';

function summary({ changes }: GenerationInfo): string {
  const { started, changed, renamed, stopped } = changes;
  const parts = [
    [started, 'started'],
    [changed, 'changed'],
    [renamed, 'renamed'],
    [stopped, 'stopped'],
  ] as const;
  return parts.flatMap(([routes, word]) => (routes.length === 0 ? [] : `${routes.length} ${word}`)).join(', ') || '–';
}

const row = (info: GenerationInfo): string[] => [
  info.running ? paint('green', `${info.number} runs`) : String(info.number),
  info.hash.slice(0, 12),
  time(info.at),
  info.why,
  summary(info),
];

function listText({ generations, status }: GenerationList): void {
  print(table(['GENERATION', 'HASH', 'SINCE', 'WHY', 'CHANGES'], generations.map(row)));
  if (status.pinned !== undefined) tell(status.pinned);
  const { last } = status;
  if (last.result !== 'rejected') return;
  tell(
    `${paintError('red', 'the files are refused')} since ${time(last.at)}, ${plural(last.problems.length, 'problem')}:`,
  );
  tell(last.problems.join('\n\n'));
}

async function generations(flags: TargetFlags): Promise<void> {
  const [{ adminAddress }, { remoteGenerations }] = await Promise.all([
    import('./target.ts'),
    import('../operations/index.ts'),
  ]);
  const list = await remoteGenerations(await adminAddress(flags));
  if (flags.json) printJson(list);
  else listText(list);
}

export function define(program: Command): void {
  withTarget(
    program.command('generations').description('lists what a running engine ran lately, and can be rolled back to'),
  ).action(generations);
}
