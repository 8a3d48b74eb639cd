/** Every file that a load touches is read here, once, so that the watcher can be told which they were. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { relative, resolve, sep } from 'node:path';

export const largestFile = 256 * 1024;

export type FileContent =
  | { readonly ok: true; readonly bytes: Buffer }
  | { readonly ok: false; readonly problem: 'missing' | 'unreadable' | 'too_large'; readonly reason: string };

export interface Reading {
  /** Absolute. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads an absolute path, once per load. */
  file(path: string): FileContent;
  /** Every path that was asked for, whether it could be read or not; absolute. */
  readonly touched: () => readonly string[];
  /** How diagnostics name a path: relative to `cwd` where it is inside. */
  name(path: string): string;
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENOENT: 'no such file',
  ENOTDIR: 'a part of the path is no folder',
  ELOOP: 'symbolic links in a circle',
};

function readOnce(path: string): FileContent {
  try {
    // Non-blocking, so that a named pipe is refused instead of waited for.
    const handle = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const stat = fstatSync(handle);
      if (stat.isDirectory()) return { ok: false, problem: 'unreadable', reason: 'it is a folder' };
      if (!stat.isFile()) return { ok: false, problem: 'unreadable', reason: 'it is no regular file' };
      if (stat.size > largestFile) return { ok: false, problem: 'too_large', reason: `${stat.size} bytes` };
      const bytes = readFileSync(handle);
      if (bytes.length > largestFile) return { ok: false, problem: 'too_large', reason: `${bytes.length} bytes` };
      return { ok: true, bytes };
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    const problem = code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : 'unreadable';
    return { ok: false, problem, reason: reasons[code] ?? code };
  }
}

export function openReading(cwd: string, env: Readonly<Record<string, string | undefined>>): Reading {
  const root = resolve(cwd);
  const read = new Map<string, FileContent>();
  return {
    cwd: root,
    env,
    file(path) {
      const known = read.get(path);
      if (known !== undefined) return known;
      const content = readOnce(path);
      read.set(path, content);
      return content;
    },
    touched: () => [...read.keys()],
    name(path) {
      const inside = relative(root, path);
      const shown = inside.startsWith('..') || inside === '' ? path : inside;
      return sep === '/' ? shown : shown.split(sep).join('/');
    },
  };
}
