/**
 * The error catalogue: one stable code, one title, one explanation each. A retired code is listed in `retiredCodes`
 * and never used again. Messages say: expected X, got Y, at this place, do this.
 *
 * EF1xxx the YAML text · EF2xxx the pipeline · EF3xxx plugins · EF4xxx ingest · EF5xxx the bus · EF6xxx engine and CLI
 */

export interface CatalogueEntry {
  /** What went wrong, in one line. */
  readonly title: string;
  /** Why it is an error, and what to do. Markdown, shown by `eventflow explain CODE`. */
  readonly help: string;
}

export const catalogue = {
  EF4001: {
    title: 'the body is not JSON',
    help: 'Send one JSON document, or one per line as `application/x-ndjson`. The detail names the byte where it stops being JSON.',
  },
  EF4002: { title: 'the body is empty', help: 'Send an event: `{"type": "order.paid", "data": {…}}`.' },
  EF4003: {
    title: 'the text is not UTF-8',
    help: 'Bodies are UTF-8, and strings in JSON may not hold half of a surrogate pair (`\\ud800`).',
  },
  EF4004: {
    title: 'a forbidden key',
    help: '`__proto__` and `constructor.prototype` are refused anywhere in an event: they attack careless readers down the line.',
  },
  EF4005: {
    title: 'malformed HTTP',
    help: 'The request breaks the rules of HTTP/1.1, so it was not read any further.',
  },
  EF4006: { title: 'no such resource', help: 'Events are published by `POST /v1/events`.' },
  EF4007: { title: 'method not allowed', help: 'The `Allow` header of the answer lists what this path takes.' },
  EF4008: {
    title: 'the request took too long to arrive',
    help: "Headers and body must arrive within the listener's time limits.",
  },
  EF4009: {
    title: 'the same key with another body',
    help: 'An event with this Idempotency-Key (or this source and id) was published before with other content. Use a new key for a new event.',
  },
  EF4010: {
    title: 'too large',
    help: 'Events have a size limit, batches a size and a number of items. Send less at once, or put large payloads elsewhere and publish a reference.',
  },
  EF4011: {
    title: 'unsupported media type',
    help: 'Expected `application/json`, `application/cloudevents+json`, `application/cloudevents-batch+json`, `application/x-ndjson`, or any type with `ce-*` headers; in UTF-8, not compressed.',
  },
  EF4012: { title: 'too many or too large headers', help: 'At most 100 headers and 16 KiB of them.' },
  EF4013: { title: 'invalid event type', help: 'A type matches `^[a-z0-9][a-z0-9_.-]{0,127}$`, such as `order.paid`.' },
  EF4014: {
    title: 'invalid id or key',
    help: 'Ids and idempotency keys have 1 to 200 characters, without control characters.',
  },
  EF4015: {
    title: 'invalid time',
    help: 'A time is in RFC 3339, such as `2026-01-31T12:00:00Z`, and not absurdly far from now.',
  },
  EF4016: {
    title: 'invalid attribute',
    help: 'CloudEvents attributes are named `[a-z0-9]{1,20}` and hold strings, numbers or booleans. Everything else belongs under `data`.',
  },
  EF4017: {
    title: 'not an event',
    help: 'An event is a JSON object with a `type`, and `data` or `data_base64`, not both.',
  },
  EF4018: {
    title: 'the data does not fit its schema',
    help: 'The catalogue (`eventTypes` in a pipeline file) has a schema for this type with `onInvalid: reject`.',
  },
  EF4019: { title: 'too complex', help: 'Events nest at most 32 deep and have at most 10,000 values.' },
  EF4020: { title: 'no route wants this type', help: 'The listener is set to refuse types that no route matches.' },
  EF4021: {
    title: 'wrong host',
    help: 'The listener answers only to loopback names, so that a web page cannot reach it by rebinding a DNS name.',
  },
  EF4022: { title: 'cross-origin request', help: 'Writes are taken from the same origin only.' },
  EF4030: { title: 'the store cannot be reached', help: 'Nothing was stored. Repeat the request.' },
  EF4031: { title: 'the store is full', help: 'Nothing was stored. Deliveries go on; repeat later.' },
  EF4032: {
    title: 'the store takes no writes',
    help: 'Nothing was stored: the store is a replica or in read-only mode.',
  },
  EF4033: {
    title: 'the store is degraded',
    help: 'Nothing was stored: the store cannot persist or replicate at the moment.',
  },
  EF4034: {
    title: 'the outcome is unknown',
    help: 'The store did not answer in time: the event may be stored or not. It is safe to repeat the request with the same Idempotency-Key or event id.',
  },
  EF4035: { title: 'shutting down', help: 'This process takes no more events. Repeat the request: another one will.' },
  EF4036: {
    title: 'too much at once',
    help: 'More events are waiting to be stored than this process holds. Nothing of this call was stored; repeat it in a moment.',
  },
  EF3101: {
    title: 'the plugin cannot be imported',
    help: "Its entry is missing or threw while it was imported. Try `node --input-type=module -e 'import(\"THE-PACKAGE\")'` in the project's folder: the same error appears there.",
  },
  EF3102: {
    title: 'the plugin speaks another plugin API',
    help: 'The engine takes plugins of its own `apiVersion` and of the one before. Update the plugin, or the engine.',
  },
  EF3103: {
    title: 'the plugin does not export a plugin',
    help: "The entry's default export is what `definePlugin({ name, apiVersion, handlers })` of `eventflow/plugin` returns.",
  },
  EF3104: {
    title: 'the plugin has no such handler',
    help: "The manifest in the plugin's package.json names a handler that its code does not have: a fault of the plugin.",
  },
  EF3105: {
    title: 'the handler could not be created',
    help: 'The plugin refused the options under `with`, or failed while it got ready. Nothing that runs was changed.',
  },
  EF3106: {
    title: 'the plugin did not get ready in time',
    help: 'Importing a plugin and creating a handler may take 10 s each. Do slow work in `check()` or on first use.',
  },
  EF5001: {
    title: 'the bus is unreachable',
    help: 'The engine could not reach its bus. Check the URL in `--bus`, and that the server answers there.',
  },
  EF5002: {
    title: 'the embedded bus is in use',
    help: 'Another process owns this bus file. Talk to it over its admin address, or stop it first.',
  },
  EF5003: { title: 'unknown bus URL', help: 'Expected `sqlite:PATH`, `sqlite::memory:` or `redis://HOST:PORT/DB`.' },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof catalogue;

/** Codes that once were in use, with the version that dropped them. */
export const retiredCodes: Readonly<Record<string, string>> = {};

/** An error whose code is in the catalogue. `message` is for people; `code` is for programs. */
export class EventFlowError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EventFlowError';
    this.code = code;
  }
}

/** Bytes on a stream that are no event. Never leaves the worker: it becomes a dead letter. */
export class UndecodableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UndecodableError';
  }
}
