/** What would become of events that somebody holds in their hands: as they are published, and at each route. */
import { readFile } from 'node:fs/promises';
import { text as readText } from 'node:stream/consumers';
import { admitEvent } from '../core/admit.ts';
import { formatDuration } from '../core/duration.ts';
import { IngestFault } from '../core/ingest-fault.ts';
import { measure } from '../core/json-text.ts';
import { compilePattern, matchAny } from '../core/match.ts';
import { checkData, defaultEventLimits, type Prepared, prepareEvent } from '../core/prepare.ts';
import type { EventTypeRule, Generation, Route } from '../core/route.ts';
import { decodeEvent, type EventEnvelope } from '../event.ts';
import { masked, redact } from '../observe/redact.ts';
import { compileOptions } from '../pipeline-test/render.ts';
import { findHandler, type PluginCatalog } from '../plugins/manifest.ts';
import { createTemplates } from '../plugins/templates.ts';
import { exit, Failure, UsageError } from './exit.ts';

export interface RouteVerdict {
  /** `<pipeline>.<route>`. */
  readonly route: string;
  readonly handler: string;
  /** `dead`: wanted, and dead-lettered without a run. The others after `matched` say why the route does not want it. */
  readonly verdict: 'matched' | 'disabled' | 'type' | 'when' | 'dead';
  /** In a sentence; empty for `matched`. */
  readonly reason: string;
  /** The values that decided, from the whole expression to its smallest part. */
  readonly why: readonly string[];
  /** What `transform` makes of the data; undefined where the handler gets the data as it was published. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** The handler's options with their templates rendered; secrets are `[secret]`. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Why they cannot be rendered: the delivery would fail. */
  readonly optionsFault?: string;
}

export interface Explained {
  readonly event: Pick<EventEnvelope, 'id' | 'source' | 'type'>;
  /** Why publishing it would be refused; no route sees it then. */
  readonly refusal: string | undefined;
  /** Of a catalogue that says `onInvalid: warn`. */
  readonly warnings: readonly string[];
  readonly routes: readonly RouteVerdict[];
}

export interface ExplainRequest {
  readonly generation: Generation;
  readonly catalog: PluginCatalog;
  readonly secrets: readonly string[];
  /** Groups [all]. */
  readonly routes: readonly string[] | undefined;
  /** ms since the epoch. */
  readonly now: number;
}

const unreadable: Readonly<Record<string, string>> = { ENOENT: 'nothing', EISDIR: 'a folder' };

async function readEventFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const got = unreadable[code] ?? message;
    throw new Failure(exit.failed, `expected a file with an event at ${path}, got ${got}; name one, or - for stdin`);
  }
}

/** The texts of events in a file or stdin: one document, a list, or one on each line. Throws a `Failure`. */
export async function readEventTexts(file: string | undefined): Promise<string[]> {
  if ((file === undefined || file === '-') && process.stdin.isTTY) {
    throw new UsageError('expected a file, or an event on stdin, got neither');
  }
  const name = file === undefined || file === '-' ? 'stdin' : file;
  const read = name === 'stdin' ? await readText(process.stdin) : await readEventFile(name);
  const text = read.replace(/^\ufeff/, '');
  if (text.trim() === '') throw new Failure(exit.failed, `expected an event in ${name}, got nothing`);
  const whole = parse(text);
  if (whole !== undefined) return [whole].flat().map((one) => JSON.stringify(one));
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const wrong = lines.findIndex((line) => parse(line) === undefined);
  if (wrong === -1) return lines;
  throw new Failure(
    exit.failed,
    `expected JSON in ${name}, or JSON on each line, got something else in line ${wrong + 1}`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** As a listener would take it, or the reason why not. */
function publish(text: string, now: number): Prepared | string {
  try {
    return prepareEvent(measure(text), false, {
      now,
      time: new Date(now).toISOString(),
      newId: () => 'no-id',
      limits: defaultEventLimits,
      source: 'eventflow/explain-event',
      idempotencyKey: undefined,
      traceparent: undefined,
    });
  } catch (error) {
    if (error instanceof IngestFault) return error.message;
    throw error;
  }
}

function judgeData(
  prepared: Prepared,
  rule: EventTypeRule | undefined,
): { refusal?: string; warnings: readonly string[] } {
  try {
    return { warnings: checkData(prepared, rule) };
  } catch (error) {
    if (error instanceof IngestFault) return { refusal: error.message, warnings: [] };
    throw error;
  }
}

const patternsOf = (route: Route): string => route.on.join(', ');

/** A `*` where several segments are is what people get wrong. */
function whyNotType(route: Route, type: string): string[] {
  const depth = type.split('.').length;
  return route.on.flatMap((pattern) => {
    const wide = pattern.replace(/(?<=^|\.)\*(?=\.|$)/g, '**');
    const isShort = wide !== pattern && pattern.split('.').length < depth && compilePattern(wide)(type);
    return isShort ? [`${pattern}: * is one segment; ${wide} would fit`] : [];
  });
}

/** Values below these pointers are never shown. */
function hide(options: unknown, pointers: readonly string[]): unknown {
  const copy = structuredClone(options);
  for (const pointer of pointers) {
    const steps = pointer.split('/').map((step) => step.replace(/~1/g, '/').replace(/~0/g, '~'));
    const last = steps.pop() ?? '';
    const owner = steps.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], copy);
    if (typeof owner === 'object' && owner !== null && last in owner) (owner as Record<string, unknown>)[last] = masked;
  }
  return copy;
}

