/**
 * Hot reload, always in this order:
 *
 *   1. load, validate and compile everything; any error: keep running, say why
 *   2. diff the generations, route by route
 *   3. make the new handlers and groups; if one fails, close those that were made and keep running
 *   4. swap, in one step; routes that did not change are not touched
 *   5. drain what was replaced
 *
 * Everything before step 4 can fail and changes nothing. Nothing from step 4 on can fail.
 */
import type { LoadResult } from './config/index.ts';
import { formatDiagnostic } from './config/index.ts';
import { diffGenerations } from './core/diff.ts';
import type { Generation, Route } from './core/route.ts';
import type { Observer, Signal } from './observe/signals.ts';
import type { ReloadReport } from './operations/operations.ts';
import type { RouteTable } from './worker/route-table.ts';

export interface ReloaderDeps {
  readonly load: () => Promise<LoadResult>;
  readonly table: RouteTable;
  readonly observer: Observer;
  readonly drainMs: number;
  /** Whether a set of pipelines without any route may replace one that has some. */
  readonly allowEmpty: boolean;
  /** Called inside the swap, before the new workers read. */
  readonly onSwap: (generation: Generation, number: number) => void;
  /** Called after every load, also a failed one: what to watch from now on. */
  readonly onFiles: (files: readonly string[]) => void;
}

/** With code frames, as people read them. */
export const printDiagnostics = (failed: Extract<LoadResult, { ok: false }>): string[] =>
  failed.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, failed.sources.get(diagnostic.file)));

const groups = (routes: readonly Route[]): string[] => routes.map((route) => route.group);

const nothing = { started: [], changed: [], renamed: [], stopped: [] } as const;
const emptyGeneration: Generation = { hash: '', pipelines: [], routes: new Map(), eventTypes: new Map() };

export class Reloader {
  #deps: ReloaderDeps;
  #current = emptyGeneration;
  #number = 0;
  #chain: Promise<unknown> = Promise.resolve();

  constructor(deps: ReloaderDeps) {
    this.#deps = deps;
  }

  get generation(): Generation {
    return this.#current;
  }

  get number(): number {
    return this.#number;
  }

  /** Reloads run one after another. Never rejects: what went wrong is in the report. */
  reload(): Promise<ReloadReport> {
    const done = this.#chain.then(() => this.#reload());
    this.#chain = done;
    return done;
  }

  async #reload(): Promise<ReloadReport> {
    const loaded = await this.#load();
    if (!loaded.ok) return this.#report('rejected', nothing, loaded.problems);
    const { generation } = loaded;
    if (this.#number > 0 && generation.hash === this.#current.hash) return this.#report('unchanged', nothing, []);
    const diff = diffGenerations(this.#current, generation);
    try {
      const commit = await this.#deps.table.prepare(
        {
          start: [...diff.start, ...diff.rename.map((pair) => pair.after)],
          change: diff.change.map((pair) => pair.after),
          stop: [...groups(diff.stop), ...diff.rename.map((pair) => pair.before.group)],
        },
        generation,
      );
      this.#swap(generation, commit);
    } catch (error) {
      return this.#report('rejected', nothing, [(error as Error).message]);
    }
    const changed = groups(diff.change.map((pair) => pair.after));
    const renamed = diff.rename.map(({ before, after }) => ({ from: before.group, to: after.group }));
    return this.#report('changed', { started: groups(diff.start), changed, renamed, stopped: groups(diff.stop) }, []);
  }

  async #load(): Promise<{ ok: true; generation: Generation } | { ok: false; problems: string[] }> {
    try {
      const result = await this.#deps.load();
      this.#deps.onFiles(result.files);
      if (!result.ok) return { ok: false, problems: printDiagnostics(result) };
      const { generation } = result;
      if (this.#current.routes.size > 0 && generation.routes.size === 0 && !this.#deps.allowEmpty) {
        return {
          ok: false,
          problems: [
            'expected at least one route, got none: a folder that was emptied does not stop every route; start with --allow-empty if it should',
          ],
        };
      }
      return { ok: true, generation };
    } catch (error) {
      return { ok: false, problems: [(error as Error).message] };
    }
  }

  #swap(generation: Generation, commit: (drainMs: number) => void): void {
    const began = performance.now();
    this.#current = generation;
    this.#number += 1;
    this.#deps.onSwap(generation, this.#number);
    commit(this.#deps.drainMs);
    this.#deps.observer({ kind: 'swapped', seconds: (performance.now() - began) / 1_000 });
  }

  #report(result: ReloadReport['result'], changes: ReloadReport['changes'], problems: readonly string[]): ReloadReport {
    const report: ReloadReport = { result, generation: this.#number, hash: this.#current.hash, problems, changes };
    this.#deps.observer({ kind: 'reloaded', ...report } satisfies Signal);
    return report;
  }
}
