/**
 * One run of the real thing: route table, workers, breakers and the embedded bus, all in a time of their own, around
 * handlers that answer as they are told.
 */
import type { Bus, Entry, Group, SettleItem, SettleResult } from '../bus/bus.ts';
import { openBus } from '../bus/open.ts';
import { backoff } from '../core/backoff.ts';
import { IngestFault } from '../core/ingest-fault.ts';
import { measure } from '../core/json-text.ts';
import type { StreamRule } from '../core/match.ts';
import { checkData, defaultEventLimits, type Prepared, prepareEvent } from '../core/prepare.ts';
import type { Generation, Route } from '../core/route.ts';
import { decodeEvent } from '../event.ts';
import type { Signal } from '../observe/signals.ts';
import type { Handler, Log } from '../plugin.ts';
import { findHandler, type PluginCatalog } from '../plugins/manifest.ts';
import { createTemplates } from '../plugins/templates.ts';
import { RouteTable } from '../worker/route-table.ts';
import { type Answer, script } from './answers.ts';
import { dice } from './dice.ts';
import type { PlannedEvent } from './events.ts';
import { scriptedHandler } from './handler.ts';
import { compileOptions } from './render.ts';
import { targetOf } from './target.ts';
import type { Answers } from './test-file.generated.ts';
import { type Ending, VirtualTime } from './time.ts';
import { type Happening, Timeline, tries } from './timeline.ts';
import { formatTime } from './words.ts';

export interface RunRequest {
  readonly generation: Generation;
  readonly catalog: PluginCatalog;
  readonly streams: readonly StreamRule[];
  readonly events: readonly PlannedEvent[];
  /** By group. */
  readonly answers: ReadonlyMap<string, Answers>;
  /** Undefined: no jitter, and waits of limits and breakers that are spread as they are each time. */
  readonly seed: number | undefined;
  /** ms; all of it passes [until everything is settled]. */
  readonly until: number | undefined;
  /** See {@link VirtualTime.run} [false]. */
  readonly everyMoment?: boolean;
  readonly mask: (text: string) => string;
}

export interface RunRecord {
  readonly timeline: Timeline;
  readonly ending: Ending;
  /** When the last thing happened, or when time was over; ms from the start. */
  readonly endedAt: number;
}

const start = Date.UTC(2026, 0, 1);
const day = 86_400_000;
/** Longer than the longest wait that the language knows. */
const longest = 400 * day;
/** Nobody dies here, so no lease has to run out. */
const leaseMs = 4_000 * day;
const maxSteps = 2_000_000;
const promoteBatch = 500;
/** Letters in a row that come back in vain before a target counts as down for good. */
const mostReturns = 50;

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** The same routes, with no dice in their waits. */
function withoutJitter(generation: Generation): Generation {
  const plain = (route: Route): Route => ({ ...route, retry: { ...route.retry, jitter: 'none' } });
  const routes = new Map([...generation.routes].map(([group, route]) => [group, plain(route)]));
  return { ...generation, routes };
}

const idOf = ({ body, meta }: Entry): string => {
  try {
    return decodeEvent(body, meta).id;
  } catch {
    return '?';
  }
};

/** The host or the key in the name of a breaker that is theirs. */
const keyIn = (breaker: string): string | undefined => /^(?:host:|key:[^:]*:)([\s\S]*)$/.exec(breaker)?.[1];

type WithoutTime<T> = T extends unknown ? Omit<T, 'at'> : never;

class World {
  readonly #request: RunRequest;
  readonly #generation: Generation;
  readonly #time: VirtualTime;
  readonly #happenings: Happening[] = [];
  readonly #scripts = new Map<string, (event: string) => Answer>();
  readonly #bus: Bus;
  readonly #table: RouteTable;

