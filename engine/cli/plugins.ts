/** `eventflow plugins list`: the handlers that pipelines can use. */
import type { Command } from 'commander';
import type { HandlerManifest } from '../plugins/manifest.ts';
import { jsonOption, type SettingsFlags, withSettings } from './options.ts';
import { print, printJson, table, tell } from './output.ts';

interface ListFlags extends SettingsFlags {
  readonly json?: boolean;
}

const row = ({ handler, plugin, version, status, title }: HandlerManifest): string[] => [
  handler,
  plugin,
  version,
  status,
  title,
];

async function list(flags: ListFlags): Promise<void> {
  const { openCatalog } = await import('./pipelines.ts');
  const { readSettings } = await import('./settings.ts');
  const catalog = await openCatalog(await readSettings(flags));
  const manifests = [...catalog.handlers.values()].flat();
  if (flags.json) return printJson(manifests.map(({ schema: _, ...manifest }) => manifest));
  if (manifests.length === 0) return tell('no plugin is installed');
  print(table(['HANDLER', 'PLUGIN', 'VERSION', 'STATUS', 'TITLE'], manifests.map(row)));
}

export function define(program: Command): void {
  const plugins = program.command('plugins').description('the plugins that the settings allow');
  withSettings(
    plugins
      .command('list', { isDefault: true })
      .description('lists their handlers, without running any of their code')
      .addOption(jsonOption()),
  ).action(list);
}
