/**
 * The composition root: the only file that makes buses, servers, watchers and workers out of settings, and takes them down
 * again. Start in this order: read everything, open the bus, start the routes, then open the doors. Stop in the other:
 * not ready, close the doors, drain the routes, close the bus.
 */
import type { Logger } from 'pino';
import type { Bus } from './bus/bus.ts';
import { openBus } from './bus/open.ts';
import { busOptions } from './bus-options.ts';
import { formatDiagnostic, type LoadResult, loadGeneration, passwordsIn, watchFiles } from './config/index.ts';
import { ConfigError } from './config-error.ts';
import { matchAny } from './core/match.ts';
import type { Generation, Route } from './core/route.ts';
import type { EngineOptions } from './engine-options.ts';
import { startAdmin } from './http/admin.ts';
import type { HttpDeps, Listening } from './http/deps.ts';
import { healthOf } from './http/health.ts';
import { startIngest } from './http/ingest.ts';
import { Door } from './ingest/door.ts';
import { type Fallback, LastGood } from './last-good.ts';
import { createLog, type EngineLog } from './observe/logs.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import { redact } from './observe/redact.ts';
import { type Observer, observeAll } from './observe/signals.ts';
import { localOperations } from './operations/local.ts';
import type { ReloadReason, ReloadReport } from './operations/operations.ts';
import { guardProcess } from './own-process.ts';
import { Planning } from './planning.ts';
import type { Handler } from './plugin.ts';
import { createEgress, type Egress } from './plugins/egress.ts';
import { handlerFor } from './plugins/handler-for.ts';
import { PluginShelf } from './plugins/shelf.ts';
import { createTemplates } from './plugins/templates.ts';
import { type BusPublisher, createPublisher, type Publisher } from './publisher.ts';
import { printDiagnostics, Reloader } from './reload.ts';
import { StoreWatch } from './store-watch.ts';
import { realTimers } from './timers.ts';
import { version } from './version.ts';
import { sharedCell } from './watchdog.ts';
import { RouteTable } from './worker/route-table.ts';

export { ConfigError } from './config-error.ts';
export type { EngineOptions } from './engine-options.ts';

export interface Engine {
  /** Base URLs, with the real port. */
  readonly addresses: { readonly ingest: string | undefined; readonly admin: string | undefined };
  readonly bus: Bus;
  readonly publisher: Publisher;
  readonly log: Logger;
  generation(): { readonly number: number; readonly generation: Generation };
  /** `why` is for people [`request`]. */
  reload(why?: ReloadReason): Promise<ReloadReport>;
  /** Back to a generation that is kept [the one before]; the files count again when they change, or at a reload. */
  rollback(number?: number): Promise<ReloadReport>;
  /** Resolves when everything has ended. `graceMs`: how long what runs may go on [`delivery.drain`]. Twice is fine. */
  stop(graceMs?: number): Promise<void>;
}

const trimPause = 5_000;

