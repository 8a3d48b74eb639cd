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
  /** References without a value stand for themselves: what is compared need not run. */
  readonly offline: boolean;
  /** Reads an absolute path, once per load. */
  file(path: string): FileContent;
  /** The same for what `${file:…}` names: its text is never shown. */
  secretFile(path: string): FileContent;
  /** Every path that was asked for, whether it could be read or not; absolute. */
  readonly touched: () => readonly string[];
  /** Those that are no secret files. */
  readonly shown: () => readonly string[];
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

/** How a load differs from one that is going to run. */
export interface ReadingOptions {
  /** References without a value stand for themselves [they are errors]. */
  readonly offline?: boolean;
  /** Texts by absolute path that win over the disk [none]. */
  readonly replaced?: ReadonlyMap<string, string>;
  /** Texts by absolute path, in place of the disk: nothing else is read, except secret files. */
  readonly posted?: ReadonlyMap<string, string>;
  /** The secret files that may be read, absolute [any]. */
  readonly secretFiles?: ReadonlySet<string>;
}

function postedContent(posted: ReadonlyMap<string, string>, path: string): FileContent {
  const text = posted.get(path);
  if (text === undefined) return { ok: false, problem: 'missing', reason: 'it was not sent along' };
  const bytes = Buffer.from(text);
  if (bytes.length > largestFile) return { ok: false, problem: 'too_large', reason: `${bytes.length} bytes` };
  return { ok: true, bytes };
}

export function openReading(
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
  { offline = false, replaced, posted, secretFiles }: ReadingOptions = {},
): Reading {
  const root = resolve(cwd);
  const read = new Map<string, FileContent>();
  const shown = new Set<string>();
  const once = (path: string, open: (path: string) => FileContent): FileContent => {
    const known = read.get(path);
    if (known !== undefined) return known;
    const content = replaced?.has(path) === true ? postedContent(replaced, path) : open(path);
    read.set(path, content);
    return content;
  };
  return {
    cwd: root,
    env,
    offline,
    file(path) {
      shown.add(path);
      return posted === undefined ? once(path, readOnce) : postedContent(posted, path);
    },
    secretFile(path) {
      if (secretFiles?.has(path) === false) {
        return { ok: false, problem: 'unreadable', reason: 'what runs does not read it' };
      }
      return once(path, readOnce);
    },
    touched: () => [...new Set([...shown, ...read.keys()])],
    shown: () => [...shown],
    name(path) {
      const inside = relative(root, path);
      const shown = inside.startsWith('..') || inside === '' ? path : inside;
      return sep === '/' ? shown : shown.split(sep).join('/');
    },
  };
}
