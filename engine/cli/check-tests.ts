/** What `eventflow validate` says about tests of pipelines: everything but whether they pass. */
import { loadSettings, readCatalog } from '../config/index.ts';
import { findTestFiles } from '../pipeline-test/files.ts';
import { checkTestFile } from '../pipeline-test/run.ts';
import type { Checked } from './check-all.ts';
import type { SettingsFlags } from './options.ts';
import { settingsRequest } from './settings.ts';

/** `paths`: files of tests or of pipelines, folders and globs; none: the settings' pipelines. */
export async function checkTests(flags: SettingsFlags, paths: readonly string[]): Promise<Checked[]> {
  const read = await loadSettings(settingsRequest(flags));
  if (!read.ok) return [{ ...read, pipelines: 0, routes: 0 }];
  const { settings } = read;
  const { catalog } = readCatalog(settings.plugins, settings.folder);
  const cwd = process.cwd();
  const deps = { catalog, streams: settings.streams, cwd, env: process.env };
  const found = findTestFiles(paths.length > 0 ? paths : settings.pipelines, cwd);
  const checked = await Promise.all(found.map((file) => checkTestFile(file, deps)));
  return checked.map(({ diagnostics, sources, files }) => {
    const ok = diagnostics.every(({ severity }) => severity !== 'error');
    return { ok, diagnostics, sources, files, pipelines: 0, routes: 0 };
  });
}
