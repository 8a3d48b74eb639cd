/**
 * The parsed file as plain values that know their places. Aliases and merge keys are resolved here, references are
 * filled in, and the limits hold exactly: what an alias stands for counts each time.
 */
import { dirname } from 'node:path';
import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, type Node, type Scalar, type YAMLMap } from 'yaml';
import type { ErrorCode } from '../errors.ts';
import type { Diagnostic, PathStep, Place } from './diagnostic.ts';
import { interpolate } from './interpolate.ts';
import { deepest, mostNodes } from './prescan.ts';
import type { Reading } from './reading.ts';
import { diagnose, type Source } from './source.ts';

export interface Leaf {
  readonly kind: 'leaf';
  /** Changes once, when the schema wants a number or a boolean of a reference. */
  value: unknown;
  readonly place: Place;
  /** Where the text itself stands: elsewhere than `place` when an alias stands there. */
  readonly origin: Place;
  /** The references that the value was made from; empty for plain text. */
  readonly references: readonly string[];
  readonly whole: boolean;
  /** A reference could not be followed, so that the value says nothing. */
  readonly broken: boolean;
}

export interface Fields {
  readonly kind: 'fields';
  readonly entries: Map<string, { readonly key: Place; readonly value: Tree }>;
  readonly place: Place;
}

export interface List {
  readonly kind: 'list';
  readonly items: readonly Tree[];
  readonly place: Place;
}

export type Tree = Leaf | Fields | List;

/** Ends the reading of a file at once: what follows would only repeat it. */
class Refused extends Error {}

interface Reader {
  readonly source: Source;
  readonly document: Document;
  readonly reading: Reading;
  readonly diagnostics: Diagnostic[];
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
  reader.diagnostics.push(diagnose(reader.source, place, code, path, message, { help }));
}

function refuse(reader: Reader, place: Place, code: ErrorCode, path: readonly PathStep[], message: string): never {
  say(reader, place, code, path, message);
  throw new Refused();
}

const plainLeaf = (value: unknown, place: Place): Leaf => ({
  kind: 'leaf',
  value,
  place,
  origin: place,
  references: [],
  whole: false,
  broken: false,
});

function readScalar(reader: Reader, node: Scalar, path: readonly PathStep[]): Leaf {
  const place = placeOf(node);
  if (typeof node.value !== 'string') return plainLeaf(node.value, place);
  const { value, references, whole, faults } = interpolate(node.value, dirname(reader.source.path), reader.reading);
  for (const fault of faults) {
    say(reader, within(reader.source, place, fault.raw, fault.nth), fault.code, path, fault.message, fault.help);
  }
  return { kind: 'leaf', value, place, origin: place, references, whole, broken: faults.length > 0 };
}

/** The place of the nth `raw` inside of a scalar; the scalar's own where escapes hide it. */
function within(source: Source, place: Place, raw: string, nth: number): Place {
  let at = source.text.indexOf(raw, place.start);
  for (let skipped = 0; skipped < nth && at !== -1; skipped++) at = source.text.indexOf(raw, at + 1);
  return at === -1 || at >= place.end ? place : { start: at, end: at + raw.length };
}

function readAlias(reader: Reader, node: Alias, path: readonly PathStep[]): Tree {
  const target = node.resolve(reader.document);
  if (target === undefined)
    refuse(reader, placeOf(node), 'EF1010', path, `no anchor &${node.source} stands before this alias`);
  if (reader.following.has(target))
    refuse(reader, placeOf(node), 'EF1010', path, `the anchor &${node.source} contains itself`);
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
      const help = `the first one is in line ${reader.source.at(earlier.key).line}; remove one of them`;
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
  if (isScalar(node)) {
    const leaf = readScalar(reader, node, path);
    return leaf.value === null && place.start === place.end && fallback !== undefined
      ? { ...leaf, place: fallback }
      : leaf;
  }
  return plainLeaf(null, fallback ?? place);
}

/** The tree, or undefined when the document is beyond the limits; what is wrong goes to `diagnostics`. */
export function readTree(
  source: Source,
  document: Document,
  reading: Reading,
  diagnostics: Diagnostic[],
): Tree | undefined {
  const reader: Reader = { source, document, reading, diagnostics, following: new Set(), outer: undefined, nodes: 0 };
  try {
    return readNode(reader, document.contents, []);
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

/** The values alone. */
export function plain(tree: Tree): unknown {
  switch (tree.kind) {
    case 'leaf':
      return tree.value;
    case 'list':
      return tree.items.map(plain);
    case 'fields':
      return Object.fromEntries([...tree.entries].map(([name, field]) => [name, plain(field.value)]));
  }
}

function step(tree: Tree | undefined, key: PathStep): Tree | undefined {
  if (tree?.kind === 'fields') return tree.entries.get(String(key))?.value;
  if (tree?.kind === 'list') return tree.items[Number(key)];
  return undefined;
}

/** What stands at a path; undefined when nothing does. */
export const nodeAt = (tree: Tree, path: readonly PathStep[]): Tree | undefined =>
  path.reduce<Tree | undefined>(step, tree);

/** The place of the value at `path`, or of the nearest thing around it that is there. */
export function valuePlace(tree: Tree, path: readonly PathStep[]): Place {
  for (let length = path.length; length > 0; length--) {
    const node = nodeAt(tree, path.slice(0, length));
    if (node !== undefined) return node.place;
  }
  return tree.place;
}

/** The place of the key of `path`: where a list item begins, for it has none. */
export function keyPlace(tree: Tree, path: readonly PathStep[]): Place {
  const parent = nodeAt(tree, path.slice(0, -1));
  const last = path.at(-1);
  if (parent?.kind === 'fields' && last !== undefined) {
    return parent.entries.get(String(last))?.key ?? parent.place;
  }
  return valuePlace(tree, path);
}

/** The values below a node that are no maps or lists. */
export function leavesOf(tree: Tree): Leaf[] {
  switch (tree.kind) {
    case 'leaf':
      return [tree];
    case 'list':
      return tree.items.flatMap(leavesOf);
    case 'fields':
      return [...tree.entries.values()].flatMap((field) => leavesOf(field.value));
  }
}
