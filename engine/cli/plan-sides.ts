/** The two sides of a comparison that asks no engine: folders, files, or revisions of git. */
import { execFile } from 'node:child_process';
import { existsSync, globSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import {
  type Diagnostic,
  formatDiagnostic,
  loadGeneration,
  loadSettings,
  readCatalog,
  type Settings,
} from '../config/index.ts';
import type { Generation } from '../core/route.ts';
import type { PlanSide } from '../operations/plan.ts';
import { maskWith, noting } from '../planning.ts';
import { exit, Failure, UsageError } from './exit.ts';
import type { SettingsFlags } from './options.ts';
import { settingsRequest } from './settings.ts';

/** Where pipelines are taken from. */
export interface Place {
  readonly side: Omit<PlanSide, 'hash'>;
  /** Paths start here; absolute. */
  readonly root: string;
  /** Somebody named it for its pipelines: without settings, everything in it is one. A repository holds other YAML too. */
  readonly isNamed: boolean;
}

export interface Side {
  readonly generation: Generation;
  readonly settings: Settings;
  readonly secrets: readonly string[];
}

/** What was there before, as far as it can be read. */
export interface FormerSide extends Omit<Side, 'settings'> {
  readonly settings: Settings | undefined;
  /** Printed diagnostics; with any, the generation has no routes. */
  readonly problems: readonly string[];
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
  return join(folder, 'tree', prefix);
}

function folderPlace(path: string): Place {
  const root = resolve(path);
  if (existsSync(root)) return { side: { kind: 'files', name: path }, root, isNamed: true };
  throw new UsageError(`expected a folder or a file at ${path}, got nothing`);
}

/** Hands both places to `work`, and removes what was made for it. */
export async function withPlaces<T>(flags: SidesFlags, work: (from: Place, to: Place) => Promise<T>): Promise<T> {
  const temporary = await mkdtemp(join(tmpdir(), 'eventflow-plan-'));
  const revision = async (name: string, folder: string): Promise<Place> => {
    const root = await checkOut(name, await mkdtemp(join(temporary, folder)));
    // The first pipelines may be the first files of their folder, or of the repository.
    await mkdir(root, { recursive: true });
    return { side: { kind: 'git', name }, root, isNamed: false };
  };
  try {
    const { from, to, fromGit, toGit } = flags;
    const before = fromGit === undefined ? folderPlace(from ?? '') : await revision(fromGit, 'from-');
    const wantsTree = toGit === undefined || toGit === 'worktree';
    if (!wantsTree) return await work(before, await revision(toGit, 'to-'));
    if (to !== undefined) return await work(before, folderPlace(to));
    // Both sides of a revision look for pipelines in the same way.
    const isNamed = before.isNamed;
    return await work(before, { side: { kind: 'files', name: 'the work tree' }, root: process.cwd(), isNamed });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** What stands for the pipelines of a place: what was asked for, what its settings say, or all that is in it. */
function pathsIn({ root, isNamed }: Place, asked: readonly string[], settings: Settings): readonly string[] {
  if (statSync(root).isFile()) return [root];
  if (asked.length > 0) return asked.map((path) => resolve(root, relative(process.cwd(), resolve(path))));
  const { file, pipelines } = settings;
  return isNamed && file === undefined && !pipelines.some((path) => existsSync(path)) ? [root] : pipelines;
}

const isThere = (path: string): boolean => existsSync(path) || globSync(path).length > 0;

const cwdOf = (root: string): string => (statSync(root).isFile() ? dirname(root) : root);

/** The settings of a place: `--config`, or its `eventflow.yaml`. */
function settingsFile(root: string, { config }: SettingsFlags): string | undefined {
  if (config === undefined) return undefined;
  const own = resolve(root, relative(process.cwd(), resolve(config)));
  return existsSync(own) ? own : resolve(config);
}

type Opened =
  | (Side & { readonly ok: true })
  | { readonly ok: false; readonly settings: Settings | undefined; readonly problems: readonly string[] };

/** With `mayBeEmpty`, paths at which there is nothing stand for no pipelines. */
async function open(
  place: Place,
  asked: readonly string[],
  flags: SettingsFlags,
  mayBeEmpty: boolean,
): Promise<Opened> {
  const root = cwdOf(place.root);
  const { env, given } = noting(process.env);
  const wrong = (
    diagnostics: readonly Diagnostic[],
    sources: ReadonlyMap<string, string>,
    settings?: Settings,
  ): Opened => {
    // A plan is posted where more people read than have the environment.
    const mask = maskWith([...given]);
    const texts = diagnostics.map((one) => String(mask('', formatDiagnostic(one, sources.get(one.file)))));
    return { ok: false, settings, problems: texts };
  };
  const read = await loadSettings({ ...settingsRequest(flags), cwd: root, file: settingsFile(root, flags) });
  if (!read.ok) return wrong(read.diagnostics, read.sources);
  const { settings, pluginsPlace } = read;
  // Packages are those that are installed here: a revision in a folder of its own has none.
  const installed = resolve(process.cwd(), relative(root, settings.folder));
  const { catalog, diagnostics } = readCatalog(settings.plugins, installed, pluginsPlace);
  if (diagnostics.length > 0) return wrong(diagnostics, read.sources, settings);
  const paths = pathsIn(place, asked, settings);
  const loaded = await loadGeneration({
    paths: mayBeEmpty ? paths.filter(isThere) : paths,
    streams: settings.streams,
    catalog,
    env,
    cwd: root,
    allowEmpty: mayBeEmpty,
    reading: { offline: true },
  });
  if (!loaded.ok) return wrong(loaded.diagnostics, loaded.sources, settings);
  return { ok: true, generation: loaded.generation, settings, secrets: loaded.secrets };
}

/** What is planned. Throws a `Failure` with every problem when it is wrong. */
export async function openSide(place: Place, asked: readonly string[], flags: SettingsFlags): Promise<Side> {
  const opened = await open(place, asked, flags, false);
  if (opened.ok) return opened;
  throw new Failure(exit.failed, `${place.side.name} is wrong\n\n${opened.problems.join('\n\n')}`);
}

const nothing: Generation = { hash: '', pipelines: [], routes: new Map(), eventTypes: new Map() };

/** What was there before: a change that begins it, or mends it, is planned too. Never throws for what stands in a file. */
export async function openFormer(place: Place, asked: readonly string[], flags: SettingsFlags): Promise<FormerSide> {
  const opened = await open(place, asked, flags, true);
  if (opened.ok) return { ...opened, problems: [] };
  return { generation: nothing, settings: opened.settings, secrets: [], problems: opened.problems };
}
