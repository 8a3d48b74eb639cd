/** Reads a handler's schema as the engine does, and finds what its author forgot to say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type JsonSchema = { readonly [key: string]: unknown };

export interface HandlerManifest {
  readonly schema: JsonSchema;
  readonly templates: readonly string[];
  readonly secrets: readonly string[];
  /** It has `handleBatch`. */
  readonly batch: boolean;
}

interface PackageJson {
  readonly eventflow?: {
    readonly handlers?: Readonly<
      Record<
        string,
        | {
            schema?: string;
            capabilities?: { templates?: readonly string[]; secrets?: readonly string[]; batch?: boolean };
          }
        | undefined
      >
    >;
  };
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

/** Throws when the package's manifest does not name the handler or its schema. */
export function readManifest(packageFolder: string, handler: string): HandlerManifest {
  const file = join(packageFolder, 'package.json');
  const entry = (readJson(file) as PackageJson).eventflow?.handlers?.[handler];
  if (entry?.schema === undefined) {
    throw new Error(`expected eventflow.handlers.${handler}.schema in ${file}, got nothing`);
  }
  return {
    schema: readJson(join(packageFolder, entry.schema)) as JsonSchema,
    templates: entry.capabilities?.templates ?? [],
    secrets: entry.capabilities?.secrets ?? [],
    batch: entry.capabilities?.batch === true,
  };
}

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Every option in the schema, by its path: `headers.*` for the values of a map, the list's own path for its items. */
export function optionsOf(schema: JsonSchema, path = ''): readonly { path: string; schema: JsonSchema }[] {
  const found: { path: string; schema: JsonSchema }[] = [];
  const visit = (inner: unknown, at: string): void => {
    if (isSchema(inner)) found.push({ path: at, schema: inner }, ...optionsOf(inner, at));
  };
  const prefix = path === '' ? '' : `${path}.`;
  if (isSchema(schema['properties'])) {
    for (const [name, inner] of Object.entries(schema['properties'])) visit(inner, prefix + name);
  }
  visit(schema['additionalProperties'], `${prefix}*`);
  visit(schema['items'], `${prefix}*`);
  return found;
}

/** What is not said about an option: a description; and what it may look like: a default, values or examples. */
export function undocumented(schema: JsonSchema): readonly string[] {
  return optionsOf(schema).flatMap(({ path, schema: option }) => {
    const problems: string[] = [];
    if (typeof option['description'] !== 'string') problems.push(`${path} has no description`);
    const isPart = path.endsWith('*');
    const isShown = ['default', 'enum', 'const', 'examples'].some((word) => word in option);
    if (!isPart && !isShown) problems.push(`${path} has neither default, enum nor examples`);
    return problems;
  });
}

/** Objects that let unknown options through. */
export const openObjects = (schema: JsonSchema): readonly string[] =>
  [{ path: '(the options)', schema }, ...optionsOf(schema)]
    .filter(({ schema: { type, additionalProperties } }) => type === 'object' && additionalProperties === undefined)
    .map(({ path }) => path);

/** The values in `options` that the schema marks as secrets. */
export function secretsIn(schema: JsonSchema, options: unknown): readonly string[] {
  if (typeof options === 'string') return schema['x-secret'] === true ? [options] : [];
  if (typeof options !== 'object' || options === null) return [];
  const properties = isSchema(schema['properties']) ? schema['properties'] : {};
  return Object.entries(options).flatMap(([name, value]) => {
    const inner = properties[name] ?? (Array.isArray(options) ? schema['items'] : schema['additionalProperties']);
    return isSchema(inner) ? secretsIn(inner, value) : [];
  });
}
