/** The fixtures' plugins, and golden files. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatDiagnostic, type LoadResult, loadGeneration, readCatalog } from '../../engine/config/index.ts';

export const fixtures = fileURLToPath(new URL('./fixtures', import.meta.url));

export const { catalog } = readCatalog(['./plugins/mailer', './plugins/crm', './plugins/other-crm'], fixtures);

export const env = {
  EMPTY: '',
  WORD: 'swordfish',
  HUGE: '1000000',
  TOKEN: 'tok-swordfish',
  PORT: '2525',
  TLS: 'false',
};

const streams = [{ name: 'invoices', types: ['invoice.*', 'credit.note'] }] as const;

/** Loads with the fixtures' plugins; `cwd` is where file names in diagnostics start. */
export const load = (paths: readonly string[], cwd: string, more: Record<string, string> = {}): Promise<LoadResult> =>
  loadGeneration({ paths, catalog, env: { ...env, ...more }, cwd, streams });

/** Everything that was said about the files, as a person sees it. */
export function said(result: LoadResult): string {
  const diagnostics = result.ok ? result.warnings : result.diagnostics;
  return diagnostics
    .map((diagnostic) => `${formatDiagnostic(diagnostic, result.sources.get(diagnostic.file))}\n`)
    .join('\n');
}

/** Compares with a file; EVENTFLOW_UPDATE_GOLDEN=1 writes it instead. */
export function golden(path: string, actual: string): void {
  if (process.env['EVENTFLOW_UPDATE_GOLDEN'] === '1') writeFileSync(path, actual);
  assert.ok(existsSync(path), `${path} is missing: run with EVENTFLOW_UPDATE_GOLDEN=1 and read what it says`);
  assert.equal(actual, readFileSync(path, 'utf8'));
}
