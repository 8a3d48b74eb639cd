/**
 * The event: one immutable fact in a CloudEvents 1.0 envelope, and its stored form.
 *
 * Bytes out = bytes in: what a publisher sent is stored as `body`, byte for byte (JSON round trips change numbers and
 * break signatures). What the engine adds, such as a missing `id` or `time`, goes beside it as `meta`.
 */
import { UndecodableError } from './errors.ts';

/** A CloudEvents 1.0 envelope. Extension attributes (`[a-z0-9]{1,20}`) are further keys. */
export interface EventEnvelope {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  /** Dotted, matches `^[a-z0-9][a-z0-9_.-]{0,127}$`. */
  readonly type: string;
  /** RFC 3339. */
  readonly time: string;
  readonly subject?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  readonly data?: unknown;
  readonly data_base64?: string;
  readonly correlationid?: string;
  readonly traceparent?: string;
  readonly [extension: string]: unknown;
}

/**
 * How an event rests on a bus.
 *
 * - `meta` undefined: `body` is a whole envelope in JSON.
 * - `meta.form` `event`: `body` is a JSON object that lacks `meta.attributes`, or has null in their place.
 * - `meta.form` `data`: `body` is the data alone (JSON, or text when `datacontenttype` is not JSON);
 *   `meta.attributes` is everything else.
 */
export interface StoredEvent {
  readonly body: string;
  readonly meta: EventMeta | undefined;
}

export interface EventMeta {
  readonly form: 'event' | 'data';
  readonly attributes: Readonly<Record<string, unknown>>;
}

const isJsonType = (contentType: unknown): boolean =>
  typeof contentType !== 'string' || /^[^;]*[/+]json\s*(;|$)/i.test(contentType);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UndecodableError(
      `expected ${what} in JSON, got ${JSON.stringify(text.slice(0, 40))}: ${(error as Error).message}`,
    );
  }
}

function assemble(body: string, meta: EventMeta | undefined): unknown {
  if (meta === undefined) return parseJson(body, 'an event');
  if (meta.form === 'data') {
    if (body === '') return meta.attributes;
    return {
      ...meta.attributes,
      data: isJsonType(meta.attributes['datacontenttype']) ? parseJson(body, 'event data') : body,
    };
  }
  const fields = parseJson(body, 'an event');
  return isObject(fields) ? { ...fields, ...meta.attributes } : fields;
}

/**
 * The envelope of a stored event. `metaText` is `EventMeta` in JSON.
 * Throws {@link UndecodableError} when the bytes are no event: the caller dead-letters them, as they are.
 */
export function decodeEvent(body: string, metaText: string | undefined): EventEnvelope {
  const meta = metaText === undefined ? undefined : (parseJson(metaText, 'event meta') as EventMeta);
  const event = assemble(body, meta);
  if (!isObject(event))
    throw new UndecodableError(`expected an event object, got ${JSON.stringify(event)?.slice(0, 40)}`);
  for (const attribute of ['id', 'type', 'source'] as const) {
    if (typeof event[attribute] !== 'string' || event[attribute] === '') {
      throw new UndecodableError(
        `expected ${attribute} to be a string, got ${JSON.stringify(event[attribute]) ?? 'nothing'}`,
      );
    }
  }
  return event as unknown as EventEnvelope;
}

/** Events that are whole envelopes need no `meta`; this is their stored form. */
export const storeEnvelope = (event: EventEnvelope): StoredEvent => ({ body: JSON.stringify(event), meta: undefined });
