/** `transform`: what a handler sees in the place of the event's data. */
import type { Transform } from '../core/route.ts';
import type { EventEnvelope } from '../event.ts';
import type { CelProgram } from './cel/compile.ts';
import { ExpressionError } from './cel/fault.ts';
import { toJson } from './cel/json.ts';

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const kindOf = (value: unknown): string => (Array.isArray(value) ? 'a list' : value === null ? 'null' : typeof value);

/** Undefined: there is nothing. */
function find(data: Fields, path: readonly string[]): unknown {
  let at: unknown = data;
  for (const name of path) {
    if (!isFields(at) || !Object.hasOwn(at, name)) return undefined;
    at = at[name];
  }
  return at;
}

/** What lies on the way is copied: the event belongs to other routes too. */
function put(data: Fields, path: readonly string[], value: unknown): void {
  let at = data;
  for (const name of path.slice(0, -1)) {
    const inner = Object.hasOwn(at, name) ? at[name] : {};
    if (!isFields(inner)) throw new ExpressionError(`expected ${name} to be a map, got ${kindOf(inner)}`);
    const copy = { ...inner };
    at[name] = copy;
    at = copy;
  }
  at[path.at(-1) ?? ''] = value;
}

function dataOf(event: EventEnvelope): Fields {
  if (event.data_base64 !== undefined) throw new ExpressionError('expected data to be a map, got data_base64');
  const { data = {} } = event;
  if (isFields(data)) return data;
  throw new ExpressionError(`expected data to be a map, got ${kindOf(data)}`);
}

function valueAt(name: string, program: CelProgram, event: EventEnvelope): unknown {
  try {
    return toJson(program.evaluate(event));
  } catch (error) {
    throw new ExpressionError(`set.${name}: ${(error as Error).message}`, { cause: error });
  }
}

/** `set` has the sources, `programs` what they were compiled to. Paths are those that the schema lets through. */
export function createTransform(
  pick: readonly string[] | undefined,
  set: Readonly<Record<string, string>>,
  programs: ReadonlyMap<string, CelProgram>,
): Transform {
  const picked = pick?.map((path) => path.split('.'));
  const added = [...programs].map(([name, program]) => ({ name, path: name.split('.'), program }));
  return {
    pick,
    set,
    apply(event) {
      const before = dataOf(event);
      const data: Fields = picked === undefined ? { ...before } : {};
      for (const path of picked ?? []) {
        const value = find(before, path);
        if (value !== undefined) put(data, path, value);
      }
      for (const { name, path, program } of added) {
        const value = valueAt(name, program, event);
        if (value !== undefined) put(data, path, value);
      }
      if (event.dataschema === undefined) return { ...event, data };
      // What the publisher said of the data's schema is not true of this data.
      const { dataschema: _, ...envelope } = event;
      return { ...envelope, data } as EventEnvelope;
    },
  };
}
