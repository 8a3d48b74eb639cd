/**
 * The TypeScript types of the configuration files, made from their JSON Schemas.
 * `node --conditions=eventflow-source test/repo/generate-types.ts` writes them; `generated.test.ts` notices stale ones.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { compile } from 'json-schema-to-typescript';

const root = new URL('../../', import.meta.url);

/** Where each set of types comes from and goes to, relative to the top of the checkout. */
export const generated = [
  { schema: 'schemas/pipeline.schema.json', types: 'engine/config/pipeline.generated.ts', name: 'PipelineFile' },
  { schema: 'schemas/settings.schema.json', types: 'engine/config/settings.generated.ts', name: 'SettingsFile' },
  { schema: 'schemas/test.schema.json', types: 'engine/pipeline-test/test-file.generated.ts', name: 'TestFile' },
] as const;

type Schema = { [key: string]: unknown };

/** `allOf: [{ if: { type }, then }, …]` says for editors and errors what `anyOf` says for types. */
function asAnyOf(schema: Schema): Schema {
  const { type, allOf, ...rest } = schema;
  if (!Array.isArray(type) || !Array.isArray(allOf)) return schema;
  return { ...rest, anyOf: (allOf as { then: Schema }[]).map((branch) => branch.then) };
}

/** A map that says nothing about its fields takes any. */
const isOpen = (schema: Schema): boolean =>
  schema['type'] === 'object' && !('properties' in schema) && !('additionalProperties' in schema);

/** Titles would become the names of types, keys for anchors would open every type, siblings of `$ref` would copy it. */
function simplify(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => simplify(item));
  if (typeof value !== 'object' || value === null) return value;
  const { patternProperties: _, title, ...schema } = value as Schema;
  if (typeof schema['$ref'] === 'string') return { $ref: schema['$ref'] };
  const kept = key === 'properties' && typeof title === 'object' ? { ...schema, title } : schema;
  const open = isOpen(kept) ? { ...kept, additionalProperties: true } : kept;
  return Object.fromEntries(Object.entries(asAnyOf(open)).map(([name, inner]) => [name, simplify(inner, name)]));
}

/** The text of a types file. */
export async function renderTypes(schemaPath: string, name: string): Promise<string> {
  const schema = simplify(JSON.parse(readFileSync(new URL(schemaPath, root), 'utf8'))) as Schema;
  return await compile({ ...schema, title: name }, name, {
    additionalProperties: false,
    bannerComment: `/* Generated from ${schemaPath} by test/repo/generate-types.ts; do not edit. */`,
    style: { singleQuote: true, printWidth: 120 },
  });
}

if (import.meta.main) {
  for (const { schema, types, name } of generated) {
    writeFileSync(new URL(types, root), await renderTypes(schema, name));
  }
}
