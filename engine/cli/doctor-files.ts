/** The checks of `eventflow doctor` about settings, plugins and pipelines, read as the engine reads them. */
import { loadGeneration, readCatalog, type Settings } from '../config/index.ts';
import type { Generation } from '../core/route.ts';
import { version } from '../version.ts';
import type { Finding } from './doctor-finding.ts';
import { checkConfiguration, checkInotify, checkPlugins } from './doctor-host.ts';
import { checkSchemas } from './doctor-schema.ts';

export interface FilesReport {
  readonly findings: readonly Finding[];
  /** Undefined when there are errors. */
  readonly generation: Generation | undefined;
}

export async function checkFiles(settings: Settings): Promise<FilesReport> {
  const { catalog, diagnostics } = readCatalog(settings.plugins, settings.folder);
  const loaded = await loadGeneration({
    paths: settings.pipelines,
    streams: settings.streams,
    catalog,
    env: process.env,
    cwd: process.cwd(),
  });
  return {
    findings: [
      ...checkConfiguration([...diagnostics, ...(loaded.ok ? [] : loaded.diagnostics)]),
      ...checkPlugins([...catalog.handlers.values()].flat(), settings.folder, version),
      checkInotify(loaded.files.length),
      ...(await checkSchemas(settings, catalog, loaded.sources)),
    ],
    generation: loaded.ok ? loaded.generation : undefined,
  };
}
