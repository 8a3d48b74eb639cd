/** The contestant: a whole routing table on the Redis bus, with metrics, breaker and journal, and a handler that does nothing. */
import type { Bus } from '../../engine/bus/bus.ts';
import { openBus } from '../../engine/bus/open.ts';
import { compileKey } from '../../engine/config/expressions.ts';
import type { Generation, OrderingRule, Route } from '../../engine/core/route.ts';
import { createMetrics } from '../../engine/observe/metrics.ts';
import type { Observer } from '../../engine/observe/signals.ts';
import type { EventEnvelope, Handler } from '../../engine/plugin.ts';
import { realTimers } from '../../engine/timers.ts';
import { RouteTable } from '../../engine/worker/route-table.ts';
import { conditionOf, transformOf } from '../support/expressions.ts';
import { breakerPolicy, routeOf } from '../support/policies.ts';
import { type Producer, startProducer } from './producer.ts';
import { Gauge, preciseNow, type Reading, typeOf } from './reading.ts';

export interface EngineSetting {
  /** Event types of each route. */
  readonly routes: readonly (readonly string[])[];
  /** How many routes want one event. */
  readonly deliveriesPerEvent: number;
  readonly metrics: boolean;
  readonly journal: boolean;
  /** Ordered by so many keys [no ordering]. */
  readonly keys?: number;
  /** Expressions that each event is put through [none]. */
  readonly through?: 'when' | 'transform';
}

const oneRoute: EngineSetting = { routes: [['order.paid']], deliveriesPerEvent: 1, metrics: true, journal: true };

/** As many routes as there are types, one for each. */
export const routePerType = (types: number): EngineSetting => ({
  ...oneRoute,
  routes: Array.from({ length: types }, (_, at) => [typeOf(at, types)]),
});

/** Every route wants every event. */
export const routesForAll = (count: number): EngineSetting => ({
  ...oneRoute,
  routes: Array.from({ length: count }, () => ['order.paid']),
  deliveriesPerEvent: count,
});

/** Works off `n` events that are there already. */
export async function engineDrain(url: string, n: number, setting: Partial<EngineSetting> = {}): Promise<Reading> {
  return await run({ url, n, setting: { ...oneRoute, ...setting }, producer: undefined });
}

/** Another process publishes `n` events as fast as it can while this one works them off. */
export async function engineLive(url: string, n: number): Promise<Reading> {
  const producer = await startProducer({ kind: 'engine', url, n, types: 1, rate: undefined });
  return await run({ url, n, setting: oneRoute, producer });
}

/** Publish-to-handler latency at a steady rate, one publish per event, from another process. */
export async function engineLatency(url: string, n: number, rate: number): Promise<Reading> {
  const producer = await startProducer({ kind: 'engine', url, n, types: 1, rate });
  return await run({ url, n, setting: oneRoute, producer, latencies: new Float64Array(n) });
}

interface Run {
  readonly url: string;
  readonly n: number;
  readonly setting: EngineSetting;
  readonly producer: Producer | undefined;
  readonly latencies?: Float64Array;
}

/** A handler that counts down, and how to wait for its end. */
function countdown(deliveries: number, latencies: Float64Array | undefined): { handler: Handler; done: Promise<void> } {
  let seen = 0;
  let finish: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const note = (event: EventEnvelope): void => {
    if (latencies !== undefined) latencies[seen] = preciseNow() - (event.data as { at: number }).at;
    seen += 1;
    if (seen === deliveries) finish();
  };
  return { handler: { handle: async (event) => note(event) }, done };
}

async function run({ url, n, setting, producer, latencies }: Run): Promise<Reading> {
  const journal = { keep: setting.journal ? 'all' : 'off', retentionMs: 3_600_000, maxEntries: 10_000 } as const;
  const bus = await openBus(url, { journal, durability: { mode: 'none' } });
  const { handler, done } = countdown(n * setting.deliveriesPerEvent, latencies);
  const { start, stop } = await prepare(bus, setting, handler);
  const gauge = new Gauge(url);
  await gauge.start();
  start();
  producer?.go();
  await done;
  await stop();
  const reading = await gauge.stop(n, latencies);
  await bus.close();
  await producer?.done;
  return reading;
}

/** As in the README of the language: two comparisons, and two fields kept beside one that is calculated. */
function through(what: EngineSetting['through']): Partial<Route> {
  switch (what) {
    case 'when':
      return { when: conditionOf('event.data.total >= 100 && event.data.currency in ["EUR", "USD"]') };
    case 'transform':
      return { transform: transformOf({ pick: ['order', 'customer'], set: { cents: 'event.data.total * 100.0' } }) };
    case undefined:
      return {};
  }
}

/** The expression is evaluated as in a pipeline; what it gives is folded into so many keys. */
function byKeys(count: number): OrderingRule {
  const compiled = compileKey('event.id');
  if (!compiled.ok) throw new Error(compiled.fault.message);
  return { source: compiled.source, key: (event) => String(Number(compiled.key(event).slice(-11)) % count) };
}

async function prepare(
  bus: Bus,
  setting: EngineSetting,
  handler: Handler,
): Promise<{ start: () => void; stop: () => Promise<void> }> {
  const routes = setting.routes.map((on, at) =>
    routeOf({
      ...{ pipeline: 'bench', id: `r${at}`, on, breaker: breakerPolicy(), concurrency: 64, hash: `h${at}` },
      ...(setting.keys === undefined ? {} : { ordering: byKeys(setting.keys) }),
      ...through(setting.through),
    }),
  );
  const generation = generationOf(routes);
  let gauges: RouteTable['gauges'] = () => [];
  const metrics = createMetrics({ bus: () => bus, gauges: () => gauges(), version: 'bench' });
  const off: Observer = () => undefined;
  const table = new RouteTable({
    bus,
    observer: setting.metrics ? metrics.observer : off,
    logFor: () => ({ debug() {}, info() {}, warn() {}, error() {} }),
    createHandler: async () => handler,
    journal: setting.journal ? 'all' : 'off',
    leaseMs: 30_000,
    removedGraceMs: 300_000,
    random: Math.random,
    timers: realTimers,
  });
  gauges = () => table.gauges();
  metrics.setGeneration(generation, 1, Date.now());
  const commit = await table.prepare({ start: routes, change: [], stop: [] }, generation);
  return {
    start: () => commit(1_000),
    stop: async () => {
      await table.stop(1_000);
      metrics.close();
    },
  };
}

function generationOf(routes: readonly Route[]): Generation {
  const pipeline = { name: 'bench', description: undefined, labels: {}, file: 'bench.yaml', routes };
  const byGroup = new Map(routes.map((route) => [route.group, route]));
  return { hash: 'bench', pipelines: [pipeline], routes: byGroup, eventTypes: new Map() };
}
