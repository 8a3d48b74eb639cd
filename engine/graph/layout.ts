/**
 * Where boxes and wires of a layered graph go: the method of Sugiyama, Tagawa and Toda (1981) with the barycenter rule,
 * and, for the height of each box, the least squares under a fixed order (pool adjacent violators). Deterministic; sizes
 * in pixels, y grows downwards.
 */

export interface Box {
  readonly id: string;
  /** From 0, left to right. Wires lead to higher layers only. */
  readonly layer: number;
  readonly width: number;
  readonly height: number;
  /** Boxes of one layer and frame stay together, with a frame around them. */
  readonly frame: string | undefined;
}

export interface Wire {
  readonly from: string;
  readonly to: string;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

interface Area extends Point {
  readonly width: number;
  readonly height: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** By id; `x` and `y` are the upper left corner. */
  readonly boxes: ReadonlyMap<string, Area>;
  readonly frames: ReadonlyMap<string, Area>;
  /** In the order of the wires: from the right side of a box, past those in between, to the left side of another. */
  readonly wires: readonly (readonly Point[])[];
}

export interface LayoutOptions {
  /** Between boxes of one layer, between a frame and what is in it, and above that for its name. */
  readonly gap: number;
  readonly padding: number;
  readonly heading: number;
  /** Free width to the left of each layer but the first; the first stands for itself. */
  readonly lead: readonly number[];
}

interface Node extends Box {
  readonly before: Node[];
  readonly after: Node[];
  /** Place in its layer. */
  place: number;
  /** Middle. */
  y: number;
}

const sweeps = 12;

const mean = (nodes: readonly Node[], of: (node: Node) => number): number | undefined =>
  nodes.length === 0 ? undefined : nodes.reduce((sum, node) => sum + of(node), 0) / nodes.length;

function connect(from: Node, to: Node): void {
  from.after.push(to);
  to.before.push(from);
}

/** Wires over several layers get a box without size in each layer that they pass. */
function build(boxes: readonly Box[], wires: readonly Wire[]): { layers: Node[][]; chains: Node[][] } {
  const layers: Node[][] = [];
  const add = (box: Box): Node => {
    const layer = layers[box.layer] ?? [];
    layers[box.layer] = layer;
    const node: Node = { ...box, before: [], after: [], place: layer.length, y: 0 };
    layer.push(node);
    return node;
  };
  const nodes = new Map(boxes.map((box) => [box.id, add(box)]));
  const chains = wires.map(({ from, to }): Node[] => {
    const [start, end] = [nodes.get(from), nodes.get(to)];
    if (start === undefined || end === undefined) return [];
    const between = Array.from({ length: Math.max(0, end.layer - start.layer - 1) }, (_, at) =>
      add({ id: '', layer: start.layer + at + 1, width: 0, height: 0, frame: undefined }),
    );
    const chain = [start, ...between, end];
    chain.forEach((node, at) => {
      const next = chain[at + 1];
      if (next !== undefined) connect(node, next);
    });
    return chain;
  });
  // A layer that nothing stands in would be a hole.
  return { layers: Array.from(layers, (layer) => layer ?? []), chains };
}

/** Frames first, by their middle, then boxes; what has no neighbours stays where it is. */
function reorder(layer: Node[], neighbours: (node: Node) => readonly Node[]): void {
  const wish = new Map(layer.map((node) => [node, mean(neighbours(node), ({ place }) => place) ?? node.place]));
  const wishOf = (node: Node): number => wish.get(node) ?? 0;
  const frames = new Map<string, number>();
  for (const { frame } of layer) {
    if (frame === undefined || frames.has(frame)) continue;
    frames.set(
      frame,
      mean(
        layer.filter((node) => node.frame === frame),
        wishOf,
      ) ?? 0,
    );
  }
  const frameOf = (node: Node): number => frames.get(node.frame ?? '') ?? wishOf(node);
  layer.sort(
    (a, b) =>
      frameOf(a) - frameOf(b) ||
      (a.frame ?? '').localeCompare(b.frame ?? '', 'en') ||
      wishOf(a) - wishOf(b) ||
      a.place - b.place,
  );
  layer.forEach((node, at) => {
    node.place = at;
  });
}

/** How many pairs of wires cross. */
function crossings(layers: readonly Node[][]): number {
  let count = 0;
  for (const layer of layers) {
    const ends = layer.flatMap((node) => node.after.map((next) => next.place).sort((a, b) => a - b));
    for (let at = 1; at < ends.length; at += 1) {
      for (let other = 0; other < at; other += 1) if ((ends[other] ?? 0) > (ends[at] ?? 0)) count += 1;
    }
  }
  return count;
}

/** Sweeps to the right and to the left, and keeps the best order that was seen. */
function order(layers: Node[][]): void {
  let best = { count: Number.POSITIVE_INFINITY, orders: layers.map((layer) => [...layer]) };
  for (let sweep = 0; sweep < sweeps; sweep += 1) {
    const right = sweep % 2 === 0;
    for (const layer of right ? layers : layers.toReversed()) {
      reorder(layer, (node) => (right ? node.before : node.after));
    }
    const count = crossings(layers);
    if (count < best.count) best = { count, orders: layers.map((layer) => [...layer]) };
  }
  best.orders.forEach((nodes, at) => {
    layers[at] = nodes;
    nodes.forEach((node, place) => {
      node.place = place;
    });
  });
}

/** The least distance between the middles of two neighbours. */
function distance(above: Node, below: Node, { gap, padding, heading }: LayoutOptions): number {
  const leaves = above.frame !== below.frame;
  const extra = leaves
    ? (above.frame === undefined ? 0 : padding) + (below.frame === undefined ? 0 : padding + heading)
    : 0;
  return above.height / 2 + below.height / 2 + gap + extra;
}

/** As near to the wishes as the distances allow, in the order of the layer. */
function settleHeights(layer: readonly Node[], wishes: readonly number[], options: LayoutOptions): void {
  const offsets: number[] = [];
  layer.forEach((node, at) => {
    const above = layer[at - 1];
    offsets.push(above === undefined ? 0 : (offsets[at - 1] ?? 0) + distance(above, node, options));
  });
  const pools: { sum: number; count: number }[] = [];
  for (const [at, wish] of wishes.entries()) {
    pools.push({ sum: wish - (offsets[at] ?? 0), count: 1 });
    for (let last = pools.length - 1; last > 0; last -= 1) {
      const [a, b] = [pools[last - 1], pools[last]];
      if (a === undefined || b === undefined || a.sum / a.count <= b.sum / b.count) break;
      pools.splice(last - 1, 2, { sum: a.sum + b.sum, count: a.count + b.count });
    }
  }
  let at = 0;
  for (const { sum, count } of pools) {
    for (let end = at + count; at < end; at += 1) {
      const node = layer[at];
      if (node !== undefined) node.y = sum / count + (offsets[at] ?? 0);
    }
  }
}

function placeHeights(layers: readonly Node[][], options: LayoutOptions): void {
  for (const layer of layers)
    settleHeights(
      layer,
      layer.map(() => 0),
      options,
    );
  for (let sweep = 0; sweep < sweeps; sweep += 1) {
    const right = sweep % 2 === 0;
    for (const layer of right ? layers : layers.toReversed()) {
      const wishes = layer.map((node) => mean(right ? node.before : node.after, ({ y }) => y) ?? node.y);
      settleHeights(layer, wishes, options);
    }
  }
}

function framesOf(nodes: readonly (Node & { readonly x: number })[], options: LayoutOptions): Map<string, Area> {
  const { padding, heading } = options;
  const frames = new Map<string, Area>();
  for (const frame of new Set(nodes.flatMap((node) => node.frame ?? []))) {
    const inside = nodes.filter((node) => node.frame === frame);
    const left = Math.min(...inside.map(({ x }) => x)) - padding;
    const right = Math.max(...inside.map(({ x, width }) => x + width)) + padding;
    const top = Math.min(...inside.map(({ y, height }) => y - height / 2)) - padding - heading;
    const bottom = Math.max(...inside.map(({ y, height }) => y + height / 2)) + padding;
    frames.set(frame, { x: left, y: top, width: right - left, height: bottom - top });
  }
  return frames;
}

export function layOut(boxes: readonly Box[], wires: readonly Wire[], options: LayoutOptions): Layout {
  const { layers, chains } = build(boxes, wires);
  order(layers);
  placeHeights(layers, options);
  const lefts: number[] = [];
  const widths = layers.map((layer) => Math.max(0, ...layer.map(({ width }) => width)));
  widths.forEach((_, at) => {
    lefts.push((at === 0 ? 0 : (lefts[at - 1] ?? 0) + (widths[at - 1] ?? 0)) + (options.lead[at] ?? 0));
  });
  // What is narrower than its layer stands in its middle.
  const leftOf = (node: Node): number => (lefts[node.layer] ?? 0) + ((widths[node.layer] ?? 0) - node.width) / 2;
  const placed = layers.flat().filter(({ id }) => id !== '');
  const frames = framesOf(
    placed.map((node) => Object.assign(node, { x: leftOf(node) })),
    options,
  );
  const top = Math.min(0, ...placed.map(({ y, height }) => y - height / 2), ...[...frames.values()].map(({ y }) => y));
  const shift = -top;
  const moved = (area: Area): Area => ({ ...area, y: area.y + shift });
  const areas = placed.map((node): [string, Area] => [
    node.id,
    { x: leftOf(node), y: node.y - node.height / 2 + shift, width: node.width, height: node.height },
  ]);
  const framed = new Map([...frames].map(([name, area]) => [name, moved(area)]));
  const all = [...areas.map(([, area]) => area), ...framed.values()];
  return {
    width: Math.max(0, ...all.map(({ x, width }) => x + width)),
    height: Math.max(0, ...all.map(({ y, height }) => y + height)),
    boxes: new Map(areas),
    frames: framed,
    wires: chains.map((chain) => chain.flatMap((node, at): Point[] => pointsOf(node, at, chain.length))),
  };

  /** A wire that only passes goes straight through the layer. */
  function pointsOf(node: Node, at: number, length: number): Point[] {
    const y = node.y + shift;
    const [left, right] = [lefts[node.layer] ?? 0, (lefts[node.layer] ?? 0) + (widths[node.layer] ?? 0)];
    if (at === 0) return [{ x: leftOf(node) + node.width, y }];
    if (at === length - 1) return [{ x: leftOf(node), y }];
    return [
      { x: left, y },
      { x: right, y },
    ];
  }
}
