/** What `eventflow publish` is to publish: from arguments, a file, or stdin. */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { text as readText } from 'node:stream/consumers';
import { idMaker } from '../core/event-id.ts';
import type { OutgoingEvent } from '../publisher.ts';
import { exit, Failure, UsageError } from './exit.ts';
import type { PublishFlags } from './publish.ts';

export interface Numbered {
  /** For messages: `line 7`. */
  readonly where: string;
  readonly event: OutgoingEvent;
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Failure(exit.failed, `expected ${what} to be JSON: ${(error as Error).message}`);
  }
}

async function readData(data: string | undefined): Promise<unknown> {
  if (data === undefined) return undefined;
  if (data === '-') return parse(await readText(process.stdin), 'stdin');
  if (data.startsWith('@')) return parse(await readFile(data.slice(1), 'utf8'), data.slice(1));
  return parse(data, '--data');
}

async function* fromArguments(type: string, flags: PublishFlags): AsyncGenerator<Numbered> {
  const { source, subject, id, count = 1 } = flags;
  const data = await readData(flags.data);
  const event: OutgoingEvent = {
    type,
    ...(data === undefined ? {} : { data }),
    ...(source === undefined ? {} : { source }),
    ...(subject === undefined ? {} : { subject }),
    ...(id === undefined ? {} : { id }),
  };
  for (let at = 1; at <= count; at += 1) yield { where: `event ${at}`, event };
}

async function* lines(input: NodeJS.ReadableStream, name: string): AsyncGenerator<Numbered> {
  let at = 0;
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    at += 1;
    const where = `${name}:${at}`;
    if (line.trim() !== '') yield { where, event: parse(line, where) as OutgoingEvent };
  }
}

async function* whole(text: string, name: string): AsyncGenerator<Numbered> {
  const value = parse(text, name);
  const events = Array.isArray(value) ? (value as OutgoingEvent[]) : [value as OutgoingEvent];
  for (const [at, event] of events.entries()) yield { where: `${name}, event ${at + 1}`, event };
}

/** `.json` is one document; everything else is lines of JSON, read as they come. */
async function* fromFile(file: string): AsyncGenerator<Numbered> {
  if (file === '-') yield* lines(process.stdin, 'stdin');
  else if (/\.json$/i.test(file)) yield* whole(await readFile(file, 'utf8'), file);
  else yield* lines(createReadStream(file), file);
}

/** A file's events name their own type and id, so flags for one event do not go with it. */
function expectFileFlags(flags: PublishFlags): void {
  const wrong = (['data', 'id', 'subject', 'count'] as const).find((name) => flags[name] !== undefined);
  if (wrong !== undefined) {
    throw new UsageError(`expected --${wrong} together with a TYPE, got it with events that come from a file or stdin`);
  }
}

/** Events without an id get one here, so that the same event is sent when it has to be sent again. */
async function* withIds(events: AsyncIterable<Numbered>): AsyncGenerator<Numbered> {
  const newId = idMaker(Date.now, randomUUID);
  for await (const { where, event } of events) {
    const isObject = typeof event === 'object' && event !== null && !Array.isArray(event);
    yield { where, event: isObject && event.id === undefined ? { ...event, id: newId() } : event };
  }
}

/** Throws a `UsageError` at once when the flags do not go together. */
export const readEvents = (type: string | undefined, flags: PublishFlags): AsyncIterable<Numbered> =>
  withIds(eventsOf(type, flags));

function eventsOf(type: string | undefined, flags: PublishFlags): AsyncIterable<Numbered> {
  if (type !== undefined) {
    if (flags.file !== undefined) throw new UsageError('expected a TYPE or --file, got both');
    if (flags.id !== undefined && (flags.count ?? 1) > 1) {
      throw new UsageError('expected --id or --count, got both: events with one id are one event');
    }
    return fromArguments(type, flags);
  }
  expectFileFlags(flags);
  if (flags.file !== undefined) return fromFile(flags.file);
  if (process.stdin.isTTY) throw new UsageError('expected a TYPE, --file, or events on stdin, got none of them');
  return fromFile('-');
}
