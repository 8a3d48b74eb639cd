/** Tells when configuration changed: watches folders, compares contents, and says so once per burst. */
import { hash } from 'node:crypto';
import { type Dirent, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type ChokidarOptions, type FSWatcher, watch } from 'chokidar';
import { isGlob, watchedFolder } from './files.ts';

export interface WatchRequest {
  /** Files, folders and globs of pipelines; relative to `cwd`. */
  readonly paths: readonly string[];
  /** [the working directory of the process] */
  readonly cwd?: string;
  /** Further files to look at, as for `update`. */
  readonly files?: readonly string[];
  /** Called once per burst of changes, and only when some content differs. Changes during the call are told after it. */
  readonly onChange: () => void | Promise<void>;
  /** Look every so many ms instead of being told by the system: for network file systems. */
  readonly pollMs?: number;
  /** How long it has to be quiet before a burst is over, ms [200]. */
  readonly quietMs?: number;
  readonly onError?: (error: Error) => void;
}

export interface Watching {
  /** Resolves when changes from now on are noticed. */
  readonly ready: Promise<void>;
  /** Further files to look at, such as those that the last load referred to; replaces those of the last call. */
  update(files: readonly string[]): void;
  close(): Promise<void>;
}

/** How often it is looked whether the folders are still those that are watched, ms: the system tells nothing of that. */
const lookPause = 1_000;
/** A program that writes a file empties it first, and the system may tell of that later than we look, ms. */
const confirmPause = 50;

const isYaml = (name: string): boolean => /\.ya?ml$/i.test(name);

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** The YAML files below a folder; a link counts as what it leads to. */
function yamlBelow(folder: string): string[] {
  return entriesOf(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.') || entry.name === 'node_modules') return [];
    return entry.isDirectory() ? yamlBelow(path) : isYaml(entry.name) ? [path] : [];
  });
}

function contentOf(path: string): string {
  try {
    return statSync(path).isFile() ? hash('sha256', readFileSync(path)) : 'no file';
  } catch {
    return 'missing';
  }
}

type Contents = ReadonlyMap<string, string>;

/** A file that nobody looks for any more is as good as one that is missing. */
function isSame(a: Contents, b: Contents): boolean {
  const at = (contents: Contents, path: string): string => contents.get(path) ?? 'missing';
  return [...a.keys(), ...b.keys()].every((path) => at(a, path) === at(b, path));
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}

/** Where a file really lies: the folder behind a link changes without the link's folder noticing. */
function foldersOf(file: string): string[] {
  const real = realPathOf(file);
  return real === undefined ? [dirname(file)] : [dirname(file), dirname(real)];
}

/** Tells a folder from the one that lay here before; the number of one that was removed may soon be that of another. */
function folderAt(path: string): string | undefined {
  try {
    const stat = statSync(path);
    return stat.isDirectory() ? `${stat.dev}:${stat.ino}:${stat.birthtimeMs}` : undefined;
  } catch {
    return undefined;
  }
}

const isFolder = (path: string): boolean => folderAt(path) !== undefined;

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

const isBelow = (path: string, folder: string): boolean =>
  path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);

class Watcher implements Watching {
  readonly #request: WatchRequest;
  readonly #opened = Promise.withResolvers<void>();
  readonly #look: NodeJS.Timeout;
  #watcher: FSWatcher | undefined;
  readonly #cwd: string;
  readonly #paths: readonly string[];
  /** Watched with all that lies below them. */
  #folders: readonly string[] = [];
  /** Folders of single files: watched without what lies below them. */
  #beside = new Set<string>();
  /** Looked at wherever they lie, the given paths among them. */
  #files: readonly string[] = [];
  #links: readonly string[] = [];
  #referred: readonly string[] = [];
  /** What lay at the paths when the watcher was opened. */
  #places = '';
  #last: Contents;
  /** What was found to be new, and is looked at once more. */
  #seen: Contents | undefined;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #again = false;
  #closed = false;

  constructor(request: WatchRequest) {
    this.#request = request;
    this.#cwd = resolve(request.cwd ?? '.');
    this.#paths = request.paths.map((path) => resolve(this.#cwd, path));
    this.#follow(request.files ?? []);
    this.#last = this.#contents();
    this.#open();
    const pause = Math.max(lookPause, request.pollMs ?? 0);
    this.#look = setInterval(() => this.#lookAgain(), pause).unref();
  }

