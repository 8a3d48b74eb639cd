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
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadResult } from './config/index.ts';
import { formatDiagnostic } from './config/index.ts';
import { diffGenerations, type GenerationDiff } from './core/diff.ts';
import type { Generation, Route } from './core/route.ts';
import { EventFlowError } from './errors.ts';
import { fieldsOf, Generations } from './generations.ts';
import type { Observer, Signal } from './observe/signals.ts';
import type { ConfigStatus, GenerationInfo, ReloadReason, ReloadReport, RouteFields } from './operations/operations.ts';
import type { RouteTable } from './worker/route-table.ts';

export interface ReloaderDeps {
  readonly load: () => Promise<LoadResult>;
  readonly table: Pick<RouteTable, 'prepare'>;
  readonly observer: Observer;
  readonly drainMs: number;
  /** Whether a set of pipelines without any route may replace one that has some. */
  readonly allowEmpty: boolean;
  /** How long after a reload that the store refused it is tried again, ms [not at all]. */
  readonly retryMs?: number;
  /** Called inside the swap, before the new workers read. */
  readonly onSwap: (generation: Generation, number: number) => void;
  /** Called after a load whose generation is in force. */
  readonly onGood?: (loaded: Extract<LoadResult, { ok: true }>) => void;
  /** Called after every load, also a failed one: what to watch from now on. */
  readonly onFiles: (files: readonly string[]) => void;
}

/** With code frames, as people read them. */
export const printDiagnostics = (failed: Extract<LoadResult, { ok: false }>): string[] =>
  failed.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, failed.sources.get(diagnostic.file)));

const groups = (routes: readonly Route[]): string[] => routes.map((route) => route.group);

const nothing = { started: [], changed: [], renamed: [], stopped: [] } as const;
const stopping = 'expected an engine that goes on, the engine is stopping: its files count when it starts again';
const emptyGeneration: Generation = { hash: '', pipelines: [], routes: new Map(), eventTypes: new Map() };

const changesOf = (diff: GenerationDiff): ReloadReport['changes'] => ({
  started: groups(diff.start),
  changed: groups(diff.change.map(({ after }) => after)),
  renamed: diff.rename.map(({ before, after }) => ({ from: before.group, to: after.group })),
  stopped: groups(diff.stop),
});

export class Reloader {
  #deps: ReloaderDeps;
  #current = emptyGeneration;
  #number = 0;
  #chain: Promise<unknown> = Promise.resolve();
  #kept = new Generations();
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  /** Why something else runs than the files say. */
  #pinned: string | undefined;
  #last: ConfigStatus['last'] = { result: 'unchanged', why: 'start', at: 0, problems: [] };

  constructor(deps: ReloaderDeps) {
    this.#deps = deps;
  }

  get generation(): Generation {
    return this.#current;
  }

  get number(): number {
    return this.#number;
  }

