/**
 * What a reload would do, asked of a running engine: about the files that it would read, or about files that are sent
 * along. It compiles and compares, and nothing more: no handler is made, no template or condition is run, no group is
 * touched, nothing of it is kept.
 *
 * Files that are sent along see the engine's environment, as they would on its disk, but not the disk: they may name only
 * each other, and secret files that what runs reads already. What a reference gave is never told.
 */
import { resolve } from 'node:path';
import {
  changedSettings,
  formatDiagnostic,
  type LoadResult,
  loadGeneration,
  type PluginCatalog,
  readCatalog,
  type Settings,
} from './config/index.ts';
import type { FieldChange } from './core/diff.ts';
import type { Generation } from './core/route.ts';
import { redact } from './observe/redact.ts';
import type { Operations } from './operations/operations.ts';
import type { PlanAnswer, PlanSide, PostedFile } from './operations/plan.ts';
import { planReload } from './operations/plan-reload.ts';
import type { PluginsPlace } from './plugins/manifest.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface PlanningDeps {
  readonly settings: Settings;
  readonly pluginsPlace?: PluginsPlace | undefined;
  readonly cwd: string;
  readonly env: Env;
  readonly allowEmpty?: boolean;
  readonly running: () => { readonly number: number; readonly generation: Generation };
  /** The values of all secrets of what runs. */
  readonly secrets: () => readonly string[];
  /** What the last load read; absolute. */
  readonly files: () => readonly string[];
  readonly operations: Operations;
  /** The settings as they would be read at the next start; undefined: they come from nowhere that can be read again. */
  readonly readSettings?: () => Promise<Settings | undefined>;
}

/** An environment that notes what was given out. */
export function noting(env: Env): { readonly env: Env; readonly given: ReadonlySet<string> } {
  const given = new Set<string>();
  const proxy = new Proxy(env, {
    get(target, name) {
      const value = typeof name === 'string' ? target[name] : undefined;
      if (value !== undefined && value !== '') given.add(value);
      return value;
    },
  });
  return { env: proxy, given };
}

/** Of a field, by its name and by what is in it. */
export const maskWith =
  (secrets: readonly string[]) =>
  (path: string, value: unknown): unknown => {
    if (value === undefined) return undefined;
    const name = path.slice(path.lastIndexOf('.') + 1);
    return (redact({ [name]: value }, secrets) as Record<string, unknown>)[name];
  };

const refused = (problems: readonly string[]): PlanAnswer => ({ version: 1, ok: false, problems });

const emptied =
  'expected at least one route, got none: a folder that was emptied does not stop every route; start with --allow-empty if it should';

interface Found {
  readonly loaded: LoadResult;
  readonly secrets: readonly string[];
  readonly to: Omit<PlanSide, 'hash'>;
}

export class Planning {
  #deps: PlanningDeps;
  /** One at a time: nobody can keep the engine busy with it. */
  #chain: Promise<unknown> = Promise.resolve();

  constructor(deps: PlanningDeps) {
    this.#deps = deps;
  }

  /** Without `posted`: the files on the engine's disk. Rejects with `EF5xxx` when the bus does not answer. */
  plan(posted?: readonly PostedFile[]): Promise<PlanAnswer> {
    const done = this.#chain.then(() => this.#plan(posted));
    this.#chain = done.catch(() => undefined);
    return done;
  }

  async #plan(posted: readonly PostedFile[] | undefined): Promise<PlanAnswer> {
    const { allowEmpty = false, operations, running } = this.#deps;
    const { settings, pluginsPlace } = this.#deps;
    const { catalog, diagnostics } = readCatalog(settings.plugins, settings.folder, pluginsPlace);
    if (diagnostics.length > 0) return refused(diagnostics.map((diagnostic) => formatDiagnostic(diagnostic)));
    const { loaded, secrets, to } = await (posted === undefined ? this.#own(catalog) : this.#sent(posted, catalog));
    const mask = maskWith([...this.#deps.secrets(), ...secrets]);
    if (!loaded.ok) {
      const { sources } = loaded;
      return refused(loaded.diagnostics.map((one) => String(mask('', formatDiagnostic(one, sources.get(one.file))))));
    }
    const { number, generation } = running();
    if (generation.routes.size > 0 && loaded.generation.routes.size === 0 && !allowEmpty) return refused([emptied]);
    const [routes, circuits] = await Promise.all([operations.routes(), operations.circuits()]);
    return planReload({
      before: generation,
      after: loaded.generation,
      from: { kind: 'running', name: `generation ${number}` },
      to,
      live: { routes, circuits },
      settings: await this.#settings(mask),
      removedGrace: this.#deps.settings.delivery.removedGrace,
      mask,
    });
  }

  async #own(catalog: PluginCatalog): Promise<Found> {
    const { settings, cwd, env, allowEmpty = false } = this.#deps;
    const { pipelines: paths, streams } = settings;
    const loaded = await loadGeneration({ paths, streams, catalog, env, cwd, allowEmpty });
    return { loaded, secrets: loaded.ok ? loaded.secrets : [], to: { kind: 'files', name: 'its files' } };
  }

  async #sent(posted: readonly PostedFile[], catalog: PluginCatalog): Promise<Found> {
    const { cwd, files } = this.#deps;
    const { env, given } = noting(this.#deps.env);
    const at = (path: string): string => resolve(cwd, path);
    const loaded = await loadGeneration({
      paths: [],
      streams: this.#deps.settings.streams,
      texts: posted.filter(({ pipeline }) => pipeline).map(({ path, text }) => ({ path: at(path), file: path, text })),
      catalog,
      env,
      cwd,
      reading: {
        posted: new Map(posted.map(({ path, text }) => [at(path), text])),
        secretFiles: new Set(files()),
      },
    });
    return {
      loaded,
      secrets: [...given, ...(loaded.ok ? loaded.secrets : [])],
      to: { kind: 'posted', name: 'the files that were sent' },
    };
  }

  async #settings(mask: ReturnType<typeof maskWith>): Promise<readonly FieldChange[]> {
    const next = await this.#deps.readSettings?.();
    if (next === undefined) return [];
    return changedSettings(this.#deps.settings, next).map(({ path, before, after }) => ({
      path,
      before: mask(path, before),
      after: mask(path, after),
    }));
  }
}
