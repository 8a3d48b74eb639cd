/** The forms that a schema of JSON Schema 2020-12 is given out in: for older editors, and for files as they are typed. */
import type { JsonSchema } from './validator.ts';

type Schema = { readonly [key: string]: unknown };

/** Words whose value is a schema, a list of schemas, or a map of schemas by name; everything else is data. */
const holdsOne = new Set([
  ...['additionalProperties', 'unevaluatedProperties', 'unevaluatedItems', 'propertyNames', 'items', 'contains'],
  ...['not', 'if', 'then', 'else', 'additionalItems', 'contentSchema'],
]);
const holdsList = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const holdsMap = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']);

const isSchema = (value: unknown): value is Schema => typeof value === 'object' && value !== null;

/** Every schema inside of `schema`, replaced by what `change` makes of it; `word` is where it stands. */
function within(schema: Schema, change: (inner: unknown, word: string) => unknown): Schema {
  const entries = Object.entries(schema).map(([word, value]): [string, unknown] => {
    if (holdsOne.has(word)) return [word, change(value, word)];
    if (holdsList.has(word)) return [word, (value as unknown[]).map((inner) => change(inner, word))];
    if (!holdsMap.has(word)) return [word, value];
    const inner = Object.entries(value as Schema).map(([name, one]) => [name, change(one, word)]);
    return [word, Object.fromEntries(inner)];
  });
  return Object.fromEntries(entries);
}

/** What draft-07 calls otherwise. A tuple's `items` were its `prefixItems`, and `items` the rest. */
function renamed({ $defs, prefixItems, dependentRequired, dependentSchemas, ...schema }: Schema): Schema {
  const { items, ...others } = schema;
  const rest = items === undefined ? {} : { additionalItems: items };
  const tuple = prefixItems === undefined ? schema : { ...others, items: prefixItems, ...rest };
  const needs = { ...(dependentRequired as Schema | undefined), ...(dependentSchemas as Schema | undefined) };
  return {
    ...tuple,
    ...(Object.keys(needs).length === 0 ? {} : { dependencies: needs }),
    ...($defs === undefined ? {} : { definitions: $defs }),
  };
}