  get status(): ConfigStatus {
    return { generation: this.#number, hash: this.#current.hash, pinned: this.#pinned, last: this.#last };
  }

  /** Newest first. */
  generations(): readonly GenerationInfo[] {
    return this.#kept.list();
  }

  /** Reloads run one after another. Never rejects: what went wrong is in the report. */
  reload(why: ReloadReason = 'request'): Promise<ReloadReport> {
    return this.#next(() => this.#reload(why));
  }

  /**
   * Goes back to a generation that is kept [the one before], without touching the files: they count again when they
   * change, or at the next `reload`. Never rejects, like `reload`.
   */
  rollback(number?: number): Promise<ReloadReport> {
    return this.#next(() => this.#rollback(number));
  }

  /** Starts with a generation that the files do not make, since they have `problems`. Never rejects, like `reload`. */
  startWith(generation: Generation, pinned: string, problems: readonly string[]): Promise<ReloadReport> {
    return this.#next(async () => {
      const report = await this.#take(generation, 'last-good', pinned);
      // The files are refused all the same, and everybody shall hear of it.
      return report.result === 'rejected' ? report : this.#report('rejected', 'last-good', nothing, problems);
    });
  }

  /**
   * Refuses whatever comes from now on, what waits for its turn, and what would be tried again. Resolves when what is under
   * way has ended, at the latest after `graceMs`.
   */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    this.#dropRetry();
    await Promise.race([this.#chain, sleep(graceMs, undefined, { ref: false })]);
  }

  #next(work: () => Promise<ReloadReport>): Promise<ReloadReport> {
    const done = this.#chain.then(() => (this.#closed ? this.#shown('rejected', nothing, [stopping]) : work()));
    this.#chain = done;
    return done;
  }

  async #reload(why: ReloadReason): Promise<ReloadReport> {
    this.#dropRetry();
    const loaded = await this.#load();
    if (!loaded.ok) return this.#report('rejected', why, nothing, loaded.problems);
    const report = await this.#take(loaded.generation, why, undefined);
    if (report.result !== 'rejected') this.#deps.onGood?.(loaded);
    return report;
  }

  async #rollback(number: number | undefined): Promise<ReloadReport> {
    const found = this.#kept.find(number);
    if (found !== undefined) {
      const pinned = `rolled back to generation ${found.number}: the files count again when they change, or at a reload`;
      return await this.#take(found.generation, 'rollback', pinned);
    }
    const kept = this.#kept.list().map((one) => one.number);
    const expected = number === undefined ? 'a generation before this one' : `a generation that is kept`;
    const got = `${number === undefined ? 'none' : number}; kept are ${kept.join(', ')}`;
    return this.#shown('rejected', nothing, [`expected ${expected}, got ${got}`]);
  }

  /** Puts a generation in force. What fails changes nothing. */
  async #take(generation: Generation, why: ReloadReason, pinned: string | undefined): Promise<ReloadReport> {
    if (this.#closed) return this.#shown('rejected', nothing, [stopping]);
    if (this.#number > 0 && generation.hash === this.#current.hash) {
      this.#dropRetry();
      this.#pinned = pinned;
      return this.#report('unchanged', why, nothing, []);
    }
    const diff = diffGenerations(this.#current, generation);
    try {
      const commit = await this.#deps.table.prepare(
        {
          start: [...diff.start, ...diff.rename.map((pair) => pair.after)],
          change: diff.change.map((pair) => pair.after),
          stop: [...groups(diff.stop), ...diff.rename.map((pair) => pair.before.group)],
        },
        generation,
        this.#number + 1,
      );
      this.#swap(generation, commit);
    } catch (error) {
      const problems = [(error as Error).message];
      // That an engine which stops makes no new routes is no finding about its files.
      if (this.#closed) return this.#shown('rejected', nothing, problems);
      if (pinned === undefined) this.#tryLater(error, why);
      return this.#report('rejected', why, nothing, problems);
    }
    this.#dropRetry();
    this.#pinned = pinned;
    this.#kept.add(this.#number, generation, Date.now(), why, changesOf(diff), fieldsOf(diff));
    return this.#report('changed', why, changesOf(diff), [], fieldsOf(diff));
  }

  /** Nothing is wrong with the files, and nobody changes them again only because the store was away. */
  #tryLater(error: unknown, why: ReloadReason): void {
    const { retryMs } = this.#deps;
    const ofStore = error instanceof EventFlowError && error.code.startsWith('EF5');
    if (retryMs === undefined || !ofStore || this.#number === 0) return;
    this.#dropRetry();
    const retry = setTimeout(() => {
      // Its time has come and its turn has not: a rollback before it may drop it still.
      void this.#next(async () => (this.#retry === retry ? this.#reload(why) : this.#shown('unchanged', nothing, [])));
    }, retryMs).unref();
    this.#retry = retry;
  }

  /** Whatever was put in force since, somebody asked for it. */
  #dropRetry(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  async #load(): Promise<(LoadResult & { ok: true }) | { ok: false; problems: string[] }> {
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
      return result;
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

  #shown(
    result: ReloadReport['result'],
    changes: ReloadReport['changes'],
    problems: readonly string[],
    fields: readonly RouteFields[] = [],
  ): ReloadReport {
    const pinned = this.#pinned;
    return { result, generation: this.#number, hash: this.#current.hash, problems, changes, fields, pinned };
  }

  #report(
    result: ReloadReport['result'],
    why: ReloadReason,
    changes: ReloadReport['changes'],
    problems: readonly string[],
    fields: readonly RouteFields[] = [],
  ): ReloadReport {
    const report = this.#shown(result, changes, problems, fields);
    // A rollback says nothing about the files: what was told of them last still holds.
    if (why !== 'rollback') this.#last = { result, why, at: Date.now(), problems };
    const { fields: _, ...told } = report;
    this.#deps.observer({ kind: 'reloaded', ...told, why } satisfies Signal);
    return report;
  }
}
