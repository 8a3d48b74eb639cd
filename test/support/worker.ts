/** A worker on the memory bus around a handler given inline, and everything that a test wants to see of it. */

import type { Bus, BusOptions, GroupStats } from '../../engine/bus/bus.ts';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import type { EventTypeRule, Route } from '../../engine/core/route.ts';
import type { Timers } from '../../engine/core/timers.ts';
import { storeEnvelope } from '../../engine/event.ts';
import type { Signal } from '../../engine/observe/signals.ts';
import type { Batch, Delivery, EventEnvelope, Handler, Log } from '../../engine/plugin.ts';
import { realTimers } from '../../engine/timers.ts';
import { BreakerBoard } from '../../engine/worker/breakers.ts';
import { SuspectLane } from '../../engine/worker/suspects.ts';
import { Worker } from '../../engine/worker/worker.ts';
import { eventually } from './eventually.ts';
import { routeOf } from './policies.ts';

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

export interface Bench {
  readonly bus: Bus;
  readonly worker: Worker;
  readonly signals: Signal[];
  publish(...ids: readonly string[]): Promise<void>;
  publishRaw(body: string, type?: string): Promise<void>;
  stats(): Promise<GroupStats>;
  /** Waits until nothing waits, runs or retries. */
  atRest(ms?: number): Promise<GroupStats>;
  kinds(kind: Signal['kind']): Signal[];
  close(): Promise<void>;
}

export interface BenchOptions {
  readonly route?: Partial<Route>;
  readonly handle: (event: EventEnvelope, delivery: Delivery) => unknown;
  readonly handleBatch?: (events: readonly EventEnvelope[], batch: Batch) => unknown;
  readonly close?: () => Promise<void>;
  readonly target?: (event: EventEnvelope) => string;
  readonly bus?: Bus;
  readonly busOptions?: BusOptions;
  readonly eventTypes?: ReadonlyMap<string, EventTypeRule>;
  readonly leaseMs?: number;
  readonly breakers?: BreakerBoard;
  readonly timers?: Timers;
}

let counter = 0;

export async function startWorker(options: BenchOptions): Promise<Bench> {
  const bus = options.bus ?? (await openSqliteBus('sqlite::memory:', options.busOptions ?? {}));
  const route = routeOf(options.route);
  const signals: Signal[] = [];
  const observer = (signal: Signal): void => {
    signals.push(signal);
  };
  const group = await bus.openGroup({
    group: route.group,
    patterns: route.on,
    startFrom: route.startFrom,
    deadLetter: route.deadLetter,
  });
  const breakers = options.breakers ?? boardOf(bus, observer);
  const handler = {
    handle: options.handle,
    ...(options.handleBatch === undefined ? {} : { handleBatch: options.handleBatch }),
    ...(options.close === undefined ? {} : { close: options.close }),
    ...(options.target === undefined ? {} : { target: options.target }),
  } as Handler;
  const worker = new Worker({
    bus,
    group,
    route,
    handler,
    log: silent,
    eventTypes: () => options.eventTypes ?? new Map(),
    breakers,
    suspects: new SuspectLane(realTimers),
    lastStarted: new Int32Array(1),
    number: 1,
    observer,
    random: Math.random,
    timers: options.timers ?? realTimers,
    journal: 'all',
    leaseMs: options.leaseMs ?? 30_000,
  });
  worker.start();
  const type = route.on[0]?.replaceAll('*', 'any') ?? 'order.paid';
  const publishRaw = async (body: string, as = type): Promise<void> => {
    counter += 1;
    const key = `raw-${counter}`;
    await bus.publish([{ type: as, event: { body, meta: undefined }, dedupeKey: key, fingerprint: key, eventId: key }]);
  };
  const stats = async (): Promise<GroupStats> => {
    const found = await bus.groupStats(route.group);
    if (found === undefined) throw new Error(`no group ${route.group}`);
    return found;
  };
  return {
    bus,
    worker,
    signals,
    publishRaw,
    stats,
    async publish(...ids) {
      await bus.publish(
        ids.map((id) => {
          const event = {
            specversion: '1.0',
            id,
            source: '/test',
            type,
            time: '2026-01-01T00:00:00Z',
            data: { id },
          } as const;
          return { type, event: storeEnvelope(event), dedupeKey: id, fingerprint: id, eventId: id };
        }),
      );
    },
    atRest: (ms = 10_000) =>
      eventually(
        'the route to come to rest',
        async () => {
          const now = await stats();
          const waiting = now.lag.reduce((sum, lag) => sum + lag.entries, 0);
          return waiting + now.pending + now.retrying + now.due === 0 ? now : undefined;
        },
        ms,
      ),
    kinds: (kind) => signals.filter((signal) => signal.kind === kind),
    async close() {
      await worker.stop(1_000);
      breakers.close();
      if (options.bus === undefined) await bus.close();
    },
  };
}

export const ids = (count: number, prefix = 'e'): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);
/** Retries that do not keep a test waiting. */
export const quick = { initialInterval: 5, maxInterval: 20 } as const;

export const boardOf = (bus: Bus, observer: (signal: Signal) => void = () => undefined): BreakerBoard =>
  new BreakerBoard({ store: bus.breakers, now: () => bus.now(), random: Math.random, timers: realTimers, observer });

export async function withWorker(options: BenchOptions, body: (bench: Bench) => Promise<void>): Promise<void> {
  const bench = await startWorker(options);
  try {
    await body(bench);
  } finally {
    await bench.close();
  }
}

/** Publishes events of customers: `a1` is one of customer `a`, its subject. */
export async function publishOfCustomers(bus: Bus, ...names: readonly string[]): Promise<void> {
  await bus.publish(
    names.map((id) => {
      const subject = id.slice(0, 1);
      const event = {
        specversion: '1.0',
        id,
        source: '/test',
        type: 'order.paid',
        time: '2026-01-01T00:00:00Z',
        subject,
      };
      return {
        ...{ type: 'order.paid', dedupeKey: id, fingerprint: id, eventId: id },
        event: storeEnvelope(event as EventEnvelope),
      };
    }),
  );
}
