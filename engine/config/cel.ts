/**
 * CEL, as far as pipelines speak it: the one place that knows the library. What is added to it: numbers of JSON and whole
 * numbers calculate with each other, the fields of an event have types, `matches` takes linear time, and an evaluation
 * has a budget, so that no event can make an expression hold up the process.
 */
import {
  type ASTNode,
  Environment,
  EvaluationError,
  Optional,
  ParseError,
  TypeError as TypeFault,
} from '@marcbachmann/cel-js';
import type { EventEnvelope } from '../event.ts';
import { compileRegex, PatternError } from './linear-regex.ts';
import { nearest, slips, suggestion } from './suggest.ts';

/** Why a text is no expression, and where in it: UTF-16 units from its start. */
export interface ExpressionFault {
  readonly kind: 'syntax' | 'meaning';
  readonly message: string;
  readonly start: number;
  readonly end: number;
  readonly help: string | undefined;
}

/** Thrown where an expression meets an event that it has no answer for. Its message holds no value of the event. */
export class ExpressionError extends Error {}

export interface CelProgram {
  /** Of the result, as CEL names types; `dyn` is known at run time only. */
  readonly type: string;
  readonly root: CelNode;
  /** Throws {@link ExpressionError}. */
  evaluate(event: EventEnvelope): unknown;
}

/** A part of an expression. */
export type CelNode = ASTNode;

export type CelResult =
  | { readonly ok: true; readonly program: CelProgram }
  | { readonly ok: false; readonly fault: ExpressionFault };

const longestExpression = 2_000;
const limits = { maxAstNodes: 400, maxDepth: 40, maxListElements: 200, maxMapEntries: 100, maxCallArguments: 16 };
/** Turns of loops and comparisons of values in one evaluation: five times the values that the largest event has. */
const budget = 50_000;
/** `all` and `exists` go on after an error, and an error takes as long as some hundred turns. */
const errorCost = 100;

const attributes: Readonly<Record<string, string>> = {
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
const extensionName = /^[a-z0-9]{1,20}$/;

const options = { homogeneousAggregateLiterals: false, enableOptionalTypes: true, limits } as const;

const operators: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
};

/** JSON knows one kind of number, CEL two that do not mix: without these `event.data.total * 2` would be an error. */
function withNumbers(environment: Environment): Environment {
  for (const [sign, calculate] of Object.entries(operators)) {
    const mixed = (a: number | bigint, b: number | bigint): number => calculate(Number(a), Number(b));
    environment.registerOperator(`double ${sign} int: double`, mixed);
    environment.registerOperator(`int ${sign} double: double`, mixed);
  }
  return environment.registerOperator('double % double: double', (a: number, b: number) => a % b);
}

const basis = withNumbers(new Environment(options));
const running = basis.clone().registerVariable('event', 'map<string, dyn>');
const functions = [...new Set(running.getDefinitions().functions.map(({ name }) => name))].sort();

/** One for each set of extensions that expressions name: they are few. */
const checkers = new Map<string, Environment>();

function checkerFor(extensions: readonly string[]): Environment {
  const key = [...new Set(extensions)].sort().join(' ');
  const known = checkers.get(key);
  if (known !== undefined) return known;
  const fields = { ...attributes, ...Object.fromEntries(extensions.map((name) => [name, 'dyn'])) };
  const fresh = basis.clone().registerType('Event', { fields }).registerVariable('event', 'Event');
  if (checkers.size < 100) checkers.set(key, fresh);
  return fresh;
}

class Refused extends Error {
  readonly fault: ExpressionFault;
  constructor(fault: ExpressionFault) {
    super(fault.message);
    this.fault = fault;
  }
}

function refuse(node: { start: number; end: number }, message: string, help?: string): never {
  throw new Refused({ kind: 'meaning', message, start: node.start, end: node.end, help });
}

/** The parts of a node, from left to right. */
export function partsOf(node: CelNode): CelNode[] {
  const parts: CelNode[] = [];
  const gather = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) gather(item);
    else if (typeof value === 'object' && value !== null && 'op' in value) parts.push(value as CelNode);
  };
  gather(node.args);
  return parts;
}

function walk(node: CelNode, visit: (node: CelNode) => void): void {
  visit(node);
  for (const part of partsOf(node)) walk(part, visit);
}

type Evaluate = (evaluator: unknown, node: unknown, context: unknown) => unknown;

/**
 * Puts `around` in front of a node's evaluation. The library puts another function in the place of `evaluate` when a node
 * runs for the first time, so that the place is a pair of accessors here.
 */
