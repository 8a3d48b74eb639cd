/**
 * From the parser's document to a tree. Aliases and merge keys are resolved here, and the limits hold exactly: what an
 * alias stands for counts each time. References stay as they are written; see `fill.ts`.
 */
import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, type Node, visit, type YAMLMap } from 'yaml';
import type { ErrorCode } from '../errors.ts';
import type { PathStep, Place } from './diagnostic.ts';
import { deepest, mostNodes } from './prescan.ts';
import type { Fields, Leaf, Tree } from './tree.ts';

/** What is wrong at a place of a text that has no name yet. */
export interface TextFault {
  readonly place: Place;
  readonly code: ErrorCode;
  readonly path: readonly PathStep[];
  readonly message: string;
  readonly help?: string | undefined;
}

/** Ends the reading of a file at once: what follows would only repeat it. */
class Refused extends Error {}

interface Reader {
  readonly targets: ReadonlyMap<Alias, Node>;
  readonly lineOf: (place: Place) => number;
  readonly faults: TextFault[];
  /** The aliases that are being followed, so that a circle is noticed. */
  readonly following: Set<Node>;
  /** The alias that stands in the text, while what it leads to is read. */
  outer: Place | undefined;
  nodes: number;
}

const placeOf = (node: { range?: readonly [number, number, number] | null | undefined }): Place => ({
  start: node.range?.[0] ?? 0,
  end: node.range?.[1] ?? 0,
});

function say(reader: Reader, place: Place, code: ErrorCode, path: readonly PathStep[], message: string, help?: string) {
  reader.faults.push({ place, code, path, message, help });
}

function refuse(reader: Reader, place: Place, code: ErrorCode, path: readonly PathStep[], message: string): never {
  say(reader, place, code, path, message);
  throw new Refused();
}

const leafOf = (value: unknown, place: Place): Leaf => ({
  kind: 'leaf',
  value,
  place,
  origin: place,
  references: [],
  whole: false,
  broken: false,
});

/** What each alias stands for: the last anchor of its name before it. In one walk, where the library's own takes one each. */
function resolveAliases(document: Document): Map<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Alias(_, alias) {
      const target = anchors.get(alias.source);
      if (target !== undefined) targets.set(alias, target);
    },
    Value(_, node) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

function readAlias(reader: Reader, node: Alias, path: readonly PathStep[]): Tree {
  const target = reader.targets.get(node);
  if (target === undefined) {
    refuse(reader, placeOf(node), 'EF1010', path, `no anchor &${node.source} stands before this alias`);
  }
  if (reader.following.has(target)) {
    refuse(reader, placeOf(node), 'EF1010', path, `the anchor &${node.source} contains itself`);
  }
  const { outer } = reader;
  reader.outer ??= placeOf(node);
  reader.following.add(target);
  const tree = readNode(reader, target, path);
  reader.following.delete(target);
  reader.outer = outer;
  return { ...tree, place: placeOf(node) };
}

type Entries = Fields['entries'];

/** The fields that `<<` brings in: those of one map, or of several of which the earlier ones win. */
function mergedFields(reader: Reader, value: unknown, key: Place, path: readonly PathStep[]): Entries {
  const tree = readNode(reader, value, path);
  const maps = tree.kind === 'list' ? tree.items : [tree];
  const merged: Entries = new Map();
  for (const map of maps) {
    if (map.kind !== 'fields') {
      say(reader, key, 'EF1010', path, 'expected << to name an anchor of a map, got something else');
      continue;
    }
    for (const [name, field] of map.entries) if (!merged.has(name)) merged.set(name, field);
  }
  return merged;
}

function readMap(reader: Reader, node: YAMLMap, path: readonly PathStep[]): Fields {
  const entries: Entries = new Map();
  const merges: Entries[] = [];
  for (const pair of node.items) {
    const key = isScalar(pair.key) ? pair.key : undefined;
    const place = placeOf((pair.key ?? node) as Node);
    if (key === undefined || key.value === null) {
      say(reader, place, 'EF1012', path, 'expected a key that is a word');
      continue;
    }
    const name = typeof key.value === 'string' ? key.value : (key.source ?? String(key.value as number | boolean));
    if (name === '<<' && key.type === 'PLAIN') {
      merges.push(mergedFields(reader, pair.value, place, path));
      continue;
    }
    const earlier = entries.get(name);
    if (earlier === undefined)
      entries.set(name, { key: place, value: readNode(reader, pair.value, [...path, name], place) });
    else {
      const help = `the first one is in line ${reader.lineOf(earlier.key)}; remove one of them`;
      say(reader, place, 'EF1006', path, `the key ${JSON.stringify(name)} stands here twice`, help);
    }
  }
  for (const merged of merges) for (const [name, field] of merged) if (!entries.has(name)) entries.set(name, field);
  return { kind: 'fields', entries, place: placeOf(node) };
}

/** `fallback` is the place of a value that is not there, as in `retry:`. */
function readNode(reader: Reader, node: unknown, path: readonly PathStep[], fallback?: Place): Tree {
  const place = placeOf((node ?? {}) as Node);
  const nesting = path.length + reader.following.size;
  if (nesting > deepest + 1) refuse(reader, place, 'EF1004', [], `expected at most ${deepest} levels of nesting`);
  if (++reader.nodes > mostNodes) {
    const bomb = reader.following.size > 0;
    const message = `expected at most ${mostNodes} values${bomb ? ' after all aliases are followed' : ''}`;
    refuse(reader, reader.outer ?? place, bomb ? 'EF1010' : 'EF1009', [], message);
  }
  if (isAlias(node)) return readAlias(reader, node, path);
  if (isMap(node)) return readMap(reader, node, path);
  if (isSeq(node)) {
    const items = node.items.map((item, at) => readNode(reader, item, [...path, at]));
    return { kind: 'list', items, place };
  }
  if (!isScalar(node)) return leafOf(null, fallback ?? place);
  const leaf = leafOf(node.value, place);
  const isNothing = leaf.value === null && place.start === place.end;
  return isNothing && fallback !== undefined ? { ...leaf, place: fallback } : leaf;
}

export interface ReadTree {
  /** Undefined when the document is beyond the limits. */
  readonly tree: Tree | undefined;
  readonly faults: readonly TextFault[];
}

/** `lineOf` tells the line of a place, from 1. */
export function readTree(document: Document, lineOf: (place: Place) => number): ReadTree {
  const targets = resolveAliases(document);
  const reader: Reader = { targets, lineOf, faults: [], following: new Set(), outer: undefined, nodes: 0 };
  try {
    return { tree: readNode(reader, document.contents, []), faults: reader.faults };
  } catch (error) {
    if (error instanceof Refused) return { tree: undefined, faults: reader.faults };
    throw error;
  }
}
