/**
 * The ingest listener: `POST /v1/events`. An answer of 202 means that the event is stored as durably as the bus promises.
 * Everything else is a problem (RFC 9457) with a stable code; never a 500, never a hang.
 */
import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { PublishResult } from '../bus/bus.ts';
import { uuidv7 } from '../core/event-id.ts';
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
import { type Form, formOf, type Headers, readTrace } from './media.ts';
import { problemOf } from './problem.ts';
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

type IngestDeps = Pick<HttpDeps, 'publisher' | 'generation' | 'routeCount' | 'observer'>;

const path = '/v1/events';
const jsonType = 'application/json; charset=utf-8';
const repeatWarning = 'no id and no Idempotency-Key: a repeat of this request is another event';
const newId = (): string => uuidv7(Date.now(), randomUUID());

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
  app.addContentTypeParser('*', (request, payload, done) => readForm(request, payload, limits, done));
  app.post(path, (request, reply) => {
    intake
      .accept(request, reply)
      .catch((error: unknown) => refuse(reply, error instanceof Unreadable ? error.fault : error));
  });
  return listenOn(app, gate, readListen(listen));
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

type Verdict =
  | { readonly ok: true; readonly prepared: Prepared; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly fault: IngestFault };

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
    return {
      now: Date.now(),
      newId,
      limits: this.#limits,
      source: this.#source,
      idempotencyKey: key === undefined ? undefined : readIdempotencyKey(String(key)),
      traceparent: readTrace(headers),
    };
  }

  /** Throws {@link IngestFault}. */
  #prepare(item: Item, intake: Intake): { readonly prepared: Prepared; readonly warnings: readonly string[] } {
    const prepared = item(intake);
    const warnings = checkData(prepared, this.#deps.generation().eventTypes.get(prepared.type));
    if (this.#strictTypes && this.#deps.routeCount(prepared.type) === 0) {
      throw new IngestFault('unrouted', `expected a type that a route wants, got ${prepared.type}`);
    }
    return { prepared, warnings };
  }

  async #acceptOne(item: Item, intake: Intake, reply: FastifyReply): Promise<void> {
    const { prepared, warnings } = this.#prepare(item, intake);
    const [result] = await this.#deps.publisher.submit([prepared]);
    if (result === undefined) throw new Error('expected a result of the bus for one event, got none');
    const receipt = this.#receipt(result, prepared, warnings);
    this.#tell(prepared, receipt.duplicate, 1);
    reply.code(202).header('content-type', jsonType);
    if (receipt.duplicate) reply.header('idempotency-replayed', 'true');
    if (!prepared.repeatable) reply.header('eventflow-warning', repeatWarning);
    reply.send(JSON.stringify(receipt));
  }

  /** Throws `idempotency_mismatch`. */
  #receipt(result: PublishResult, prepared: Prepared, warnings: readonly string[]) {
    if (result.kind === 'conflict') {
      const detail = `expected the content that was published before as ${result.eventId}, got another`;
      throw new IngestFault('idempotency_mismatch', detail);
    }
    const duplicate = result.kind === 'duplicate';
    return {
      id: duplicate ? result.eventId : prepared.eventId,
      duplicate,
      stream: result.stream,
      entryId: result.entryId,
      routes: this.#deps.routeCount(prepared.type),
      ...(warnings.length === 0 ? {} : { warnings }),
    };
  }

  async #acceptMany(items: readonly Item[], intake: Intake, reply: FastifyReply): Promise<void> {
    const { maxBatchItems } = this.#limits;
    if (items.length > maxBatchItems) {
      throw new IngestFault('too_large', `expected at most ${maxBatchItems} events at once, got ${items.length}`);
    }
    const verdicts = items.map((item, index) => this.#judge(item, keyedBy(intake, index)));
    const good = verdicts.filter((verdict) => verdict.ok);
    const results = await this.#deps.publisher.submit(good.map((verdict) => verdict.prepared));
    const answers = this.#answers(verdicts, results);
    const accepted = answers.filter((answer) => answer.status === 202).length;
    reply.code(accepted === items.length ? 202 : 207).header('content-type', jsonType);
    if (good.some((verdict) => !verdict.prepared.repeatable)) reply.header('eventflow-warning', repeatWarning);
    reply.send(JSON.stringify({ accepted, rejected: items.length - accepted, results: answers }));
  }

  #judge(item: Item, intake: Intake): Verdict {
    try {
      return { ok: true, ...this.#prepare(item, intake) };
    } catch (error) {
      if (error instanceof IngestFault) return { ok: false, fault: error };
      throw error;
    }
  }

  #answers(verdicts: readonly Verdict[], results: readonly PublishResult[]) {
    let next = 0;
    const told = new Tellings();
    const answers = verdicts.map((verdict, index) => {
      if (!verdict.ok) return { index, status: problemOf(verdict.fault).status, problem: problemOf(verdict.fault) };
      const result = results[next++] as PublishResult;
      try {
        const receipt = this.#receipt(result, verdict.prepared, verdict.warnings);
        told.add(verdict.prepared, receipt.duplicate);
        return { index, status: 202, ...receipt };
      } catch (error) {
        const problem = problemOf(error as IngestFault);
        return { index, status: problem.status, problem };
      }
    });
    told.each((prepared, duplicate, count) => this.#tell(prepared, duplicate, count));
    return answers;
  }

  #tell(prepared: Prepared, duplicate: boolean, count: number): void {
    const { type: eventType, source } = prepared;
    if (duplicate) this.#deps.observer({ kind: 'duplicate_suppressed', eventType });
    else this.#deps.observer({ kind: 'published', eventType, source, count });
  }
}

/** A key for a whole batch becomes one for each of its events. */
function keyedBy(intake: Intake, index: number): Intake {
  const { idempotencyKey } = intake;
  return idempotencyKey === undefined ? intake : { ...intake, idempotencyKey: `${idempotencyKey} ${index}` };
}

/** Signals of a batch: runs of equal ones become one, duplicates stay apart. */
class Tellings {
  readonly #runs: { readonly prepared: Prepared; readonly duplicate: boolean; count: number }[] = [];

  add(prepared: Prepared, duplicate: boolean): void {
    const last = this.#runs.at(-1);
    const same = last !== undefined && !last.duplicate && !duplicate;
    if (same && last.prepared.type === prepared.type && last.prepared.source === prepared.source) last.count++;
    else this.#runs.push({ prepared, duplicate, count: 1 });
  }

  each(tell: (prepared: Prepared, duplicate: boolean, count: number) => void): void {
    for (const { prepared, duplicate, count } of this.#runs) tell(prepared, duplicate, count);
  }
}
