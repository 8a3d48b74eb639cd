/**
 * What keeps an evaluation short: a budget of steps, which loops and comparisons spend, and `matches` in linear time. No
 * event can make an expression hold up the process.
 */
import { ExpressionError, refuse } from './fault.ts';
import { compileRegex, PatternError } from './linear-regex.ts';
import { type CelNode, intercept, partsOf, walk } from './node.ts';

/** Turns of loops and comparisons of values in one evaluation: five times the values that the largest event has. */
const budget = 50_000;
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
    if (typeof value === 'object') weigh(value);
    return value;
  });

function meter(node: CelNode): void {
  if (node.op === 'rcall' && loops.has(node.args[0])) {
    const [, range, [, body]] = node.args;
    // Past the budget no loop begins: `all` and `exists` go on after errors.
    metered(range, 0);
    if (body !== undefined) metered(body, 1);
  }
  if (!comparing.has(node.op)) return;
  for (const operand of partsOf(node).filter((part) => !isLiteral(part))) weighed(operand);
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
