/** What requests to the admin listener ask for, read and checked. Throws `bad_request`. Pure. */
import { parseTime } from '../core/attributes.ts';
import { type DeadReason, deadReasons } from '../core/delivery.ts';
import { IngestFault } from '../core/ingest-fault.ts';
import type { DeadLetterFilter, PurgeRequest, RedriveRequest } from '../operations/operations.ts';
import type { PostedFile } from '../operations/plan.ts';

const reasons: ReadonlySet<string> = new Set(deadReasons);

type Fields = Readonly<Record<string, unknown>>;

function wrong(place: string, expected: string, got: unknown): never {
  const shown = JSON.stringify(got)?.slice(0, 60) ?? 'nothing';
  throw new IngestFault('bad_request', `${place}: expected ${expected}, got ${shown}`);
}

function textIn(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  return typeof value === 'string' && value !== '' ? value : wrong(name, 'a string', value);
}

function limitIn(fields: Fields, fallback: number, max: number): number {
  const value = fields['limit'];
  if (value === undefined) return fallback;
  const limit = Number(value);
  return Number.isInteger(limit) && limit >= 1 && limit <= max ? limit : wrong('limit', `1 to ${max}`, value);
}

const filterNames: readonly string[] = ['group', 'reason', 'eventId', 'eventType', 'limit'];

function onlyIn(place: string, fields: Fields, names: readonly string[]): void {
  const other = Object.keys(fields).find((name) => !names.includes(name));
  if (other !== undefined) wrong(place, names.length === 0 ? 'no field' : `one of ${names.join(', ')}`, other);
}

/** From a query string or a JSON object. A name that is none is an error: a filter that is not applied redrives too much. */
export function readFilter(fields: Fields, fallbackLimit: number, maxLimit: number): DeadLetterFilter {
  onlyIn('filter', fields, filterNames);
  const group = textIn(fields, 'group');
  const reason = textIn(fields, 'reason');
  const eventId = textIn(fields, 'eventId');
  const eventType = textIn(fields, 'eventType');
  if (reason !== undefined && !reasons.has(reason)) wrong('reason', `one of ${[...reasons].join(', ')}`, reason);
  return {
    ...(group === undefined ? {} : { group }),
    ...(reason === undefined ? {} : { reason: reason as DeadReason }),
    ...(eventId === undefined ? {} : { eventId }),
    ...(eventType === undefined ? {} : { eventType }),
    limit: limitIn(fields, fallbackLimit, maxLimit),
  };
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');

function parseObject(body: Buffer | undefined): Fields {
  try {
    const value: unknown = JSON.parse(body?.toString('utf8') ?? '');
    if (isObject(value)) return value;
  } catch {
    // Falls through: text that is no JSON is answered like a value that is no object.
  }
  return wrong('body', 'a JSON object', body?.toString('utf8').slice(0, 40));
}

/** A name that is none of `names` is an error: what is asked for would not be what is done. */
function readObject(body: Buffer | undefined, names: readonly string[]): Fields {
  const fields = parseObject(body);
  onlyIn('body', fields, names);
  return fields;
}

/** `{ dryRun, ids }` or `{ dryRun, filter }`. Both or neither is an error, and so is a `dryRun` that is not said. */
export function readRedrive(body: Buffer | undefined): RedriveRequest {
  const { dryRun, ids, filter } = readObject(body, ['dryRun', 'ids', 'filter']);
  if (typeof dryRun !== 'boolean') wrong('dryRun', 'true or false', dryRun);
  if ((ids === undefined) === (filter === undefined)) wrong('body', 'either ids or filter', { ids, filter });
  if (filter !== undefined) {
    return {
      dryRun,
      filter: readFilter(isObject(filter) ? filter : wrong('filter', 'an object', filter), 1000, 100_000),
    };
  }
  return isTexts(ids) && ids.length <= 10_000 ? { dryRun, ids } : wrong('ids', 'at most 10,000 strings', ids);
}

const mostFiles = 5_000;

/** Inside of the folder that they are compared with, whatever the engine runs on. */
const isInside = (path: unknown): path is string =>
  typeof path === 'string' &&
  /^(?![A-Za-z]:)[^\\/\0][^\\\0]{0,999}$/.test(path) &&
  !path.split('/').some((part) => part === '' || part === '.' || part === '..');

function readPosted(value: unknown, at: number): PostedFile {
  const { path, text, pipeline } = isObject(value) ? value : wrong(`files[${at}]`, 'an object', value);
  if (!isInside(path)) wrong(`files[${at}].path`, 'a relative path without . and ..', path);
  if (typeof text !== 'string') wrong(`files[${at}].text`, 'a string', text);
  if (typeof pipeline !== 'boolean') wrong(`files[${at}].pipeline`, 'true or false', pipeline);
  return { path, text, pipeline };
}

/** No body: nothing is sent along. Else `{ files: [{ path, text, pipeline }] }`, each path once. */
export function readPlan(body: Buffer | undefined): readonly PostedFile[] | undefined {
  if (body === undefined || body.length === 0) return undefined;
  const { files } = readObject(body, ['files']);
  if (!Array.isArray(files) || files.length > mostFiles) wrong('files', `at most ${mostFiles} files`, files);
  const posted = files.map((file: unknown, at) => readPosted(file, at));
  if (new Set(posted.map(({ path }) => path)).size < posted.length) wrong('files', 'each path once', 'one twice');
  return posted;
}

/** Nothing at all, or an object without fields. */
export function readReload(body: Buffer | undefined): void {
  if (body !== undefined && body.length > 0) readObject(body, []);
}

/** `{ generation }`, or nothing at all: the one before. */
export function readRollback(body: Buffer | undefined): number | undefined {
  if (body === undefined || body.length === 0) return undefined;
  const { generation } = readObject(body, ['generation']);
  if (generation === undefined) return undefined;
  const isNumber = typeof generation === 'number' && Number.isInteger(generation) && generation >= 1;
  return isNumber ? generation : wrong('generation', 'the number of a generation', generation);
}

/** `{ group, by, reason }`: what is thrown away is thrown away by somebody, for a reason. */
export function readPurge(body: Buffer | undefined): PurgeRequest {
  const names = ['group', 'by', 'reason'];
  const fields = readObject(body, names);
  const [group, by, reason] = names.map((name) => textIn(fields, name));
  if (group === undefined) wrong('group', 'the name of a group', group);
  if (by === undefined) wrong('by', 'the name of a person', by);
  if (reason === undefined) wrong('reason', 'why nobody needs it', reason);
  return { group, by, reason };
}

function timeIn(query: Fields, name: string, fallback: number): number {
  const value = query[name];
  if (value === undefined) return fallback;
  const text = String(value);
  const at = /^\d{1,15}$/.test(text) ? Number(text) : parseTime(text);
  return at ?? wrong(name, 'ms since the epoch or a time in RFC 3339', value);
}

const dayMs = 86_400_000;

/** `from` ≤ bucket < `to`, ms since the epoch; the last 24 hours unless told. */
export function readRange(query: Fields, now: number): { readonly from: number; readonly to: number } {
  const to = timeIn(query, 'to', now);
  return { from: timeIn(query, 'from', to - dayMs), to };
}
