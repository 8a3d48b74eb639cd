/** The attributes of a CloudEvents envelope, as publishers send them: checked one by one, the missing ones listed. Pure. */
import { IngestFault, type RefusalWord } from './ingest-fault.ts';

export interface TimeLimits {
  /** How far before and after now an event's `time` may lie, ms. */
  readonly maxPastMs: number;
  readonly maxFutureMs: number;
}

const typePattern = /^[a-z0-9][a-z0-9_.-]{0,127}$/;
const namePattern = /^[a-z0-9]{1,20}$/;
const timePattern =
  /^(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;
const base64Pattern = /^[A-Za-z0-9+/]*={0,2}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const controls = /[\u0000-\u001f\u007f-\u009f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above; these and blanks are in no URI reference
const notUri = /[\u0000-\u0020\u007f-\u00a0<>"{}|\\^`]/;

/** A value as it may be shown in an answer: short, on one line, whole. */
export function show(value: unknown): string {
  const text = JSON.stringify(typeof value === 'string' ? value.slice(0, 60).toWellFormed() : value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function refuse(word: RefusalWord, name: string, expected: string, value: unknown): never {
  const got =
    typeof value === 'object' && value !== null ? `an ${Array.isArray(value) ? 'array' : 'object'}` : show(value);
  const detail = `expected ${expected}, got ${got}`;
  throw new IngestFault(word, `${name}: ${detail}`, [{ pointer: `#/${name}`, detail }]);
}

const isText = (value: unknown, max: number): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= max && !controls.test(value);

/** Throws `invalid_id`. Also for the Idempotency-Key. */
export function checkId(name: string, value: unknown): asserts value is string {
  if (!isText(value, 200)) refuse('invalid_id', name, '1 to 200 characters without control characters', value);
}

function checkType(value: unknown): void {
  if (typeof value === 'string' && typePattern.test(value)) return;
  refuse('invalid_type', 'type', `a type that matches ${typePattern.source}, such as order.paid`, value);
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** ms since the epoch of an RFC 3339 time; undefined when it is none. A leap second counts as the second before. */
export function parseTime(text: string): number | undefined {
  const match = timePattern.exec(text);
  if (match === null) return undefined;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (month < 1 || month > 12 || day < 1 || (day > 28 && day > daysIn(year, month))) return undefined;
  const at = Date.parse(match[5] === '60' ? `${text.slice(0, 17)}59${text.slice(19)}` : text);
  return Number.isNaN(at) ? undefined : at;
}

function checkTime(value: unknown, now: number, limits: TimeLimits): void {
  const at = typeof value === 'string' ? parseTime(value) : undefined;
  if (at === undefined) refuse('invalid_time', 'time', 'a time in RFC 3339, such as 2026-01-31T12:00:00Z', value);
  if (at > now + limits.maxFutureMs) refuse('invalid_time', 'time', 'a time that is not in the far future', value);
  if (at < now - limits.maxPastMs) refuse('invalid_time', 'time', 'a time that is not in the far past', value);
}

function checkSource(value: unknown): void {
  if (typeof value === 'string' && value.length > 0 && value.length <= 1000 && !notUri.test(value)) return;
  refuse('invalid_attribute', 'source', 'a URI reference of 1 to 1000 characters, without blanks', value);
}

function checkShortText(name: string, value: unknown): void {
  if (!isText(value, 1000)) {
    refuse('invalid_attribute', name, 'a string of 1 to 1000 characters without control characters', value);
  }
}

function checkBase64(value: unknown): void {
  if (typeof value === 'string' && value.length % 4 === 0 && base64Pattern.test(value)) return;
  refuse('invalid_attribute', 'data_base64', 'a string in base64 with its padding', value);
}

function checkExtension(name: string, value: unknown): void {
  if (!namePattern.test(name)) {
    const detail = `expected an attribute name that matches ${namePattern.source}, got ${show(name)}: put it under data`;
    throw new IngestFault('invalid_attribute', detail, [{ pointer: '#', detail }]);
  }
  if (typeof value === 'number' || typeof value === 'boolean') return;
  if (typeof value !== 'string' || value.length > 1000 || controls.test(value)) {
    refuse('invalid_attribute', name, 'a string of at most 1000 characters, a number or a boolean', value);
  }
}

function checkAttribute(name: string, value: unknown, now: number, limits: TimeLimits): void {
  switch (name) {
    case 'data':
      return;
    case 'id':
      return checkId(name, value);
    case 'type':
      return checkType(value);
    case 'source':
      return checkSource(value);
    case 'time':
      return checkTime(value, now, limits);
    case 'specversion':
      if (value !== '1.0') refuse('invalid_attribute', name, '"1.0"', value);
      return;
    case 'subject':
    case 'datacontenttype':
    case 'dataschema':
      return checkShortText(name, value);
    case 'data_base64':
      return checkBase64(value);
    default:
      return checkExtension(name, value);
  }
}

/** Checks every attribute that is there; null means absent. Throws {@link IngestFault}. */
export function checkAttributes(fields: Readonly<Record<string, unknown>>, now: number, limits: TimeLimits): void {
  for (const name in fields) {
    const value = fields[name];
    if (value !== null) checkAttribute(name, value, now, limits);
    else if (name !== 'data') checkExtensionName(name);
  }
  if (fields.type === undefined || fields.type === null) checkType(undefined);
  if (hasValue(fields.data) && hasValue(fields.data_base64)) {
    throw new IngestFault('invalid_event', 'expected data or data_base64, got both: send one of them');
  }
}

const hasValue = (value: unknown): boolean => value !== undefined && value !== null;

function checkExtensionName(name: string): void {
  if (name !== 'data_base64') checkExtension(name, '');
}

/** Throws when an envelope lacks what CloudEvents demands of a publisher. */
export function checkRequired(fields: Readonly<Record<string, unknown>>): void {
  if (!hasValue(fields.specversion)) refuse('invalid_attribute', 'specversion', '"1.0"', undefined);
  if (!hasValue(fields.id)) checkId('id', undefined);
  if (!hasValue(fields.source)) checkSource(undefined);
}
