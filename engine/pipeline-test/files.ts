/** From what was asked for, files, folders and globs, to files of tests. */
import { readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { filesOfGlob } from '../config/files.ts';

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

/** Absolute, sorted, each once. `paths`: files of tests or of pipelines, folders and globs, relative to `cwd`. */
export const findTestFiles = (paths: readonly string[], cwd: string): string[] =>
  [...new Set(paths.flatMap((path) => expandOne(resolve(cwd, path))))].sort();
