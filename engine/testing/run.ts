/** Runs a handler as the engine does, without a bus: what it throws is classified as the engine classifies it. */
import type { Tally } from '../bus/bus.ts';
import type { Outcome } from '../core/outcome.ts';
import type { EventEnvelope } from '../event.ts';
import {
  type Counter,
  type Delivery,
  type Handler,
  type HandlerContext,
  type Log,
  type Plugin,
  skipReason,
} from '../plugin.ts';
import { createEgress, type Egress } from '../plugins/egress.ts';
import { createTemplates } from '../plugins/templates.ts';
import { type Answer, answersOf, noAnswer } from '../worker/batch-answers.ts';
import { failedOutcome } from '../worker/fault.ts';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

export interface HandlerSetup {
  /** Given to `create` as they are: write the defaults too that the handler relies on. */
  readonly options?: unknown;
  /** [test.route] */
  readonly route?: string;
  /** ms [5,000]. */
  readonly timeout?: number;
  /** [16] */
  readonly concurrency?: number;
  /** Where relative paths start [the working directory]. */
  readonly folder?: string;
  /** [Date.now] */
  readonly clock?: () => number;
  /** Whether the handler may call this machine and private networks [true: tests talk to local servers]. */
  readonly allowPrivateNetworks?: boolean;
}

export interface DeliverySetup {
  /** Laid over a small `test.happened` event. */
  readonly event?: Readonly<Record<string, unknown>>;
  /** [1] */
  readonly attempt?: number;
  /** [route, source and id of the event] */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
  /** The event's bytes as they were published [none]. */
  readonly original?: string;
  readonly traceparent?: string;
  /** ms since the epoch [the clock's now]. */
  readonly publishedAt?: number;
}

export interface RunResult {
  readonly outcome: Outcome;
  /** What was added to counters in the bus; empty unless the outcome is `delivered`. */
  readonly tallies: readonly Tally[];
  /** The value that was thrown, when something was. */
  readonly thrown: unknown;
}

export interface OpenHandler {
  readonly handler: Handler;
  /** Everything that was logged so far. */
  readonly log: readonly LogLine[];
  /** The handler's counters, by name. */
  readonly counters: Readonly<Record<string, number>>;
  deliver(setup?: DeliverySetup): Promise<RunResult>;
  /** All of them in one `handleBatch`: a result for each, as the engine takes it. Rejects when the handler has none. */
  deliverBatch(setups: readonly DeliverySetup[]): Promise<readonly RunResult[]>;
  /** Closes the handler, then the HTTP client it was given. */
  close(): Promise<void>;
}

const defaultEvent: EventEnvelope = {
  specversion: '1.0',
  id: 'event-1',
  source: '/test',
  type: 'test.happened',
  time: '2026-01-01T00:00:00Z',
  data: {},
};

