/**
 * The error catalogue: one stable code, one title, one explanation each. A retired code is listed in `retiredCodes`
 * and never used again. Messages say: expected X, got Y, at this place, do this.
 *
 * EF1xxx the YAML text · EF2xxx the pipeline · EF3xxx plugins · EF4xxx ingest · EF5xxx the bus · EF6xxx engine and CLI
 */

import { type CatalogueEntry, configErrors } from './config-errors.ts';
import { testErrors } from './test-errors.ts';

export const catalogue = {
  ...configErrors,
  ...testErrors,
  EF3001: {
    title: 'the plugin is not installed',
    help: 'It is listed under `plugins:`, but there is no such package where eventflow.yaml is. Install it there with npm.',
  },
  EF3002: {
    title: 'the plugin speaks another plugin API',
    help: 'Its manifest names an `apiVersion` that this engine does not speak. Update the plugin or the engine.',
  },
  EF3003: {
    title: 'the plugin has no valid manifest',
    help: 'A plugin says in its package.json what it offers: `"eventflow": { "apiVersion": 1, "handlers": { "crm": { "entry": ".", "schema": "./crm.schema.json" } } }`.',
  },
  EF3004: {
    title: "a plugin's file is missing or outside of its folder",
    help: 'Entries and schemas are files within the package. A missing entry usually means that the package was not built.',
  },
  EF3005: {
    title: "a handler's schema cannot be used",
    help: 'The file is not JSON, or no valid JSON Schema (2020-12) that describes an object. Tell the author of the plugin.',
  },
  EF3006: {
    title: 'not a plugin name',
    help: 'Expected the name of an npm package, or a folder that starts with `./` and lies below eventflow.yaml. URLs, absolute paths and `..` are refused.',
  },
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
    help: 'More events are waiting to be stored than this process holds, or more to be delivered than `overload.maxLag` allows. Nothing of this call was stored; repeat it in a moment.',
  },
  EF3101: {
    title: 'the plugin cannot be imported',
    help: "Its entry is missing or threw while it was imported. Try `node --input-type=module -e 'import(\"THE-PACKAGE\")'` in the project's folder: the same error appears there.",
  },
  EF3102: {
    title: "the plugin's code speaks another plugin API",
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
    help: 'The engine could not reach its bus. Check the URL in `--bus`, its user and password, and that the server answers there; with `rediss` also the certificates, with `redis+sentinel` the name of the master.',
  },
  EF5002: {
    title: 'the embedded bus is in use',
    help: 'Another process owns this bus file. Talk to it over its admin address, or stop it first.',
  },
  EF5003: {
    title: 'unknown bus URL',
    help: 'Expected `sqlite:PATH`, `sqlite::memory:`, `redis://[USER:PASSWORD@]HOST:PORT/DB` with a database that the server has, `redis+sentinel://HOST:PORT,…/MASTER/DB` or `redis+cluster://HOST:PORT,…`; `rediss` in place of `redis` for TLS, with `?ca=FILE`, `cert=FILE&key=FILE` and `servername=NAME` where needed.',
  },
  EF5010: {
    title: 'the outcome of a publication is unknown',
    help: 'The bus did not confirm in time, so the events may be stored or not. Publish the same events again, with the same ids or Idempotency-Key: those that are stored are not stored twice.',
  },
  EF5011: {
    title: 'the bus refuses to write',
    help: 'Nothing of this call was stored. Redis is out of memory (`maxmemory`), out of disk, loading, read-only, or does not permit the command (`eventflow redis acl` prints what it must permit); the message repeats what it said.',
  },
  EF5012: {
    title: 'the bus did not answer in time',
    help: 'The connection stands or is being made again, but no answer came within the deadline. Look at the load of the server and at the network between.',
  },
  EF5013: {
    title: 'the bus server is too old',
    help: 'EventFlow needs Redis 7.0 or later, or a Valkey of any version.',
  },
  EF5014: {
    title: 'there is no link to the bus',
    help: 'The link to the bus was down for as long as the call could wait, so nothing of it was sent or stored. It is made again by itself; look at the server and at the network between.',
  },
  EF5015: {
    title: 'the store may drop events',
    help: 'Redis is set up to evict keys when it is full. EventFlow keeps events, retries and dead letters as keys, so an eviction loses accepted events without a trace. Run `CONFIG SET maxmemory-policy noeviction` and write it into redis.conf (or the parameter group of your provider): Redis then refuses new events when it is full, and EventFlow tells publishers to come back. `--allow-unsafe-store` (EVENTFLOW_ALLOW_UNSAFE_STORE) starts all the same.',
  },
  EF5021: {
    title: 'the bus file was written by a newer version',
    help: 'An older EventFlow cannot read this bus file. Start the version that wrote it, or name another file in `--bus`.',
  },
  EF5022: {
    title: 'the bus file cannot be opened',
    help: 'The embedded bus needs a readable and writable SQLite database file in a folder where it may create files.',
  },
  EF5023: {
    title: 'the bus file cannot be written',
    help: 'Nothing of this call was stored. Usually the disk is full or was mounted read-only; the call can be made again.',
  },
  EF5024: { title: 'the bus is closed', help: 'The engine is stopping: open the bus again before you use it.' },
  EF6001: {
    title: 'the configuration does not allow a start',
    help: 'Nothing runs. Every problem is listed with its place; `eventflow validate` shows the same without starting.',
  },
  EF6020: {
    title: 'the admin listener may not be public',
    help: 'The admin listener has no authentication, so it binds loopback addresses only: `127.0.0.1`, `::1` or `localhost`. To reach it from elsewhere, put a proxy with authentication in front, or tunnel to it.',
  },
  EF6021: {
    title: 'the engine cannot be reached',
    help: 'No engine answers at the admin address, or not in time. Is it running, and is the address that of its admin listener (by default `http://127.0.0.1:8788`)?',
  },
  EF6022: {
    title: 'the engine answered with an error',
    help: 'The admin listener refused the request or failed at it; the message says why.',
  },
  EF6023: {
    title: 'the address cannot be listened on',
    help: 'Most often another process, perhaps another engine, listens there already. Stop it, or give this engine other addresses: `http.listen` and `http.adminListen` in the settings, or `EVENTFLOW_HTTP_LISTEN` and `EVENTFLOW_HTTP_ADMIN_LISTEN`. Port 0 picks a free one and prints it.',
  },
  EF6030: {
    title: 'the group is in use',
    help: 'Only a group whose route is in no engine can be purged. Take the route out of the files and reload every engine first.',
  },
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
