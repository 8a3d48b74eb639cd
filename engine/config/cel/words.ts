/** What the library says, in the words of EventFlow. */
import { type EvaluationError, ParseError, type TypeError as TypeFault } from '@marcbachmann/cel-js';
import { nearest } from '../suggest.ts';
import type { ExpressionFault } from './fault.ts';
import { type CelNode, textOf } from './node.ts';

/** The attributes of an event and their types in CEL; every other name is an extension's. */
export const attributes: Readonly<Record<string, string>> = {
  specversion: 'string',
  id: 'string',
  source: 'string',
  type: 'string',
  time: 'string',
  subject: 'string',
  datacontenttype: 'string',
  dataschema: 'string',
  data: 'dyn',
  data_base64: 'string',
  correlationid: 'string',
  traceparent: 'string',
};

const shownTypes = (summary: string): string =>
  summary
    .replace(/^[^:']*[:'] ?/, '')
    .replace(/'$/, '')
    .replace(/dyn<([^<>]*)>/g, '$1');

const hints: readonly (readonly [RegExp, string])[] = [
  [/^=/, 'CEL compares with =='],
  [/^(and|or|not|is)\b/i, 'CEL writes && for and, || for or, ! for not'],
  [/^[&|]/, 'CEL writes && for and, || for or'],
  [/^`/, 'texts stand in single or double quotes'],
];

function hintAt(source: string, start: number): string | undefined {
  if (/^\s*\{[{%]/.test(source)) return 'an expression stands alone: {{ }} belongs to templates';
  return hints.find(([pattern]) => pattern.test(source.slice(start)))?.[1];
}

function unknownVariable(name: string): { message: string; help: string | undefined } {
  const message = `expected event, or the variable of a loop, got ${name}`;
  if (Object.hasOwn(attributes, name)) return { message, help: `did you mean event.${name}?` };
  if (nearest(name, ['event']) !== undefined) return { message, help: 'did you mean "event"?' };
  return { message, help: `a text stands in quotes of its own: ${JSON.stringify(name)}` };
}

/** What the library says at load, in our words. */
export function explainFault(error: ParseError | TypeFault, source: string): ExpressionFault {
  const { start, end } = error.range ?? { start: 0, end: source.length };
  const place = { start, end: Math.max(end, start + 1) };
  if (error instanceof ParseError) return { kind: 'syntax', ...place, ...syntaxOf(error, source, place) };
  return { kind: 'meaning', ...place, ...meaningOf(error, source) };
}

const misplaced: ReadonlySet<string> = new Set(['unexpected_character', 'unexpected_token', 'expected_token']);

function syntaxOf(
  error: ParseError,
  source: string,
  { start, end }: { start: number; end: number },
): { message: string; help: string | undefined } {
  if (start >= source.trimEnd().length) {
    return { message: 'expected a CEL expression, got its end too early', help: undefined };
  }
  const got = JSON.stringify(source.slice(start, end));
  if (misplaced.has(error.code)) {
    return { message: `expected an operator, a value or the end here, got ${got}`, help: hintAt(source, start) };
  }
  return { message: `expected a CEL expression, got: ${lower(error.summary)}`, help: hintAt(source, start) };
}

const lower = (text: string): string => `${text.charAt(0).toLowerCase()}${text.slice(1)}`;

/** Of a variable or a function. */
function nameOf(node: CelNode | undefined): string {
  const name: unknown = Array.isArray(node?.args) ? node.args[0] : node?.args;
  return typeof name === 'string' ? name : '';
}

function meaningOf(error: TypeFault, source: string): { message: string; help: string | undefined } {
  const { summary } = error;
  const named = nameOf(error.node as CelNode | undefined);
  switch (error.code) {
    case 'unknown_variable':
      return unknownVariable(named);
    case 'no_matching_overload':
      return { message: `expected arguments that ${named} takes, got ${shownTypes(summary)}`, help: undefined };
    case 'no_such_overload':
      return { message: `expected operands that go together, got ${shownTypes(summary)}`, help: undefined };
    default:
      return {
        message: `expected a CEL expression that can be evaluated, got: ${lower(summary)}`,
        help: hintAt(source, error.range?.start ?? 0),
      };
  }
}

/** What the library says of an event, in our words: types and the expression's own text, never a value. */
export function explainEvaluation(error: EvaluationError, source: string): string {
  const text = error.node === undefined ? source : textOf(source, error.node);
  switch (error.code) {
    case 'no_such_key':
    case 'index_out_of_bounds':
      return `expected ${text}, got nothing; has(…) asks whether there is something`;
    case 'no_such_overload':
    case 'no_matching_overload':
      return `expected values that go together in ${text}, got ${shownTypes(error.summary)}`;
    case 'invalid_logical_operand':
    case 'invalid_condition_type':
      return `expected true or false from ${text}, got${error.summary.slice(error.summary.lastIndexOf(' '))}`;
    default:
      return `${error.code.replaceAll('_', ' ')} in ${text}`;
  }
}
