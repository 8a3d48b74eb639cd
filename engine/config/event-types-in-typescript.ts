/**
 * The catalogue's schemas as TypeScript, for publishers. Written here because whoever runs `eventflow schema --types` has
 * no other generator installed, and one would be the largest dependency of the engine; what types cannot say (patterns,
 * limits, conditions) is left to the check at ingest, so a type takes all data of its kind that the schema takes.
 */
import type { JsonSchema } from './validator.ts';

type Schema = { readonly [key: string]: unknown };

interface Writer {
  readonly root: Schema;
  /** What the names of this event type's own definitions start with. */
  readonly prefix: string;
  /** JSON pointer → name; there before its declaration is, so that a schema can mean itself. */
  readonly names: Map<string, string>;
  readonly taken: Set<string>;
  readonly declarations: string[];
}

const isMap = (value: unknown): value is Schema => typeof value === 'object' && value !== null && !Array.isArray(value);

/** `order.paid` → `OrderPaid`. */
const pascal = (text: string): string =>
  text
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
    .replace(/^(?=\d|$)/, 'Event');

function freshName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let more = 2; taken.has(name); more++) name = `${wanted}${more}`;
  taken.add(name);
  return name;
}

const quoted = (text: string): string =>
  `'${JSON.stringify(text).slice(1, -1).replace(/\\"/g, '"').replace(/'/g, "\\'")}'`;
const keyText = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name));
const indented = (text: string): string => text.replace(/\n/g, '\n  ');

function comment(schema: unknown): string {
  const text = isMap(schema) ? (schema['description'] ?? schema['title']) : undefined;
  if (typeof text !== 'string' || text.trim() === '') return '';
  return `/** ${text
    .trim()
    .replace(/\*\//g, '* /')
    .replace(/\s*\n\s*/g, ' ')} */\n`;
}

function literal(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  return typeof value === 'object' && value !== null ? 'unknown' : String(value);
}

/** Each once; `unknown` takes the others in. */
function union(types: readonly string[]): string {
  const once = [...new Set(types)];
  if (once.includes('unknown')) return 'unknown';
  return once.length === 0 ? 'never' : once.join(' | ');
}

const parenthesised = (type: string): string =>
  / [|&] /.test(type) && !/^\{[\s\S]*\}$/.test(type) ? `(${type})` : type;

function intersection(types: readonly string[]): string {
  const once = [...new Set(types)].filter((type) => type !== 'unknown');
  return once.length < 2 ? (once[0] ?? 'unknown') : once.map(parenthesised).join(' & ');
}

function resolvePointer(root: Schema, reference: string): unknown {
  const steps = reference.slice(1).split('/').slice(1);
  return steps.reduce<unknown>((at, step) => {
    const key = decodeURIComponent(step).replace(/~1/g, '/').replace(/~0/g, '~');
    return typeof at === 'object' && at !== null ? (at as Schema)[key] : undefined;
  }, root);
}

/** A definition gets a name of its own; what stands in another file stays unknown. */
function referenceType(reference: string, writer: Writer): string {
  const known = writer.names.get(reference);
  if (known !== undefined) return known;
  const target = reference.startsWith('#') ? resolvePointer(writer.root, reference) : undefined;
  if (target === undefined) return 'unknown';
  const name = freshName(`${writer.prefix}${pascal(reference.split('/').at(-1) ?? '')}`, writer.taken);
  writer.names.set(reference, name);
  writer.declarations.push(`${comment(target)}export type ${name} = ${typeOf(target, writer)};`);
  return name;
}

function arrayType({ prefixItems, items }: Schema, writer: Writer): string {
  const rest = items === false ? undefined : typeOf(items ?? true, writer);
  if (!Array.isArray(prefixItems)) return `${parenthesised(rest ?? 'never')}[]`;
  // Shorter ones fit as well: only `minItems` could say otherwise.
  const first = prefixItems.map((one) => `${parenthesised(typeOf(one, writer))}?`);
  return `[${[...first, ...(rest === undefined ? [] : [`...${parenthesised(rest)}[]`])].join(', ')}]`;
}

