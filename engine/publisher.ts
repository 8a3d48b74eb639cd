/**
 * Publishing from TypeScript: to a bus in this process, or to the ingest listener of a running engine. Events are checked
 * exactly as the listener checks them, and calls made at the same moment travel together.
 */
import { randomUUID } from 'node:crypto';
import type { Bus, PublishResult } from './bus/bus.ts';
import { idMaker } from './core/event-id.ts';
import { IngestFault } from './core/ingest-fault.ts';
import { measure } from './core/json-text.ts';
import {
  checkData,
  defaultEventLimits,
  type EventLimits,
  type Prepared,
  prepareEvent,
  readIdempotencyKey,
} from './core/prepare.ts';
import type { EventTypeRule } from './core/route.ts';
import { Gatherer } from './ingest/gather.ts';
import { openRemote, type RemoteResult } from './ingest/remote.ts';
import { retrying } from './ingest/retrying.ts';
import type { Observer } from './observe/signals.ts';

/** An event to publish: a CloudEvents envelope whose `id`, `source` and `time` may be left to the publisher. */
export interface OutgoingEvent {
  /** Dotted, matches `^[a-z0-9][a-z0-9_.-]{0,127}$`. */
  readonly type: string;
  /** Whatever JSON can say. */
  readonly data?: unknown;
  /** 1 to 200 characters; publishing the same source and id again is recognised as a repeat. */
  readonly id?: string;
  readonly source?: string;
  readonly time?: string | Date;
  readonly subject?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  readonly correlationid?: string;
  readonly traceparent?: string;
  /** Extension attributes: `[a-z0-9]{1,20}` → string, number or boolean. */
  readonly [extension: string]: unknown;
}

/** An event whose data is what `Types` says of its type: of any type, unless `eventflow schema --types` made `Types`. */
export type OutgoingEventOf<Types> = string extends keyof Types
  ? OutgoingEvent
  : { [T in keyof Types & string]: OutgoingEvent & DataOf<T, Types[T]> }[keyof Types & string];

/** Data that may be anything may be left out too. */
type DataOf<Type, Data> = unknown extends Data ? { readonly type: Type } : { readonly type: Type; readonly data: Data };

export interface PublishOptions {
  /** Instead of (source, id). With several events, each gets the key and its index. */
  readonly idempotencyKey?: string;
}

export interface PublishReceipt {
  /** Id of the event; of the first one when this is a repeat. */
  readonly id: string;
  readonly duplicate: boolean;
  /** What the data's schema objects to, where the catalogue says `onInvalid: warn`. */
  readonly warnings: readonly string[];
}

/** `Types`: data by event type. */
export interface Publisher<Types = Record<string, unknown>> {
  /**
   * Resolves when the event is stored as durably as the bus promises. A store that does not answer is asked again, with
   * the same id, until the deadline. Throws `IngestFault` (an `EventFlowError`): `word` says what was wrong.
   */
  publish(event: OutgoingEventOf<Types>, options?: PublishOptions): Promise<PublishReceipt>;
  /**
   * The same for several events: receipts in order. Nothing is published when one of them is invalid. When a later
   * check refuses one (a conflict), the others are published all the same and the promise rejects; repeating is safe
   * for events with ids of their own.
   */
  publish(events: readonly OutgoingEventOf<Types>[], options?: PublishOptions): Promise<readonly PublishReceipt[]>;
  /** Waits for what is under way. Afterwards `publish` throws. */
  close(): Promise<void>;
}

/** A publisher on a bus of this process. The listeners of the engine use the same one. */
export interface BusPublisher<Types = Record<string, unknown>> extends Publisher<Types> {
  /** Stores what is already prepared, with others of the same moment; one attempt. Rejects with `IngestFault`. */
  submit(events: readonly Prepared[]): Promise<readonly PublishResult[]>;
}

export interface PublisherOptions {
  /** For events that name none [`eventflow/publisher`]. */
  readonly source?: string;
  /** How long to go on trying, ms [30,000]. */
  readonly deadlineMs?: number;
  /** How long one attempt may take, ms [10,000]. */
  readonly timeoutMs?: number;
  /** Events that wait to be sent; more are refused as `overloaded` [20,000]. Await `publish` to stay below. */
  readonly maxWaiting?: number;
  readonly limits?: Partial<EventLimits>;
  /** The catalogue, by type: data that it rejects is refused here. */
  readonly eventTypes?: () => ReadonlyMap<string, EventTypeRule>;
  readonly observer?: Observer;
  /** On a bus of this process: asked before anything is stored. What it returns is thrown, and tried again like any refusal. */
  readonly admit?: () => IngestFault | undefined;
}

type Target = { readonly bus: Pick<Bus, 'publish'> } | { readonly url: string };

