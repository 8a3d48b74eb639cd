/**
 * What keeps an evaluation short: a budget of steps, which loops, comparisons and the length of texts spend, and `matches`
 * in linear time. No event can make an expression hold up the process. The prices are measured: the whole budget is some
 * 100 ms, whatever it is spent on.
 */
import { ExpressionError, refuse } from './fault.ts';
import { compileRegex, PatternError } from './linear-regex.ts';
import { type CelNode, intercept, partsOf, walk } from './node.ts';

/** Turns of loops and comparisons of values in one evaluation: five times the values that the largest event has. */
const budget = 50_000;
/** Characters for one step: where a function reads each of them, and where they are compared or copied at once. */
const readPerStep = 50;
const comparedPerStep = 1_000;
/** Looks of `matches` at a step of its pattern. */
const looksPerStep = 40;
/** A search may look at each character of a text as often as what it searches is long, up to this length of it. */
const searchedPerStep = 3_000;
const longestSearched = 1_000;
/** The library reads a duration in time that grows with the third power of its length. */
const durationPerStep = 100;
/** A calendar of another time zone is made anew for each question. */
const timeZoneCost = 400;
/** `all` and `exists` go on after an error, and an error takes as long as some hundred turns. */
const errorCost = 100;

let spent = 0;
/** Always the same one: it may be thrown at each turn of a loop that swallows errors. */
const tooMuch = new ExpressionError(`expected at most ${budget} steps for one event, got more`);

function spend(cost: number): void {
  spent += cost;
  if (spent > budget) throw tooMuch;
}

/** How much there is to compare in a value; stops where the budget ends. */
function weigh(value: unknown): void {
  if (typeof value === 'string') return spend(value.length / comparedPerStep);
  if (typeof value !== 'object' || value === null) return;
  if (value instanceof Uint8Array) return spend(value.length / readPerStep);
  const inner = value instanceof Map ? [...value.values()] : Object.values(value);
  spend(inner.length);
  for (const item of inner) weigh(item);
}

const loops: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
const comparing: ReadonlySet<string> = new Set(['in', '==', '!=', '+']);
/** With a literal beside them they read no more of a text than that has. */
const ordering: ReadonlySet<string> = new Set(['<', '<=', '>', '>=']);
/** They read as much of their text as their argument has. */
const atOneEnd: ReadonlySet<string> = new Set(['startsWith', 'endsWith', 'substring']);
const searching: ReadonlySet<string> = new Set(['contains', 'indexOf', 'lastIndexOf', 'split']);

const isLiteral = (node: CelNode): boolean =>
  node.op === 'value' || (node.op === 'list' && partsOf(node).every((part) => part.op === 'value'));

const metered = (node: CelNode, cost: number): void =>
  intercept(node, (run) => (evaluator, self, context) => {
    spend(cost);
    try {
      return run(evaluator, self, context);
    } catch (error) {
      spend(errorCost);
      throw error;
    }
  });

const weighed = (node: CelNode): void =>
  intercept(node, (run) => (evaluator, self, context) => {
    const value = run(evaluator, self, context);
    if (typeof value === 'object' || typeof value === 'string') weigh(value);
    return value;
  });

const lengthOf = (value: unknown): number =>
  typeof value === 'string' || value instanceof Uint8Array ? value.length : 0;

/** `price` is how many steps a text or bytes of a length cost, each time that the operand has come to some. */
const priced = (operand: CelNode, price: (length: number) => number): void =>
  intercept(operand, (run) => (evaluator, self, context) => {
    const value = run(evaluator, self, context);
    const length = lengthOf(value);
    if (length > 0) spend(price(length));
    return value;
  });

const read = (length: number): number => length / readPerStep;

/** The library evaluates arguments before their receiver, and calls the function then. */
function meterSearch(name: string, receiver: CelNode, argument: CelNode): void {
  const most = name === 'lastIndexOf' ? Number.POSITIVE_INFINITY : longestSearched;
  let searched = 0;
  intercept(argument, (run) => (evaluator, self, context) => {
    const value = run(evaluator, self, context);
    searched = Math.min(lengthOf(value), most);
    return value;
  });
  priced(receiver, (length) => read(length) + (Math.min(searched, length) * length) / searchedPerStep);
}

function meterMethod(node: CelNode, name: string, receiver: CelNode, parts: readonly CelNode[]): void {
  const [first] = parts;
  if (searching.has(name) && first !== undefined) meterSearch(name, receiver, first);
  else if (name === 'join') weighed(receiver);
  else if (!atOneEnd.has(name)) priced(receiver, read);
  for (const part of parts) priced(part, read);
  if (name.startsWith('get') && first !== undefined) metered(node, timeZoneCost);
}

function meter(node: CelNode): void {
  if (node.op === 'rcall' && loops.has(node.args[0])) {
    const [, range, [, body]] = node.args;
    // Past the budget no loop begins: `all` and `exists` go on after errors.
    metered(range, 0);
    if (body !== undefined) metered(body, 1);
  } else if (node.op === 'rcall') {
    meterMethod(node, ...node.args);
  } else if (node.op === 'call') {
    const price = node.args[0] === 'duration' ? (length: number) => length ** 3 / durationPerStep : read;
    for (const part of node.args[1]) priced(part, price);
  }
  const parts = partsOf(node);
  if (!comparing.has(node.op) && !(ordering.has(node.op) && !parts.some(isLiteral))) return;
  for (const operand of parts.filter((part) => !isLiteral(part))) weighed(operand);
}

function patternOf(node: CelNode, pattern: string): (text: string) => boolean {
  try {
    return compileRegex(pattern, (looks) => spend(looks / looksPerStep));
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
  intercept(receiver, (run) => (evaluator, self, context) => {
    text = run(evaluator, self, context);
    return text;
  });
  intercept(node, (run) => (evaluator, self, context) => {
    const answer = run(evaluator, self, context);
    return typeof text === 'string' && answer === true ? test(text) : answer;
  });
}

/** A new evaluation begins. */
export const startBudget = (): void => {
  spent = 0;
};

/** Once for each parsed expression, before it runs. */
export function guard(root: CelNode): void {
  walk(root, guardMatches);
  walk(root, meter);
}