  get ready(): Promise<void> {
    return this.#opened.promise;
  }

  /** A watcher holds on to the folders that it found, wherever they are moved: others need another one. */
  #open(): void {
    void this.#watcher?.close();
    this.#places = this.#placesNow();
    const watcher = watch([...new Set([...this.#folders, ...this.#beside])], this.#options());
    watcher.on('all', () => this.#noticed());
    watcher.on('error', (error) => this.#request.onError?.(error as Error));
    watcher.once('ready', () => {
      // What happened before the system began to tell.
      this.#noticed();
      this.#opened.resolve();
    });
    this.#watcher = watcher;
  }

  #placesNow(): string {
    const folders = new Set([...this.#paths, ...this.#folders, ...this.#beside]);
    return JSON.stringify([
      ...[...folders].map((path) => [path, folderAt(path)]),
      ...this.#links.map((path) => [path, realPathOf(path)]),
    ]);
  }

  /** A folder that was removed and made again, replaced by another, or lies behind a link that was turned. */
  #lookAgain(): void {
    if (this.#placesNow() === this.#places) return;
    this.#follow(this.#referred);
    this.#open();
  }

  #options(): ChokidarOptions {
    const { pollMs } = this.#request;
    return {
      ignoreInitial: true,
      atomic: false,
      ignorePermissionErrors: true,
      ignored: (path, stats) => this.#isIgnored(path, stats?.isDirectory() ?? false),
      ...(pollMs === undefined ? {} : { backend: 'polling', pollingInterval: pollMs, pollingBinaryInterval: pollMs }),
    };
  }

  /** Editors' leftovers, packages, and folders that only lie beside a watched file. */
  #isIgnored(path: string, isDirectory: boolean): boolean {
    const name = basename(path);
    if (/~$|\.sw[pxo]$/.test(name) || name === 'node_modules' || name === '.git') return true;
    if (this.#folders.some((folder) => path === folder || isBelow(path, folder)) || this.#beside.has(path))
      return false;
    if (!this.#beside.has(dirname(path))) return [...this.#beside].some((folder) => isBelow(path, folder));
    // `..data` and its targets are how mounted secrets are swapped.
    return isDirectory && !name.startsWith('..');
  }

  /** A path can become a folder, or be one no more, while it is watched. */
  #follow(files: readonly string[]): void {
    const wide = this.#paths.filter((path) => isFolder(path) || isGlob(path));
    const referred = files.map((file) => resolve(this.#cwd, file));
    const single = [...this.#paths.filter((path) => !wide.includes(path)), ...referred];
    this.#referred = referred;
    this.#folders = [...new Set(wide.map(watchedFolder))];
    this.#beside = new Set(single.flatMap(foldersOf));
    this.#links = single.filter(isLink);
    this.#files = [...new Set([...this.#paths, ...referred])];
  }

  /** Contents that were known stay what they were: what changed since they were read is still to be told. */
  update(files: readonly string[]): void {
    if (this.#closed) return;
    this.#follow(files);
    const known = [...this.#last].filter(
      ([path]) => this.#files.includes(path) || this.#folders.some((folder) => isBelow(path, folder)),
    );
    const followed = this.#files.map((path): [string, string] => [path, contentOf(path)]);
    this.#last = new Map([...followed, ...known]);
    if (this.#placesNow() !== this.#places) this.#open();
  }

  #contents(): Contents {
    const paths = new Set([...this.#folders.flatMap(yamlBelow), ...this.#files]);
    return new Map([...paths].map((path) => [path, contentOf(path)]));
  }

  #noticed(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#settled(), this.#request.quietMs ?? 200);
  }

  async #settled(): Promise<void> {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#lookAgain();
    const now = this.#contents();
    if (isSame(now, this.#last)) return;
    if (this.#seen === undefined || !isSame(now, this.#seen)) return this.#confirm(now);
    this.#seen = undefined;
    this.#last = now;
    this.#busy = true;
    try {
      await this.#request.onChange();
    } catch (error) {
      this.#request.onError?.(error as Error);
    } finally {
      this.#busy = false;
    }
    if (this.#again) {
      this.#again = false;
      this.#noticed();
    }
  }

  /** A file may be half written: it counts when it looks the same a moment later. */
  #confirm(now: Contents): void {
    this.#seen = now;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#settled(), confirmPause);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#look);
    await this.#watcher?.close();
  }
}

export const watchFiles = (request: WatchRequest): Watching => new Watcher(request);
