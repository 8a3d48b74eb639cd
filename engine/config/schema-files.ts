/**
 * A JSON Schema that stands in several files, as one: each file that a `$ref` leads to becomes a definition. References
 * are paths from the file they stand in. An `$id` in the web counts as the place of the file, so that neighbours may be
 * named by their address; nothing is ever fetched.
 */
import { dirname, extname, posix, relative, resolve } from 'node:path';
import type { Reading } from './reading.ts';
import type { JsonSchema } from './validator.ts';

export type Bundled =
  | { readonly ok: true; readonly schema: JsonSchema }
  | { readonly ok: false; readonly reason: string };

const mostFiles = 100;

class Unusable extends Error {}

interface Part {
  readonly path: string;
  /** The schema's own `$id`, when that is an address. */
  readonly address: URL | undefined;
  /** Where the part is in the whole: '' for the first file, else `/$defs/<name>`. */
  readonly pointer: string;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

class Bundler {
  readonly #reading: Reading;
  readonly #root: string;
  readonly #parts = new Map<string, Part>();
  readonly #definitions: Record<string, unknown> = {};
  /** Names under `$defs` of the whole. */
  readonly #taken = new Set<string>();

  constructor(root: string, reading: Reading) {
    this.#root = root;
    this.#reading = reading;
  }

  bundle(): JsonSchema {
    const schema = this.#add(this.#root, '');
    if (this.#parts.size === 1) return schema;
    return { ...schema, $defs: { ...(isMap(schema['$defs']) ? schema['$defs'] : {}), ...this.#definitions } };
  }

  #say(path: string, what: string): never {
    throw new Unusable(path === this.#root ? what : `${what}, in ${this.#reading.name(path)}`);
  }

  #read(path: string, from: string): Record<string, unknown> {
    const content = this.#reading.file(path);
    if (!content.ok) {
      const name = path === this.#root ? '' : ` ${this.#reading.name(path)} that a $ref names`;
      throw new Unusable(`expected a readable JSON Schema${name}, got: ${content.reason}`);
    }
    let schema: unknown;
    try {
      schema = JSON.parse(content.bytes.toString('utf8'));
    } catch (error) {
      return this.#say(path, `expected a JSON Schema (2020-12), got: ${(error as Error).message}`);
    }
    if (isMap(schema)) return schema;
    return this.#say(
      path,
      `expected a JSON Schema (2020-12) that is a map${from === path ? '' : ', as a $ref needs it'}`,
    );
  }

  #add(path: string, pointer: string, from = path): JsonSchema {
    if (this.#parts.size >= mostFiles) throw new Unusable(`expected at most ${mostFiles} files of one schema`);
    const { $id, ...schema } = this.#read(path, from);
    const part = { path, pointer, address: URL.canParse(String($id)) ? new URL(String($id)) : undefined };
    this.#parts.set(path, part);
    if (pointer === '' && isMap(schema['$defs']))
      for (const name of Object.keys(schema['$defs'])) this.#taken.add(name);
    return this.#rewrite(schema, part) as JsonSchema;
  }

  /** A copy in which every reference leads into the whole. */
  #rewrite(value: unknown, part: Part): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#rewrite(item, part));
    if (!isMap(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) =>
        key === '$ref' && typeof inner === 'string'
          ? [key, this.#refer(inner, part)]
          : [key, key === 'enum' && Array.isArray(inner) ? inner : this.#rewrite(inner, part)],
      ),
    );
  }

  #refer(reference: string, part: Part): string {
    const [file = '', fragment = ''] = reference.split('#', 2);
    if (file === '' && part.pointer === '') return reference;
    if (fragment !== '' && !fragment.startsWith('/')) {
      this.#say(part.path, `expected a $ref that is a path into a schema, such as #/$defs/name, got ${reference}`);
    }
    const pointer = file === '' ? part.pointer : this.#pointerTo(this.#pathOf(file, part), part);
    return `#${pointer}${fragment}`;
  }

  #pathOf(file: string, { path, address }: Part): string {
    if (!/^[a-z][a-z0-9+.-]*:/i.test(file)) return resolve(dirname(path), decodeURI(file));
    const target = new URL(file);
    if (target.protocol === 'file:') return target.pathname;
    if (address === undefined || target.origin !== address.origin) {
      this.#say(path, `expected a $ref to a file, got ${file}: nothing is fetched from the network`);
    }
    return resolve(dirname(path), posix.relative(posix.dirname(address.pathname), decodeURI(target.pathname)));
  }

  #pointerTo(path: string, from: Part): string {
    const known = this.#parts.get(path);
    if (known !== undefined) return known.pointer;
    const plain = relative(dirname(this.#root), path).slice(0, -extname(path).length || undefined);
    const base = plain.replace(/[^\w-]+/g, '_').replace(/^_+/, '') || 'file';
    let name = base;
    for (let more = 2; this.#taken.has(name); more++) name = `${base}${more}`;
    this.#taken.add(name);
    this.#definitions[name] = this.#add(path, `/$defs/${name}`, from.path);
    return `/$defs/${name}`;
  }
}

/** `path` is absolute. Every file on the way is read through `reading`, so that the watcher knows of it. */
export function bundleSchema(path: string, reading: Reading): Bundled {
  try {
    return { ok: true, schema: new Bundler(path, reading).bundle() };
  } catch (error) {
    if (error instanceof Unusable) return { ok: false, reason: error.message };
    // Nesting that the stack does not hold, or an address that is none.
    return { ok: false, reason: `expected a JSON Schema (2020-12), got: ${(error as Error).message}` };
  }
}
