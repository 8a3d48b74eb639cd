/** `eventflow schema`: the JSON Schema of pipeline files, with the options of every allowed handler in it. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { type SettingsFlags, valued, withSettings } from './options.ts';
import { print, tell } from './output.ts';

interface SchemaFlags extends SettingsFlags {
  readonly out?: string;
}

async function schema(flags: SchemaFlags): Promise<void> {
  const { openCatalog } = await import('./pipelines.ts');
  const { readSettings } = await import('./settings.ts');
  const { composeSchema } = await import('../config/index.ts');
  const text = JSON.stringify(composeSchema(await openCatalog(await readSettings(flags))), null, 2);
  if (flags.out === undefined) return print(text);
  await writeFile(flags.out, `${text}\n`);
  tell(`wrote ${flags.out}`);
}

export function define(program: Command): void {
  withSettings(
    program
      .command('schema')
      .description('prints the JSON Schema of pipeline files, for editors and checks')
      .addOption(valued('-o, --out <file>', 'EVENTFLOW_OUT', 'writes it to a file')),
  ).action(schema);
}
