/** The graph as a mermaid flowchart: what GitHub, GitLab and most wikis draw from a fenced block. */
import type { Graph, GraphEdge, GraphNode, NodeKind } from './model.ts';
import { labelText, mermaidText } from './text.ts';

const longest = 60;
const quoted = (text: string, length = longest): string => `"${mermaidText(labelText(text, length)) || ' '}"`;

const shapes: Readonly<Record<NodeKind, (label: string) => string>> = {
  eventType: (label) => `([${label}])`,
  pattern: (label) => `([${label}])`,
  route: (label) => `[${label}]`,
  handler: (label) => `{{${label}}}`,
  deadLetters: (label) => `[(${label})]`,
};

function arrow({ kind, enabled, label }: GraphEdge): string {
  const line = enabled && kind !== 'givesUp' ? '-->' : '-.->';
  return label === undefined ? line : `${line}|${quoted(label, 40)}|`;
}

/** Mermaid's own limit, unless whoever draws has raised it (`maxEdges`). */
const mostEdges = 500;

/** What to tell whoever asked for a flowchart that will not be drawn. */
export const mermaidLimit = ({ edges }: Graph): string | undefined =>
  edges.length < mostEdges
    ? undefined
    : `mermaid draws fewer than ${mostEdges} edges unless its maxEdges is raised, and this graph has ${edges.length}: name fewer files, or take --format svg`;

export function toMermaid(graph: Graph): string {
  // Names of nodes are ours: a word of the language, such as `end`, would break the text.
  const names = new Map(graph.nodes.map(({ id }, at) => [id, `n${at}`]));
  const nameOf = (id: string): string => names.get(id) ?? '';
  const declare = (node: GraphNode, indent: string): string => {
    const style = node.enabled ? '' : ':::off';
    return `${indent}${nameOf(node.id)}${shapes[node.kind](quoted(node.label))}${style}`;
  };
  const boxes = graph.pipelines.flatMap(({ name }, at) => [
    `  subgraph p${at}[${quoted(name)}]`,
    ...graph.nodes
      .filter((node) => node.kind === 'route' && node.pipeline === name)
      .map((node) => declare(node, '    ')),
    '  end',
  ]);
  const lines = [
    'flowchart LR',
    ...graph.nodes.filter(({ kind }) => kind !== 'route').map((node) => declare(node, '  ')),
    ...boxes,
    ...graph.edges.map((edge) => `  ${nameOf(edge.from)} ${arrow(edge)} ${nameOf(edge.to)}`),
    ...(graph.nodes.some(({ enabled }) => !enabled) ? ['  classDef off stroke-dasharray: 4 4, opacity: 0.7'] : []),
  ];
  return `${lines.join('\n')}\n`;
}
