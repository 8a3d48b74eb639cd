/** Tells when configuration changed: watches folders, compares contents, and says so once per burst. */
import { hash } from 'node:crypto';
import { type Dirent, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type ChokidarOptions, type FSWatcher, watch } from 'chokidar';
import { watchedFolder } from './files.ts';

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

const isSame = (a: Contents, b: Contents): boolean =>
  a.size === b.size && [...a].every(([path, content]) => b.get(path) === content);

/** Where a file really lies: the folder behind a link changes without the link's folder noticing. */
function foldersOf(file: string): string[] {
  const own = dirname(file);
  try {
    return [own, dirname(realpathSync(file))];
  } catch {
    return [own];
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

const isGlob = (path: string): boolean => /[*?[\]{}]/.test(path);
const isBelow = (path: string, folder: string): boolean =>
  path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);

class Watcher implements Watching {
  readonly ready: Promise<void>;
  readonly #request: WatchRequest;
  readonly #watcher: FSWatcher;
  readonly #cwd: string;
  readonly #paths: readonly string[];
  /** Watched with all that lies below them. */
  #folders: readonly string[] = [];
  /** Folders of single files: watched without what lies below them. */
  #beside = new Set<string>();
  #files: readonly string[] = [];
  #last: Contents;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #again = false;
  #closed = false;

  constructor(request: WatchRequest) {
    this.#request = request;
    this.#cwd = resolve(request.cwd ?? '.');
    this.#paths = request.paths.map((path) => resolve(this.#cwd, path));
    this.#watcher = watch([], this.#options());
    this.#watcher.on('all', () => this.#noticed());
    this.#watcher.on('error', (error) => request.onError?.(error as Error));
    this.ready = new Promise((done) => {
      this.#watcher.once('ready', () => {
        // What happened before the system began to tell.
        this.#noticed();
        done();
      });
    });
    this.#follow(request.files ?? []);
    this.#last = this.#contents();
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
    const folders = [...new Set(wide.map(watchedFolder))];
    const named = this.#paths.filter((path) => !wide.includes(path));
    this.#files = [...named, ...files.map((file) => resolve(this.#cwd, file))];
    const beside = new Set(this.#files.flatMap(foldersOf));
    const added = [
      ...folders.filter((folder) => !this.#folders.includes(folder)),
      ...[...beside].filter((folder) => !this.#beside.has(folder)),
    ];
    this.#folders = folders;
    this.#beside = beside;
    if (added.length > 0) this.#watcher.add(added);
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
    const now = this.#contents();
    if (isSame(now, this.#last)) return;
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

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#watcher.close();
  }
}

export const watchFiles = (request: WatchRequest): Watching => new Watcher(request);
