/** The graph as a picture: drawn here, without a browser; light and dark as the reader has it, and readable without eyes. */
import { type Box, type Layout, layOut, type Point } from './layout.ts';
import type { Graph, GraphEdge, GraphNode, NodeKind } from './model.ts';
import { labelText, xmlText } from './text.ts';

const fontSize = 12;
/** Of the usual monospaced fonts. */
const characterWidth = 0.602 * fontSize;
const boxHeight = 28;
const margin = 24;
const longestName = 44;
const longestLabel = 40;

const layerOf: Readonly<Record<NodeKind, number>> = { eventType: 0, pattern: 0, route: 1, handler: 2, deadLetters: 3 };

interface Palette {
  readonly paper: string;
  readonly ink: string;
  readonly soft: string;
  readonly line: string;
  readonly frame: string;
  readonly type: string;
  readonly route: string;
  readonly handler: string;
  readonly letters: string;
}

const light: Palette = {
  ...{ paper: '#ffffff', ink: '#1f2328', soft: '#59636e', line: '#7d8590', frame: '#d0d7de' },
  ...{ type: '#ddf4ff', route: '#f6f8fa', handler: '#dafbe1', letters: '#ffebe9' },
};
const dark: Palette = {
  ...{ paper: '#0d1117', ink: '#e6edf3', soft: '#9198a1', line: '#7d8590', frame: '#3d444d' },
  ...{ type: '#0c2d6b', route: '#21262d', handler: '#033a16', letters: '#5d0f12' },
};

/** Written out for each, since few programs but browsers know custom properties. */
const coloursOf = ({ paper, ink, soft, line, frame, type, route, handler, letters }: Palette): string => `
  .eventflow text { fill: ${ink}; }
  .eventflow .name { fill: ${soft}; }
  .eventflow .label { fill: ${soft}; stroke: ${paper}; }
  .eventflow .paper { fill: ${paper}; }
  .eventflow .box, .eventflow .wire { stroke: ${line}; }
  .eventflow .frame { stroke: ${frame}; }
  .eventflow .tip { fill: ${line}; }
  .eventflow .eventType, .eventflow .pattern { fill: ${type}; }
  .eventflow .route { fill: ${route}; }
  .eventflow .handler { fill: ${handler}; }
  .eventflow .deadLetters { fill: ${letters}; }`;

const style = `
  .eventflow text { font: ${fontSize}px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
  .eventflow .name { font-weight: 600; }
  .eventflow .label { font-size: 10px; stroke-width: 4px; paint-order: stroke; }
  .eventflow .wire { fill: none; stroke-width: 1.25; }
  .eventflow .frame { fill: none; }
  .eventflow .pattern, .eventflow .off { stroke-dasharray: 4 4; }
  .eventflow .wire.givesUp { stroke-dasharray: 2 4; }${coloursOf(light)}
  @media (prefers-color-scheme: dark) {${coloursOf(dark).replaceAll('\n', '\n  ')}
  }
`;

/** Letters of East Asia and pictures take two places. */
const wide = /[\p{Emoji_Presentation}\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60]/u;
const places = (text: string): number =>
  Array.from(text).reduce((sum, character) => sum + (wide.test(character) ? 2 : 1), 0);
const widthOf = (text: string, size = fontSize): number => places(text) * characterWidth * (size / fontSize);

const nameOf = ({ label }: GraphNode): string => labelText(label, longestName) || ' ';

const boxWidth = (node: GraphNode): number => Math.ceil(Math.max(64, widthOf(nameOf(node)) + 24));

/** All boxes of a layer are as wide as its widest. */
function boxesOf(nodes: readonly GraphNode[]): Box[] {
  const widths = new Map<number, number>();
  for (const node of nodes) {
    const layer = layerOf[node.kind];
    widths.set(layer, Math.max(widths.get(layer) ?? 0, boxWidth(node)));
  }
  return nodes.map(({ id, kind, pipeline }) => ({
    id,
    layer: layerOf[kind],
    width: widths.get(layerOf[kind]) ?? 0,
    height: boxHeight,
    frame: kind === 'route' ? pipeline : undefined,
  }));
}

/** What stands before the tip of the wires to one box: each text once, however many wires say it. */
function labelsAt(edges: readonly GraphEdge[]): Map<string, string> {
  const texts = new Map<string, Set<string>>();
  for (const { to, from, kind, label } of edges) {
    if (label === undefined) continue;
    const at = kind === 'givesUp' ? from : to;
    texts.set(`${kind} ${at}`, (texts.get(`${kind} ${at}`) ?? new Set()).add(label));
  }
  return new Map([...texts].map(([at, said]) => [at, labelText([...said].join(' · '), longestLabel)]));
}

const round = (value: number): string => String(Math.round(value * 10) / 10);
const at = ({ x, y }: Point): string => `${round(x + margin)},${round(y + margin)}`;

/** Curves between layers, straight lines through them. */
function pathOf(points: readonly Point[]): string {
  return points.reduce((path, point, index) => {
    const before = points[index - 1];
    if (before === undefined) return `M${at(point)}`;
    if (before.y === point.y) return `${path} L${at(point)}`;
    const middle = (before.x + point.x) / 2;
    return `${path} C${at({ x: middle, y: before.y })} ${at({ x: middle, y: point.y })} ${at(point)}`;
  }, '');
}

