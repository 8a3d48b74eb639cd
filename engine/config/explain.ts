/** The validator's errors in words: expected X, got Y, at this place. Wrappers that only repeat others are dropped. */
import type { ErrorObject } from 'ajv';
import type { ErrorCode } from '../errors.ts';

/** One fault of a value; `path` is a JSON pointer. */
export interface SchemaFault {
  readonly code: ErrorCode;
  readonly pointer: string;
  /** Whether the fault is with the key at `pointer` or with its value. */
  readonly at: 'key' | 'value';
  /** What was expected, without what was got. */
  readonly message: string;
  /** Whether the reader should be told what stands there. */
  readonly got: boolean;
  /** What was written and what could have been meant. */
  readonly candidates?: { readonly written: string; readonly words: readonly string[]; readonly kind: string };
  readonly help?: string;
}

type Words = { readonly [key: string]: unknown };

const kinds: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  null: 'nothing',
};

const either = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

const typesOf = (error: ErrorObject): string[] => [(error.params as { type: string | string[] }).type].flat();

const value = (error: ErrorObject, code: ErrorCode, message: string, more: Partial<SchemaFault> = {}): SchemaFault => ({
  code,
  pointer: error.instancePath,
  at: 'value',
  message,
  got: true,
  ...more,
});

export const pointerStep = (key: string): string => key.replace(/~/g, '~0').replace(/\//g, '~1');

const keysOf = (schema: unknown): string[] =>
  Object.keys(((schema as Words | undefined)?.['properties'] ?? {}) as object);

function unknownField(error: ErrorObject, name: string): SchemaFault {
  return {
    code: 'EF2001',
    pointer: `${error.instancePath}/${pointerStep(name)}`,
    at: 'key',
    message: 'unknown field',
    got: false,
    candidates: { written: name, words: keysOf(error.parentSchema), kind: 'known fields' },
  };
}

function missingField(error: ErrorObject, name: string, beside?: string): SchemaFault {
  const properties = ((error.parentSchema as Words | undefined)?.['properties'] ?? {}) as Record<string, Words>;
  const example =
    (properties[name]?.['examples'] as readonly unknown[] | undefined)?.[0] ?? properties[name]?.['const'];
  const help = example === undefined ? {} : { help: `for example  ${name}: ${yamlLike(example)}` };
  const message = `expected the field ${name}${beside === undefined ? '' : ` beside ${beside}`}, got nothing`;
  return { code: 'EF2002', pointer: error.instancePath, at: 'key', message, got: false, ...help };
}

/** Good enough for one line of help: flow style, quotes only where they are needed. */
function yamlLike(example: unknown): string {
  if (Array.isArray(example)) return `[${example.map(yamlLike).join(', ')}]`;
  if (typeof example === 'object' && example !== null) {
    return `{ ${Object.entries(example)
      .map(([key, inner]) => `${key}: ${yamlLike(inner)}`)
      .join(', ')} }`;
  }
  return typeof example === 'string' && !/^[A-Za-z][\w ./-]*$/.test(example)
    ? JSON.stringify(example)
    : String(example);
}

function oneOf(error: ErrorObject, allowed: readonly unknown[]): SchemaFault {
  const shown = allowed.map((choice) => (typeof choice === 'string' ? choice : JSON.stringify(choice)));
  const message = allowed.length === 1 ? `expected ${shown[0]}` : `expected one of ${shown.join(', ')}`;
  if (typeof error.data !== 'string') return value(error, 'EF2003', message);
  const candidates = { written: error.data, words: allowed.filter((choice) => typeof choice === 'string'), kind: '' };
  return value(error, 'EF2003', message, { candidates });
}

function wrongType(error: ErrorObject, types: readonly string[]): SchemaFault {
  const expected = either([...new Set(types.map((type) => kinds[type] ?? type))]);
  const single =
    types.includes('array') && !types.includes('string') && ['string', 'number'].includes(typeof error.data);
  return value(error, 'EF2004', `expected ${expected}`, single ? { help: 'a list of one is written [ … ]' } : {});
}

const limits: Readonly<Record<string, (limit: number) => string>> = {
  minimum: (limit) => `at least ${limit}`,
  maximum: (limit) => `at most ${limit}`,
  exclusiveMinimum: (limit) => `more than ${limit}`,
  exclusiveMaximum: (limit) => `less than ${limit}`,
  minLength: (limit) => (limit === 1 ? 'a text that is not empty' : `at least ${limit} characters`),
  maxLength: (limit) => `at most ${limit} characters`,
  minItems: (limit) => (limit === 1 ? 'at least one item' : `at least ${limit} items`),
  maxItems: (limit) => `at most ${limit} items`,
  minProperties: (limit) => (limit === 1 ? 'at least one field' : `at least ${limit} fields`),
  maxProperties: (limit) => `at most ${limit} fields`,
};

function explainOne(error: ErrorObject): SchemaFault {
  const params = error.params as Record<string, string | number>;
  const parent = (error.parentSchema ?? {}) as Words;
  const limit = limits[error.keyword];
  if (limit !== undefined) return value(error, 'EF2005', `expected ${limit(params['limit'] as number)}`);
  const own = parent['patternErrorMessage'] ?? parent['errorMessage'];
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownField(error, params['additionalProperty'] as string);
    case 'unevaluatedProperties':
      return unknownField(error, params['unevaluatedProperty'] as string);
    case 'required':
      return missingField(error, params['missingProperty'] as string);
    case 'dependentRequired':
      return missingField(error, params['missingProperty'] as string, params['property'] as string);
    case 'enum':
      return oneOf(error, (error.params as Words)['allowedValues'] as readonly unknown[]);
    case 'const':
      return typeof own === 'string'
        ? value(error, 'EF2003', own)
        : oneOf(error, [(error.params as Words)['allowedValue']]);
    case 'type':
      return typeof own === 'string' ? value(error, 'EF2004', own) : wrongType(error, typesOf(error));
    case 'x-range':
      return value(error, 'EF2005', `expected ${params['limit']}`);
    case 'multipleOf':
      return value(error, 'EF2005', `expected a multiple of ${params['multipleOf']}`);
    case 'pattern':
      return value(error, 'EF2006', typeof own === 'string' ? own : `expected a text like ${params['pattern']}`);
    case 'format':
      return value(error, 'EF2006', `expected a ${params['format']}`);
    case 'uniqueItems':
      return value(error, 'EF2007', 'expected each item once', {
        pointer: `${error.instancePath}/${Math.max(Number(params['i']), Number(params['j']))}`,
      });
    case 'false schema':
      return { ...value(error, 'EF2001', 'not allowed here'), at: 'key', got: false };
    default:
      return value(error, 'EF2008', typeof own === 'string' ? own : `breaks the rule "${error.keyword}" of this field`);
  }
}

