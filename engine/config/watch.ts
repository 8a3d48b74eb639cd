/** Tells when configuration changed: watches folders, compares contents, and says so once per burst. */
import { hash } from 'node:crypto';
import { type Dirent, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type ChokidarOptions, type FSWatcher, watch } from 'chokidar';
import { watchedFolder } from './files.ts';

export interface WatchRequest {
  /** Files, folders and globs of pipelines, and every file that they refer to; absolute, or relative to the process. */
  readonly paths: readonly string[];
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

/** One text that is the same exactly when every watched content is. */
function fingerprint(folders: readonly string[], files: readonly string[]): string {
  const paths = [...new Set([...folders.flatMap(yamlBelow), ...files])].sort();
  return paths.map((path) => `${path} ${contentOf(path)}`).join('\n');
}

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

class Watcher implements Watching {
  readonly ready: Promise<void>;
  readonly #request: WatchRequest;
  readonly #watcher: FSWatcher;
  readonly #folders: readonly string[];
  readonly #named: readonly string[];
  /** Folders of single files: watched without what lies below them. */
  #beside = new Set<string>();
  #files: readonly string[] = [];
  #last: string;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #again = false;
  #closed = false;

  constructor(request: WatchRequest) {
    this.#request = request;
    const paths = request.paths.map((path) => resolve(path));
    this.#folders = [...new Set(paths.filter((path) => isFolder(path) || /[*?[\]{}]/.test(path)).map(watchedFolder))];
    this.#named = paths.filter((path) => !isFolder(path) && !/[*?[\]{}]/.test(path));
    this.#last = this.#fingerprint();
    this.#watcher = watch([...this.#folders], this.#options());
    this.#watcher.on('all', () => this.#noticed());
    this.#watcher.on('error', (error) => request.onError?.(error as Error));
    this.ready = new Promise((done) => this.#watcher.once('ready', () => done()));
    this.#follow([]);
  }

  #options(): ChokidarOptions {
    const { pollMs } = this.#request;
    return {
      ignoreInitial: true,
      atomic: false,
      ignorePermissionErrors: true,
      ignored: (path) => this.#isIgnored(path),
      ...(pollMs === undefined ? {} : { backend: 'polling', pollingInterval: pollMs, pollingBinaryInterval: pollMs }),
    };
  }

  /** Editors' leftovers, packages, and what lies in a folder below one that is watched for a single file. */
  #isIgnored(path: string): boolean {
    const name = basename(path);
    if (/~$|\.sw[pxo]$/.test(name) || name === 'node_modules' || name === '.git') return true;
    if (this.#folders.some((folder) => path === folder || path.startsWith(`${folder}/`))) return false;
    const parent = dirname(path);
    return (
      !this.#beside.has(path) && !this.#beside.has(parent) && [...this.#beside].some((at) => path.startsWith(`${at}/`))
    );
  }

  #follow(files: readonly string[]): void {
    this.#files = [...this.#named, ...files.map((file) => resolve(file))];
    const beside = new Set(this.#files.flatMap(foldersOf));
    const added = [...beside].filter((folder) => !this.#beside.has(folder));
    this.#beside = beside;
    if (added.length > 0) this.#watcher.add(added);
  }

  update(files: readonly string[]): void {
    if (this.#closed) return;
    this.#follow(files);
    // What was just loaded is the state to compare with, unless something changed meanwhile: then it is told again.
    const now = this.#fingerprint();
    if (!this.#busy) this.#last = now;
  }

  #fingerprint(): string {
    return fingerprint(this.#folders, this.#files);
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
    const now = this.#fingerprint();
    if (now === this.#last) return;
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
