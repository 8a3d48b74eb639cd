/**
 * Takes secrets out of what is about to be written: by key, by known value, and where their form gives them away.
 * Works on parsed JSON, so that what comes out is JSON again, whatever the secret looks like.
 */

export const masked = '[secret]';

/** A shorter text is no secret, and masking it would make the rest unreadable. */
const shortest = 3;

const secretKey =
  /^(proxy-?)?authorization$|cookie|passw(or)?d|passphrase|secret|token|api[-_]?key|private[-_]?key|credential|signing[-_]?key/i;

/** `//user:password@host`, `?sentinelPassword=…`, and what follows the scheme of an Authorization header. */
const inUrl = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi;
const inQuery = /([?&]\w*password=)[^\s&"']+/gi;
const inHeader = /\b(Bearer|Basic|Digest)\s+[A-Za-z0-9._~+/=-]{8,}/g;

/** Each secret as it stands, and as it stands in a URL or a Basic header; longest first, since one may contain another. */
function formsOf(secrets: Iterable<string>): readonly string[] {
  const forms = new Set<string>();
  for (const secret of secrets) {
    if (secret.length < shortest) continue;
    forms.add(secret).add(encodeURIComponent(secret)).add(JSON.stringify(secret).slice(1, -1));
    forms.add(Buffer.from(secret).toString('base64'));
  }
  return [...forms].sort((a, b) => b.length - a.length);
}

/** Returns a copy of a JSON value without secrets. `secrets` are the values known at this moment. */
export function redact(value: unknown, secrets: Iterable<string>): unknown {
  const forms = formsOf(secrets);
  const text = (clear: string): string =>
    forms
      .reduce((line, form) => (line.includes(form) ? line.replaceAll(form, masked) : line), clear)
      .replace(inUrl, `$1${masked}@`)
      .replace(inQuery, `$1${masked}`)
      .replace(inHeader, `$1 ${masked}`);
  const walk = (part: unknown): unknown => {
    if (typeof part === 'string') return text(part);
    if (typeof part === 'number') return forms.includes(String(part)) ? masked : part;
    if (Array.isArray(part)) return part.map(walk);
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, field]) => [text(key), at(key, field)]));
  };
  const at = (key: string, field: unknown): unknown =>
    secretKey.test(key) && field !== null && typeof field !== 'boolean' ? masked : walk(field);
  return walk(value);
}

/** Control characters that JSON leaves as they are but a terminal or a log viewer obeys. */
const controls = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** JSON on one line without a character that moves a cursor: CR, LF and ESC are escaped by JSON itself. */
export const inert = (value: unknown): string =>
  JSON.stringify(value).replace(controls, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
