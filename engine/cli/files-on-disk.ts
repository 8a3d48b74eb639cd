/** Files that a command writes for people: what differs from what is there, and writing it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Path → text. */
export type Files = ReadonlyMap<string, string>;

/** Undefined when there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Those that are missing or say something else. */
export async function staleAmong(files: Files): Promise<Files> {
  const found = await Promise.all(
    [...files].map(async ([path, text]) => [path, text, await readIfThere(path)] as const),
  );
  return new Map(found.filter(([, text, there]) => there !== text).map(([path, text]) => [path, text] as const));
}

/** With the folders that they need. */
export async function writeAll(files: Files): Promise<void> {
  for (const [path, text] of files) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
}
