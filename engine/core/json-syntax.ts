/** Where JSON stops being JSON: `JSON.parse` says so only for some of its errors. Pure; used on the error path alone. */

type Expecting = 'value' | 'value_or_end' | 'key' | 'key_or_end' | 'colon' | 'comma_or_end' | 'nothing';

const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const literal = /true|false|null/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** Index after the match at `at`, or undefined. */
function take(regexp: RegExp, text: string, at: number): number | undefined {
  regexp.lastIndex = at;
  return regexp.test(text) ? regexp.lastIndex : undefined;
}

type Taken = { readonly ok: true; readonly end: number } | { readonly ok: false; readonly at: number };

function takeString(text: string, start: number): Taken {
  for (let at = start + 1; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === 34) return { ok: true, end: at + 1 };
    if (code < 32) return { ok: false, at };
    const next = code === 92 ? take(escaped, text, at) : at + 1;
    if (next === undefined) return { ok: false, at };
    at = next;
  }
  return { ok: false, at: text.length };
}

function takeScalar(text: string, at: number): Taken {
  if (text[at] === '"') return takeString(text, at);
  const end = take(number, text, at) ?? take(literal, text, at);
  return end === undefined ? { ok: false, at } : { ok: true, end };
}

/** Index of the first character that cannot be there (the length, when the text ends too early); undefined for JSON. */
export function syntaxErrorAt(text: string): number | undefined {
  const closers: ('}' | ']')[] = [];
  let expecting: Expecting = 'value';
  const afterValue = (): Expecting => (closers.length === 0 ? 'nothing' : 'comma_or_end');
  for (let at = 0; ; ) {
    while (at < text.length && ' \n\r\t'.includes(text[at] ?? '')) at++;
    const char = text[at];
    if (char === undefined) return expecting === 'nothing' ? undefined : at;
    if (expecting === 'nothing') return at;
    if (expecting !== 'value' && expecting !== 'key' && expecting !== 'colon' && char === closers.at(-1)) {
      closers.pop();
      expecting = afterValue();
      at++;
    } else if (expecting === 'comma_or_end') {
      if (char !== ',') return at;
      expecting = closers.at(-1) === '}' ? 'key' : 'value';
      at++;
    } else if (expecting === 'colon') {
      if (char !== ':') return at;
      expecting = 'value';
      at++;
    } else if (expecting === 'key' || expecting === 'key_or_end') {
      const key: Taken = char === '"' ? takeString(text, at) : { ok: false, at };
      if (!key.ok) return key.at;
      expecting = 'colon';
      at = key.end;
    } else if (char === '{' || char === '[') {
      closers.push(char === '{' ? '}' : ']');
      expecting = char === '{' ? 'key_or_end' : 'value_or_end';
      at++;
    } else {
      const scalar = takeScalar(text, at);
      if (!scalar.ok) return scalar.at;
      expecting = afterValue();
      at = scalar.end;
    }
  }
}
