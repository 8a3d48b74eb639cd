/** Places for a store that can go wrong in ways that no signal brings about: a disk, a power supply, a network. */
import { execFile, execFileSync } from 'node:child_process';
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder, undoneWithUs } from '../support/children.ts';
import type { Surroundings } from './stage.ts';

const run = promisify(execFile);

/** Runs a program of the system. Throws, with what to install, where it is missing. */
async function system(packageName: string, command: string, ...args: readonly string[]): Promise<void> {
  try {
    await run(command, args);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw new Error(`expected \`${command} ${args.join(' ')}\` to work: ${message}`);
    throw new Error(`expected the program ${command}, found none: apt-get install ${packageName}`);
  }
}

function needsRoot(what: string): void {
  if (process.getuid?.() !== 0) throw new Error(`expected to run as root, ${what} needs it: use sudo`);
}

/** A library of `shims/`, compiled now, under a Redis. */
export async function withShim(
  name: 'power-cut' | 'slow-fsync' | 'stepped-clock',
  env: Readonly<Record<string, string>> = {},
): Promise<Surroundings> {
  const folder = await temporaryFolder('eventflow-shim-');
  const library = join(folder.path, `${name}.so`);
  const source = join(import.meta.dirname, 'shims', `${name}.c`);
  await system('gcc libc6-dev', 'gcc', '-shared', '-fPIC', '-O1', '-o', library, source, '-ldl');
  return { redis: { env: { LD_PRELOAD: library, ...env } }, end: () => folder.remove() };
}

/** After SIGKILL of a Redis that ran under `power-cut`: its log keeps only what was synced. */
export async function cutPower(redisFolder: string): Promise<void> {
  const folder = join(redisFolder, 'appendonlydir');
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.aof')) continue;
    const path = join(folder, name);
    const synced = await readFile(`${path}.synced`, 'utf8').catch(() => '0');
    await truncate(path, Number(synced));
  }
}

export interface SmallDisk extends Surroundings {
  readonly folder: string;
}

/** A disk of a few MB, for a Redis or for the embedded bus. */
export async function smallDisk(megabytes: number): Promise<SmallDisk> {
  needsRoot('a disk that can be filled (tmpfs)');
  const folder = await temporaryFolder('eventflow-disk-');
  await system('mount', 'mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder.path);
  const forget = undoneWithUs(() => execFileSync('umount', ['-l', folder.path]));
  return {
    redis: { dir: folder.path },
    folder: folder.path,
    end: async () => {
      forget();
      await system('mount', 'umount', '-l', folder.path);
      await folder.remove();
    },
  };
}

/** Takes all that is free on a small disk. */
export async function fillDisk({ folder }: SmallDisk): Promise<void> {
  const filler = join(folder, 'filler');
  for (let size = 1 << 24; size >= 1 << 12; size >>= 1) {
    const chunk = Buffer.alloc(size);
    try {
      for (;;) await writeFile(filler, chunk, { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
}

export const freeDisk = ({ folder }: SmallDisk): Promise<void> => rm(join(folder, 'filler'), { force: true });

export interface Apart extends Surroundings {
  /** Drops every packet to and from the Redis there, or lets them pass again. */
  partition(on: boolean): Promise<void>;
}

/** A network of its own for a Redis, behind a pair of virtual links, where the kernel can drop packets. */
export async function networkApart(): Promise<Apart> {
  needsRoot('a network namespace');
  const name = `ef${process.pid}`;
  const base = `10.2${process.pid % 50}.${process.pid % 251}`;
  const ip = (...args: readonly string[]): Promise<void> => system('iproute2', 'ip', ...args);
  await system('iptables', 'iptables', '--version');
  const inside = (...args: readonly string[]): Promise<void> => ip('netns', 'exec', name, ...args);
  await ip('netns', 'add', name);
  const forget = undoneWithUs(() => execFileSync('ip', ['netns', 'del', name]));
  await ip('link', 'add', `${name}a`, 'type', 'veth', 'peer', 'name', `${name}b`, 'netns', name);
  await ip('addr', 'add', `${base}.1/30`, 'dev', `${name}a`);
  await ip('link', 'set', `${name}a`, 'up');
  await inside('ip', 'addr', 'add', `${base}.2/30`, 'dev', `${name}b`);
  await inside('ip', 'link', 'set', `${name}b`, 'up');
  await inside('ip', 'link', 'set', 'lo', 'up');
  const rules = [
    ['INPUT', '-i', `${name}b`],
    ['OUTPUT', '-o', `${name}b`],
  ] as const;
  return {
    redis: { host: `${base}.2`, via: ['ip', 'netns', 'exec', name], args: ['--protected-mode', 'no'] },
    partition: async (on) => {
      for (const rule of rules)
        await system('iptables', 'ip', 'netns', 'exec', name, 'iptables', on ? '-A' : '-D', ...rule, '-j', 'DROP');
    },
    end: async () => {
      forget();
      await ip('netns', 'del', name);
    },
  };
}
