/**
 * Who owns a bus file. What keeps a second process out is SQLite's exclusive lock, which dies with its process; the lock
 * file beside the database says who that is and where to reach it.
 */
import { readFileSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';

export interface Owner {
  readonly pid: number;
  /** Start of the process in clock ticks since boot, where the system tells: a pid alone may be somebody else's by now. */
  readonly started?: string;
  /** Base URL of the engine's admin listener, once it listens. */
  readonly admin?: string;
}

export const lockFile = (path: string): string => `${path}.lock`;

/** The living process that owns the bus file, or undefined when there is none. */
export async function readOwner(path: string): Promise<Owner | undefined> {
  const owner = parse(await readFile(lockFile(path), 'utf8').catch(() => ''));
  return owner !== undefined && isAlive(owner) ? owner : undefined;
}

/** Writes this process into the lock file, whoever was in it. */
export async function writeOwner(path: string, admin?: string): Promise<void> {
  const started = startOf(process.pid);
  const owner: Owner = {
    pid: process.pid,
    ...(started === undefined ? {} : { started }),
    ...(admin === undefined ? {} : { admin }),
  };
  const draft = `${lockFile(path)}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(owner)}\n`);
  await rename(draft, lockFile(path));
}

export const removeOwner = (path: string): Promise<void> => rm(lockFile(path), { force: true });

function parse(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text) as Partial<Owner> | null;
    return typeof owner?.pid === 'number' ? (owner as Owner) : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = startOf(pid);
  return started === undefined || now === undefined || now === started;
}

/** Field 22 of /proc/PID/stat; the second field may hold spaces and brackets. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
