/** One engine whose files are what a test says, and whose handlers answer what it says. */
import assert from 'node:assert/strict';
import type { Bus } from '../../engine/bus/bus.ts';
import type { LoadResult } from '../../engine/config/index.ts';
import type { Generation, Route } from '../../engine/core/route.ts';
import { storeEnvelope } from '../../engine/event.ts';
import type { Signal } from '../../engine/observe/signals.ts';
import { localOperations } from '../../engine/operations/local.ts';
import type { Delivery, EventEnvelope, Handler } from '../../engine/plugin.ts';
import { Reloader } from '../../engine/reload.ts';
import { realTimers } from '../../engine/timers.ts';
import { RouteTable } from '../../engine/worker/route-table.ts';
import { eventually as within } from '../support/eventually.ts';
import { silent } from '../support/worker.ts';

const generationOf = (routes: readonly Route[]): Generation => ({
  hash: routes.map(({ group, hash }) => `${group} ${hash}`).join(),
  pipelines: [],
  eventTypes: new Map(),
  routes: new Map(routes.map((route) => [route.group, route])),
});

const loaded = (routes: readonly Route[]): LoadResult => ({
  ...{ ok: true, generation: generationOf(routes), files: [], sources: new Map(), warnings: [], secrets: [] },
  ...{ shownFiles: [], eventSchemas: new Map() },
});

export interface Attempted {
  readonly event: string;
  readonly attempt: number;
  readonly route: string;
  /** Of the route whose handler it was. */
  readonly hash: string;
  readonly key: string;
}

/** Also on a machine that has a lot else to do. */
export const eventually = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
  await within(what, holds, 40_000);
};

export type Answer = 'ok' | 'fail' | Promise<unknown>;

/** One engine whose files are what the test says, and whose handlers answer what it says. */
export class Stage {
  readonly bus: Bus;
  readonly attempts: Attempted[] = [];
  /** Ids of the events of each batch. */
  readonly batches: (readonly string[])[] = [];
  readonly signals: Signal[] = [];
  /** Handlers that were made and doors that were opened, by group. */
  readonly made: string[] = [];
  readonly opened: string[] = [];
  readonly #table: RouteTable;
  readonly #reloader: Reloader;
  readonly #drop: () => Promise<void>;
  #routes: readonly Route[] = [];
  answer: (event: string, hash: string) => Answer = () => 'ok';

  constructor(bus: Bus, drop: () => Promise<void>, graceMs: number) {
    this.bus = bus;
    const openGroup = bus.openGroup.bind(bus);
    bus.openGroup = (spec) => {
      this.opened.push(spec.group);
      return openGroup(spec);
    };
    this.#drop = drop;
    const observer = (signal: Signal): void => void this.signals.push(signal);
    this.#table = new RouteTable({
      ...{ bus, observer, journal: 'all', leaseMs: 30_000, random: Math.random, timers: realTimers },
      logFor: () => silent,
      createHandler: async (route) => this.#handlerOf(route),
      removedGraceMs: graceMs,
    });
    this.#reloader = new Reloader({
      ...{ table: this.#table, observer, drainMs: 5_000, allowEmpty: true },
      load: async () => loaded(this.#routes),
      onSwap: () => undefined,
      onFiles: () => undefined,
    });
  }

  #handlerOf(route: Route): Handler {
    this.made.push(route.group);
    const handle = async (event: EventEnvelope, delivery: Delivery): Promise<void> => {
      const { attempt, idempotencyKey: key } = delivery;
      this.attempts.push({ event: event.id, attempt, route: delivery.route, hash: route.hash, key });
      const answer = await this.answer(event.id, route.hash);
      if (answer === 'fail') throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    };
    if (route.batch === undefined) return { handle };
    return {
      handle: () => assert.fail('a route with batches hands out batches'),
      handleBatch: async (events, { deliveries }) => {
        this.batches.push(events.map(({ id }) => id));
        await Promise.all(events.map((event, at) => handle(event, deliveries[at] as Delivery)));
        return events.map(() => 'delivered' as const);
      },
    };
  }

  async files(...routes: readonly Route[]): Promise<void> {
    this.#routes = routes;
    const { result, problems } = await this.#reloader.reload();
    assert.equal(result, 'changed', problems.join());
  }

  async publish(...ids: readonly string[]): Promise<void> {
    await this.bus.publish(
      ids.map((id) => ({
        ...{ type: 'order.paid', dedupeKey: id, fingerprint: id, eventId: id },
        event: storeEnvelope({
          specversion: '1.0',
          id,
          source: '/test',
          type: 'order.paid',
          time: '2026-01-01T00:00:00Z',
          data: {},
        }),
      })),
    );
  }

  of(event: string): readonly Attempted[] {
    return this.attempts.filter((attempt) => attempt.event === event);
  }

  /** Attempt numbers and the handlers that got them. */
  story(event: string): string {
    return this.of(event)
      .map(({ attempt, route, hash }) => `${attempt} ${route} ${hash}`)
      .join(', ');
  }

  async stats(group: string) {
    return (await this.bus.groupStats(group)) ?? assert.fail(`no group ${group}`);
  }

  async delivered(group: string, count: number): Promise<void> {
    await eventually(
      `${count} deliveries of ${group}`,
      async () => (await this.stats(group)).totals.delivered === count,
    );
  }

  async residue(): Promise<number> {
    return (await localOperations(this.bus).verify()).total.residue;
  }

  async close(): Promise<void> {
    await this.#table.stop(100);
    await this.bus.close();
    await this.#drop();
  }
}
