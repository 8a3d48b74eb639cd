/** Event types → routes → handlers → dead letters, as nodes and edges. Pure: one generation in, one graph out. */
import { matchAny } from '../core/match.ts';
import type { Generation, Route } from '../core/route.ts';

/** `pattern`: a wildcard that no known type fits. */
export type NodeKind = 'eventType' | 'pattern' | 'route' | 'handler' | 'deadLetters';

export interface GraphNode {
  /** The same for the same thing in every generation: `route:orders.receipt`. */
  readonly id: string;
  readonly kind: NodeKind;
  readonly label: string;
  /** What else there is to say: the plugin of a handler, the group of a route. */
  readonly detail: string;
  /** Of routes and their dead letters. */
  readonly pipeline: string | undefined;
  /** False: the route is switched off. */
  readonly enabled: boolean;
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  /** `wants`: type to route; `runs`: route to handler; `givesUp`: route to dead letters. */
  readonly kind: 'wants' | 'runs' | 'givesUp';
  /** The pattern that a type was found by and the condition of the route; after how many attempts it gives up. */
  readonly label: string | undefined;
  readonly enabled: boolean;
}

export interface Graph {
  readonly pipelines: readonly { readonly name: string; readonly description: string | undefined }[];
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

export interface GraphOptions {
  /** Show where each route's dead letters rest [false]. */
  readonly deadLetters?: boolean;
}

const isWildcard = (pattern: string): boolean => pattern.includes('*');

/** What the catalogue declares, and what routes name in full. */
function knownTypes({ eventTypes, routes }: Generation): string[] {
  const named = [...routes.values()].flatMap(({ on }) => on.filter((pattern) => !isWildcard(pattern)));
  return [...new Set([...eventTypes.keys(), ...named])].sort();
}

/** By node, the first of the route's patterns that leads to it. */
function sourcesOf(route: Route, known: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const pattern of route.on) {
    const types = isWildcard(pattern) ? known.filter(matchAny([pattern])) : [pattern];
    const ids = types.length > 0 ? types.map((type) => `type:${type}`) : [`pattern:${pattern}`];
    for (const id of ids) if (!found.has(id)) found.set(id, pattern);
  }
  return found;
}

const typeNode = (type: string, declared: boolean): GraphNode => ({
  id: `type:${type}`,
  kind: 'eventType',
  label: type,
  detail: declared ? 'event type, declared in the catalogue' : 'event type',
  pipeline: undefined,
  enabled: true,
});

const patternNode = (pattern: string): GraphNode => ({
  id: `pattern:${pattern}`,
  kind: 'pattern',
  label: pattern,
  detail: 'pattern that no known event type fits',
  pipeline: undefined,
  enabled: true,
});

const routeNode = ({ group, id, pipeline, enabled }: Route): GraphNode => ({
  id: `route:${group}`,
  kind: 'route',
  label: id,
  detail: enabled ? `route ${group}` : `route ${group}, switched off`,
  pipeline,
  enabled,
});

const handlerId = ({ plugin, handler }: Route): string => `handler:${plugin}:${handler}`;

const handlerNode = (route: Route): GraphNode => ({
  id: handlerId(route),
  kind: 'handler',
  label: route.handler,
  detail: `handler of ${route.plugin}`,
  pipeline: undefined,
  enabled: true,
});

const lettersNode = ({ pipeline }: Route): GraphNode => ({
  id: `deadLetters:${pipeline}`,
  kind: 'deadLetters',
  label: `dead letters of ${pipeline}`,
  detail: `dead letters of the routes of ${pipeline}`,
  pipeline,
  enabled: true,
});

function edgesOf(route: Route, sources: ReadonlyMap<string, string>, withLetters: boolean): GraphEdge[] {
  const { enabled, retry } = route;
  const id = `route:${route.group}`;
  const wants = [...sources].map(([from, pattern]): GraphEdge => {
    const words = [
      ...(isWildcard(pattern) && !from.startsWith('pattern:') ? [pattern] : []),
      ...(route.when === undefined ? [] : [`when ${route.when.source}`]),
    ];
    return { from, to: id, kind: 'wants', label: words.length === 0 ? undefined : words.join(' '), enabled };
  });
  const attempts = `after ${retry.maxAttempts} ${retry.maxAttempts === 1 ? 'attempt' : 'attempts'}`;
  const letters: GraphEdge = { from: id, to: lettersNode(route).id, kind: 'givesUp', label: attempts, enabled };
  return [
    ...wants,
    { from: id, to: handlerId(route), kind: 'runs', label: undefined, enabled },
    ...(withLetters ? [letters] : []),
  ];
}

const once = (nodes: readonly GraphNode[]): GraphNode[] => [...new Map(nodes.map((node) => [node.id, node])).values()];

/** In the order of the files: the same generation always makes the same graph. */
export function graphOf(generation: Generation, { deadLetters = false }: GraphOptions = {}): Graph {
  const routes = generation.pipelines.flatMap((pipeline) => pipeline.routes);
  const known = knownTypes(generation);
  const sources = new Map(routes.map((route) => [route.group, sourcesOf(route, known)]));
  const patterns = [...sources.values()].flatMap((found) =>
    [...found.keys()].filter((id) => id.startsWith('pattern:')),
  );
  return {
    pipelines: generation.pipelines.map(({ name, description }) => ({ name, description })),
    nodes: once([
      ...known.map((type) => typeNode(type, generation.eventTypes.has(type))),
      ...patterns.map((id) => patternNode(id.slice('pattern:'.length))),
      ...routes.map(routeNode),
      ...routes.map(handlerNode),
      ...(deadLetters ? routes.map(lettersNode) : []),
    ]),
    edges: routes.flatMap((route) => edgesOf(route, sources.get(route.group) ?? new Map(), deadLetters)),
  };
}
