/** The allowed plugins and the compiled pipelines, as the engine would see them. */
import {
  type Diagnostic,
  type LoadResult,
  loadGeneration,
  loadSettings,
  readCatalog,
  type Settings,
} from '../config/index.ts';
import type { Generation } from '../core/route.ts';
import type { PluginCatalog } from '../plugins/manifest.ts';
import { exit, Failure } from './exit.ts';
import type { SettingsFlags } from './options.ts';
import { formatAll, settingsRequest } from './settings.ts';

/** What is allowed and installed; throws a `Failure` when something allowed cannot be used. */
export async function openCatalog(settings: Settings): Promise<PluginCatalog> {
  const { catalog, diagnostics } = readCatalog(settings.plugins, settings.folder);
  if (diagnostics.length === 0) return catalog;
  throw new Failure(exit.config, formatAll(diagnostics, new Map()));
}

/** The pipelines that the settings name, compiled. `offline`: a reference without a value stands for itself. */
export async function loadPipelines(settings: Settings, offline = false) {
  const { catalog } = readCatalog(settings.plugins, settings.folder);
  return loadGeneration({
    paths: settings.pipelines,
    streams: settings.streams,
    catalog,
    env: process.env,
    cwd: process.cwd(),
    reading: { offline },
  });
}

/** The pipelines as they were loaded; throws a `Failure` with every problem when there is one. */
export async function expectPipelines(settings: Settings): Promise<Extract<LoadResult, { ok: true }>> {
  const loaded = await loadPipelines(settings);
  if (loaded.ok) return loaded;
  throw new Failure(exit.config, `the pipelines are wrong\n\n${formatAll(loaded.diagnostics, loaded.sources)}`);
}

export const expectGeneration = async (settings: Settings): Promise<Generation> =>
  (await expectPipelines(settings)).generation;

export interface Findings {
  /** In the order of the files. */
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: ReadonlyMap<string, string>;
  /** Undefined when there are errors. */
  readonly generation: Generation | undefined;
  /** Every file that was read or referred to; absolute. */
  readonly files: readonly string[];
}

/** Everything that settings, manifests and pipelines have to say. `paths` stand in for the settings' pipelines. */
export async function findProblems(flags: SettingsFlags, paths: readonly string[]): Promise<Findings> {
  const read = await loadSettings(settingsRequest(paths.length > 0 ? { ...flags, pipelines: paths } : flags));
  if (!read.ok) return { ...read, generation: undefined };
  const { settings, pluginsPlace, warnings } = read;
  const { catalog, diagnostics } = readCatalog(settings.plugins, settings.folder, pluginsPlace);
  const loaded = await loadGeneration({
    paths: settings.pipelines,
    streams: settings.streams,
    catalog,
    env: process.env,
    cwd: process.cwd(),
  });
  return {
    diagnostics: [...warnings, ...diagnostics, ...(loaded.ok ? loaded.warnings : loaded.diagnostics)],
    sources: new Map([...read.sources, ...loaded.sources]),
    generation: loaded.ok && diagnostics.length === 0 ? loaded.generation : undefined,
    files: [...read.files, ...loaded.files],
  };
}
