/** The expressions of a route: what they must come to, and where in the file they are wrong. */
import type { Condition } from '../core/route.ts';
import type { ErrorCode } from '../errors.ts';
import type { EventEnvelope } from '../event.ts';
import { type CelProgram, compileCel } from './cel/compile.ts';
import { ExpressionError, type ExpressionFault } from './cel/fault.ts';
import type { Diagnostic, PathStep, Place } from './diagnostic.ts';
import type { OpenFile } from './pipeline-file.ts';
import { placeWithin } from './scalar.ts';
import { diagnose } from './source.ts';
import { nodeAt, valuePlace } from './tree.ts';
import { whyOf } from './why.ts';

type Refusal = { readonly ok: false; readonly fault: ExpressionFault };

function compileTo<T>(
  source: string,
  types: readonly string[],
  what: string,
  make: (program: CelProgram) => T,
): ({ readonly ok: true } & T) | Refusal {
  const compiled = compileCel(source);
  if (!compiled.ok) return compiled;
  const { program } = compiled;
  if (types.includes(program.type) || program.type === 'dyn') return { ok: true, ...make(program) };
  const message = `expected ${what}, got an expression of type ${program.type}`;
  return { ok: false, fault: { kind: 'meaning', message, start: 0, end: source.length, help: undefined } };
}

/** `when`: an expression that says yes or no. Its test throws {@link ExpressionError}. */
export const compileCondition = (source: string): ({ readonly ok: true } & Condition) | Refusal =>
  compileTo(source, ['bool'], 'true or false', (program) => ({
    source,
    test(event) {
      const answer = program.evaluate(event);
      if (typeof answer === 'boolean') return answer;
      throw new ExpressionError(`expected true or false from ${source}, got ${kindOf(answer)}`);
    },
    why: (event) => whyOf(source, event),
  }));

/**
 * An expression that names something, such as who a limit is counted for: a text, or a number or boolean, which becomes
 * its text. `key` throws an Error when the event has no answer (a field is missing, null, or a map): its message names
 * the part of the expression and no value of the event. On refusal `fault` goes to {@link expressionDiagnostic}.
 */
export const compileKey = (
  source: string,
): { readonly ok: true; readonly source: string; key(event: EventEnvelope): string } | Refusal =>
  compileTo(source, ['string', 'int', 'uint', 'double', 'bool'], 'a text', (program) => ({
    source,
    key(event: EventEnvelope) {
      const answer = program.evaluate(event);
      if (typeof answer === 'string') return answer;
      if (['bigint', 'number', 'boolean'].includes(typeof answer)) return String(answer as number);
      throw new ExpressionError(`expected a text from ${source}, got ${kindOf(answer)}`);
    },
  }));

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a map' : `a ${typeof value === 'bigint' ? 'number' : typeof value}`;
}

const codes = { syntax: 'EF2030', meaning: 'EF2031' } as const satisfies Record<string, ErrorCode>;

/** Where a part of the expression at `path` stands in the file; undefined where that cannot be told. */
export function expressionPlace(file: OpenFile, path: readonly PathStep[], within: Place): Place | undefined {
  const leaf = nodeAt(file.tree, path);
  if (leaf?.kind !== 'leaf' || leaf.references.length > 0) return undefined;
  return placeWithin(file.source.text, leaf.origin, String(leaf.value), within);
}

/** Says what is wrong with the expression at `path` of a file, at its own line and column inside of the scalar. */
export function expressionDiagnostic(file: OpenFile, path: readonly PathStep[], fault: ExpressionFault): Diagnostic {
  const leaf = nodeAt(file.tree, path);
  const code = codes[fault.kind];
  if (leaf?.kind !== 'leaf' || leaf.references.length > 0) {
    const message = 'expected a CEL expression, and the value of the reference is none';
    return diagnose(file.source, valuePlace(file.tree, path), code, path, message);
  }
  const place = expressionPlace(file, path, fault) ?? leaf.origin;
  return diagnose(file.source, place, code, path, fault.message, { help: fault.help });
}