/** Rejects with {@link ConfigError} (nothing runs then) or `EF5xxx` when the bus cannot be opened. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const engine = new RunningEngine(options);
  try {
    await engine.start();
    return engine;
  } catch (error) {
    await engine.stop(0);
    throw error;
  }
}

class RunningEngine implements Engine {
  #options: EngineOptions;
  #plugins: PluginShelf;
  #secrets: readonly string[] = [];
  /** What the last load read; absolute. */
  #files: readonly string[] = [];
  #wantedBy = new Map<string, number>();
  #log: EngineLog;
  #metrics: Metrics;
  #observer: Observer;
  #egress: Egress;
  #bus: Bus | undefined;
  #store: StoreWatch | undefined;
  #door: Door | undefined;
  #publisher: BusPublisher | undefined;
  #table: RouteTable | undefined;
  #reloader: Reloader | undefined;
  #lastGood: LastGood;
  #watcher: ReturnType<typeof watchFiles> | undefined;
  #trimmer: NodeJS.Timeout | undefined;
  #ingest: Listening | undefined;
  #admin: Listening | undefined;
  #busUp: boolean | undefined;
  #lastStarted = sharedCell();
  #unguard: (() => void) | undefined;
  #ready = false;
  #stopping: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    const { settings } = options;
    this.#secrets = passwordsIn(settings.bus);
    this.#plugins = new PluginShelf(settings.plugins, settings.folder, options.pluginsPlace);
    const diagnostics = this.#plugins.refresh();
    if (diagnostics.length > 0) throw new ConfigError(diagnostics.map((diagnostic) => formatDiagnostic(diagnostic)));
    const destination = options.logTo === undefined ? {} : { destination: options.logTo };
    this.#log = createLog({ level: settings.log.level, secrets: () => this.#secrets, ...destination });
    this.#metrics = createMetrics({
      bus: () => this.#bus,
      gauges: () => this.#table?.gauges() ?? [],
      version,
      plugins: () => this.#plugins.versions(),
    });
    this.#observer = observeAll([
      this.#metrics.observer,
      this.#log.observer,
      ...(options.observer === undefined ? [] : [options.observer]),
    ]);
    this.#egress = createEgress(settings.http.egress);
    this.#lastGood = new LastGood(options, this.#log.log);
  }

  get bus(): Bus {
    return started(this.#bus);
  }

  get publisher(): Publisher {
    return started(this.#publisher);
  }

  get log(): Logger {
    return this.#log.log;
  }

  get addresses(): Engine['addresses'] {
    return { ingest: this.#ingest?.address, admin: this.#admin?.address };
  }

  generation(): { readonly number: number; readonly generation: Generation } {
    const reloader = started(this.#reloader);
    return { number: reloader.number, generation: reloader.generation };
  }

  reload(why?: ReloadReason): Promise<ReloadReport> {
    return started(this.#reloader).reload(why);
  }

  rollback(number?: number): Promise<ReloadReport> {
    return started(this.#reloader).rollback(number);
  }

  async start(): Promise<void> {
    // Before anything is read: what changes while the engine starts is told when it has.
    const begun = Promise.withResolvers<void>();
    this.#watch(begun.promise);
    // What is wrong with the files is said before anything is opened: a broken start leaves no trace.
    const first = await this.#load();
    this.#watcher?.update(first.files);
    const fallback = first.ok ? undefined : await this.#lastGood.fallBack(this.#plugins.next, printDiagnostics(first));
    if (fallback !== undefined) this.#secrets = [...this.#secrets, ...fallback.secrets];
    this.#bus = await this.#openBus();
    this.#store = new StoreWatch(this.#bus, this.#observer);
    const { durability } = await this.#store.begin(this.#options.allowUnsafeStore ?? false);
    this.#door = new Door({
      bus: this.#bus,
      policy: this.#options.settings.overload,
      groups: () => running(this.generation().generation).map(({ group }) => group),
      observer: this.#observer,
    });
    this.#publisher = createPublisher(
      { bus: this.#bus },
      {
        eventTypes: () => started(this.#reloader).generation.eventTypes,
        observer: this.#observer,
        admit: () => this.#door?.refusal(),
      },
    );
    this.#busAnswers(undefined);
    this.#guard();
    await this.#startRoutes(fallback);
    await this.#listen();
    begun.resolve();
    this.#trimmer = setInterval(() => void this.#trim(), trimPause).unref();
    this.#ready = true;
    const { generation, number } = this.generation();
    this.log.info(
      {
        ...this.addresses,
        bus: this.#bus.label,
        durability: durability.level,
        generation: number,
        pipelines: generation.pipelines.map((pipeline) => pipeline.name),
        routes: running(generation).length,
      },
      'engine is ready',
    );
  }

  stop(graceMs = this.#options.settings.delivery.drain): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  async #stop(graceMs: number): Promise<void> {
    this.#ready = false;
    await this.#watcher?.close();
    clearInterval(this.#trimmer);
    this.#door?.close();
    await this.#ingest?.close(Math.min(graceMs, 5_000));
    await this.#publisher?.close();
    await Promise.all([this.#table?.stop(graceMs), this.#reloader?.close(Math.max(graceMs, 500))]);
    await this.#lastGood.settled();
    await this.#admin?.close(500);
    this.#metrics.close();
    await this.#egress.close();
    if (this.#options.bus === undefined) await this.#bus?.close();
    this.#unguard?.();
  }

  async #openBus(): Promise<Bus> {
    const { settings, bus } = this.#options;
    if (bus !== undefined) return bus;
    return openBus(settings.bus, {
      ...busOptions(settings),
      onDropped: (letters) => this.#observer({ kind: 'dlq_dropped', letters }),
      onFault: ({ kind: errorKind, message, over }) =>
        this.#observer(
          over === undefined
            ? { kind: 'bus_error', errorKind, message }
            : { kind: 'bus_recovered', errorKind, message, ...over },
        ),
    });
  }

  async #startRoutes(fallback: Fallback | undefined): Promise<void> {
    const { settings } = this.#options;
    this.#table = new RouteTable({
      bus: this.bus,
      observer: this.#observer,
      logFor: (route) => this.#log.logFor(route),
      createHandler: (route) => this.#createHandler(route),
      journal: settings.journal.keep,
      leaseMs: settings.delivery.lease,
      removedGraceMs: settings.delivery.removedGrace,
      random: Math.random,
      timers: realTimers,
      lastStarted: this.#lastStarted,
      mask: (text) => redact(text, this.#secrets) as string,
    });
    this.#reloader = new Reloader({
      load: () => this.#load(),
      table: this.#table,
      observer: this.#observer,
      ...{ drainMs: settings.delivery.drain, retryMs: trimPause },
      allowEmpty: this.#options.allowEmpty ?? false,
      onSwap: (generation, number) => this.#swapped(generation, number),
      onFiles: (files) => this.#watcher?.update(files),
      onGood: (loaded) => this.#lastGood.keep(loaded),
    });
    const report = await (fallback === undefined
      ? this.#reloader.reload('start')
      : this.#reloader.startWith(fallback.generation, fallback.pinned, fallback.problems));
    if (this.#reloader.number === 0) throw new ConfigError(report.problems);
  }

  #guard(): void {
    const { ownProcess, settings } = this.#options;
    if (ownProcess === undefined) return;
    this.#unguard = guardProcess({
      onFailure: (error) => ownProcess.onFailure(error),
      watchdogMs: settings.delivery.watchdog,
      catalog: () => this.#plugins.next,
      observer: this.#observer,
      lastStarted: this.#lastStarted,
      routes: () => this.#table?.numbers ?? new Map(),
      running: () => this.#table?.running() ?? [],
    });
  }

  async #load(): Promise<LoadResult> {
    const { settings, cwd, env, allowEmpty = false } = this.#options;
    const broken = this.#plugins.refresh();
    const catalog = this.#plugins.next;
    const { pipelines: paths, streams } = settings;
    const loaded = await loadGeneration({ paths, streams, catalog, env, cwd, allowEmpty });
    this.#files = loaded.files;
    if (broken.length > 0) return { ...loaded, ok: false, diagnostics: broken };
    // Kept from before as well: a route of the old generation may still be draining, and writes to the log.
    if (loaded.ok) this.#secrets = [...new Set([...this.#secrets, ...loaded.secrets])];
    return loaded;
  }

  #swapped(generation: Generation, number: number): void {
    this.#wantedBy.clear();
    this.#plugins.adopt();
    this.#metrics.setGeneration(generation, number, Date.now());
  }

  #createHandler(route: Route): Promise<Handler> {
    return handlerFor(route, this.#plugins.next, {
      http: this.#egress,
      templates: createTemplates(),
      log: (of) => this.#log.logFor(of),
      clock: Date.now,
      counter: (name, help, of) => this.#metrics.counter(name, help, of),
    });
  }

  async #listen(): Promise<void> {
    const { settings, ingest, admin } = this.#options;
    const deps = this.#httpDeps();
    if (admin !== false) {
      this.#admin = await startAdmin(deps, settings.http.adminListen);
      await this.bus.announce?.(this.#admin.address);
    }
    if (ingest !== false) this.#ingest = await startIngest(deps, settings.http.listen);
  }

  #httpDeps(): HttpDeps {
    const bus = this.bus;
    const operations = localOperations(bus, this.#observer);
    const planning = new Planning({
      ...this.#options,
      operations,
      running: () => this.generation(),
      secrets: () => this.#secrets,
      files: () => this.#files,
    });
    return {
      bus,
      publisher: started(this.#publisher),
      generation: () => this.generation().generation,
      generationNumber: () => this.generation().number,
      routeCount: (type) => this.#routeCount(type),
      operations,
      metrics: this.#metrics,
      health: () =>
        healthOf(this.bus, {
          ready: this.#ready,
          generation: this.generation().number,
          config: started(this.#reloader).status,
          hazards: this.#store?.state?.hazards ?? [],
          refusal: this.#door?.refusal()?.message,
          leaked: this.#table?.gauges().filter(({ leaked }) => leaked > 0) ?? [],
        }),
      config: started(this.#reloader),
      plan: (posted) => planning.plan(posted),
      version,
      ingestAddress: () => this.#ingest?.address,
      observer: this.#observer,
    };
  }

  #routeCount(type: string): number {
    const known = this.#wantedBy.get(type);
    if (known !== undefined) return known;
    const count = running(this.generation().generation).filter((route) => matchAny(route.on)(type)).length;
    if (this.#wantedBy.size < 10_000) this.#wantedBy.set(type, count);
    return count;
  }

  #watch(begun: Promise<void>): void {
    const { settings, cwd, watch, watchPollMs: pollMs } = this.#options;
    if (watch === false) return;
    const onChange = (): Promise<void> => begun.then(() => void this.reload('files'));
    const poll = pollMs === undefined ? {} : { pollMs };
    this.#watcher = watchFiles({ ...poll, paths: settings.pipelines, cwd, onChange });
  }

  /** Looks at the store, trims, and learns by it whether the bus answers. */
  async #trim(): Promise<void> {
    try {
      await this.#store?.look();
      await this.bus.trim();
      this.#busAnswers(undefined);
    } catch (error) {
      this.#busAnswers((error as Error).message);
    }
  }

  /** Says it once, when it changes. */
  #busAnswers(error: string | undefined): void {
    const up = error === undefined;
    if (up === this.#busUp) return;
    this.#busUp = up;
    this.#observer({ kind: 'bus_up', up, label: this.bus.label, error });
  }
}

const running = (generation: Generation): Route[] => [...generation.routes.values()].filter((route) => route.enabled);

function started<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('expected the engine to be started, it is not');
  return part;
}
