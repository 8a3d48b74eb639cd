/**
 * Publishing: what several callers publish at once goes to Redis in one script call per stream, two of them under way
 * at a time, so that batches grow by themselves while the server is busy.
 */

import { hash } from 'node:crypto';
import { EventFlowError } from '../../errors.ts';
import type { Publication, PublishResult } from '../bus.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import { scripts } from './scripts.ts';

/** Half as many cost a third more for each event; twice as many are no cheaper, and hold up the server for longer. */
const maxBatch = 250;
/** Characters of bodies in one call, so that a batch of large events does not hold up the server. */
const maxBatchSize = 1_000_000;
const maxUnderWay = 2;

/** One `publish`, which may be spread over several calls. */
class Order {
  readonly results: PublishResult[];
  readonly #resolve: (results: readonly PublishResult[]) => void;
  readonly #reject: (error: Error) => void;
  #missing: number;
  failed = false;

  constructor(size: number, resolve: (results: readonly PublishResult[]) => void, reject: (error: Error) => void) {
    this.results = new Array<PublishResult>(size);
    this.#missing = size;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  set(at: number, result: PublishResult): void {
    this.results[at] = result;
    this.#missing -= 1;
    if (this.#missing === 0) this.#resolve(this.results);
  }

  fail(error: Error): void {
    this.failed = true;
    this.#reject(error);
  }
}

interface Job {
  readonly item: Publication;
  /** Its dedupe key as Redis holds it. */
  readonly field: string;
  readonly order: Order;
  readonly at: number;
}

const jobOf = (item: Publication, order: Order, at: number): Job => ({
  item,
  field: dedupeField(item.dedupeKey),
  order,
  at,
});

/** Reply of `ingest.lua` for one event. */
type Answer = string | readonly [string, string] | readonly [string];

function resultOf(stream: string, answer: Answer): PublishResult {
  if (typeof answer === 'string') return { kind: 'accepted', stream, entryId: answer };
  if (answer.length === 1) return { kind: 'conflict', eventId: answer[0] };
  return { kind: 'duplicate', stream, entryId: answer[0], eventId: answer[1] };
}

export interface PublisherSpec {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly streamOf: (type: string) => string;
  /** Makes streams known before their first event; undefined when they are. */
  readonly register: (streams: Iterable<string>) => Promise<void> | undefined;
  readonly windowMs: number;
  /** Replicas that must have an event before it counts as published; 0: none. */
  readonly replicas: number;
}

export class Publisher {
  readonly #spec: PublisherSpec;
  readonly #lanes = new Map<string, Lane>();
  readonly #streams = new Map<string, string>();

  constructor(spec: PublisherSpec) {
    this.#spec = spec;
  }

