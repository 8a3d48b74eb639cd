/**
 * The ingest listener: `POST /v1/events`. An answer of 202 means that the event is stored as durably as the bus promises.
 * Everything else is a problem (RFC 9457) with a stable code; never a 500, never a hang.
 */
import { randomUUID } from 'node:crypto';
import type { FastifyContentTypeParser, FastifyReply, FastifyRequest } from 'fastify';
import type { PublishResult } from '../bus/bus.ts';
import { idMaker } from '../core/event-id.ts';
import { IngestFault } from '../core/ingest-fault.ts';
import {
  checkData,
  defaultEventLimits,
  type EventLimits,
  type Intake,
  type Prepared,
  readIdempotencyKey,
} from '../core/prepare.ts';
import { readBody } from './body.ts';
import type { HttpDeps, ListenAddress, Listening } from './deps.ts';
import { type Item, readItems, Unreadable } from './items.ts';
import { type Form, formOf, type Headers, mediaTypes, readTrace } from './media.ts';
import { type Checked, entryOf, type Outcome, type Receipt, receiptOf, tell } from './receipts.ts';
import { createServer, defaultServerLimits, Gate, listenOn, readListen, refuse, type ServerLimits } from './server.ts';

export interface IngestLimits extends EventLimits, ServerLimits {
  /** Of a body that may hold several events. */
  readonly maxBatchBytes: number;
  readonly maxBatchItems: number;
}

export interface IngestOptions {
  readonly limits?: Partial<IngestLimits>;
  /** For events that name no source [`eventflow/http`]. */
  readonly source?: string;
  /** Refuse types that no route wants, instead of storing them [false]. */
  readonly strictTypes?: boolean;
}

export const defaultIngestLimits: IngestLimits = {
  ...defaultEventLimits,
  ...defaultServerLimits,
  maxBatchBytes: 1024 * 1024,
  maxBatchItems: 500,
};

/** Requests of one millisecond share one text. */
const timeText = remember((now: number) => new Date(now).toISOString());

function remember<A, B>(make: (of: A) => B): (of: A) => B {
  let last: { readonly of: A; readonly made: B } | undefined;
  return (of) => {
    if (last?.of !== of) last = { of, made: make(of) };
    return last.made;
  };
}

type IngestDeps = Pick<HttpDeps, 'publisher' | 'generation' | 'routeCount' | 'observer'>;

const path = '/v1/events';
const jsonType = 'application/json; charset=utf-8';
const repeatWarning = 'no id and no Idempotency-Key: a repeat of this request is another event';
const newId = idMaker(Date.now, randomUUID);

/** Starts listening. Rejects when the address cannot be bound. */
export async function startIngest(
  deps: IngestDeps,
  listen: ListenAddress | string,
  options: IngestOptions = {},
): Promise<Listening> {
  const limits = { ...defaultIngestLimits, ...options.limits };
  const app = createServer(limits, new Map([[path, ['POST']]]));
  const gate = new Gate();
  gate.watch(app);
  const intake = new Intakes(deps, limits, options);
  const parse: FastifyContentTypeParser = (request, payload, done) => readForm(request, payload, limits, done);
  // The usual ones by name: finding out that only `*` fits costs more than parsing a small event.
  app.addContentTypeParser([...mediaTypes], parse);
  app.addContentTypeParser('*', parse);
  app.post(path, (request, reply) => {
    intake
      .accept(request, reply)
      .catch((error: unknown) => refuse(reply, error instanceof Unreadable ? error.fault : error));
  });
  return listenOn(app, gate, readListen(listen), 'http.listen');
}

/** Refuses by the headers alone where that is possible, before a byte of the body is read. */
function readForm(
  { headers, raw }: FastifyRequest,
  _payload: unknown,
  limits: IngestLimits,
  done: (error: Error | null, body?: Buffer) => void,
): void {
  let form: Form;
  try {
    checkHeaders(raw.rawHeaders, limits.maxHeaders);
    form = formOf(headers);
  } catch (error) {
    return done(error as Error);
  }
  const single = form === 'binary' || form === 'structured';
  readBody(raw, single ? limits.maxEventBytes : limits.maxBatchBytes, done);
}

function checkHeaders(rawHeaders: readonly string[], max: number): void {
  const count = rawHeaders.length / 2;
  if (count > max) throw new IngestFault('headers_too_large', `expected at most ${max} headers, got ${count}`);
}

/** Turns requests into publications and the bus's answers into responses. */
class Intakes {
  readonly #deps: IngestDeps;
  readonly #limits: IngestLimits;
  readonly #source: string;
  readonly #strictTypes: boolean;

