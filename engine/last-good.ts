/**
 * The last good pipelines on disk, so that a start with broken files can begin with them: the texts of the pipelines and of
 * the files that they name, as they were. References stay references, so no secret is among them: `${VAR}` and `${file:…}`
 * are looked up anew, and what stands in a pipeline as plain text although it is a secret keeps all of it from being kept.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Logger } from 'pino';
import { type LoadResult, loadGeneration } from './config/index.ts';
import { ConfigError } from './config-error.ts';
import type { Generation } from './core/route.ts';
import type { EngineOptions } from './engine-options.ts';
import type { PluginCatalog } from './plugins/manifest.ts';
import { printDiagnostics } from './reload.ts';

const plainSecret = 'EF2022';

interface Kept {
  readonly version: 1;
  /** ms since the epoch. */
  readonly at: number;
  readonly hash: string;
  /** The pipelines, and how diagnostics name them. */
  readonly pipelines: readonly { readonly path: string; readonly file: string }[];
  /** Texts by absolute path: the pipelines, event schemas, files that options name. */
  readonly texts: Readonly<Record<string, string>>;
}

type Good = Extract<LoadResult, { ok: true }>;

/** What runs in place of what the files say, and what is wrong with them. */
export interface Fallback {
  readonly generation: Generation;
  readonly secrets: readonly string[];
  readonly pinned: string;
  readonly problems: readonly string[];
}

type LastGoodOptions = Pick<EngineOptions, 'stateFolder' | 'lastGood' | 'cwd' | 'env' | 'settings'>;

export class LastGood {
  readonly #options: LastGoodOptions;
  readonly #path: string;
  readonly #log: Pick<Logger, 'warn' | 'error'>;
  #kept: string | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: LastGoodOptions, log: Pick<Logger, 'warn' | 'error'>) {
    this.#options = options;
    this.#path = join(options.stateFolder ?? '', 'last-good.json');
    this.#log = log;
  }

  /** Keeps what was loaded in place of what was kept before. What does not work is told, and changes nothing else. */
  keep(loaded: Good): void {
    if (this.#options.stateFolder === undefined || loaded.generation.hash === this.#kept) return;
    this.#kept = loaded.generation.hash;
    this.#writing = this.#writing.then(() => this.#write(loaded)).catch((error: Error) => this.#notKept(error.message));
  }

  /** Resolves when everything that was to be kept is. */
  settled(): Promise<void> {
    return this.#writing;
  }

  /**
   * What a start on broken files goes on with. Rejects with {@link ConfigError}: nobody wants that, nothing was kept, or it makes no generation
   * any more, as without a variable that it names.
   */
  async fallBack(catalog: PluginCatalog, problems: readonly string[]): Promise<Fallback> {
    const { lastGood = false, stateFolder } = this.#options;
    if (!lastGood || stateFolder === undefined) throw new ConfigError(problems);
    const kept = await this.#load(catalog);
    if (kept === undefined) {
      throw new ConfigError([...problems, `expected pipelines kept by an earlier run in ${this.#path}, got none`]);
    }
    if (!kept.ok)
      throw new ConfigError([...problems, `the pipelines kept in ${this.#path}:`, ...printDiagnostics(kept)]);
    const since = new Date(kept.keptAt).toISOString();
    const pinned = `started with the last good pipelines, of ${since}, since the files are refused`;
    this.#log.error({ problems }, pinned);
    return { generation: kept.generation, secrets: kept.secrets, pinned, problems };
  }

  /** Undefined: nothing was ever kept. Diagnostics where it does not make a generation (any more), as without a variable. */
  async #load(catalog: PluginCatalog): Promise<(LoadResult & { readonly keptAt: number }) | undefined> {
    const kept = await this.#read();
    if (kept === undefined) return undefined;
    const texts = kept.pipelines.map(({ path, file }) => ({ path, file, text: kept.texts[path] ?? '' }));
    const reading = { posted: new Map(Object.entries(kept.texts)) };
    const { cwd, env, settings } = this.#options;
    const request = { catalog, cwd, env, streams: settings.streams };
    const loaded = await loadGeneration({ ...request, paths: [], texts, allowEmpty: true, reading });
    return { ...loaded, keptAt: kept.at };
  }

  async #read(): Promise<Kept | undefined> {
    try {
      const kept = JSON.parse(await readFile(this.#path, 'utf8')) as Kept;
      return kept.version === 1 ? kept : undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #notKept(problem: string): void {
    this.#log.warn(`the pipelines are not kept for a start with --last-good: ${problem}`);
  }

  async #texts(loaded: Good, pipelines: Kept['pipelines']): Promise<Record<string, string>> {
    // What was loaded, and not what stands there by now.
    const texts = Object.fromEntries(pipelines.map(({ path, file }) => [path, loaded.sources.get(file) ?? '']));
    for (const path of loaded.shownFiles) texts[path] ??= await readFile(path, 'utf8');
    return texts;
  }

  /** In one step, readable for this user alone. */
  async #write(loaded: Good): Promise<void> {
    const exposed = loaded.warnings.find(({ code }) => code === plainSecret);
    if (exposed !== undefined) {
      return this.#notKept(
        `${exposed.file} has a secret in plain text (${plainSecret}), and those are not written down`,
      );
    }
    const pipelines = loaded.generation.pipelines.map(({ file }) => ({ path: resolve(this.#options.cwd, file), file }));
    const texts = await this.#texts(loaded, pipelines);
    const kept: Kept = { version: 1, at: Date.now(), hash: loaded.generation.hash, pipelines, texts };
    await mkdir(dirname(this.#path), { recursive: true });
    const draft = `${this.#path}.${process.pid}.tmp`;
    await writeFile(draft, JSON.stringify(kept), { mode: 0o600 });
    await rename(draft, this.#path);
  }
}