/** In draft-07 a `$ref` silences whatever stands beside it. */
function alone({ $ref, allOf, ...schema }: Schema): Schema {
  if (typeof $ref !== 'string') return allOf === undefined ? schema : { ...schema, allOf };
  const target = { $ref: $ref.replace(/\/\$defs\//g, '/definitions/') };
  if (Object.keys(schema).length === 0 && allOf === undefined) return target;
  return { ...schema, allOf: [target, ...((allOf as unknown[] | undefined) ?? [])] };
}

const older = (schema: unknown): unknown => (isSchema(schema) ? alone(renamed(within(schema, older))) : schema);

/** Words of 2020-12 that draft-07 has nothing for; a schema with them accepts more there. */
const unknownBefore = [
  'unevaluatedProperties',
  'unevaluatedItems',
  'minContains',
  'maxContains',
  '$dynamicRef',
  '$anchor',
];

/** The same schema in draft-07. */
export function toDraft07(schema: JsonSchema): JsonSchema {
  return { ...(older(schema) as Schema), $schema: 'http://json-schema.org/draft-07/schema#' };
}

/** What of `schema` draft-07 cannot say; sorted, each once. */
export function lostInDraft07(schema: unknown, found = new Set<string>()): readonly string[] {
  if (isSchema(schema)) {
    for (const word of unknownBefore) if (word in schema) found.add(word);
    within(schema, (inner) => lostInDraft07(inner, found));
  }
  return [...found].sort();
}

/** Keys are no place for a reference, and a condition that accepts more is another condition. */
const asItIs = new Set(['if', 'not', 'propertyNames', 'contains']);

/** Words that tell people something; they stay where the field is. All others judge its value. */
const telling =
  /^(title|description|markdownDescription|default|examples|deprecated|deprecationMessage|defaultSnippets|\$comment|x-.*)$/;

const typesOf = ({ type }: Schema): readonly unknown[] => (type === undefined ? [] : [type].flat());
const isScalar = (schema: Schema): boolean =>
  typesOf(schema).some((type) => type === 'number' || type === 'integer' || type === 'boolean');
const isText = (schema: Schema): boolean => typesOf(schema).includes('string');

/** The choice between what the schema says and a reference; what tells people about the field stays outside. */
function orReference(schema: Schema): Schema {
  const { true: told, false: judged } = Object.groupBy(Object.entries(schema), ([word]) => `${telling.test(word)}`);
  return {
    ...Object.fromEntries(told ?? []),
    anyOf: [Object.fromEntries(judged ?? []), { $ref: '#/$defs/reference' }],
  };
}

/** What an editor shows: the words as Markdown with the default behind them, and one message for all that is no text. */
function told(schema: Schema): Schema {
  const { description, default: fallback, patternErrorMessage } = schema;
  const shown = fallback === undefined ? '' : `\n\nDefault: \`${JSON.stringify(fallback)}\``;
  return {
    ...(patternErrorMessage === undefined ? {} : { errorMessage: patternErrorMessage }),
    ...schema,
    ...(typeof description === 'string' ? { markdownDescription: `${description}${shown}` } : {}),
  };
}

const typed = (schema: unknown): unknown => (isSchema(schema) ? told(choice(schema)) : schema);

function choice(schema: Schema): Schema {
  const inner = within(schema, (one, word) => (asItIs.has(word) ? exact(one) : typed(one)));
  const { oneOf, ...rest } = inner;
  // A reference fits several branches, and which one is meant is not known before it is followed.
  const open = oneOf === undefined ? inner : { ...rest, anyOf: oneOf };
  const pattern = open['pattern'];
  if (isText(open) && typeof pattern === 'string') return { ...open, pattern: `(?:${pattern})|\\$\\{` };
  const isLimited = isText(open) && ('format' in open || 'maxLength' in open);
  return 'enum' in open || (isScalar(open) && !isText(open)) || isLimited ? orReference(open) : open;
}

const reference: Schema = {
  description:
    '`${NAME}`, `${NAME:-default}`, `${NAME:?message}` or `${file:/run/secrets/name}`; followed when the file is loaded.',
  type: 'string',
  pattern: '\\$\\{[^}]+\\}',
  patternErrorMessage: 'expected a reference such as ${NAME}',
};

const definition = /^#\/\$defs\/([^/]+)/;

/** As it is; what it refers to as well, and so under another name. */
function exact(schema: unknown): unknown {
  if (!isSchema(schema)) return schema;
  const inner = within(schema, exact);
  const { $ref } = inner;
  return typeof $ref === 'string' ? { ...inner, $ref: $ref.replace(definition, '#/$defs/exact.$1') } : inner;
}

function exactNames(schema: unknown, found: Set<string>): ReadonlySet<string> {
  if (!isSchema(schema)) return found;
  const [, name] = definition.exec(typeof schema['$ref'] === 'string' ? schema['$ref'] : '') ?? [];
  if (name?.startsWith('exact.') === true) found.add(name);
  within(schema, (inner) => exactNames(inner, found));
  return found;
}

/** The definitions that are referred to as they are, and those that these refer to. */
function exactDefinitions(schema: Schema, definitions: Schema): Schema {
  const made: Record<string, unknown> = {};
  const wanted = new Set<string>();
  exactNames(schema, wanted);
  for (const name of wanted) {
    made[name] = exact(definitions[name.slice('exact.'.length)]);
    exactNames(made[name], wanted);
  }
  return made;
}

/** The same schema for files as they are typed: where a value can come from a reference, the reference fits too. */
export function toEditor(schema: JsonSchema): JsonSchema {
  const open = typed(schema) as Schema;
  const definitions = (schema['$defs'] ?? {}) as Schema;
  return { ...open, $defs: { ...(open['$defs'] as Schema), ...exactDefinitions(open, definitions), reference } };
}
