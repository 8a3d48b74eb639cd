/** The files of the checkout, for the tests that read them as text. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** Files that git knows or would take, with `/`. */
export const files: readonly string[] = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && read(file) !== undefined)
  .sort();

/** The text of a file; undefined when it is not there (removed, and not committed yet). */
function read(file: string): string | undefined {
  try {
    return readFileSync(join(root, file), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export const textOf = (file: string): string => read(file) ?? '';

export const typescript = (...folders: readonly string[]): readonly string[] =>
  files.filter((file) => file.endsWith('.ts') && folders.some((folder) => file.startsWith(`${folder}/`)));

export interface Import {
  readonly from: string;
  /** A file of the checkout for a relative import, else the specifier. */
  readonly to: string;
  readonly line: number;
}

const importing = /(?:^|[\s;}])(?:from|import)\s*\(?\s*'([^'\n]+)'/g;

/** Static and dynamic imports, re-exports and types, without what stands in comments. */
export function importsOf(file: string): readonly Import[] {
  const text = textOf(file).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, (comment) => comment.replace(/[^\n]/g, ' '));
  return [...text.matchAll(importing)].map((match) => {
    const specifier = match[1] ?? '';
    const to = specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier;
    return { from: file, to, line: text.slice(0, match.index).split('\n').length };
  });
}
