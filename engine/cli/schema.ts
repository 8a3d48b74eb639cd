/** `eventflow schema`: the JSON Schemas of pipelines and settings, with the options of every allowed handler in them. */
import { type Command, Option } from 'commander';
import { type SchemaForm, schemaDrafts, schemaKinds, schemaVariants } from '../config/schema-form.ts';
import type { PluginCatalog } from '../plugins/manifest.ts';
import { exit, Failure, UsageError } from './exit.ts';
import type { Files } from './files-on-disk.ts';
import { pipelinesOption, repeatable, type SettingsFlags, switched, valued, withSettings } from './options.ts';
import { plural, print, tell } from './output.ts';

interface SchemaFlags extends SettingsFlags, SchemaForm {
  readonly plugin?: readonly string[];
  readonly out?: string;
  readonly vscode?: boolean;
  readonly types?: boolean;
  readonly check?: boolean;
}

async function textOf(flags: SchemaFlags, catalog: PluginCatalog): Promise<string> {
  const { publishSchema } = await import('../config/published-schema.ts');
  const { text, lost } = publishSchema(flags, catalog, flags.plugin);
  if (lost.length > 0)
    tell(`draft-07 has no ${lost.join(', ')}: with this schema an editor accepts more than EventFlow`);
  return text;
}

async function typesText(flags: SchemaFlags): Promise<string> {
  const { readSettings } = await import('./settings.ts');
  const { expectPipelines } = await import('./pipelines.ts');
  const { eventTypesInTypeScript } = await import('../config/event-types-in-typescript.ts');
  return eventTypesInTypeScript((await expectPipelines(await readSettings(flags))).eventSchemas);
}

/** What is to be on disk; a single text without a place goes to stdout. */
async function filesOf(flags: SchemaFlags): Promise<Files> {
  const { openCatalog } = await import('./pipelines.ts');
  const { readSettings } = await import('./settings.ts');
  const settings = await readSettings(flags);
  const plugins = flags.plugin ?? settings.plugins;
  const catalog = await openCatalog({ ...settings, plugins });
  if (flags.vscode !== true) return new Map([[flags.out ?? '', `${await textOf(flags, catalog)}\n`]]);
  const { editorFiles } = await import('./editor-files.ts');
  return editorFiles(settings, catalog, flags.plugin);
}

async function schema(flags: SchemaFlags): Promise<void> {
  if (flags.vscode === true && (flags.out !== undefined || flags.types === true)) {
    throw new UsageError('expected --vscode alone, got it with --out or --types: it knows where its files belong');
  }
  if (flags.check === true && flags.out === undefined && flags.vscode !== true) {
    throw new UsageError('expected --check with --out or --vscode: there is no file to compare with');
  }
  const files = flags.types === true ? new Map([[flags.out ?? '', await typesText(flags)]]) : await filesOf(flags);
  const printed = files.get('');
  if (printed !== undefined) return print(printed.trimEnd());
  const { staleAmong, writeAll } = await import('./files-on-disk.ts');
  const stale = await staleAmong(files);
  if (flags.check !== true) await writeAll(stale);
  for (const path of stale.keys()) tell(flags.check === true ? `${path} (out of date)` : `wrote ${path}`);
  if (stale.size === 0) return tell('everything is up to date');
  if (flags.check === true) {
    throw new Failure(exit.failed, `${plural(stale.size, 'file')} out of date: run this command without --check`);
  }
}

const choice = (flags: string, variable: string, description: string, choices: readonly string[]): Option =>
  new Option(flags, description).env(variable).choices(choices).default(choices[0]);

export function define(program: Command): void {
  const command = program
    .command('schema')
    .description('prints the JSON Schema of pipeline files, for editors and checks')
    .addOption(choice('--kind <kind>', 'EVENTFLOW_KIND', 'of which files', schemaKinds))
    .addOption(choice('--draft <draft>', 'EVENTFLOW_DRAFT', 'of JSON Schema; 07 for older editors', schemaDrafts))
    .addOption(
      choice(
        '--variant <variant>',
        'EVENTFLOW_VARIANT',
        'editor: ${NAME} fits wherever a value can come from it',
        schemaVariants,
      ),
    )
    .addOption(
      repeatable(
        '--plugin <name>',
        'EVENTFLOW_SCHEMA_PLUGINS',
        "only this plugin, in place of the settings' list; can be repeated",
      ),
    )
    .addOption(valued('-o, --out <file>', 'EVENTFLOW_OUT', 'writes it to a file'))
    .addOption(
      switched(
        '--vscode',
        'EVENTFLOW_VSCODE',
        'writes .eventflow/*.schema.json, and tells VS Code of them in .vscode/settings.json',
      ),
    )
    .addOption(
      switched('--types', 'EVENTFLOW_TYPES', "TypeScript types of the catalogue's events, for createPublisher"),
    )
    .addOption(switched('--check', 'EVENTFLOW_CHECK', 'writes nothing; ends with 1 when what is there is out of date'))
    .addOption(pipelinesOption());
  withSettings(command).action(schema);
}
