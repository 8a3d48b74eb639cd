/** PromQL as a syntax tree: what an expression reads, and how. */

import { parser } from '@prometheus-io/lezer-promql';

type SyntaxNode = ReturnType<typeof parser.parse>['topNode'];

export interface Selector {
  readonly metric: string;
  /** As written: `job=~"$job"`. */
  readonly matchers: readonly string[];
  /** The range in brackets, when there is one. */
  readonly range: string | undefined;
  /** The function that the selector is the argument of. */
  readonly inFunction: string | undefined;
}

/** Grafana's variables as Prometheus would see them. */
export const substitute = (expr: string): string =>
  expr
    .replaceAll('$__rate_interval', '5m')
    .replaceAll('$__range', '1h')
    .replace(/\$(job|instance|pipeline|route)\b/g, '.+');

/** Throws on what is no PromQL. */
export function selectorsOf(expr: string): readonly Selector[] {
  const clear = substitute(expr);
  const found: Selector[] = [];
  const text = (node: SyntaxNode | null): string => (node === null ? '' : clear.slice(node.from, node.to));
  parser.parse(clear).iterate({
    enter(cursor) {
      if (cursor.type.isError) throw new Error(`no PromQL at ${cursor.from}: ${clear}`);
      if (cursor.name !== 'VectorSelector') return;
      const { node } = cursor;
      const matchers = text(node.getChild('LabelMatchers')).slice(1, -1).split(',').filter(Boolean);
      found.push({ metric: text(node.getChild('Identifier')), matchers, ...around(node, text) });
    },
  });
  return found;
}

function around(node: SyntaxNode, text: (node: SyntaxNode | null) => string): Pick<Selector, 'range' | 'inFunction'> {
  const matrix = node.parent?.name === 'MatrixSelector' ? node.parent : undefined;
  const range = matrix === undefined ? undefined : /\[([^\]]+)\]$/.exec(text(matrix))?.[1];
  const body = (matrix ?? node).parent;
  const call = body?.name === 'FunctionCallBody' ? body.parent : undefined;
  const inFunction = call?.name === 'FunctionCall' ? text(call.firstChild) : undefined;
  return { range, inFunction };
}

/** A histogram's series by the name of the histogram. */
export const familyOf = (metric: string): string => metric.replace(/_(bucket|sum|count)$/, '');
