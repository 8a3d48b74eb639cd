/**
 * From what a publisher sent to what the bus stores. Pure: the clock and the dice come with {@link Intake}.
 *
 * The bytes are kept as they came. What the publisher left out (`id`, `source`, `time`, `specversion`) goes beside them.
 */
import { hash } from 'node:crypto';
import type { EventMeta, StoredEvent } from '../event.ts';
import { checkAttributes, checkId, checkRequired, type TimeLimits } from './attributes.ts';
import { IngestFault } from './ingest-fault.ts';
import { syntaxErrorAt } from './json-syntax.ts';
import { findHazard, type JsonPiece, mayHideHazard, measure } from './json-text.ts';
import type { EventTypeRule } from './route.ts';

export interface EventLimits extends TimeLimits {
  /** Of one event as sent, UTF-8. */
  readonly maxEventBytes: number;
  readonly maxDepth: number;
  readonly maxNodes: number;
}

export const defaultEventLimits: EventLimits = {
  maxEventBytes: 256 * 1024,
  maxDepth: 32,
  maxNodes: 10_000,
  maxPastMs: 10 * 366 * 86_400_000,
  maxFutureMs: 86_400_000,
};

/** What preparing needs to know beside the event. */
export interface Intake {
  /** ms since the epoch. */
  readonly now: number;
  /** The same in RFC 3339, for events that name no time. */
  readonly time: string;
  readonly newId: () => string;
  readonly limits: EventLimits;
  /** For events that name none. */
  readonly source: string;
  /** Instead of (source, id). */
  readonly idempotencyKey: string | undefined;
  /** W3C trace context of the request, for an event that has none of its own. */
  readonly traceparent: string | undefined;
}

/** A publication (see bus/bus.ts) with what its sender and the catalogue want to know about it. */
export interface Prepared {
  readonly type: string;
  readonly event: StoredEvent;
  readonly dedupeKey: string;
  readonly fingerprint: string;
  readonly eventId: string;
  readonly source: string;
  /** As parsed; for looking at only. */
  readonly data: unknown;
  /** The publisher gave an id or a key, so that a repeat will be recognised. */
  readonly repeatable: boolean;
  readonly idempotencyKey: string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

const digest = (text: string): string => hash('sha256', text, 'base64url');

function checkSize(text: string, limit: number): void {
  if (text.length * 3 <= limit) return;
  const bytes = Buffer.byteLength(text);
  if (bytes > limit) throw new IngestFault('too_large', `expected an event of at most ${limit} bytes, got ${bytes}`);
}

function checkShape(piece: JsonPiece, limits: EventLimits): void {
  if (piece.depth <= limits.maxDepth && piece.nodes <= limits.maxNodes) return;
  throw new IngestFault(
    'too_complex',
    `expected at most ${limits.maxDepth} levels and ${limits.maxNodes} values, got ${piece.depth} levels and ${piece.nodes} values`,
  );
}

/** Throws `invalid_json` that names the byte, counted from `offset`. */
export function parseJson(text: string, offset = 0): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const at = syntaxErrorAt(text) ?? text.length;
    const byte = offset + Buffer.byteLength(text.slice(0, at));
    const got = at >= text.length ? 'the end of the text' : JSON.stringify([...text.slice(at, at + 2)][0]);
    throw new IngestFault('invalid_json', `expected JSON, got ${got} at byte ${byte}`, [], { cause });
  }
}

function checkHazards(text: string, value: unknown): void {
  if (!mayHideHazard(text)) return;
  const hazard = findHazard(value);
  if (hazard === undefined) return;
  const { pointer } = hazard;
  switch (hazard.kind) {
    case 'lone_surrogate':
      throw new IngestFault(
        'invalid_encoding',
        `expected whole characters, got half of a surrogate pair at ${pointer}`,
        [{ pointer, detail: 'half of a surrogate pair' }],
      );
    case 'forbidden_key':
      throw new IngestFault('forbidden_key', `expected no __proto__ or constructor.prototype, got one at ${pointer}`, [
        { pointer, detail: 'forbidden key' },
      ]);
  }
}

