/** Setting fields in JSON with comments, as VS Code writes its settings, and leaving every other character alone. */

import { isDeepStrictEqual } from 'node:util';

interface Node {
  readonly start: number;
  readonly end: number;
  /** Of an object; in their order. */
  readonly fields?: readonly Field[];
}

interface Field {
  readonly key: string;
  readonly start: number;
  readonly value: Node;
}

/** What stands in the text is no JSON, comments and trailing commas aside. */
export class NotJson extends Error {}

class Reader {
  at = 0;
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }

  fail(): never {
    const line = this.text.slice(0, this.at).split('\n').length;
    throw new NotJson(`no JSON from line ${line} on`);
  }

  /** Goes past what matches here; undefined when nothing does. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    this.at += found?.length ?? 0;
    return found;
  }

  blank(): void {
    this.take(/(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y);
  }

  string(): string {
    const found = this.take(/"(?:[^"\\\n]|\\.)*"/y) ?? this.fail();
    try {
      return JSON.parse(found) as string;
    } catch {
      return this.fail();
    }
  }

  /** What stands between brackets, each read by `item`, parted by commas, of which one may be left at the end. */
  list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    this.at++;
    for (this.blank(); this.text[this.at] !== close; this.blank()) {
      items.push(item());
      this.blank();
      if (this.text[this.at] === ',') this.at++;
      else if (this.text[this.at] !== close) this.fail();
    }
    this.at++;
    return items;
  }

  field(): Field {
    const start = this.at;
    const key = this.string();
    this.blank();
    if (this.text[this.at++] !== ':') this.fail();
    this.blank();
    return { key, start, value: this.value() };
  }

  value(): Node {
    const start = this.at;
    const first = this.text[start];
    if (first === '{') {
      const fields = this.list('}', () => this.field());
      return { start, end: this.at, fields };
    }
    if (first === '[') this.list(']', () => this.value());
    else if (first === '"') this.string();
    else if (this.take(/-?\d[\d.eE+-]*|true|false|null/y) === undefined) this.fail();
    return { start, end: this.at };
  }

  whole(): Node {
    this.blank();
    const root = this.value();
    this.blank();
    return this.at === this.text.length ? root : this.fail();
  }
}

/** What the first field of `node` is indented by, or what one would be. */
function indentOf(text: string, { start, fields = [] }: Node): string {
  const lineOf = (at: number): string => /[ \t]*$/.exec(text.slice(0, at))?.[0] ?? '';
  const [first] = fields;
  if (first !== undefined && text.slice(start, first.start).includes('\n')) return lineOf(first.start);
  const line = text.slice(text.lastIndexOf('\n', start) + 1, start);
  return `${/^[ \t]*/.exec(line)?.[0] ?? ''}  `;
}

function insert(text: string, node: Node, key: string, value: unknown): string {
  const indent = indentOf(text, node);
  const shown = `${JSON.stringify(key)}: ${JSON.stringify(value, null, 2).replace(/\n/g, `\n${indent}`)}`;
  const last = node.fields?.at(-1);
  if (last === undefined) {
    const inside = text.slice(node.start + 1, node.end - 1).trimEnd();
    return `${text.slice(0, node.start + 1)}${inside}\n${indent}${shown}\n${indent.slice(2)}${text.slice(node.end - 1)}`;
  }
  const { end } = last.value;
  const comma = /^(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*,/.exec(text.slice(end))?.[0];
  const parted = comma === undefined ? `${text.slice(0, end)},` : text.slice(0, end + comma.length);
  const rest = text.slice(end + (comma?.length ?? 0));
  // What is said about the last field on its line stays there.
  const said = /^[ \t]*(?:\/\/[^\n]*|\/\*[^\n]*?\*\/)/.exec(rest)?.[0] ?? '';
  return `${parted}${said}\n${indent}${shown}${rest.slice(said.length)}`;
}

/** The value at `path`, or the object that it would be put into with what is left of the path. */
function find(node: Node, path: readonly string[]): { readonly node: Node; readonly rest: readonly string[] } {
  const [key, ...rest] = path;
  // Of fields that stand there twice, JSON means the last.
  const field = node.fields?.findLast((one) => one.key === key);
  return field === undefined ? { node, rest: path } : find(field.value, rest);
}

/** A value that says the same already stays as it is written. */
function replace(text: string, { start, end }: Node, value: unknown): string {
  try {
    if (isDeepStrictEqual(JSON.parse(text.slice(start, end)), value)) return text;
  } catch {
    // There are comments in it, which nobody can miss after it changed.
  }
  return text.slice(0, start) + JSON.stringify(value) + text.slice(end);
}

/**
 * The text with `value` at `path`; the objects on the way are made where they are missing, and an empty text is an empty
 * object. Throws {@link NotJson} for what is none, and where something else than an object is in the way.
 */
export function setInJson(text: string, path: readonly string[], value: unknown): string {
  const source = text.trim() === '' ? '{}\n' : text;
  const { node, rest } = find(new Reader(source).whole(), path);
  const [key, ...inner] = rest;
  if (key === undefined) return replace(source, node, value);
  if (node.fields === undefined)
    throw new NotJson(`something else than an object where ${JSON.stringify(key)} belongs`);
  const whole = inner.reduceRight<unknown>((made, name) => ({ [name]: made }), value);
  return insert(source, node, key, whole);
}
