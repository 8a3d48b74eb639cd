/**
 * CEL, as far as pipelines speak it; this folder alone knows the library. What is added to it: numbers of JSON and whole
 * numbers calculate with each other, the attributes of an event have types, and what an expression costs is bounded.
 */
import { Environment, EvaluationError, ParseError, TypeError as TypeFault } from '@marcbachmann/cel-js';
import type { EventEnvelope } from '../../event.ts';
import { slips, suggestion } from '../suggest.ts';
import { ExpressionError, type ExpressionFault, Refused, refuse } from './fault.ts';
import { guard, startBudget } from './guard.ts';
import { type CelNode, intercept, walk } from './node.ts';
import { attributes, explainEvaluation, explainFault } from './words.ts';

export interface CelProgram {
  /** Of the result, as CEL names types; `dyn` is known at run time only. */
  readonly type: string;
  readonly root: CelNode;
  /** Throws {@link ExpressionError}. */
  readonly evaluate: (event: EventEnvelope) => unknown;
}

export type CelResult =
  | { readonly ok: true; readonly program: CelProgram }
  | { readonly ok: false; readonly fault: ExpressionFault };

const longestExpression = 2_000;
const limits = { maxAstNodes: 400, maxDepth: 40, maxListElements: 200, maxMapEntries: 100, maxCallArguments: 16 };

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

/** Maps have no `constructor` of their own that data could stand for. */
function toMaps(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(toMaps);
  return new Map(Object.entries(value).map(([key, inner]) => [key, toMaps(inner)]));
}

function evaluator(source: string, program: (context: { event: unknown }) => unknown): CelProgram['evaluate'] {
  const attempt = (event: unknown): unknown => {
    startBudget();
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
    guard(program.ast);
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
    intercept(node, (run) => (evaluator, self, context) => {
      try {
        const value = run(evaluator, self, context);
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

/** The same expression often stands in many routes, is checked before it is compiled, and stands in each reload again. */
const kept = new Map<string, WeakRef<CelProgram>>();
const mostKept = 20_000;

function keep(source: string, program: CelProgram): void {
  if (kept.size >= mostKept) for (const [key, held] of kept) if (held.deref() === undefined) kept.delete(key);
  if (kept.size >= mostKept) kept.clear();
  kept.set(source, new WeakRef(program));
}

/** Compiles an expression over `event`. Never throws. */
export function compileCel(source: string): CelResult {
  const known = kept.get(source)?.deref();
  if (known !== undefined) return { ok: true, program: known };
  const fresh = compile(source);
  if (fresh.ok) keep(source, fresh.program);
  return fresh;
}
