/** From flags and variables to the settings of an engine. */
import {
  type Diagnostic,
  formatDiagnostic,
  loadSettings,
  type Settings,
  type SettingsRequest,
} from '../config/index.ts';
import { exit, Failure } from './exit.ts';
import type { SettingsFlags } from './options.ts';

export const formatAll = (diagnostics: readonly Diagnostic[], sources: ReadonlyMap<string, string>): string =>
  diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, sources.get(diagnostic.file))).join('\n\n');

/** Flags stand above variables; the loader puts those above the file. */
export const settingsRequest = ({ bus, config, pipelines }: SettingsFlags): SettingsRequest => ({
  cwd: process.cwd(),
  env: bus === undefined ? process.env : { ...process.env, EVENTFLOW_BUS: bus },
  file: config,
  pipelines,
});

/** Throws a `Failure` with every problem when the settings are wrong. */
export async function readSettings(flags: SettingsFlags): Promise<Settings> {
  const loaded = await loadSettings(settingsRequest(flags));
  if (loaded.ok) return loaded.settings;
  throw new Failure(exit.config, `the settings are wrong\n\n${formatAll(loaded.diagnostics, loaded.sources)}`);
}