function objectType(schema: Schema, writer: Writer): string {
  const { properties, additionalProperties = true, patternProperties } = schema;
  const required = new Set((schema['required'] as readonly string[] | undefined) ?? []);
  const fields = new Map(Object.entries((properties ?? {}) as Schema));
  for (const name of required) if (!fields.has(name)) fields.set(name, additionalProperties);
  const lines = [...fields].map(([name, field]) => {
    const type = indented(typeOf(field, writer));
    return `${comment(field).replace(/\n/, '\n  ')}${keyText(name)}${required.has(name) ? '' : '?'}: ${type};`;
  });
  const others = [...Object.values((patternProperties ?? {}) as Schema), additionalProperties].filter(
    (one) => one !== false,
  );
  // TypeScript wants declared fields to fit the signature too, so beside them it cannot be narrower than unknown.
  const signature = fields.size > 0 ? 'unknown' : indented(union(others.map((one) => typeOf(one, writer))));
  if (others.length > 0) lines.push(`[name: string]: ${signature};`);
  return lines.length === 0 ? 'Record<string, never>' : `{\n  ${lines.join('\n  ')}\n}`;
}

function namedType(type: unknown, schema: Schema, writer: Writer): string {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    case 'number':
    case 'integer':
      return 'number';
    case 'array':
      return arrayType(schema, writer);
    case 'object':
      return objectType(schema, writer);
  }
  return 'unknown';
}

const looksLikeObject = (schema: Schema): boolean => 'properties' in schema || 'required' in schema;

/** What the schema says about the value itself, without the schemas that it is combined of. */
function ownType(schema: Schema, writer: Writer): string {
  if ('const' in schema) return literal(schema['const']);
  if (Array.isArray(schema['enum'])) return union(schema['enum'].map(literal));
  const { type } = schema;
  // `properties` alone would let a text pass; whoever writes them means an object.
  if (type === undefined) return looksLikeObject(schema) ? objectType(schema, writer) : 'unknown';
  return union([type].flat().map((one) => namedType(one, schema, writer)));
}

function typeOf(schema: unknown, writer: Writer): string {
  if (schema === false) return 'never';
  if (!isMap(schema)) return 'unknown';
  const all = ((schema['allOf'] as readonly unknown[] | undefined) ?? []).map((one) => typeOf(one, writer));
  const any = [schema['anyOf'], schema['oneOf']]
    .filter((choices) => Array.isArray(choices))
    .map((choices) => union(choices.map((one) => typeOf(one, writer))));
  const referred = typeof schema['$ref'] === 'string' ? [referenceType(schema['$ref'], writer)] : [];
  return intersection([...referred, ownType(schema, writer), ...all, ...any]);
}

const head = '/* Generated by `eventflow schema --types` from the catalogue of event types; do not edit. */';

/** A module that exports `EventTypes`, the data by event type; `undefined` stands for a type without a schema. */
export function eventTypesInTypeScript(types: ReadonlyMap<string, JsonSchema | undefined>): string {
  const taken = new Set(['EventTypes']);
  const declarations: string[] = [];
  const entries = [...types].sort(([a], [b]) => (a < b ? -1 : 1));
  const fields = entries.map(([type, schema]) => {
    if (schema === undefined) return `  ${keyText(type)}: unknown;`;
    const prefix = freshName(pascal(type), taken);
    const writer: Writer = { root: schema, prefix, names: new Map([['#', prefix]]), taken, declarations };
    const text = typeOf(schema, writer);
    declarations.push(`${comment(schema)}export type ${prefix} = ${text};`);
    return `  ${keyText(type)}: ${prefix};`;
  });
  const map = `/** The data of each event type: \`createPublisher<EventTypes>({ url })\`. */\nexport interface EventTypes {\n${fields.join('\n')}\n}`;
  return `${[head, map, ...declarations].join('\n\n')}\n`;
}
