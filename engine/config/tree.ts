/** The parsed file as plain values that know their places, and the ways to look into it. */
import type { PathStep, Place } from './diagnostic.ts';

export interface Leaf {
  readonly kind: 'leaf';
  /** Changes when references are filled in, and when the schema wants a number or a boolean of one. */
  value: unknown;
  readonly place: Place;
  /** Where the text itself stands: elsewhere than `place` when an alias stands there. */
  readonly origin: Place;
  /** The references that the value was made from; empty for plain text. */
  references: readonly string[];
  /** What some of its references stand for: see `Interpolated`. */
  secrets?: readonly string[];
  whole: boolean;
  /** A reference could not be followed, so that the value says nothing. */
  broken: boolean;
  /** It has no value where it is only compared, and nobody said so: see `ReadingOptions.offline`. */
  unfilled?: boolean;
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