  constructor(deps: IngestDeps, limits: IngestLimits, options: IngestOptions) {
    this.#deps = deps;
    this.#limits = limits;
    this.#source = options.source ?? 'eventflow/http';
    this.#strictTypes = options.strictTypes ?? false;
  }

  async accept(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { headers } = request;
    if (request.body === undefined) checkHeaders(request.raw.rawHeaders, this.#limits.maxHeaders);
    const items = readItems(formOf(headers), headers, request.body as Buffer | undefined);
    const intake = this.#intake(headers);
    if (items.kind === 'one') await this.#acceptOne(items.item, intake, reply);
    else await this.#acceptMany(items.items, intake, reply);
  }

  #intake(headers: Headers): Intake {
    const key = headers['idempotency-key'];
    const now = Date.now();
    return {
      now,
      time: timeText(now),
      newId,
      limits: this.#limits,
      source: this.#source,
      idempotencyKey: key === undefined ? undefined : readIdempotencyKey(String(key)),
      traceparent: readTrace(headers),
    };
  }

  /** Throws {@link IngestFault}. */
  #check(item: Item, intake: Intake): Checked {
    const prepared = item(intake);
    const warnings = checkData(prepared, this.#deps.generation().eventTypes.get(prepared.type));
    if (this.#strictTypes && this.#deps.routeCount(prepared.type) === 0) {
      throw new IngestFault('unrouted', `expected a type that a route wants, got ${prepared.type}`);
    }
    return { prepared, warnings };
  }

  #receipt(outcome: Outcome): Receipt | IngestFault {
    return outcome instanceof IngestFault ? outcome : receiptOf(outcome, this.#deps.routeCount(outcome.prepared.type));
  }

  async #acceptOne(item: Item, intake: Intake, reply: FastifyReply): Promise<void> {
    const { prepared, warnings } = this.#check(item, intake);
    const [result] = await this.#deps.publisher.submit([prepared]);
    if (result === undefined) throw new Error('expected a result of the bus for one event, got none');
    const outcome = { prepared, warnings, result };
    const receipt = this.#receipt(outcome);
    if (receipt instanceof IngestFault) throw receipt;
    tell(this.#deps.observer, [outcome]);
    reply.code(202).header('content-type', jsonType);
    if (receipt.duplicate) reply.header('idempotency-replayed', 'true');
    if (!prepared.repeatable) reply.header('eventflow-warning', repeatWarning);
    const place = result.kind === 'conflict' ? {} : { stream: result.stream, entryId: result.entryId };
    reply.send(JSON.stringify({ ...receipt, ...place }));
  }

  async #acceptMany(items: readonly Item[], intake: Intake, reply: FastifyReply): Promise<void> {
    const { maxBatchItems } = this.#limits;
    if (items.length > maxBatchItems) {
      throw new IngestFault('too_large', `expected at most ${maxBatchItems} events at once, got ${items.length}`);
    }
    const checked = items.map((item, index) => this.#judge(item, keyedBy(intake, index)));
    const outcomes = await this.#publish(checked);
    tell(this.#deps.observer, outcomes);
    const entries = outcomes.map((outcome, index) => entryOf(index, this.#receipt(outcome)));
    const accepted = entries.reduce((count, { status }) => (status === 202 ? count + 1 : count), 0);
    reply.code(accepted === items.length ? 202 : 207).header('content-type', jsonType);
    if (checked.some((one) => !(one instanceof IngestFault) && !one.prepared.repeatable)) {
      reply.header('eventflow-warning', repeatWarning);
    }
    reply.send(JSON.stringify({ accepted, rejected: items.length - accepted, results: entries }));
  }

  #judge(item: Item, intake: Intake): Checked | IngestFault {
    try {
      return this.#check(item, intake);
    } catch (error) {
      if (error instanceof IngestFault) return error;
      throw error;
    }
  }

  /** The good ones are stored; the order of all is kept. */
  async #publish(checked: readonly (Checked | IngestFault)[]): Promise<readonly Outcome[]> {
    const prepared: Prepared[] = [];
    for (const one of checked) if (!(one instanceof IngestFault)) prepared.push(one.prepared);
    const results = await this.#deps.publisher.submit(prepared);
    let next = 0;
    return checked.map((one) => {
      if (one instanceof IngestFault) return one;
      return { prepared: one.prepared, warnings: one.warnings, result: results[next++] as PublishResult };
    });
  }
}

/** A key for a whole batch becomes one for each of its events. */
function keyedBy(intake: Intake, index: number): Intake {
  const { idempotencyKey } = intake;
  return idempotencyKey === undefined ? intake : { ...intake, idempotencyKey: `${idempotencyKey} ${index}` };
}