function rendered(route: Route, event: EventEnvelope, request: ExplainRequest): Partial<RouteVerdict> {
  const choice = findHandler(request.catalog, `${route.plugin}:${route.handler}`);
  if (choice.kind !== 'found') return {};
  const options = hide(route.options, route.secretOptions ?? []);
  const delivery = { attempt: 1, route: route.group, idempotencyKey: `${route.group}:${event.source}:${event.id}` };
  try {
    const values = compileOptions(options, choice.manifest.schema, createTemplates())({ event, delivery });
    return { options: redact(values, request.secrets) as Record<string, unknown> };
  } catch (error) {
    return { optionsFault: String(redact((error as Error).message, request.secrets)) };
  }
}

function judgeRoute(route: Route, event: EventEnvelope, request: ExplainRequest): RouteVerdict {
  const { group, handler, when } = route;
  const base = { route: group, handler, why: [] };
  if (!route.enabled) return { ...base, verdict: 'disabled', reason: 'it says enabled: false' };
  if (!matchAny(route.on)(event.type)) {
    const reason = `it wants ${patternsOf(route)}`;
    return { ...base, verdict: 'type', reason, why: whyNotType(route, event.type) };
  }
  const age = request.now - Date.parse(event.time);
  const admitted = admitEvent(route, event, age, request.generation.eventTypes.get(event.type));
  switch (admitted.kind) {
    case 'unmatched':
      return { ...base, verdict: 'when', reason: 'its `when` is false', why: when?.why(event) ?? [] };
    case 'dead': {
      const { reason, fault } = admitted;
      const late = reason === 'expired' ? `, if it was published at its time, ${formatDuration(age)} ago` : '';
      return { ...base, verdict: 'dead', reason: `${reason} (${fault.code}): ${fault.message}${late}` };
    }
    case 'run': {
      const data = route.transform === undefined ? {} : { data: admitted.event.data as Record<string, unknown> };
      const why = when?.why(event).slice(0, 1) ?? [];
      return { ...base, verdict: 'matched', reason: '', why, ...data, ...rendered(route, admitted.event, request) };
    }
  }
}

function explainOne(text: string, request: ExplainRequest): Explained {
  const prepared = publish(text, request.now);
  if (typeof prepared === 'string') {
    const given = parse(text) as Partial<Record<'id' | 'source' | 'type', unknown>> | null;
    const name = (word: 'id' | 'source' | 'type'): string => {
      const value = given?.[word];
      return typeof value === 'string' ? value : '(none)';
    };
    return {
      event: { id: name('id'), source: name('source'), type: name('type') },
      refusal: prepared,
      warnings: [],
      routes: [],
    };
  }
  const { generation } = request;
  const { meta } = prepared.event;
  const event = decodeEvent(prepared.event.body, meta === undefined ? undefined : JSON.stringify(meta));
  const { id, source, type } = event;
  const { refusal, warnings } = judgeData(prepared, generation.eventTypes.get(type));
  const asked = [...generation.routes.values()].filter(({ group }) => request.routes?.includes(group) ?? true);
  const routes = refusal === undefined ? asked.map((route) => judgeRoute(route, event, request)) : [];
  return { event: { id, source, type }, refusal, warnings, routes };
}

/** In the order of the texts; routes in that of the files. Throws a `Failure` when a route that is asked for is none. */
export function explainEvents(texts: readonly string[], request: ExplainRequest): Explained[] {
  const unknown = request.routes?.find((group) => !request.generation.routes.has(group));
  if (unknown !== undefined) {
    const known = [...request.generation.routes.keys()].slice(0, 20).join(', ');
    throw new Failure(exit.failed, `expected a route, got ${JSON.stringify(unknown)}; routes: ${known}`);
  }
  return texts.map((text) => {
    const { routes, ...rest } = explainOne(text, request);
    const hidden = (value: RouteVerdict): RouteVerdict => ({
      ...value,
      reason: String(redact(value.reason, request.secrets)),
      why: redact(value.why, request.secrets) as string[],
    });
    return { ...rest, routes: routes.map(hidden) };
  });
}
