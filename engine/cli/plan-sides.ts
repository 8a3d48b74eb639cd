/** The two sides of a comparison that asks no engine: folders, files, or revisions of git. */
import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Diagnostic, loadGeneration, loadSettings, readCatalog, type Settings } from '../config/index.ts';
import type { Generation } from '../core/route.ts';
import type { PlanSide } from '../operations/plan.ts';
import { exit, Failure, UsageError } from './exit.ts';
import type { SettingsFlags } from './options.ts';
import { formatAll, settingsRequest } from './settings.ts';

/** Where pipelines are taken from. */
export interface Place {
  readonly side: Omit<PlanSide, 'hash'>;
  /** Paths start here; absolute. */
  readonly root: string;
}

export interface Side {
  readonly generation: Generation;
  readonly settings: Settings;
  readonly secrets: readonly string[];
}

export interface SidesFlags extends SettingsFlags {
  readonly from?: string;
  readonly to?: string;
  readonly fromGit?: string;
  readonly toGit?: string;
}

const run = promisify(execFile);

async function git(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  try {
    const { stdout } = await run('git', [...args], { env: { ...process.env, ...env }, maxBuffer: 16 * 1024 * 1024 });
    return stdout.trimEnd();
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT') throw new Failure(exit.failed, 'expected git to be installed, it is not');
    throw new Failure(exit.failed, `git ${args[0]}: ${(stderr ?? '').trim() || String(error)}`);
  }
}

async function commitOf(revision: string): Promise<string> {
  return git(['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`]).catch(() => {
    throw new UsageError(`expected a revision of git, got ${JSON.stringify(revision)}`);
  });
}

/** The files of a revision, in a folder of their own; the index and the work tree are not touched. */
async function checkOut(revision: string, folder: string): Promise<string> {
  const commit = await commitOf(revision);
  const top = await git(['rev-parse', '--show-toplevel']);
  const prefix = await git(['rev-parse', '--show-prefix']);
  const env = { GIT_INDEX_FILE: join(folder, 'index') };
  await git(['-C', top, 'read-tree', commit], env);
  await git(['-C', top, 'checkout-index', '--all', '--quiet', `--prefix=${join(folder, 'tree')}/`], env);
  const root = join(folder, 'tree', prefix);
  if (existsSync(root)) return root;
  throw new Failure(exit.failed, `expected the folder ${prefix} in ${revision}, it has none`);
}

function folderPlace(path: string): Place {
  const root = resolve(path);
  if (existsSync(root)) return { side: { kind: 'files', name: path }, root };
  throw new UsageError(`expected a folder or a file at ${path}, got nothing`);
}

const worktree: Place = { side: { kind: 'files', name: 'the work tree' }, root: process.cwd() };

/** Hands both places to `work`, and removes what was made for it. */
export async function withPlaces<T>(flags: SidesFlags, work: (from: Place, to: Place) => Promise<T>): Promise<T> {
  const temporary = await mkdtemp(join(tmpdir(), 'eventflow-plan-'));
  const revision = async (name: string, folder: string): Promise<Place> => ({
    side: { kind: 'git', name },
    root: await checkOut(name, await mkdtemp(join(temporary, folder))),
  });
  try {
    const { from, to, fromGit, toGit } = flags;
    const before = fromGit === undefined ? folderPlace(from ?? '') : await revision(fromGit, 'from-');
    const wantsTree = toGit === undefined || toGit === 'worktree';
    if (!wantsTree) return await work(before, await revision(toGit, 'to-'));
    return await work(before, to === undefined ? worktree : folderPlace(to));
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** What stands for the pipelines of a place: what was asked for, what its settings say, or all that is in it. */
function pathsIn({ root }: Place, asked: readonly string[], settings: Settings): readonly string[] {
  if (statSync(root).isFile()) return [root];
  if (asked.length > 0) return asked.map((path) => resolve(root, relative(process.cwd(), resolve(path))));
  if (settings.file !== undefined || settings.pipelines.some((path) => existsSync(path))) return settings.pipelines;
  return [root];
}

const cwdOf = (root: string): string => (statSync(root).isFile() ? dirname(root) : root);

/** The settings of a place: `--config`, or its `eventflow.yaml`. */
function settingsFile(root: string, { config }: SettingsFlags): string | undefined {
  if (config === undefined) return undefined;
  const own = resolve(root, relative(process.cwd(), resolve(config)));
  return existsSync(own) ? own : resolve(config);
}

export async function openSide(place: Place, asked: readonly string[], flags: SettingsFlags): Promise<Side> {
  const root = cwdOf(place.root);
  const fail = (diagnostics: readonly Diagnostic[], sources: ReadonlyMap<string, string>): never => {
    throw new Failure(exit.failed, `${place.side.name} is wrong\n\n${formatAll(diagnostics, sources)}`);
  };
  const read = await loadSettings({ ...settingsRequest(flags), cwd: root, file: settingsFile(root, flags) });
  if (!read.ok) return fail(read.diagnostics, read.sources);
  const { settings, pluginsPlace } = read;
  // Packages are those that are installed here: a revision in a folder of its own has none.
  const installed = resolve(process.cwd(), relative(root, settings.folder));
  const { catalog, diagnostics } = readCatalog(settings.plugins, installed, pluginsPlace);
  if (diagnostics.length > 0) return fail(diagnostics, read.sources);
  const loaded = await loadGeneration({
    paths: pathsIn(place, asked, settings),
    streams: settings.streams,
    catalog,
    env: process.env,
    cwd: root,
    reading: { offline: true },
  });
  if (!loaded.ok) return fail(loaded.diagnostics, loaded.sources);
  return { generation: loaded.generation, settings, secrets: loaded.secrets };
}
