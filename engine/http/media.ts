/** What a request's headers say about its body: which form of event, in which bytes. */
import { IngestFault } from '../core/ingest-fault.ts';

/**
 * `json`: one event or an array of them, whole or not; `structured`: one whole CloudEvents envelope; `batched`: an array
 * of those; `lines`: one event a line; `binary`: the data alone, its attributes in `ce-*` headers.
 */
export type Form = 'json' | 'structured' | 'batched' | 'lines' | 'binary';

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

const forms: Readonly<Record<string, Form>> = {
  'application/json': 'json',
  'application/cloudevents+json': 'structured',
  'application/cloudevents-batch+json': 'batched',
  'application/x-ndjson': 'lines',
  'application/ndjson': 'lines',
  'application/jsonl': 'lines',
};

export const mediaTypes: readonly string[] = Object.keys(forms);

const accepted = `${mediaTypes.slice(0, 4).join(', ')}, or any type with ce-* headers`;
const charsetPattern = /;\s*charset\s*=\s*"?([^";\s]*)"?/i;

function refuse(got: string): never {
  throw new IngestFault('unsupported_media_type', `expected a Content-Type of ${accepted}, got ${got}`);
}

function checkCharset(contentType: string): void {
  const charset = charsetPattern.exec(contentType)?.[1];
  if (charset === undefined || /^utf-?8$/i.test(charset)) return;
  throw new IngestFault('unsupported_media_type', `expected charset=utf-8, got charset=${charset.slice(0, 40)}`);
}

/** One content type in its form. Throws `unsupported_media_type`. */
function classify(contentType: string | undefined, binary: boolean): Form {
  if (contentType === undefined || contentType === '') return binary ? 'binary' : refuse('none');
  const media = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
  const form = Object.hasOwn(forms, media) ? forms[media] : undefined;
  if (form === 'structured' || form === 'batched' || !binary) {
    if (form === undefined) refuse(JSON.stringify(contentType.slice(0, 80)));
    checkCharset(contentType);
    return form;
  }
  if (media.startsWith('application/cloudevents')) refuse(JSON.stringify(contentType.slice(0, 80)));
  checkCharset(contentType);
  return 'binary';
}

const hasEventHeaders = (headers: Headers): boolean =>
  headers['ce-specversion'] !== undefined ||
  headers['ce-type'] !== undefined ||
  headers['ce-id'] !== undefined ||
  headers['ce-source'] !== undefined;

const known = new Map<string, Form>();

/** The form of a request's body. Throws `unsupported_media_type`. */
export function formOf(headers: Headers): Form {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    const detail = `expected no Content-Encoding, got ${String(encoding).slice(0, 40)}: send the body as it is`;
    throw new IngestFault('unsupported_media_type', detail);
  }
  const contentType = headers['content-type'] as string | undefined;
  if (hasEventHeaders(headers)) return classify(contentType, true);
  const form = contentType === undefined ? undefined : known.get(contentType);
  if (form !== undefined) return form;
  const fresh = classify(contentType, false);
  if (contentType !== undefined && known.size < 100) known.set(contentType, fresh);
  return fresh;
}

/** Quotes and percent signs of the CloudEvents HTTP binding, taken off. Throws `invalid_encoding`. */
function readHeader(name: string, value: string): string {
  const quoted = /^"(.*)"$/s.exec(value);
  const text = quoted === null ? value : (quoted[1] ?? '').replace(/\\(.)/gs, '$1');
  try {
    if (/[^\t\x20-\x7e]/.test(text)) throw new URIError('a character outside of ASCII');
    return text.includes('%') ? decodeURIComponent(text) : text;
  } catch (cause) {
    throw new IngestFault(
      'invalid_encoding',
      `expected ${name} in ASCII and percent-encoded UTF-8, got other bytes`,
      [],
      {
        cause,
      },
    );
  }
}

/** The attributes in `ce-*` headers. Throws {@link IngestFault}. */
export function readEventHeaders(headers: Headers): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (!name.startsWith('ce-') || typeof value !== 'string') continue;
    const attribute = name.slice(3);
    if (attribute === 'datacontenttype' || attribute === 'data' || attribute === 'data_base64') {
      const detail = `expected no ${name} header: the Content-Type and the body are the place for it`;
      throw new IngestFault('invalid_attribute', detail);
    }
    Object.defineProperty(attributes, attribute, { value: readHeader(name, value), enumerable: true });
  }
  return attributes;
}

const traceParent = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The request's W3C trace context; one that is malformed is ignored, as the standard asks. */
export function readTrace(headers: Headers): string | undefined {
  const value = headers['traceparent'];
  return typeof value === 'string' && traceParent.test(value) ? value : undefined;
}
