/** A body taken apart into events, each of which is judged on its own. */
import { IngestFault } from '../core/ingest-fault.ts';
import { isArrayText, type JsonPiece, measure, splitArray } from '../core/json-text.ts';
import { type Intake, type Prepared, parseJson, prepareBytes, prepareData, prepareEvent } from '../core/prepare.ts';
import { decodeText } from './body.ts';
import { type Form, type Headers, readEventHeaders } from './media.ts';

/** Prepares one event, or throws why not. */
export type Item = (intake: Intake) => Prepared;

/** `one`: the answer is about this event; `many`: a list, with an answer for each. */
export type Items =
  | { readonly kind: 'one'; readonly item: Item }
  | { readonly kind: 'many'; readonly items: readonly Item[] };

const pieceItem =
  (piece: JsonPiece, strict: boolean): Item =>
  (intake) =>
    prepareEvent(piece, strict, intake);

/** The body as a whole is refused, since one of its parts cannot be told from the others. */
export class Unreadable extends Error {
  readonly fault: IngestFault;
  constructor(fault: IngestFault) {
    super(fault.message);
    this.fault = fault;
  }
}

/** An array that is not JSON is refused as a whole: which of its items were meant, nobody can know. */
function arrayItem(piece: JsonPiece, text: string, strict: boolean): Item {
  return (intake) => {
    try {
      return prepareEvent(piece, strict, intake);
    } catch (error) {
      if (error instanceof IngestFault && error.word === 'invalid_json') throw new Unreadable(jsonFault(text) ?? error);
      throw error;
    }
  };
}

function jsonFault(text: string): IngestFault | undefined {
  try {
    parseJson(text);
    return undefined;
  } catch (error) {
    return error as IngestFault;
  }
}

function arrayItems(text: string, strict: boolean): readonly Item[] {
  const pieces = splitArray(text);
  if (pieces !== undefined) return pieces.map((piece) => arrayItem(piece, text, strict));
  throw jsonFault(text) ?? new IngestFault('invalid_event', 'expected a JSON array of events, got another value');
}

const isBlankLine = (line: Buffer | string): boolean => line.toString().trim() === '';

/** Each line is decoded on its own, so that bad bytes in one do not hide the others. */
function* linesOf(body: Buffer): Generator<Buffer> {
  for (let at = 0; at < body.length; ) {
    const newline = body.indexOf(10, at);
    const end = newline === -1 ? body.length : newline;
    yield body.subarray(at, end);
    at = end + 1;
  }
}

function lineItems(body: Buffer): readonly Item[] {
  const lines = [...linesOf(body)].filter((line) => !isBlankLine(line));
  return lines.map((line) => (intake) => prepareEvent(measure(decodeText(line).trim()), false, intake));
}

const textual =
  /^\s*(text\/|[^;]*[/+](json|xml)\s*(;|$)|application\/(x-www-form-urlencoded|javascript|graphql|yaml))/i;

function binaryItem(headers: Headers, body: Buffer | undefined): Item {
  const contentType = headers['content-type'] as string | undefined;
  const attributes = readEventHeaders(headers);
  if (body === undefined || body.length === 0) return (intake) => prepareData(attributes, contentType, '', intake);
  if (contentType === undefined) {
    throw new IngestFault('unsupported_media_type', 'expected a Content-Type that says what the data is, got none');
  }
  if (!textual.test(contentType)) return (intake) => prepareBytes(attributes, contentType, body, intake);
  const text = decodeText(body);
  return (intake) => prepareData(attributes, contentType, text, intake);
}

const emptyBody = (): IngestFault => new IngestFault('empty_body', 'expected an event in the body, got an empty body');

/** Throws {@link IngestFault} when the body as a whole cannot be read. */
export function readItems(form: Form, headers: Headers, body: Buffer | undefined): Items {
  if (form === 'binary') return { kind: 'one', item: binaryItem(headers, body) };
  if (body === undefined || body.length === 0) throw emptyBody();
  if (form === 'lines') {
    const items = lineItems(body);
    if (items.length === 0) throw emptyBody();
    return { kind: 'many', items };
  }
  const text = decodeText(body);
  if (form === 'structured') return { kind: 'one', item: pieceItem(measure(text), true) };
  if (form === 'json' && !isArrayText(text)) {
    if (text.trim() === '') throw emptyBody();
    return { kind: 'one', item: pieceItem(measure(text), false) };
  }
  return { kind: 'many', items: arrayItems(text, form === 'batched') };
}
