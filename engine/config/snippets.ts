/** What editors offer where a route begins: one for each handler, with what it cannot do without. */
import type { HandlerManifest } from '../plugins/manifest.ts';

type Schema = { readonly [key: string]: unknown };

/** In a snippet `$` begins a placeholder and `}` ends one. */
const escaped = (text: string): string => text.replace(/[\\$}]/g, '\\$&');

const literal = (value: unknown): unknown => {
  if (typeof value === 'string') return escaped(value);
  if (Array.isArray(value)) return value.map(literal);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, literal(inner)]));
};

/** A value that fits: what the schema shows, else nothing to write over. */
function sample(option: Schema | undefined): unknown {
  const { examples, default: fallback, const: only, enum: choices } = option ?? {};
  return (examples as unknown[] | undefined)?.[0] ?? fallback ?? only ?? (choices as unknown[] | undefined)?.[0] ?? '';
}

function optionsOf({ schema }: HandlerManifest): Readonly<Record<string, unknown>> {
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, Schema>>;
  const required = (schema['required'] ?? []) as readonly string[];
  const values = required.map((name, at) => {
    const value = sample(properties[name]);
    // 1 and 2 are the id and the event type.
    return [name, typeof value === 'string' ? `\${${at + 3}:${escaped(value)}}` : literal(value)];
  });
  return Object.fromEntries(values) as Readonly<Record<string, unknown>>;
}

/** `name` is what a route writes for the handler. */
export function routeSnippet(name: string, manifest: HandlerManifest): Schema {
  const options = optionsOf(manifest);
  return {
    label: `route to ${name}`,
    description: manifest.description,
    body: {
      id: '${1:name}',
      on: ['${2:event.type}'],
      handler: name,
      ...(Object.keys(options).length === 0 ? {} : { with: options }),
    },
  };
}
