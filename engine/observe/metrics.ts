/**
 * The registry and its page. This file alone knows prom-client: it brings Node's default metrics and writes the text;
 * the numbers are our own (see `series.ts`) and are handed over when somebody scrapes.
 */
import { collectDefaultMetrics, type Metric as PromMetric, Registry } from 'prom-client';
import type { Bus } from '../bus/bus.ts';
import type { Generation, Route } from '../core/route.ts';
import type { Counter } from '../plugin.ts';
import { BusReader } from './bus-reader.ts';
import { collectors, type Sample, type View } from './collect.ts';
import { PluginCounters } from './plugin-counters.ts';
import { Recorder } from './recorder.ts';
import type { Observer, RouteGauges } from './signals.ts';
import { type MetricType, table } from './table.ts';

export interface MetricsOptions {
  /** Undefined while there is none. */
  readonly bus: () => Bus | undefined;
  /** Of the routes that run here. */
  readonly gauges: () => Iterable<RouteGauges>;
  readonly version: string;
  readonly plugins?: () => Iterable<{ readonly name: string; readonly version: string }>;
  /** Sources that keep their name in `eventflow_events_published_total`; all others are `other` [none]. */
  readonly sources?: readonly string[];
  /** Hard cap on series of our own [20000]. */
  readonly maxSeries?: number;
  /** Scrapes closer together than this share one reading of the bus, ms [1000]. */
  readonly cacheMs?: number;
  /** How long a scrape waits for the bus, ms [2000]. */
  readonly deadlineMs?: number;
  /** ms since the epoch [Date.now]. */
  readonly now?: () => number;
}

export interface Metrics {
  readonly observer: Observer;
  /** What runs from now on. `number` counts generations from 1; `loadedAt` is ms since the epoch. */
  setGeneration(generation: Generation, number: number, loadedAt: number): void;
  /** For `HandlerContext.metrics`. Throws for a name that is none, or is the 21st of its handler. */
  counter(name: string, help: string, route: Route): Counter;
  readonly contentType: string;
  /** The page. Waits for the bus at most `deadlineMs`. Never rejects because of it. */
  render(): Promise<string>;
  /** From now on the page shows Node's own numbers only. */
  close(): void;
}

/** Gauges that prom-client names like counters, which `promtool check metrics` refuses. */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

let node: Registry | undefined;

/** Node's numbers are the process's, however many engines run in it; its observers cannot be taken off again. */
function nodeRegistry(): Registry {
  if (node !== undefined) return node;
  node = new Registry();
  collectDefaultMetrics({ register: node });
  for (const name of misnamed) node.removeSingleMetric(name);
  return node;
}

export function createMetrics(options: MetricsOptions): Metrics {
  const { now = Date.now, sources = [], maxSeries = 20_000, cacheMs = 1_000, deadlineMs = 2_000 } = options;
  const recorder = new Recorder({ maxSeries, sources, now });
  const counters = new PluginCounters();
  const reader = new BusReader({
    bus: options.bus,
    groups: () => recorder.routes.keys(),
    onAnswer: (up) => {
      recorder.busUp = up;
    },
    cacheMs,
    deadlineMs,
    now,
  });
  const view = (): View => ({
    recorder,
    bus: reader,
    gauges: new Map(Array.from(options.gauges(), (gauges) => [gauges.route.group, gauges])),
    plugins: [...(options.plugins?.() ?? [])],
    version: options.version,
    now: now(),
  });
  const page = new Page(counters, view());
  nodeRegistry();
  return {
    observer: recorder.observe,
    setGeneration(generation, number, loadedAt) {
      recorder.setGeneration(generation, number, loadedAt);
      for (const name of counters.keepOnly(recorder.routes.values())) page.remove(name);
    },
    counter(name, help, route) {
      const counter = counters.counter(name, help, route);
      page.addPluginMetrics();
      return counter;
    },
    contentType: page.contentType,
    async render() {
      await reader.refresh();
      return page.render(view());
    },
    close: () => page.close(),
  };
}

class Page {
  readonly #registry = new Registry();
  readonly #counters: PluginCounters;
  #view: View;

  constructor(counters: PluginCounters, view: View) {
    this.#counters = counters;
    this.#view = view;
    for (const { name, help, type } of table) this.#register(name, help, type, () => collectors[name](this.#view));
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async render(view: View): Promise<string> {
    this.#view = view;
    noteHolds(view);
    return `${await this.#registry.metrics()}\n${await nodeRegistry().metrics()}`;
  }

  addPluginMetrics(): void {
    for (const [name, help] of this.#counters.helps) {
      if (this.#registry.getSingleMetric(name) === undefined) {
        this.#register(name, help, 'counter', () => this.#pluginSamples(name));
      }
    }
  }

  remove(name: string): void {
    this.#registry.removeSingleMetric(name);
  }

  close(): void {
    this.#registry.clear();
  }

  #pluginSamples(name: string): readonly Sample[] {
    return [...this.#view.recorder.routes.values()].flatMap((series) => {
      const value = this.#counters.value(name, series);
      const { pipeline, route } = series.labels;
      return value === undefined ? [] : [{ labels: { pipeline, route }, value }];
    });
  }

  /** What the registry asks of a metric is a name and a `get`; the classes of prom-client would keep numbers of their own. */
  #register(name: string, help: string, type: MetricType, collect: () => readonly Sample[]): void {
    const metric = { name, get: async () => ({ name, help, type, values: collect().map(promValue(name)) }) };
    this.#registry.registerMetric(metric as unknown as PromMetric);
  }
}

const promValue = (name: string) => (sample: Sample) => ({
  value: sample.value,
  labels: sample.labels ?? {},
  sharedLabels: sample.shared ?? {},
  ...(sample.part === undefined ? {} : { metricName: `${name}_${sample.part}` }),
});

/**
 * When each hold began. Signals tell the engine that opened a circuit; the others learn it here, from the state of the
 * circuit, and so does an engine that started while it was open.
 */
function noteHolds({ recorder, gauges, now }: View): void {
  for (const series of recorder.routes.values()) {
    const gauge = gauges.get(series.group);
    const turned = gauge !== undefined && series.holdsWhenOpen && gauge.breaker.kind !== 'closed';
    if (gauge?.held !== true && !turned) series.heldSince = undefined;
    else series.heldSince ??= gauge?.breaker.kind === 'open' ? gauge.breaker.since : now;
  }
}
