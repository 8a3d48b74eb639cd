/** The graph in the language of Graphviz. */
import type { Graph, GraphEdge, GraphNode, NodeKind } from './model.ts';
import { dotText, labelText } from './text.ts';

const quoted = (text: string, length = 60): string => `"${dotText(labelText(text, length))}"`;

const shapes: Readonly<Record<NodeKind, string>> = {
  eventType: 'shape=box, style="rounded"',
  pattern: 'shape=box, style="rounded,dotted"',
  route: 'shape=box, style="solid"',
  handler: 'shape=component',
  deadLetters: 'shape=cylinder',
};

/** A later attribute wins over an earlier one of the same name. */
function attributes(words: readonly (string | undefined)[]): string {
  const given = words.filter((word) => word !== undefined);
  return given.length === 0 ? '' : ` [${given.join(', ')}]`;
}

export function toDot(graph: Graph): string {
  const names = new Map(graph.nodes.map(({ id }, at) => [id, `n${at}`]));
  const declare = ({ id, kind, label, detail, enabled }: GraphNode): string =>
    `${names.get(id)}${attributes([
      `label=${quoted(label)}`,
      `tooltip=${quoted(detail, 200)}`,
      shapes[kind],
      enabled ? undefined : 'style="dashed"',
    ])}`;
  const connect = ({ from, to, kind, label, enabled }: GraphEdge): string =>
    `  ${names.get(from)} -> ${names.get(to)}${attributes([
      label === undefined ? undefined : `label=${quoted(label, 40)}`,
      enabled && kind !== 'givesUp' ? undefined : 'style="dashed"',
    ])}`;
  const boxes = graph.pipelines.flatMap(({ name }, at) => [
    `  subgraph cluster_${at} {`,
    `    label=${quoted(name)}; style="rounded"; color="gray60"`,
    ...graph.nodes
      .filter((node) => node.kind === 'route' && node.pipeline === name)
      .map((node) => `    ${declare(node)}`),
    '  }',
  ]);
  const lines = [
    'digraph eventflow {',
    '  rankdir=LR; fontname="sans-serif"',
    '  node [fontname="sans-serif", fontsize=11]; edge [fontname="sans-serif", fontsize=9]',
    ...graph.nodes.filter(({ kind }) => kind !== 'route').map((node) => `  ${declare(node)}`),
    ...boxes,
    ...graph.edges.map(connect),
    '}',
  ];
  return `${lines.join('\n')}\n`;
}
