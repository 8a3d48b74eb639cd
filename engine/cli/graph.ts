/** `eventflow graph`: which event types go through which routes to which handlers, as a picture. */
import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { Graph } from '../graph/model.ts';
import { exit, Failure } from './exit.ts';
import { pipelinesOption, type SettingsFlags, switched, valued, withSettings } from './options.ts';
import { print, tell } from './output.ts';

type Format = 'mermaid' | 'dot' | 'svg' | 'json';

interface GraphFlags extends SettingsFlags {
  readonly format: Format;
  readonly deadLetters?: boolean;
  readonly out?: string;
}

async function draw(graph: Graph, format: Format): Promise<string> {
  switch (format) {
    case 'mermaid': {
      const { mermaidLimit, toMermaid } = await import('../graph/mermaid.ts');
      const limit = mermaidLimit(graph);
      if (limit !== undefined) tell(limit);
      return toMermaid(graph);
    }
    case 'dot':
      return (await import('../graph/dot.ts')).toDot(graph);
    case 'svg':
      return (await import('../graph/svg.ts')).toSvg(graph);
    case 'json':
      return `${JSON.stringify(graph, null, 2)}\n`;
  }
}

async function graph(paths: readonly string[], flags: GraphFlags): Promise<void> {
  const { findProblems } = await import('./pipelines.ts');
  const { formatAll } = await import('./settings.ts');
  const { graphOf } = await import('../graph/model.ts');
  const { generation, diagnostics, sources } = await findProblems(
    flags,
    paths.length > 0 ? paths : (flags.pipelines ?? []),
  );
  if (generation === undefined) throw new Failure(exit.failed, `\n\n${formatAll(diagnostics, sources)}`.trim());
  const text = await draw(graphOf(generation, { deadLetters: flags.deadLetters ?? false }), flags.format);
  if (flags.out === undefined) return print(text.trimEnd());
  await writeFile(flags.out, text);
  tell(`wrote ${flags.out}`);
}

export function define(program: Command): void {
  const format = new Option('-f, --format <format>', 'what is drawn')
    .env('EVENTFLOW_FORMAT')
    .choices(['mermaid', 'dot', 'svg', 'json'])
    .default('mermaid');
  const command = program
    .command('graph')
    .description('draws event types, routes and handlers; connects to nothing')
    .argument('[paths...]', "files, folders or globs (default: the settings' pipelines)")
    .addOption(format)
    .addOption(switched('--dead-letters', 'EVENTFLOW_DEAD_LETTERS', 'also draws where routes give up'))
    .addOption(valued('-o, --out <file>', 'EVENTFLOW_OUT', 'writes it to a file'))
    .addOption(pipelinesOption());
  withSettings(command).action(graph);
}