/** Parses and checks one document; its shape first, since a deep one would harm whoever walks it. */
function readJson(piece: JsonPiece, limits: EventLimits): unknown {
  checkSize(piece.text, limits.maxEventBytes);
  checkShape(piece, limits);
  const value = parseJson(piece.text);
  checkHazards(piece.text, value);
  return value;
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is not given: the engine's share of the envelope. */
function fill(given: Fields, intake: Intake): Record<string, unknown> {
  const added: Record<string, unknown> = {};
  if (given.specversion == null) added.specversion = '1.0';
  if (given.id == null) added.id = intake.newId();
  if (given.source == null) added.source = intake.source;
  if (given.time == null) added.time = intake.time;
  if (intake.traceparent !== undefined && given.traceparent == null) added.traceparent = intake.traceparent;
  return added;
}

/** `(source, id)` or the key; at most 400 characters. A source holds no blank, so the parts cannot be mistaken. */
function dedupeKeyOf(source: string, id: string, idempotencyKey: string | undefined): string {
  if (idempotencyKey !== undefined) return `k ${idempotencyKey}`;
  const key = `e ${source} ${id}`;
  return key.length <= 400 ? key : `h ${digest(key)}`;
}

interface Parts {
  /** Attributes from the publisher, and those from the engine. */
  readonly given: Fields;
  readonly added: Fields;
  readonly data: unknown;
  readonly event: StoredEvent;
  /** What must be equal in a repeat. */
  readonly print: () => string;
}

function assemble({ given, added, data, event, print }: Parts, intake: Intake): Prepared {
  const eventId = (given.id ?? added.id) as string;
  const source = (given.source ?? added.source) as string;
  const repeatable = given.id != null || intake.idempotencyKey !== undefined;
  return {
    type: given.type as string,
    event,
    dedupeKey: dedupeKeyOf(source, eventId, intake.idempotencyKey),
    // Nobody but this process knows an id that it made, so nobody can publish other content under it.
    fingerprint: repeatable ? digest(print()) : '',
    eventId,
    source,
    data,
    repeatable,
    idempotencyKey: intake.idempotencyKey,
  };
}

function isEmpty(fields: Fields): boolean {
  for (const _ in fields) return false;
  return true;
}

/**
 * An event in JSON. `strict`: the publisher claims a whole CloudEvents envelope, so what that demands must be there.
 * Throws {@link IngestFault}.
 */
export function prepareEvent(piece: JsonPiece, strict: boolean, intake: Intake): Prepared {
  const fields = readJson(piece, intake.limits);
  if (!isObject(fields)) {
    const got = Array.isArray(fields) ? 'an array' : fields === null ? 'null' : `a ${typeof fields}`;
    throw new IngestFault('invalid_event', `expected a JSON object, got ${got}`);
  }
  checkAttributes(fields, intake.now, intake.limits);
  if (strict) checkRequired(fields);
  const added = fill(fields, intake);
  const event: StoredEvent = {
    body: piece.text,
    meta: isEmpty(added) ? undefined : { form: 'event', attributes: added },
  };
  return assemble({ given: fields, added, data: fields.data, event, print: () => piece.text }, intake);
}

const isJson = (contentType: string): boolean => /^[^;]*[/+]json\s*(;|$)/i.test(contentType);

function prepareApart(form: EventMeta['form'], given: Fields, body: string, data: unknown, intake: Intake): Prepared {
  checkAttributes(given, intake.now, intake.limits);
  checkRequired(given);
  const added = fill(given, intake);
  const event: StoredEvent = { body, meta: { form, attributes: { ...given, ...added } } };
  const print = (): string => {
    const sorted = Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1));
    return `${JSON.stringify(sorted)}\n${body}`;
  };
  return assemble({ given, added, data, event, print }, intake);
}

function readData(contentType: string | undefined, data: string, limits: EventLimits): unknown {
  if (data === '') return undefined;
  if (contentType === undefined || isJson(contentType)) return readJson(measure(data), limits);
  checkSize(data, limits.maxEventBytes);
  return data;
}

/**
 * Data whose attributes travel apart from it (CloudEvents binary mode). `attributes` are those that the publisher gave,
 * without `datacontenttype`; `contentType` is undefined when there is no data. Throws {@link IngestFault}.
 */
export function prepareData(
  attributes: Fields,
  contentType: string | undefined,
  data: string,
  intake: Intake,
): Prepared {
  const given = contentType === undefined ? attributes : { ...attributes, datacontenttype: contentType };
  return prepareApart('data', given, data, readData(contentType, data, intake.limits), intake);
}

/** Bytes that are no text become `data_base64`: the one case where what is stored is not the bytes themselves. */
export function prepareBytes(attributes: Fields, contentType: string, data: Buffer, intake: Intake): Prepared {
  const limit = intake.limits.maxEventBytes;
  if (data.length > limit) {
    throw new IngestFault('too_large', `expected an event of at most ${limit} bytes, got ${data.length}`);
  }
  const body = `{"data_base64":"${data.toString('base64')}"}`;
  return prepareApart('event', { ...attributes, datacontenttype: contentType }, body, undefined, intake);
}

/** Throws `invalid_id`. The draft's quoted form and the bare one are the same key. */
export function readIdempotencyKey(header: string): string {
  const quoted = /^"(.*)"$/.exec(header);
  const key = quoted?.[1] ?? header;
  checkId('Idempotency-Key', key);
  return key;
}

/** Judges the data by the catalogue. Returns warnings. Throws `invalid_data` when the rule is to reject. */
export function checkData(prepared: Prepared, rule: EventTypeRule | undefined): readonly string[] {
  const faults = rule?.check?.(prepared.data) ?? [];
  if (rule === undefined || faults.length === 0) return [];
  switch (rule.onInvalid) {
    case 'reject':
      throw new IngestFault(
        'invalid_data',
        `expected data that fits the schema of ${rule.type}, got ${faults.length} faults: ${faults.slice(0, 3).join('; ')}`,
        faults.map((detail) => ({ detail })),
      );
    case 'warn':
      return faults;
    case 'deadLetter':
      return [];
  }
}
