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

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What somebody cut off, or wrote by hand, is no {@link Kept}. */
function isKept(value: unknown): value is Kept {
  if (!isRecord(value)) return false;
  const { version, at, pipelines, texts } = value;
  if (version !== 1 || typeof at !== 'number' || Number.isNaN(new Date(at).getTime())) return false;
  if (!isRecord(texts) || !Object.values(texts).every((text) => typeof text === 'string')) return false;
  const named = (one: unknown): boolean =>
    isRecord(one) &&
    typeof one['file'] === 'string' &&
    typeof one['path'] === 'string' &&
    Object.hasOwn(texts, one['path']);
  return Array.isArray(pipelines) && pipelines.every(named);
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
    const { hash } = loaded.generation;
    this.#kept = hash;
    this.#writing = this.#writing.then(() => this.#write(loaded)).catch((error: Error) => this.#notKept(hash, error));
  }

  /** Resolves when everything that was to be kept is. */
  settled(): Promise<void> {
    return this.#writing;
  }

  /**
   * What a start on broken files goes on with. Rejects with {@link ConfigError}, `problems` first: nobody wants that, nothing was kept, it cannot
   * be read, or it makes no generation any more, as without a variable that it names.
   */
  async fallBack(catalog: PluginCatalog, problems: readonly string[]): Promise<Fallback> {
    const { lastGood = false, stateFolder } = this.#options;
    if (!lastGood || stateFolder === undefined) throw new ConfigError(problems);
    const found = await this.#read().catch((error: Error) => {
      throw new ConfigError([...problems, `what is kept in ${this.#path} cannot be read: ${error.message}`]);
    });
    if (found === undefined) {
      throw new ConfigError([...problems, `expected pipelines kept by an earlier run in ${this.#path}, got none`]);
    }
    const kept = await this.#load(found, catalog);
    if (!kept.ok)
      throw new ConfigError([...problems, `the pipelines kept in ${this.#path}:`, ...printDiagnostics(kept)]);
    const since = new Date(kept.keptAt).toISOString();
    const pinned = `started with the last good pipelines, of ${since}, since the files are refused`;
    this.#log.error({ problems }, pinned);
    return { generation: kept.generation, secrets: kept.secrets, pinned, problems };
  }

  /** Diagnostics where it does not make a generation (any more), as without a variable. */
  async #load(kept: Kept, catalog: PluginCatalog): Promise<LoadResult & { readonly keptAt: number }> {
    const texts = kept.pipelines.map(({ path, file }) => ({ path, file, text: kept.texts[path] ?? '' }));
    const reading = { posted: new Map(Object.entries(kept.texts)) };
    const { cwd, env, settings } = this.#options;
    const request = { catalog, cwd, env, streams: settings.streams };
    const loaded = await loadGeneration({ ...request, paths: [], texts, allowEmpty: true, reading });
    return { ...loaded, keptAt: kept.at };
  }

  /** Undefined: nothing was ever kept. Rejects when it cannot be read, or is damaged. */
  async #read(): Promise<Kept | undefined> {
    try {
      const kept: unknown = JSON.parse(await readFile(this.#path, 'utf8'));
      if (isKept(kept)) return kept;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    throw new Error('expected the pipelines of an earlier run with their texts, got JSON of another shape');
  }

  /** The next good load tries again, also with what was loaded now. */
  #notKept(hash: string, { message }: Error): void {
    if (this.#kept === hash) this.#kept = undefined;
    this.#log.warn(`the pipelines are not kept for a start with --last-good: ${message}`);
  }

  async #texts(loaded: Good, pipelines: Kept['pipelines']): Promise<Record<string, string>> {
    // What was loaded, and not what stands there by now.
    const texts = Object.fromEntries(pipelines.map(({ path, file }) => [path, loaded.sources.get(file) ?? '']));
    for (const path of loaded.shownFiles) texts[path] ??= await readFile(path, 'utf8');
    return texts;
  }

  /** In one step, which a power cut does not halve; readable for this user alone. Rejects when it does not work. */
  async #write(loaded: Good): Promise<void> {
    const exposed = loaded.warnings.find(({ code }) => code === plainSecret);
    if (exposed !== undefined) {
      throw new Error(`${exposed.file} has a secret in plain text (${plainSecret}), and those are not written down`);
    }
    const pipelines = loaded.generation.pipelines.map(({ file }) => ({ path: resolve(this.#options.cwd, file), file }));
    const texts = await this.#texts(loaded, pipelines);
    const kept: Kept = { version: 1, at: Date.now(), hash: loaded.generation.hash, pipelines, texts };
    await mkdir(dirname(this.#path), { recursive: true });
    const draft = `${this.#path}.${process.pid}.tmp`;
    await writeFile(draft, JSON.stringify(kept), { mode: 0o600, flush: true });
    await rename(draft, this.#path);
  }
}