function intercept(node: CelNode, around: (run: () => unknown) => unknown): void {
  const inside = node as unknown as { evaluate: Evaluate };
  let { evaluate } = inside;
  const outer: Evaluate = (evaluator, self, context) => around(() => evaluate.call(node, evaluator, self, context));
  Object.defineProperty(node, 'evaluate', {
    get: () => outer,
    set: (next: Evaluate) => {
      evaluate = next;
    },
  });
}

let spent = 0;
/** Always the same one: it may be thrown at each turn of a loop that swallows errors. */
const tooMuch = new ExpressionError(`expected at most ${budget} steps for one event, got more`);

function spend(cost: number): void {
  spent += cost;
  if (spent > budget) throw tooMuch;
}

/** How much there is to compare in a value; stops where the budget ends. */
function weigh(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const inner = Object.values(value);
  spend(inner.length);
  for (const item of inner) weigh(item);
}

const loops: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
const comparing: ReadonlySet<string> = new Set(['in', '==', '!=', '+']);

const isLiteral = (node: CelNode): boolean =>
  node.op === 'value' || (node.op === 'list' && partsOf(node).every((part) => part.op === 'value'));

const metered = (node: CelNode, cost: number): void =>
  intercept(node, (run) => {
    spend(cost);
    try {
      return run();
    } catch (error) {
      spend(errorCost);
      throw error;
    }
  });

function meter(node: CelNode): void {
  const isLoop = node.op === 'rcall' && loops.has(node.args[0] as string);
  if (isLoop) {
    const [, range, [, body]] = node.args as [string, CelNode, CelNode[]];
    // Past the budget no loop begins: `all` and `exists` go on after errors.
    metered(range, 0);
    if (body !== undefined) metered(body, 1);
  }
  if (!comparing.has(node.op)) return;
  for (const operand of partsOf(node).filter((part) => !isLiteral(part))) {
    intercept(operand, (run) => {
      const value = run();
      weigh(value);
      return value;
    });
  }
}

function patternOf(node: CelNode, pattern: string): (text: string) => boolean {
  try {
    return compileRegex(pattern);
  } catch (error) {
    if (error instanceof PatternError) return refuse(node, `${error.message}, at its character ${error.at + 1}`);
    throw error;
  }
}

/** The library's `matches` can take for ever. It only looks at the types here, with a pattern that everything fits. */
function guardMatches(node: CelNode): void {
  if (node.op !== 'rcall' || node.args[0] !== 'matches') return;
  const [, receiver, [pattern]] = node.args as [string, CelNode, CelNode[]];
  if (pattern?.op !== 'value' || typeof pattern.args !== 'string') {
    return refuse(pattern ?? node, 'expected matches to be given a pattern in quotes, got an expression');
  }
  const test = patternOf(pattern, pattern.args);
  (pattern as { args: unknown }).args = '';
  let text: unknown;
  intercept(receiver, (run) => {
    text = run();
    return text;
  });
  intercept(node, (run) => {
    const answer = run();
    return typeof text === 'string' && answer === true ? test(text) : answer;
  });
}

/** Told about by itself: the library would speak of its arguments first. */
function checkFunction(source: string, node: CelNode): void {
  if (node.op !== 'call' && node.op !== 'rcall') return;
  const [name] = node.args;
  if (functions.includes(name)) return;
  const start = source.indexOf(name, node.op === 'rcall' ? node.args[1].end : node.start);
  const place = { start, end: start + name.length };
  refuse(place, `expected a function of CEL, got ${name}`, suggestion(name, functions, 'functions'));
}

/** The names that an expression takes from the event itself. A typo is told about; any other name is an extension's. */
function extensionsIn(root: CelNode): string[] {
  const names: string[] = [];
  walk(root, (node) => {
    if (!['.', '.?', '[]', '[?]'].includes(node.op)) return;
    const [owner, field] = node.args as [CelNode, string | CelNode];
    if (owner.op !== 'id' || owner.args !== 'event') return;
    const name = typeof field === 'string' ? field : field.op === 'value' ? field.args : undefined;
    if (typeof name !== 'string' || Object.hasOwn(attributes, name)) return;
    if (typeof field === 'string') checkAttribute(node, name);
    names.push(name);
  });
  return names;
}

function checkAttribute(node: CelNode, name: string): void {
  const meant = Object.keys(attributes).find((attribute) => slips(name.toLowerCase(), attribute) <= 1);
  const place = { start: node.end - name.length, end: node.end };
  const message = `expected an attribute of the event, got ${name}`;
  if (meant !== undefined) refuse(place, message, `did you mean ${JSON.stringify(meant)}?`);
  if (!extensionName.test(name)) refuse(place, message, `what was published stands under event.data`);
}

