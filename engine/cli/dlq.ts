/** `eventflow dlq list|show|redrive`: the dead letters. */
import { type Command, Option } from 'commander';
import { type DeadLetter, type DeadReason, deadReasons } from '../core/delivery.ts';
import type { DeadLetterFilter, RedriveReport } from '../operations/operations.ts';
import { exit, Failure, UsageError } from './exit.ts';
import { switched, type TargetFlags, valued, wholeNumber, withTarget } from './options.ts';
import { inert, paint, plural, print, printJson, shorten, table, tell, time } from './output.ts';

interface FilterFlags extends TargetFlags {
  readonly route?: string;
  readonly reason?: DeadReason;
  readonly event?: string;
  readonly type?: string;
  readonly limit: number;
}

interface RedriveFlags extends FilterFlags {
  readonly all?: boolean;
  readonly yes?: boolean;
}

const filterOf = ({ route, reason, event, type, limit }: FilterFlags): DeadLetterFilter => ({
  limit,
  ...(route === undefined ? {} : { group: route }),
  ...(reason === undefined ? {} : { reason }),
  ...(event === undefined ? {} : { eventId: event }),
  ...(type === undefined ? {} : { eventType: type }),
});

const isFiltered = ({ route, reason, event, type }: FilterFlags): boolean =>
  [route, reason, event, type].some((value) => value !== undefined);

const withFilter = (command: Command, limit: number): Command =>
  withTarget(
    command
      .addOption(valued('--route <pipeline.route>', 'EVENTFLOW_DLQ_ROUTE', 'only of this route'))
      .addOption(valued('--reason <reason>', 'EVENTFLOW_DLQ_REASON', 'only with this reason').choices(deadReasons))
      .addOption(valued('--event <id>', 'EVENTFLOW_DLQ_EVENT', 'only of this event'))
      .addOption(valued('--type <type>', 'EVENTFLOW_DLQ_TYPE', 'only of events of this type'))
      .addOption(
        new Option('--limit <n>', 'at most so many')
          .env('EVENTFLOW_DLQ_LIMIT')
          .default(limit)
          .argParser(wholeNumber(1)),
      ),
  );

const row = (letter: DeadLetter): string[] => [
  letter.id,
  letter.group,
  paint('red', letter.reason),
  inert(letter.eventId ?? '–'),
  inert(letter.eventType ?? '–'),
  String(letter.attempts.length),
  time(letter.deadAt),
  shorten(inert(`${letter.fault.code}: ${letter.fault.message}`), 60),
];

async function list(flags: FilterFlags): Promise<void> {
  const { withOperations } = await import('./target.ts');
  const letters = await withOperations(flags, (operations) => operations.deadLetters(filterOf(flags)));
  if (flags.json) return printJson(letters);
  if (letters.length === 0) return tell('no dead letters');
  print(table(['ID', 'ROUTE', 'REASON', 'EVENT', 'TYPE', 'ATTEMPTS', 'SINCE', 'ERROR'], letters.map(row)));
  if (letters.length === flags.limit) tell(`the newest ${flags.limit}; there may be more (--limit)`);
}

function letterText(letter: DeadLetter): string {
  const facts: readonly (readonly [string, string])[] = [
    ['route', `${letter.group} (${letter.handler})`],
    ['reason', letter.reason],
    ['event', `${inert(letter.eventId ?? '–')}  ${inert(letter.eventType ?? '–')}`],
    ['published', time(letter.publishedAt)],
    ['dead since', time(letter.deadAt)],
    ['error', inert(`${letter.fault.code}: ${letter.fault.message}`)],
    ...(letter.fault.body === undefined ? [] : [['answer', inert(letter.fault.body)] as const]),
    ...letter.attempts.map(
      ({ n, at, ms, fault }) =>
        [
          `attempt ${n}`,
          `${time(at)}  ${Math.round(ms)} ms  ${shorten(inert(`${fault.code}: ${fault.message}`), 100)}`,
        ] as const,
    ),
    ...(letter.redrivenFrom === undefined ? [] : [['redriven from', letter.redrivenFrom] as const]),
    ['body', inert(letter.body)],
    ...(letter.meta === undefined ? [] : [['meta', inert(letter.meta)] as const]),
  ];
  const lines = facts.map(([name, value]) => `  ${paint('dim', name.padEnd(13))} ${value}`);
  return [paint('bold', `dead letter ${letter.id}`), ...lines].join('\n');
}

async function show(id: string, flags: TargetFlags): Promise<void> {
  const { withOperations } = await import('./target.ts');
  const letter = await withOperations(flags, (operations) => operations.deadLetter(id));
  if (letter === undefined) throw new Failure(exit.failed, `there is no dead letter ${JSON.stringify(id)} (any more)`);
  if (flags.json) printJson(letter);
  else print(letterText(letter));
}

function reportText({ dryRun, matched, redriven, byGroup }: RedriveReport): string {
  const groups = Object.entries(byGroup).map(([group, count]) => `  ${group}  ${count}`);
  const head = dryRun ? `would redrive ${plural(matched, 'letter')}` : `redrove ${plural(redriven.length, 'letter')}`;
  return [head, ...groups].join('\n');
}

function expectChoice(ids: readonly string[], flags: RedriveFlags): void {
  const choices = [ids.length > 0, isFiltered(flags), flags.all === true].filter(Boolean).length;
  if (choices === 1) return;
  throw new UsageError(
    choices === 0
      ? 'expected ids, a filter (--route, --reason, --event, --type) or --all, got none of them: say which letters to redrive'
      : 'expected either ids, or a filter, or --all, got several of them',
  );
}

async function redrive(ids: readonly string[], flags: RedriveFlags): Promise<void> {
  expectChoice(ids, flags);
  const { withOperations } = await import('./target.ts');
  const dryRun = flags.yes !== true;
  const report = await withOperations(flags, (operations) =>
    operations.redrive(ids.length > 0 ? { dryRun, ids } : { dryRun, filter: filterOf(flags) }),
  );
  if (flags.json) printJson(report);
  else print(reportText(report));
  if (dryRun && report.matched > 0) tell('nothing was sent; --yes does it');
  if (report.missing.length > 0) {
    throw new Failure(exit.failed, `no dead letters (any more): ${report.missing.join(', ')}`);
  }
}

export function define(program: Command): void {
  const dlq = program.command('dlq').description('the dead letters');
  withFilter(dlq.command('list').description('lists dead letters, the newest first'), 100).action(list);
  withTarget(dlq.command('show').description('everything about one dead letter').argument('<id>')).action(show);
  withFilter(
    dlq
      .command('redrive')
      .description('sends dead letters again; only says what it would do, unless --yes')
      .argument('[ids...]', 'the letters; or choose them by a filter')
      .addOption(switched('--all', 'EVENTFLOW_DLQ_ALL', 'every dead letter'))
      .addOption(switched('-y, --yes', 'EVENTFLOW_YES', 'really do it')),
    100_000,
  ).action(redrive);
}
