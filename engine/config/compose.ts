/** The pipeline schema with the options of the installed handlers in it, by `if`/`then` on `handler`. */
import { readFileSync } from 'node:fs';
import { fullName, type HandlerManifest, type PluginCatalog } from '../plugins/manifest.ts';
import { routeSnippet } from './snippets.ts';
import type { JsonSchema } from './validator.ts';

type Schema = { [key: string]: unknown };

// Beside the sources the schemas are two folders up; the package carries a copy at the same distance from `dist/config`.
const readOnce = new Map<string, Schema>();

function readOwn(name: string): Schema {
  const known = readOnce.get(name);
  if (known !== undefined) return known;
  const file = new URL(`../../schemas/${name}.schema.json`, import.meta.url);
  const schema = JSON.parse(readFileSync(file, 'utf8')) as Schema;
  readOnce.set(name, schema);
  return schema;
}

export const readPipelineSchema = (): JsonSchema => readOwn('pipeline');
export const readSettingsSchema = (): JsonSchema => readOwn('settings');
export const readTestSchema = (): JsonSchema => readOwn('test');

/** A schema that becomes part of another: what it says about itself now stands further down. */
function rebase(value: unknown, base: string): unknown {
  if (Array.isArray(value)) return value.map((item) => rebase(item, base));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const isLocal = key === '$ref' && typeof inner === 'string' && inner.startsWith('#');
      return [key, isLocal ? `${base}${inner.slice(1)}` : rebase(inner, base)];
    }),
  );
}

interface Known {
  readonly manifest: HandlerManifest;
  /** What routes may write. */
  readonly names: readonly string[];
}

function knownHandlers(catalog: PluginCatalog): Known[] {
  return [...catalog.handlers].flatMap(([name, manifests]) =>
    manifests.map((manifest) => ({
      manifest,
      names: manifests.length === 1 ? [name, fullName(manifest)] : [fullName(manifest)],
    })),
  );
}

const pointer = (name: string): string => `#/$defs/${encodeURIComponent(name).replace(/%2F/g, '~1')}`;

/** Without the list of possible handlers: which handler is meant is not a question of the schema alone. */
export function composeOptions(catalog: PluginCatalog): JsonSchema {
  const schema = structuredClone(readPipelineSchema()) as Schema & { $defs: Record<string, Schema> };
  const known = knownHandlers(catalog);
  for (const { manifest, names } of known) {
    const name = `handler.${names[0]}`;
    const { $schema: _, $id: __, ...options } = manifest.schema;
    schema.$defs[name] = rebase(options, pointer(name)) as Schema;
  }
  const branches = known.map(({ names }) => ({
    if: { type: 'object', properties: { handler: { enum: names } }, required: ['handler'] },
    // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
    then: { type: 'object', properties: { with: { $ref: pointer(`handler.${names[0]}`) } } },
  }));
  if (branches.length > 0) schema.$defs['route'] = { ...schema.$defs['route'], allOf: branches };
  return schema;
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** The short names are what editors offer and name in errors; the full ones, which always work, are accepted in silence. */
function nameOfHandler(known: readonly Known[]): Schema {
  const handlers = known.map(({ names: [name = '', full], manifest }) => ({ name, full, manifest }));
  const texts = handlers.map(({ manifest: { title, description } }) => `${title}: ${description}`);
  const full = handlers.flatMap((handler) => handler.full ?? []);
  const names = { enum: handlers.map(({ name }) => name), enumDescriptions: texts };
  if (full.length === 0) return names;
  return { anyOf: [names, { type: 'string', pattern: `^(?:${full.map(escaped).join('|')})$` }] };
}

/** For editors and `eventflow schema`: knows the names of the handlers, and the options of each. */
export function composeSchema(catalog: PluginCatalog): JsonSchema {
  const schema = composeOptions(catalog) as Schema & { $defs: { route: { properties: Record<string, Schema> } } };
  const known = knownHandlers(catalog);
  if (known.length === 0) return schema;
  const route = schema.$defs.route;
  const { title, description } = route.properties['handler'] as Schema;
  route.properties['handler'] = { title, description, ...nameOfHandler(known) };
  const defaultSnippets = known.map(({ names: [name = ''], manifest }) => routeSnippet(name, manifest));
  Object.assign(route, { defaultSnippets });
  const needy = known.filter(
    ({ manifest }) => Array.isArray(manifest.schema['required']) && manifest.schema['required'].length > 0,
  );
  const mustHave = {
    if: {
      type: 'object',
      properties: { handler: { enum: needy.flatMap(({ names }) => names) } },
      required: ['handler'],
    },
    // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
    then: { type: 'object', required: ['with'] },
  };
  const { allOf = [] } = route as { allOf?: unknown[] };
  if (needy.length > 0) Object.assign(route, { allOf: [...allOf, mustHave] });
  return schema;
}
