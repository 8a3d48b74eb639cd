/** The parts of an expression as the library has them: to look at, and to come between. */
import type { ASTNode } from '@marcbachmann/cel-js';

/** A part of an expression. */
export type CelNode = ASTNode;

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

export function walk(node: CelNode, visit: (node: CelNode) => void): void {
  visit(node);
  for (const part of partsOf(node)) walk(part, visit);
}

/** What the library calls to evaluate a node. */
type Evaluate = (evaluator: unknown, node: unknown, context: unknown) => unknown;

const intercepted = new WeakMap<CelNode, (around: (run: Evaluate) => Evaluate) => void>();

/** Puts `around` in front of a node's evaluation; what came earlier is inside. Composed once: events pay no closures. */
export function intercept(node: CelNode, around: (run: Evaluate) => Evaluate): void {
  const known = intercepted.get(node);
  if (known !== undefined) return known(around);
  const place = node as unknown as { evaluate: Evaluate };
  let { evaluate } = place;
  let outer = around((evaluator, self, context) => evaluate.call(node, evaluator, self, context));
  intercepted.set(node, (next) => {
    outer = next(outer);
  });
  // A node that runs for the first time puts another function in the place of `evaluate` and calls that at once: it has
  // come through `outer` already.
  let isInside = false;
  Object.defineProperty(node, 'evaluate', {
    get: () => {
      if (!isInside) return outer;
      isInside = false;
      return evaluate;
    },
    set: (next: Evaluate) => {
      evaluate = next;
      isInside = true;
    },
  });
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