/** A fault of a key: its error names the key and not the value. */
function explainKey(error: ErrorObject, name: string): SchemaFault {
  const fault = explainOne(error);
  const message = `${fault.message}, got ${JSON.stringify(name.slice(0, 60))}`;
  return { ...fault, message, pointer: `${error.instancePath}/${pointerStep(name)}`, at: 'key', got: false };
}

const isWrapper = (error: ErrorObject): boolean =>
  ['if', 'propertyNames', 'anyOf', 'oneOf', 'not'].includes(error.keyword);
const isUnder = (error: ErrorObject, pointer: string): boolean =>
  error.instancePath === pointer || error.instancePath.startsWith(`${pointer}/`);

/**
 * Of the branches of an `anyOf` or `oneOf` the one that was meant is the one whose type fits: faults further inside
 * tell more than "wrong type" at the top. When no branch fits, all of them become one expectation.
 */
function reduceChoice(
  choice: ErrorObject,
  errors: readonly ErrorObject[],
): { dropped: ErrorObject[]; merged?: SchemaFault } {
  const under = errors.filter((error) => !isWrapper(error) && isUnder(error, choice.instancePath));
  const top = under.filter(
    (error) => error.instancePath === choice.instancePath && ['type', 'enum', 'const'].includes(error.keyword),
  );
  if (under.length > top.length || under.length === 0) return { dropped: top };
  const types = top.filter((error) => error.keyword === 'type').flatMap(typesOf);
  const words = top.filter((error) => error.keyword !== 'type').map((error) => explainOne(error).message.slice(9));
  const typed = types.length === 0 ? [] : [wrongType(choice, types).message.slice(9)];
  return { dropped: top, merged: value(choice, 'EF2004', `expected ${either([...new Set([...typed, ...words])])}`) };
}

/** Every fault once. */
export function explain(errors: readonly ErrorObject[]): SchemaFault[] {
  const dropped = new Set<ErrorObject>();
  const faults: SchemaFault[] = [];
  for (const choice of errors.filter((error) => error.keyword === 'anyOf' || error.keyword === 'oneOf')) {
    const reduced = reduceChoice(choice, errors);
    for (const error of reduced.dropped) dropped.add(error);
    if (reduced.merged !== undefined) faults.push(reduced.merged);
  }
  const single = errors.filter((error) => !isWrapper(error) && !dropped.has(error));
  faults.push(
    ...single.map((error) =>
      error.propertyName === undefined ? explainOne(error) : explainKey(error, error.propertyName),
    ),
  );
  const lonely = errors.filter((error) => isWrapper(error) && error.keyword !== 'if' && !isCovered(error, faults));
  return [...faults, ...lonely.map(explainOne)];
}

const isCovered = (wrapper: ErrorObject, faults: readonly SchemaFault[]): boolean =>
  faults.some(
    (fault) => fault.pointer === wrapper.instancePath || fault.pointer.startsWith(`${wrapper.instancePath}/`),
  );