/** The text of a node. The library leaves out the brackets at its ends. */
export function textOf(source: string, node: CelNode): string {
  let [start, end] = [node.start, node.end];
  const open = (): number =>
    source.slice(start, end).split('(').length - 1 - (source.slice(start, end).split(')').length - 1);
  while (open() < 0 && source[start - 1] === '(') start -= 1;
  while (open() > 0 && source[end] === ')') end += 1;
  return source.slice(start, end).replace(/\s+/g, ' ');
}

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
function explainFault(error: ParseError | TypeFault, source: string): ExpressionFault {
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

function meaningOf(error: TypeFault, source: string): { message: string; help: string | undefined } {
  const { node, summary } = error;
  const args = (node as CelNode | undefined)?.args;
  switch (error.code) {
    case 'unknown_variable':
      return unknownVariable(String(args));
    case 'no_matching_overload': {
      const name = Array.isArray(args) ? String(args[0]) : '';
      return { message: `expected arguments that ${name} takes, got ${shownTypes(summary)}`, help: undefined };
    }
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
function explainEvaluation(error: EvaluationError, source: string): string {
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

/** Maps have no `constructor` of their own that data could stand for. */
function toMaps(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(toMaps);
  return new Map(Object.entries(value).map(([key, inner]) => [key, toMaps(inner)]));
}

function evaluator(source: string, program: (context: { event: unknown }) => unknown): CelProgram['evaluate'] {
  const attempt = (event: unknown): unknown => {
    spent = 0;
    return program({ event });
  };
  return (event) => {
    try {
      try {
        return attempt(event);
      } catch (error) {
        // The library takes objects with a field named `constructor` for instances of a class.
        if ((error as { code?: string }).code !== 'unsupported_type') throw error;
        return attempt(toMaps(event));
      }
    } catch (error) {
      if (error instanceof EvaluationError)
        throw new ExpressionError(explainEvaluation(error, source), { cause: error });
      if (error instanceof ExpressionError) throw error;
      throw new ExpressionError(`${source} cannot be evaluated: ${(error as Error).message}`, { cause: error });
    }
  };
}

function compile(source: string): CelResult {
  if (source.length > longestExpression) {
    const message = `expected at most ${longestExpression} characters, got ${source.length}`;
    const place = { start: longestExpression, end: source.length };
    return { ok: false, fault: { kind: 'meaning', message, ...place, help: undefined } };
  }
  try {
    const program = running.parse(source);
    walk(program.ast, (node) => checkFunction(source, node));
    const checked = checkerFor(extensionsIn(program.ast)).check(source);
    if (checked.error !== undefined) throw checked.error;
    walk(program.ast, guardMatches);
    walk(program.ast, meter);
    program.check();
    const evaluate = evaluator(source, program as (context: { event: unknown }) => unknown);
    return { ok: true, program: { type: checked.type ?? 'dyn', root: program.ast, evaluate } };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, fault: error.fault };
    if (error instanceof ParseError || error instanceof TypeFault) {
      return { ok: false, fault: explainFault(error, source) };
    }
    throw error;
  }
}

/** Compiles a checked expression anew; `see` hears what each of its parts comes to, each time that it does. */
export function compileWatched(
  source: string,
  see: (node: CelNode, found: { readonly value: unknown } | { readonly error: string }) => void,
): Pick<CelProgram, 'root' | 'evaluate'> {
  const result = compile(source);
  if (!result.ok) throw new Error(`expected an expression that was checked, got ${source}`);
  const { root, evaluate } = result.program;
  walk(root, (node) => {
    intercept(node, (run) => {
      try {
        const value = run();
        see(node, { value });
        return value;
      } catch (error) {
        const said = error instanceof EvaluationError ? explainEvaluation(error, source) : (error as Error).message;
        see(node, { error: said });
        throw error;
      }
    });
  });
  return { root, evaluate };
}

/** The same expression often stands in many routes, and in each reload again. */
const compiled = new Map<string, CelResult>();
const mostKept = 1_000;

/** Compiles an expression over `event`. Never throws. */
export function compileCel(source: string): CelResult {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  const fresh = compile(source);
  if (compiled.size >= mostKept) compiled.clear();
  compiled.set(source, fresh);
  return fresh;
}

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
  if (Object.prototype.toString.call(value) === '[object google.protobuf.Duration]') return String(value);
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