export function createPublisher<Types = Record<string, unknown>>(
  target: { readonly bus: Pick<Bus, 'publish'> },
  options?: PublisherOptions,
): BusPublisher<Types>;
export function createPublisher<Types = Record<string, unknown>>(
  target: { readonly url: string },
  options?: PublisherOptions,
): Publisher<Types>;
export function createPublisher(target: Target, options: PublisherOptions = {}): Publisher {
  if ('bus' in target) {
    const gatherer = new Gatherer<Prepared, PublishResult>((items) => target.bus.publish(items), options);
    const submit = (events: readonly Prepared[]) => {
      const refusal = options.admit?.();
      return refusal === undefined ? gatherer.submit(events) : Promise.reject(refusal);
    };
    const send = async (events: readonly Prepared[]) => (await submit(events)).map(fromBus(events));
    return { ...publisherOver(send, () => gatherer.idle(), options), submit } as BusPublisher;
  }
  const remote = openRemote(target.url, options.timeoutMs ?? 10_000);
  const gatherer = new Gatherer<Prepared, RemoteResult>((items) => remote.publish(items), {
    ...options,
    timeoutMs: (options.timeoutMs ?? 10_000) + 1000,
  });
  const close = async (): Promise<void> => {
    await gatherer.idle();
    await remote.close();
  };
  return publisherOver((events) => gatherer.submit(events), close, options);
}

const conflict = (id: string): IngestFault =>
  new IngestFault('idempotency_mismatch', `expected the content that was published before as ${id}, got another`);

/** The bus's answers in the words of a listener. */
function fromBus(events: readonly Prepared[]): (result: PublishResult, at: number) => RemoteResult {
  return (result, at) => {
    switch (result.kind) {
      case 'accepted':
        return { kind: 'accepted', eventId: events[at]?.eventId ?? '', duplicate: false, warnings: [] };
      case 'duplicate':
        return { kind: 'accepted', eventId: result.eventId, duplicate: true, warnings: [] };
      case 'conflict':
        return { kind: 'refused', fault: conflict(result.eventId) };
    }
  };
}

/** What the publisher says about an event; with a key of its own, the id is the listener's to choose. */
function textOf(
  event: OutgoingEvent,
  source: string,
  keyed: boolean,
): { readonly text: string; readonly made: boolean } {
  const made = event.id === undefined && !keyed;
  const given = { ...event, source: event.source ?? source, ...(made ? { id: newId() } : {}) };
  try {
    return { text: JSON.stringify(given), made };
  } catch (cause) {
    const word = cause instanceof RangeError ? 'too_complex' : 'invalid_event';
    throw new IngestFault(word, `expected data that JSON can say: ${(cause as Error).message}`, [], { cause });
  }
}

const newId = idMaker(Date.now, randomUUID);

interface Draft {
  readonly prepared: Prepared;
  /** The id was made here, so that a "duplicate" can only be our own earlier attempt. */
  readonly made: boolean;
  readonly warnings: readonly string[];
}

type Send = (events: readonly Prepared[]) => Promise<readonly RemoteResult[]>;

function publisherOver(send: Send, shut: () => Promise<void>, options: PublisherOptions): Publisher {
  const limits = { ...defaultEventLimits, ...options.limits };
  const source = options.source ?? 'eventflow/publisher';
  let closed = false;

  function draft(event: OutgoingEvent, idempotencyKey: string | undefined): Draft {
    const { text, made } = textOf(event, source, idempotencyKey !== undefined);
    const now = Date.now();
    const time = new Date(now).toISOString();
    const intake = { now, time, newId, limits, source, idempotencyKey, traceparent: undefined };
    const prepared = prepareEvent(measure(text), false, intake);
    return { prepared, made, warnings: checkData(prepared, options.eventTypes?.().get(prepared.type)) };
  }

  function draftAll(events: readonly OutgoingEvent[], key: string | undefined): readonly Draft[] {
    return events.map((event, index) => {
      try {
        return draft(event, key === undefined ? undefined : `${key} ${index}`);
      } catch (error) {
        if (!(error instanceof IngestFault)) throw error;
        throw new IngestFault(error.word, `event ${index}: ${error.message}`, error.places, { cause: error });
      }
    });
  }

  async function sendAll(drafts: readonly Draft[]): Promise<readonly PublishReceipt[]> {
    if (drafts.length === 0) return [];
    const prepared = drafts.map((one) => one.prepared);
    const results = await retrying(() => send(prepared), { deadlineMs: options.deadlineMs ?? 30_000 });
    return results.map((result, at) => receiptOf(result, drafts[at] as Draft, options.observer));
  }

  async function publish(given: OutgoingEvent | readonly OutgoingEvent[], more: PublishOptions = {}): Promise<unknown> {
    if (closed) throw new IngestFault('shutting_down', 'expected an open publisher, got a closed one');
    const key = more.idempotencyKey === undefined ? undefined : readIdempotencyKey(more.idempotencyKey);
    if (Array.isArray(given)) return sendAll(draftAll(given as readonly OutgoingEvent[], key));
    const [receipt] = await sendAll([draft(given as OutgoingEvent, key)]);
    return receipt;
  }

  const close = async (): Promise<void> => {
    closed = true;
    await shut();
  };
  return { publish: publish as Publisher['publish'], close };
}

function receiptOf(
  result: RemoteResult,
  { prepared, made, warnings }: Draft,
  observer: Observer | undefined,
): PublishReceipt {
  switch (result.kind) {
    case 'refused':
      throw result.fault;
    case 'accepted': {
      const duplicate = result.duplicate && !made;
      const eventType = prepared.type;
      if (duplicate) observer?.({ kind: 'duplicate_suppressed', eventType });
      else observer?.({ kind: 'published', eventType, source: prepared.source, count: 1 });
      if (!duplicate && warnings.length > 0) {
        observer?.({ kind: 'data_warning', eventType, eventId: result.eventId, faults: warnings });
      }
      return { id: result.eventId, duplicate, warnings: [...warnings, ...result.warnings] };
    }
  }
}