  constructor(request: RunRequest, bus: Bus, time: VirtualTime) {
    this.#request = request;
    this.#time = time;
    this.#bus = bus;
    this.#generation = request.seed === undefined ? withoutJitter(request.generation) : request.generation;
    this.#table = new RouteTable({
      bus: this.#watched(bus),
      observer: (signal) => this.#observe(signal),
      logFor: () => silent,
      createHandler: (route) => Promise.resolve(this.#handler(route)),
      journal: 'off',
      leaseMs,
      removedGraceMs: leaseMs,
      random: dice(request.seed ?? 0),
      timers: time.timers,
      mask: request.mask,
    });
  }

  async run(): Promise<RunRecord> {
    const { events, until, everyMoment } = this.#request;
    const time = this.#time;
    const routes = [...this.#generation.routes.values()].filter(({ enabled }) => enabled);
    const commit = await time.finish(this.#table.prepare({ start: routes, change: [], stop: [] }, this.#generation));
    commit(0);
    this.#plan(events);
    // Whoever says how much time passes means all of it.
    const settled = async (): Promise<boolean> => until === undefined && (await this.#isSettled(routes));
    const ending = await time.run({ until: until ?? longest, steps: maxSteps, settled, everyMoment });
    const happenings = [...this.#happenings];
    const endedAt = ending === 'settled' ? (happenings.at(-1)?.at ?? 0) : time.elapsed;
    await time.finish(this.#table.stop(0));
    return { timeline: new Timeline(happenings), ending, endedAt };
  }

  #tell(what: WithoutTime<Happening>): void {
    this.#time.told();
    this.#happenings.push({ ...what, at: this.#time.elapsed } as Happening);
  }

  // ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Those of one moment are published together. */
  #plan(events: readonly PlannedEvent[]): void {
    const moments = new Map<number, PlannedEvent[]>();
    for (const event of events) moments.set(event.at, [...(moments.get(event.at) ?? []), event]);
    for (const [at, group] of moments) this.#time.after(at, () => void this.#publish(group));
  }

  async #publish(events: readonly PlannedEvent[]): Promise<void> {
    const drafts = events.flatMap((event) => {
      const prepared = this.#prepare(event);
      return prepared === undefined ? [] : [{ event, prepared }];
    });
    const results = await this.#bus.publish(drafts.map(({ prepared }) => prepared));
    for (const [at, { event }] of drafts.entries()) {
      const { id, type } = event;
      this.#tell({ kind: results[at]?.kind === 'accepted' ? 'published' : 'repeated', event: id, type });
    }
  }

  /** Checked as the ingest listener checks it. Undefined: it was refused. */
  #prepare({ id, type, envelope }: PlannedEvent): Prepared | undefined {
    const now = this.#time.clock();
    try {
      const prepared = prepareEvent(measure(JSON.stringify(envelope)), false, {
        now,
        time: new Date(now).toISOString(),
        newId: () => id,
        limits: defaultEventLimits,
        source: 'eventflow/test',
        idempotencyKey: undefined,
        traceparent: undefined,
      });
      checkData(prepared, this.#generation.eventTypes.get(type));
      return prepared;
    } catch (error) {
      if (!(error instanceof IngestFault)) throw error;
      this.#tell({ kind: 'rejected', event: id, type, why: error.message });
      return undefined;
    }
  }

  /** Nothing is to be published, every group has settled what it got, and nothing will come back to it. */
  async #isSettled(routes: readonly Route[]): Promise<boolean> {
    const told = this.#happenings.filter(({ kind }) => tries.some((one) => one === kind)).length;
    if (told < this.#request.events.length) return false;
    for (const { group, breaker } of routes) {
      if (breaker?.redriveOnClose === true && this.#mayComeBack(group)) return false;
      const stats = await this.#bus.groupStats(group);
      if (stats === undefined) continue;
      const unread = stats.lag.reduce((sum, { entries }) => sum + entries, 0);
      if (unread + stats.pending + stats.retrying + stats.due > 0) return false;
    }
    return true;
  }

  /** A breaker has dead letters to bring back, and its target has not turned them down again and again. */
  #mayComeBack(group: string): boolean {
    const isShort = (one: Happening): boolean => one.kind === 'dead' && one.reason === 'breaker_open';
    const left = new Timeline(this.#happenings).letters(group).filter(isShort).length;
    const own = this.#happenings.filter((one) => 'route' in one && one.route === group);
    const since = own.slice(own.findLastIndex(({ kind }) => kind === 'settled') + 1);
    return left > 0 && since.filter(isShort).length < left + mostReturns;
  }

  // ── routes ───────────────────────────────────────────────────────────────────────────────────────────────────

  #handler(route: Route): Handler {
    const choice = findHandler(this.#request.catalog, `${route.plugin}:${route.handler}`);
    const schema = choice.kind === 'found' ? choice.manifest.schema : {};
    const answers = this.#scripts.get(route.group) ?? script(this.#request.answers.get(route.group));
    this.#scripts.set(route.group, answers);
    return scriptedHandler({
      timers: this.#time.timers,
      render: compileOptions(route.options, schema, createTemplates()),
      answer: answers,
      target: targetOf(route, this.#request.catalog),
      onStart: (event, attempt, options) => {
        this.#tell({ kind: 'started', route: route.group, event, attempt, options });
        this.#nameIn(route.timeout);
      },
    });
  }

  /** The bus, and what its groups settle. A proxy, so that it has whatever a bus has. */
  #watched(bus: Bus): Bus {
    return new Proxy(bus, {
      get: (target, name) => {
        if (name === 'openGroup') {
          return async (...args: Parameters<Bus['openGroup']>) => this.#watchedGroup(await bus.openGroup(...args));
        }
        return bound(target, name);
      },
    });
  }

  #watchedGroup(group: Group): Group {
    const settle: Group['settle'] = async (items, journal) => {
      const results = await group.settle(items, journal);
      for (const [at, item] of items.entries()) this.#settled(group, item, results[at]);
      return results;
    };
    return new Proxy(group, { get: (target, name) => (name === 'settle' ? settle : bound(target, name)) });
  }

  #settled(group: Group, item: SettleItem, result: SettleResult | undefined): void {
    if (result !== 'done') return;
    const one = { route: group.name, event: idOf(item.entry) };
    switch (item.kind) {
      case 'ack':
        return this.#tell({ kind: 'settled', ...one, status: item.status });
      case 'dead':
        return this.#tell({
          kind: 'dead',
          ...one,
          reason: item.words.reason,
          attempts: item.words.attempts.length,
          fault: item.words.fault,
        });
      case 'postpone':
        this.#comeBack(group, item.delayMs);
        return this.#tell({ kind: 'postponed', ...one, delayMs: item.delayMs });
      case 'retry':
        this.#comeBack(group, item.delayMs);
        return this.#tell({ kind: 'retry', ...one, delayMs: item.delayMs, odds: this.#odds(group.name, item) });
    }
  }

  /** Whoever waits for this moment may look now and then only, or share a timer with others: it must not be leapt over. */
  #nameIn(ms: number): void {
    this.#time.after(ms, () => undefined);
  }

  /** A route looks once a second for what is due. Here it is looked for when it is: no time hangs on chance. */
  #comeBack(group: Group, delayMs: number): void {
    this.#time.after(delayMs, () => void group.promote(promoteBatch));
  }

  /** What the dice of production would have made of a wait that had none here. */
  #odds(group: string, item: Extract<SettleItem, { kind: 'retry' }>): string {
    const policy = this.#request.generation.routes.get(group)?.retry;
    if (this.#request.seed !== undefined || policy === undefined || policy.jitter === 'none') return '';
    const longestWait = Math.round(backoff({ ...policy, jitter: 'none' }, item.state.attempt - 1, () => 0));
    if (longestWait !== item.delayMs) return '';
    const shortest = policy.jitter === 'full' ? 0 : longestWait / 2;
    return ` (with its jitter, ${formatTime(shortest)} to ${formatTime(longestWait)})`;
  }

  #observe(signal: Signal): void {
    switch (signal.kind) {
      case 'attempt': {
        const { route, eventId, attempt, outcome, fault } = signal;
        return this.#tell({ kind: 'ended', route: route.group, event: eventId, attempt, outcome, fault });
      }
      case 'breaker':
        if (signal.until !== undefined) this.#nameIn(signal.until - this.#time.clock());
        return this.#tell({
          kind: 'breaker',
          route: signal.route.group,
          key: keyIn(signal.key),
          to: signal.to,
          why: signal.why,
        });
      case 'redriven':
        return this.#tell({ kind: 'noticed', route: signal.group, what: `redriven dead letters: ${signal.count}` });
      case 'misbehaved':
        return this.#tell({ kind: 'noticed', route: signal.route.group, what: signal.what });
      default:
        return;
    }
  }
}

/** A method of `target` stays its own: it may have private fields. */
function bound<T extends object>(target: T, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name, target);
  return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
}

/** Plays the events of a test through its routes. */
export async function runWorld(request: RunRequest): Promise<RunRecord> {
  const time = new VirtualTime(start);
  const bus = await openBus('sqlite::memory:', { streams: request.streams, time: time.busTime });
  try {
    return await new World(request, bus, time).run();
  } finally {
    await time.finish(bus.close());
  }
}
