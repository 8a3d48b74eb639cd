/** The catalogue of event types: the schemas that files name, compiled, and the declarations of all files as one. */
import { hash } from 'node:crypto';
import { resolve } from 'node:path';
import type { ErrorObject } from 'ajv';
import type { EventTypeRule } from '../core/route.ts';
import type { Diagnostic } from './diagnostic.ts';
import { explain } from './explain.ts';
import type { EventType } from './pipeline.generated.ts';
import { atKey, atValue, type OpenFile } from './pipeline-file.ts';
import type { Reading } from './reading.ts';
import { bundleSchema } from './schema-files.ts';
import { type JsonSchema, type Validate, validatorFor } from './validator.ts';

export interface DeclaredType {
  readonly rule: EventTypeRule;
  /** The same for declarations that mean the same. */
  readonly fingerprint: string;
  readonly schema?: JsonSchema;
}

const typeName = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
};

/** Texts for publishers. They name types and never values: data may be personal. */
function faultTexts(errors: readonly ErrorObject[]): string[] {
  const types = new Map(errors.filter(({ keyword }) => keyword === 'type').map((error) => [error.instancePath, error]));
  return explain(errors).map((fault) => {
    const error = fault.code === 'EF2004' ? types.get(fault.pointer) : undefined;
    if (error === undefined) return `${fault.pointer || '/'}: ${fault.message}`;
    const expected = [(error.params as { type: string | string[] }).type].flat().join(' or ');
    return `${fault.pointer || '/'}: expected ${expected}, got ${typeName(error.data)}`;
  });
}

const checker =
  (validate: Validate): ((data: unknown) => readonly string[]) =>
  (data) => {
    const { errors } = validate(data);
    return errors.length === 0 ? [] : faultTexts(errors);
  };

function compile(schema: JsonSchema): Validate | string {
  try {
    return validatorFor(schema);
  } catch (error) {
    return `expected a JSON Schema (2020-12), got: ${(error as Error).message}`;
  }
}

function declare(file: OpenFile, type: string, declared: EventType, reading: Reading): DeclaredType | Diagnostic {
  const { schema, onInvalid = 'reject' } = declared ?? {};
  if (schema === undefined) return { rule: { type, check: undefined, onInvalid }, fingerprint: onInvalid };
  const path = ['eventTypes', type, 'schema'];
  const bundled = bundleSchema(resolve(file.folder, schema), reading);
  if (!bundled.ok) return atValue(file, path, 'EF2016', bundled.reason);
  const validate = compile(bundled.schema);
  if (typeof validate === 'string') return atValue(file, path, 'EF2016', validate);
  const schemaHash = hash('sha256', JSON.stringify(bundled.schema));
  const rule = { type, check: checker(validate), onInvalid, schemaHash };
  return { rule, fingerprint: `${onInvalid} ${schemaHash}`, schema: bundled.schema };
}

/** The declarations of all files; each type once. */
export function readEventTypes(
  files: readonly OpenFile[],
  reading: Reading,
): { readonly types: ReadonlyMap<string, DeclaredType>; readonly diagnostics: readonly Diagnostic[] } {
  const types = new Map<string, DeclaredType & { readonly file: string }>();
  const diagnostics: Diagnostic[] = [];
  for (const file of files) {
    for (const [type, declared] of Object.entries(file.valid?.eventTypes ?? {})) {
      const found = declare(file, type, declared, reading);
      if ('code' in found) {
        diagnostics.push(found);
        continue;
      }
      const earlier = types.get(type);
      if (earlier === undefined) types.set(type, { ...found, file: file.source.file });
      else if (earlier.fingerprint !== found.fingerprint) {
        const message = `expected ${type} to be declared as in ${earlier.file}, got another schema or onInvalid`;
        diagnostics.push(atKey(file, ['eventTypes', type], 'EF2017', message));
      }
    }
  }
  return { types, diagnostics };
}
