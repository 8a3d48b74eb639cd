/** The values of CEL as JSON has them. */
import { Optional } from '@marcbachmann/cel-js';
import { ExpressionError } from './fault.ts';

/** The value of an expression as JSON has it; undefined for an optional that is empty. Throws {@link ExpressionError}. */
export function toJson(value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'bigint' || typeof value === 'number') return toNumber(Number(value), value);
  if (value instanceof Optional) return value.hasValue() ? toJson(value.value()) : undefined;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof Map) return toObject([...value] as [unknown, unknown][]);
  if (Object.getPrototypeOf(value) === Object.prototype) return toObject(Object.entries(value as object));
  const primitive = (value as { valueOf(): unknown }).valueOf();
  if (typeof primitive === 'bigint') return toNumber(Number(primitive), primitive);
  if (Object.prototype.toString.call(value) === '[object google.protobuf.Duration]')
    return (value as { toString(): string }).toString();
  throw new ExpressionError('expected a value that JSON has, got a type');
}

function toNumber(number: number, value: number | bigint): number {
  if (!Number.isFinite(number)) throw new ExpressionError('expected a number that JSON has, got infinity or NaN');
  if (typeof value === 'bigint' && !Number.isSafeInteger(number)) {
    throw new ExpressionError(
      'expected a whole number of at most 2^53, got a larger one: make it a text with string()',
    );
  }
  return number;
}

const toObject = (entries: readonly [unknown, unknown][]): Record<string, unknown> =>
  Object.fromEntries(
    entries.flatMap(([key, inner]) => {
      const json = toJson(inner);
      return json === undefined ? [] : [[String(key), json]];
    }),
  );