/** As in the engine, what a handler gets cannot be changed by it. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}

export const makeEvent = (fields: Readonly<Record<string, unknown>> = {}): EventEnvelope =>
  frozen(structuredClone({ ...defaultEvent, ...fields }));

function recordingLog(lines: LogLine[]): Log {
  const at =
    (level: LogLine['level']) =>
    (fields: object, message: string): void => {
      lines.push({ level, fields, message });
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function countersInto(counters: Record<string, number>): (name: string, help: string) => Counter {
  return (name) => {
    counters[name] ??= 0;
    return {
      inc(by = 1) {
        counters[name] = (counters[name] ?? 0) + by;
      },
    };
  };
}

function contextOf(setup: HandlerSetup, http: Egress, log: Log, counters: Record<string, number>): HandlerContext {
  return {
    route: setup.route ?? 'test.route',
    timeout: setup.timeout ?? 5_000,
    concurrency: setup.concurrency ?? 16,
    http,
    templates: createTemplates(),
    metrics: { counter: countersInto(counters) },
    log,
    clock: setup.clock ?? Date.now,
    folder: setup.folder ?? process.cwd(),
  };
}

async function outcomeOf(run: () => unknown): Promise<{ outcome: Outcome; thrown: unknown }> {
  try {
    const reason = skipReason(await run());
    return {
      outcome: reason === undefined ? { kind: 'delivered' } : { kind: 'skipped', reason },
      thrown: undefined,
    };
  } catch (thrown) {
    return { outcome: failedOutcome(thrown), thrown };
  }
}

function deliveryOf(context: HandlerContext, setup: DeliverySetup, event: EventEnvelope, tallies: Tally[]): Delivery {
  return {
    route: context.route,
    attempt: setup.attempt ?? 1,
    idempotencyKey: setup.idempotencyKey ?? `${context.route}:${event.source}:${event.id}`,
    signal: setup.signal ?? new AbortController().signal,
    log: context.log,
    traceparent: setup.traceparent,
    publishedAt: setup.publishedAt ?? context.clock(),
    original: setup.original,
    tally(name, bucket, key, by) {
      tallies.push({ name, bucket, key, by });
    },
  };
}

async function deliver(handler: Handler, context: HandlerContext, setup: DeliverySetup): Promise<RunResult> {
  const event = makeEvent(setup.event);
  const tallies: Tally[] = [];
  const { outcome, thrown } = await outcomeOf(() => handler.handle(event, deliveryOf(context, setup, event, tallies)));
  return { outcome, thrown, tallies: outcome.kind === 'delivered' ? tallies : [] };
}

function ofAnswer(answer: Answer): Omit<RunResult, 'tallies'> {
  switch (answer.kind) {
    case 'delivered':
      return { outcome: { kind: 'delivered' }, thrown: undefined };
    case 'skipped':
      return { outcome: { kind: 'skipped', reason: skipReason(answer.skip) ?? '' }, thrown: undefined };
    case 'failed':
      return { outcome: failedOutcome(answer.reason), thrown: answer.reason };
    case 'none': {
      const thrown = noAnswer(answer.what);
      return { outcome: failedOutcome(thrown), thrown };
    }
  }
}

async function deliverBatch(
  handler: Handler,
  context: HandlerContext,
  setups: readonly DeliverySetup[],
): Promise<readonly RunResult[]> {
  if (handler.handleBatch === undefined) throw new Error('expected a handler with handleBatch(), got one without');
  const items = setups.map((setup) => ({ setup, event: makeEvent(setup.event), tallies: [] as Tally[] }));
  const deliveries = items.map(({ setup, event, tallies }) => deliveryOf(context, setup, event, tallies));
  const signal = AbortSignal.any(deliveries.map((delivery) => delivery.signal));
  let answers: readonly Answer[];
  try {
    const events = items.map(({ event }) => event);
    const results = await handler.handleBatch(events, { route: context.route, deliveries, signal, log: context.log });
    answers = answersOf(results, items.length);
  } catch (thrown) {
    return items.map(() => ({ outcome: failedOutcome(thrown), thrown, tallies: [] }));
  }
  return items.map(({ tallies }, at) => {
    const result = ofAnswer(answers[at] as Answer);
    return { ...result, tallies: result.outcome.kind === 'delivered' ? tallies : [] };
  });
}

/** Creates a handler and keeps it open. Rejects with what `create` threw. */
export async function openHandler(plugin: Plugin, name: string, setup: HandlerSetup = {}): Promise<OpenHandler> {
  const definition = Object.hasOwn(plugin.handlers, name) ? plugin.handlers[name] : undefined;
  if (definition === undefined) {
    throw new Error(`expected one of the handlers ${Object.keys(plugin.handlers).join(', ')}, got ${name}`);
  }
  const log: LogLine[] = [];
  const counters: Record<string, number> = {};
  const http = createEgress({ allowPrivateNetworks: setup.allowPrivateNetworks ?? true, allow: [] });
  const context = contextOf(setup, http, recordingLog(log), counters);
  try {
    const handler = await definition.create(frozen(structuredClone(setup.options ?? {})), context);
    return {
      handler,
      log,
      counters,
      deliver: (delivery = {}) => deliver(handler, context, delivery),
      deliverBatch: (deliveries) => deliverBatch(handler, context, deliveries),
      async close() {
        await handler.close?.();
        await http.close();
      },
    };
  } catch (error) {
    await http.close();
    throw error;
  }
}

/** Creates a handler, delivers one event to it and closes it. Rejects only with what `create` or `close` threw. */
export async function runHandler(
  plugin: Plugin,
  name: string,
  setup: HandlerSetup & DeliverySetup = {},
): Promise<RunResult & Pick<OpenHandler, 'log' | 'counters'>> {
  const open = await openHandler(plugin, name, setup);
  const result = await open.deliver(setup);
  await open.close();
  return { ...result, log: open.log, counters: open.counters };
}
