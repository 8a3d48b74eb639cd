/** What `eventflow validate` says about tests of pipelines: everything but whether they pass. */
import { resolve } from 'node:path';
import { loadSettings, readCatalog } from '../config/index.ts';
import { findTestFiles, isTestFile, missingTests } from '../pipeline-test/files.ts';
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
  const checked = await Promise.all(found.files.map((file) => checkTestFile(file, deps)));
  // Pipelines that are not there are told where they are looked for.
  const missing = found.missing
    .filter(isTestFile)
    .map((path) => ({ diagnostics: [missingTests(path)], sources: new Map<string, string>(), files: [resolve(path)] }));
  return [...missing, ...checked].map(({ diagnostics, sources, files }) => {
    const ok = diagnostics.every(({ severity }) => severity !== 'error');
    return { ok, diagnostics, sources, files, pipelines: 0, routes: 0 };
  });
}
