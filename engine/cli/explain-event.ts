/** `eventflow explain-event`: for each route, whether it would take an event, why not, and what its handler would get. */
import type { Command } from 'commander';
import type { Explained, RouteVerdict } from './event-verdicts.ts';
import { exit, Failure } from './exit.ts';
import { jsonOption, pipelinesOption, repeatable, type SettingsFlags, withSettings } from './options.ts';
import { inert, paint, plural, print, printJson, shorten, tell } from './output.ts';

interface ExplainEventFlags extends SettingsFlags {
  readonly route?: readonly string[];
  readonly json?: boolean;
}

const longestLine = 200;
const indented = (lines: readonly string[]): string[] =>
  lines.map((line) => `    ${shorten(inert(line), longestLine)}`);

/** `to: "ada@mail.example"`: one line for each field of a map. */
const fields = (value: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(value).map(([name, inner]) => `${name}: ${JSON.stringify(inner)}`);

function headline({ route, handler, verdict, reason }: RouteVerdict): string {
  switch (verdict) {
    case 'matched':
      return `${paint('green', '✓')} ${route} → ${handler}`;
    case 'disabled':
    case 'type':
    case 'when':
      return `${paint('dim', '–')} ${route}: ${inert(reason)}`;
    case 'dead':
      return `${paint('red', '✗')} ${route}: dead-lettered as ${inert(reason)}`;
  }
}

function body({ why, data, options, optionsFault }: RouteVerdict): string[] {
  return [
    ...indented(why),
    ...(data === undefined ? [] : ['  data', ...indented(fields(data))]),
    ...(options === undefined ? [] : ['  with', ...indented(fields(options))]),
    ...(optionsFault === undefined ? [] : [`  with: ${paint('red', inert(optionsFault))}`]),
  ];
}

function textOf({ event, refusal, warnings, routes }: Explained): string {
  const head = paint('bold', `${inert(event.type)} ${inert(event.id)} from ${inert(event.source)}`);
  if (refusal !== undefined) return `${head}\n${paint('red', '✗')} refused when it is published: ${inert(refusal)}`;
  const order = (one: RouteVerdict): number => (one.verdict === 'matched' || one.verdict === 'dead' ? 0 : 1);
  const sorted = [...routes].sort((a, b) => order(a) - order(b));
  return [
    head,
    ...warnings.map((warning) => `${paint('yellow', '!')} the data does not fit its schema: ${inert(warning)}`),
    ...sorted.flatMap((one) => [headline(one), ...body(one)]),
  ].join('\n');
}

async function explainEvent(file: string | undefined, flags: ExplainEventFlags): Promise<void> {
  const { readSettings } = await import('./settings.ts');
  const { openCatalog, expectPipelines } = await import('./pipelines.ts');
  const { explainEvents, readEventTexts } = await import('./event-verdicts.ts');
  const settings = await readSettings(flags);
  const catalog = await openCatalog(settings);
  const { generation, secrets } = await expectPipelines(settings);
  const texts = await readEventTexts(file);
  const explained = explainEvents(texts, { generation, catalog, secrets, routes: flags.route, now: Date.now() });
  if (flags.json === true) printJson(explained);
  else print(explained.map(textOf).join('\n\n'));
  const refused = explained.filter(({ refusal }) => refusal !== undefined).length;
  const wanted = explained.filter(({ routes }) => routes.some(({ verdict }) => verdict === 'matched')).length;
  tell(`${plural(explained.length, 'event')}: ${wanted} wanted, ${refused} refused`);
  if (refused > 0) throw new Failure(exit.failed);
}

export function define(program: Command): void {
  const command = program
    .command('explain-event')
    .description('tells for each route whether it would take an event, and why not; connects to nothing')
    .argument('[file]', 'an event in JSON, a list of them, or one on each line; - for stdin (default: stdin)')
    .addOption(
      repeatable('--route <group>', 'EVENTFLOW_ROUTE', 'only this route, such as orders.receipt; can be repeated'),
    )
    .addOption(pipelinesOption())
    .addOption(jsonOption());
  withSettings(command).action(explainEvent);
}
