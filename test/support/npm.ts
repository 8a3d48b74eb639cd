/** npm and packed packages, for tests that install what users install. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** `npm test` hands its own settings down by variables; an npm for another folder must not inherit them. */
const cleanEnv = (): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));

/** Rejects with what npm printed when it fails. */
export async function npm(args: readonly string[], cwd = root): Promise<string> {
  const { stdout } = await run('npm', [...args, '--loglevel=error'], { cwd, env: cleanEnv(), maxBuffer: 16e6 });
  return stdout;
}

/** Compiles every package and packs it into `folder`. Resolves to the tarballs by the packages' names. */
export async function packAll(folder: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  await npm(['run', 'build']);
  const workspaces = names.flatMap((name) => ['--workspace', name]);
  const packed = await npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder, ...workspaces]);
  return new Map(tarballs(JSON.parse(packed)).map(({ name, filename }) => [name, join(folder, filename)]));
}

interface Packed {
  readonly name: string;
  readonly filename: string;
}

/** A list in npm 10 and 11, keyed by name in others. */
const tarballs = (packed: unknown): readonly Packed[] =>
  Array.isArray(packed) ? (packed as Packed[]) : Object.values(packed as Record<string, Packed>);
