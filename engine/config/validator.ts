/** JSON Schema, as EventFlow uses it: 2020-12, strict, with a few words of its own. */
import { hash } from 'node:crypto';
import type { ErrorObject, FuncKeywordDefinition } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { parseDuration } from '../core/duration.ts';

export type JsonSchema = { readonly [key: string]: unknown };

/** What a validation found out. Pointers are JSON pointers into the value. */
export interface Validation {
  readonly errors: readonly ErrorObject[];
  /** Values that a schema marks `"x-secret": true`. */
  readonly secrets: ReadonlySet<string>;
  /** Values that a schema marks `"x-file": true`: paths of files that shape behaviour. */
  readonly files: ReadonlySet<string>;
  /** Values that a schema marks `"x-template": true`: Liquid. */
  readonly templates: ReadonlySet<string>;
}

export type Validate = (value: unknown) => Validation;

interface Marks {
  readonly secrets: Set<string>;
  readonly files: Set<string>;
  readonly templates: Set<string>;
}

const noMarks = (): Marks => ({ secrets: new Set(), files: new Set(), templates: new Set() });

/** A keyword that notes where its value stands. */
const marker = (keyword: string, into: keyof Marks): FuncKeywordDefinition => ({
  keyword,
  schemaType: 'boolean',
  errors: false,
  validate(this: Marks, marked: boolean, _data: unknown, _parent, context) {
    if (marked && context !== undefined) this[into].add(context.instancePath);
    return true;
  },
});

/** `"x-range": ["1ms", "24h"]`: the shortest and the longest duration. */
const range: FuncKeywordDefinition = {
  keyword: 'x-range',
  type: 'string',
  schemaType: 'array',
  errors: true,
  validate: Object.assign(checkRange, { errors: [] as Partial<ErrorObject>[] }),
};

function checkRange([least, most]: readonly [string, string], text: string): boolean {
  const duration = parseDuration(text);
  if (duration === undefined) return true;
  const fault =
    duration < (parseDuration(least) ?? 0)
      ? `at least ${least}`
      : duration > (parseDuration(most) ?? Number.POSITIVE_INFINITY)
        ? `at most ${most}`
        : undefined;
  if (fault === undefined) return true;
  (range.validate as { errors?: Partial<ErrorObject>[] }).errors = [{ keyword: 'x-range', params: { limit: fault } }];
  return false;
}

/** Words for editors and people, which say nothing about validity. */
const annotations = [
  'x-escape',
  'x-env',
  'patternErrorMessage',
  'errorMessage',
  'markdownDescription',
  'deprecationMessage',
  'enumDescriptions',
  'markdownEnumDescriptions',
  'defaultSnippets',
  'tsType',
];

/** Further `x-` words of third parties are theirs to read. */
function foreignWords(schema: unknown, found = new Set<string>()): Set<string> {
  if (typeof schema !== 'object' || schema === null) return found;
  for (const [key, value] of Object.entries(schema)) {
    if (key.startsWith('x-')) found.add(key);
    foreignWords(value, found);
  }
  return found;
}

function createAjv(schema: JsonSchema, useDefaults: boolean): Ajv2020 {
  const ajv = new Ajv2020({
    allErrors: true,
    verbose: true,
    passContext: true,
    allowUnionTypes: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    validateFormats: true,
    logger: false,
    // The meta-schema is compiled once, by `checkSchema`, and not for every schema anew.
    meta: false,
    validateSchema: false,
    useDefaults,
    ...(useDefaults ? { strictSchema: false } : {}),
  });
  formats.default(ajv);
  ajv.addKeyword(marker('x-secret', 'secrets'));
  ajv.addKeyword(marker('x-file', 'files'));
  ajv.addKeyword(marker('x-template', 'templates'));
  ajv.addKeyword(range);
  const own = new Set(['x-secret', 'x-file', 'x-template', 'x-range', ...annotations]);
  for (const word of annotations) ajv.addKeyword(word);
  for (const word of foreignWords(schema)) if (!own.has(word)) ajv.addKeyword(word);
  return ajv;
}

let judge: Ajv2020 | undefined;

/** Throws when `schema` breaks the rules of JSON Schema 2020-12. */
function checkSchema(schema: JsonSchema): void {
  judge ??= new Ajv2020({ strict: false, logger: false });
  if (judge.validateSchema(schema) === true) return;
  const [first] = judge.errors ?? [];
  throw new Error(`${first?.instancePath || '/'} ${first?.message ?? 'is no JSON Schema 2020-12'}`);
}

/** Throws when `schema` is no valid schema. */
export function createValidator(schema: JsonSchema): Validate {
  checkSchema(schema);
  const compiled = createAjv(schema, false).compile(schema);
  return (value) => {
    const marks = noMarks();
    const fits = compiled.call(marks, value);
    return { errors: fits ? [] : (compiled.errors ?? []), ...marks };
  };
}

const recent = new Map<string, Validate>();

/** The same validator for the same schema, since compiling one takes milliseconds and reloads come in bursts. */
export function validatorFor(schema: JsonSchema): Validate {
  const key = hash('sha256', JSON.stringify(schema));
  const known = recent.get(key);
  if (known !== undefined) return known;
  const made = createValidator(schema);
  if (recent.size >= 1_000) recent.clear();
  recent.set(key, made);
  return made;
}

/** Fills what is missing in a copy with the defaults of `schema`; the value has to fit already. */
export function createDefaulter(schema: JsonSchema): (value: unknown) => unknown {
  const compiled = createAjv(schema, true).compile(schema);
  return (value) => {
    const copy = structuredClone(value);
    compiled.call(noMarks(), copy);
    return copy;
  };
}
