/** From what was asked for, files, folders and globs, to pipeline files. */
import { globSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Diagnostic } from './diagnostic.ts';
import type { Reading } from './reading.ts';
import { diagnoseFile } from './source.ts';

export const isGlob = (pattern: string): boolean => /[*?[\]{}]/.test(pattern);

export const isSettingsFile = (path: string): boolean => /^eventflow\.ya?ml$/i.test(basename(path));

/** Tests of pipelines, settings and hidden files are no pipelines. */
const isPipelineFile = (name: string): boolean =>
  /\.ya?ml$/i.test(name) && !/\.test\.ya?ml$/i.test(name) && !isSettingsFile(name) && !name.startsWith('.');

function kindOf(path: string): 'file' | 'folder' | undefined {
  try {
    const stat = statSync(path);
    return stat.isDirectory() ? 'folder' : 'file';
  } catch {
    return undefined;
  }
}

/** Hidden folders are left out: a mounted ConfigMap keeps its former versions in `..2026_…`. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.') || entry.name === 'node_modules') return [];
    if (entry.isDirectory()) return filesBelow(path);
    // Links are followed to files only, so that no circle is walked.
    const isFile = entry.isFile() || (entry.isSymbolicLink() && kindOf(path) === 'file');
    return isFile && isPipelineFile(entry.name) ? [path] : [];
  });
}

const packagesIn = (path: string): number => path.split(/[/\\]/).filter((part) => part === 'node_modules').length;

/** Without what lies in packages, unless the glob names their folder; absolute, as `glob` is. */
export const filesOfGlob = (glob: string): string[] =>
  globSync(glob).filter((match) => packagesIn(match) === packagesIn(glob));

function expandOne(path: string): string[] {
  const kind = kindOf(path);
  if (kind === 'folder') return filesBelow(path);
  if (kind === 'file' || !isGlob(path)) return [path];
  return filesOfGlob(path).filter((match) => kindOf(match) === 'file' && isPipelineFile(basename(match)));
}

export interface Expanded {
  /** Absolute, sorted, each once. */
  readonly files: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

/** A path that stands for nothing is an error, unless `allowEmpty`: an unmounted folder must not stop every route. */
export function expandPaths(paths: readonly string[], reading: Reading, allowEmpty: boolean): Expanded {
  const files = new Set<string>();
  const diagnostics: Diagnostic[] = [];
  for (const pattern of paths) {
    const path = resolve(reading.cwd, pattern);
    const found = expandOne(path);
    for (const file of found) files.add(file);
    if (found.length === 0 && !allowEmpty) diagnostics.push(noFiles(reading.name(path)));
  }
  return { files: [...files].sort(), diagnostics };
}

const noFiles = (name: string): Diagnostic =>
  diagnoseFile(name, 'EF1016', 'expected at least one pipeline file (*.yaml) here, got none');

/** The folders to watch for a path: itself, the one it lies in, or the one where a glob begins. Absolute. */
export function watchedFolder(path: string): string {
  if (kindOf(path) === 'folder') return path;
  const parts = path.split(/[/\\]/);
  const firstGlob = parts.findIndex(isGlob);
  if (kindOf(path) === undefined && firstGlob > 0) return parts.slice(0, firstGlob).join('/') || '/';
  return dirname(path);
}
