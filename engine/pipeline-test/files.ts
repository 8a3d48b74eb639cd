/** From what was asked for, files, folders and globs, to files of tests. */
import { readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Diagnostic } from '../config/diagnostic.ts';
import { filesOfGlob, isGlob } from '../config/files.ts';
import { diagnoseFile } from '../config/source.ts';

export const isTestFile = (path: string): boolean => /\.test\.ya?ml$/i.test(path);

function kindOf(path: string): 'file' | 'folder' | undefined {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file';
  } catch {
    return undefined;
  }
}

function below(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.') || entry.name === 'node_modules') return [];
    if (entry.isDirectory()) return below(path);
    return isTestFile(entry.name) && kindOf(path) === 'file' ? [path] : [];
  });
}

/** The tests of a pipeline lie beside it. */
function testBeside(path: string): string[] {
  const own = path.replace(/\.(ya?ml)$/i, '.test.$1');
  return own !== path && kindOf(own) === 'file' ? [own] : [];
}

function expandOne(path: string): string[] {
  switch (kindOf(path)) {
    case 'folder':
      return below(path);
    case 'file':
      return isTestFile(path) ? [path] : testBeside(path);
    case undefined: {
      const found = filesOfGlob(path).filter((match) => kindOf(match) === 'file');
      return [...new Set(found.flatMap((match) => (isTestFile(basename(match)) ? [match] : testBeside(match))))];
    }
  }
}

interface FoundTests {
  /** Absolute, sorted, each once. */
  readonly files: readonly string[];
  /** What was asked for and is not there, as it was written; a glob may stand for nothing. */
  readonly missing: readonly string[];
  /** What is there, or is a glob, and has no tests. */
  readonly empty: readonly string[];
}

/** `paths`: files of tests or of pipelines, folders and globs, relative to `cwd`. */
export function findTestFiles(paths: readonly string[], cwd: string): FoundTests {
  const found = paths.map((path) => {
    const full = resolve(cwd, path);
    return { path, files: expandOne(full), isThere: isGlob(path) || kindOf(full) !== undefined };
  });
  return {
    files: [...new Set(found.flatMap(({ files }) => files))].sort(),
    missing: found.filter(({ isThere }) => !isThere).map(({ path }) => path),
    empty: found.filter(({ files, isThere }) => isThere && files.length === 0).map(({ path }) => path),
  };
}

export const missingTests = (path: string): Diagnostic =>
  diagnoseFile(path, 'EF2108', 'expected a file or a folder with tests here, there is none');