/** The tip is drawn by itself: markers do not take the colours of a style sheet everywhere. */
function drawWire(points: readonly Point[], { kind, enabled }: GraphEdge): string {
  const end = points.at(-1);
  if (end === undefined) return '';
  const short = [...points.slice(0, -1), { x: end.x - 6, y: end.y }];
  const tip = [end, { x: end.x - 7, y: end.y - 3.5 }, { x: end.x - 7, y: end.y + 3.5 }].map(at).join(' ');
  const classes = `wire ${kind}${enabled ? '' : ' off'}`;
  return `<path class="${classes}" d="${pathOf(short)}"/><polygon class="tip" points="${tip}"/>`;
}

function drawBox(node: GraphNode, layout: Layout): string {
  const area = layout.boxes.get(node.id);
  if (area === undefined) return '';
  const radius = node.kind === 'eventType' || node.kind === 'pattern' ? boxHeight / 2 : 5;
  const [x, y] = [round(area.x + margin), round(area.y + margin)];
  const classes = `box ${node.kind}${node.enabled ? '' : ' off'}`;
  const middle = `x="${round(area.x + area.width / 2 + margin)}" y="${round(area.y + area.height / 2 + margin + 4)}"`;
  const full = xmlText(labelText(`${node.label}: ${node.detail}`, 400));
  return [
    `<g><title>${full}</title>`,
    `<rect class="${classes}" x="${x}" y="${y}" width="${round(area.width)}" height="${area.height}" rx="${radius}"/>`,
    `<text text-anchor="middle" ${middle}>${xmlText(nameOf(node))}</text></g>`,
  ].join('');
}

function drawFrame([name, area]: readonly [
  string,
  Layout['frames'] extends ReadonlyMap<string, infer A> ? A : never,
]): string {
  const [x, y] = [round(area.x + margin), round(area.y + margin)];
  return [
    `<rect class="frame" x="${x}" y="${y}" width="${round(area.width)}" height="${round(area.height)}" rx="8"/>`,
    `<text class="name" x="${round(area.x + margin + 8)}" y="${round(area.y + margin + 14)}">${xmlText(labelText(name, longestName))}</text>`,
  ].join('');
}

function drawLabel(place: string, text: string, layout: Layout): string {
  const [kind = '', ...rest] = place.split(' ');
  const area = layout.boxes.get(rest.join(' '));
  if (area === undefined) return '';
  const after = kind === 'givesUp';
  const x = after ? area.x + area.width + 10 : area.x - 12;
  const anchor = after ? 'start' : 'end';
  const y = area.y + area.height / 2 - 6;
  return `<text class="label" text-anchor="${anchor}" x="${round(x + margin)}" y="${round(y + margin)}">${xmlText(text)}</text>`;
}

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

function describe({ pipelines, nodes }: Graph): string {
  const count = (...kinds: readonly NodeKind[]): number => nodes.filter(({ kind }) => kinds.includes(kind)).length;
  const off = nodes.filter(({ enabled }) => !enabled).length;
  const parts = [
    plural(count('eventType', 'pattern'), 'event type'),
    `${plural(count('route'), 'route')} in ${plural(pipelines.length, 'pipeline')}${off === 0 ? '' : `, ${off} switched off`}`,
    plural(count('handler'), 'handler'),
  ];
  return `From left to right: ${parts.join('; ')}.`;
}

/** How wide the space before a layer is: room for the labels that stand there, and wires that are not too steep. */
function leadFor(labels: ReadonlyMap<string, string>, kind: GraphEdge['kind'], routes: number): number {
  const here = [...labels].filter(([place]) => place.startsWith(`${kind} `)).map(([, text]) => widthOf(text, 10) + 48);
  return Math.max(Math.min(72 + 5 * routes, 400), ...here);
}

export function toSvg(graph: Graph): string {
  const labels = labelsAt(graph.edges);
  const routes = graph.nodes.filter(({ kind }) => kind === 'route').length;
  const padding = 12;
  const lead = [0, leadFor(labels, 'wants', routes) + padding, leadFor(labels, 'givesUp', routes) + padding, 72];
  const layout = layOut(boxesOf(graph.nodes), graph.edges, { gap: 16, padding, heading: 16, lead });
  const [width, height] = [Math.ceil(layout.width + 2 * margin), Math.ceil(layout.height + 2 * margin)];
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" class="eventflow" role="img" aria-labelledby="eventflow-title eventflow-desc" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<title id="eventflow-title">Pipelines: ${xmlText(labelText(graph.pipelines.map(({ name }) => name).join(', '), 200))}</title>`,
    `<desc id="eventflow-desc">${xmlText(describe(graph))}</desc>`,
    `<style>${style}</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...[...layout.frames].map(drawFrame),
    ...graph.edges.map((edge, index) => drawWire(layout.wires[index] ?? [], edge)),
    ...graph.nodes.map((node) => drawBox(node, layout)),
    ...[...labels].map(([place, text]) => drawLabel(place, text, layout)),
    '</svg>',
  ];
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}