  async publish(items: readonly Publication[]): Promise<readonly PublishResult[]> {
    if (items.length === 0) return [];
    if (this.#spec.connection.closed) throw new EventFlowError('EF5024', 'expected an open bus: this one was closed');
    const streams = items.map((item) => this.#streamOf(item.type));
    await this.#spec.register(streams);
    return await new Promise((resolve, reject) => {
      const order = new Order(items.length, resolve, reject);
      for (let at = 0; at < items.length; at += 1) {
        this.#lane(streams[at] as string).add(jobOf(items[at] as Publication, order, at));
      }
    });
  }

  #streamOf(type: string): string {
    const known = this.#streams.get(type);
    if (known !== undefined) return known;
    const stream = this.#spec.streamOf(type);
    if (this.#streams.size < 10_000) this.#streams.set(type, stream);
    return stream;
  }

  #lane(stream: string): Lane {
    let lane = this.#lanes.get(stream);
    if (lane === undefined) {
      lane = new Lane(stream, this.#spec);
      this.#lanes.set(stream, lane);
    }
    return lane;
  }
}

/** What waits for one stream. */
class Lane {
  readonly #stream: string;
  readonly #keys: readonly string[];
  readonly #spec: PublisherSpec;
  #jobs: Job[] = [];
  #head = 0;
  #underWay = 0;
  #scheduled = false;

  constructor(stream: string, spec: PublisherSpec) {
    this.#stream = stream;
    this.#keys = [spec.keys.stream(stream).events, ...spec.keys.dedupe(stream, spec.windowMs)];
    this.#spec = spec;
  }

  add(job: Job): void {
    this.#jobs.push(job);
    if (this.#scheduled || this.#underWay >= maxUnderWay) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#head < this.#jobs.length && this.#underWay < maxUnderWay) {
      const batch = this.#takeBatch();
      if (batch.length > 0) void this.#send(batch);
    }
  }

  #takeBatch(): Job[] {
    const batch: Job[] = [];
    const fields = new Set<string>();
    let size = 0;
    while (batch.length < maxBatch && size < maxBatchSize && this.#head < this.#jobs.length) {
      const job = this.#jobs[this.#head] as Job;
      // The script looks its keys up all at once: a repetition has to wait for the next call.
      if (fields.has(job.field)) break;
      this.#head += 1;
      if (job.order.failed) continue;
      fields.add(job.field);
      size += job.item.event.body.length;
      batch.push(job);
    }
    if (this.#head === this.#jobs.length) {
      this.#jobs = [];
      this.#head = 0;
    }
    return batch;
  }

  async #send(batch: readonly Job[]): Promise<void> {
    this.#underWay += 1;
    try {
      const answers = await this.#ingest(batch);
      for (let at = 0; at < batch.length; at += 1) {
        const job = batch[at] as Job;
        job.order.set(job.at, resultOf(this.#stream, answers[at] as Answer));
      }
    } catch (error) {
      this.#fail(batch, error as Error);
    }
    this.#underWay -= 1;
    this.#flush();
  }

  #ingest(batch: readonly Job[]): Promise<readonly Answer[]> {
    const { connection, windowMs, replicas } = this.#spec;
    let heads = '';
    const bodies: (string | number)[] = [];
    const metas: string[] = [];
    for (const { item, field } of batch) {
      const { body, meta } = item.event;
      heads += sized(field) + sized(`${item.fingerprint}\n${item.eventId}`);
      bodies.push(body);
      if (meta !== undefined) metas[bodies.length - 1] = JSON.stringify(meta);
    }
    const args = [windowMs, batch.length, heads, ...bodies];
    if (metas.length > 0) for (let at = 0; at < batch.length; at += 1) args.push(metas[at] ?? '');
    return connection.evalLarge(scripts.ingest, this.#keys, args, replicas) as Promise<readonly Answer[]>;
  }

  /** What still waits has waited as long: without an answer to the first there will be none to the rest. */
  #fail(batch: readonly Job[], error: Error): void {
    const said = unknownOutcome(error);
    for (const job of batch) job.order.fail(said);
    if (!(error instanceof EventFlowError)) return;
    for (const job of this.#jobs.splice(this.#head)) job.order.fail(said);
    this.#jobs = [];
    this.#head = 0;
  }
}

/** Long dedupe keys are hashed; one that looks like a hash is too, so that none can pass for another. */
const dedupeField = (key: string): string =>
  key !== '' && key.length <= longestField && !key.startsWith(hashed) ? key : hashed + hash('sha256', key, 'base64url');

const longestField = 80;
const hashed = 'sha256:';

/** The length in bytes as three printable digits of base 64, which Lua reads without making a string of them. */
function sized(text: string): string {
  const bytes = Buffer.byteLength(text);
  return String.fromCharCode(32 + (bytes >> 12), 32 + ((bytes >> 6) & 63), 32 + (bytes & 63)) + text;
}

/** EF5011 and EF5014 say that nothing was stored; after anything else it may have been. */
function unknownOutcome(error: Error): Error {
  if (error instanceof EventFlowError && (error.code === 'EF5011' || error.code === 'EF5014')) return error;
  return new EventFlowError(
    'EF5010',
    `${error.message}; whether the events were stored is not known, and publishing the same events again is safe`,
    { cause: error },
  );
}
