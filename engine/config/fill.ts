/** References in the values of a tree are filled in. Bounded: neither many references nor long values fill the memory. */
import { dirname } from 'node:path';
import type { Diagnostic, PathStep, Place } from './diagnostic.ts';
import { interpolate } from './interpolate.ts';
import { largestFile, type Reading } from './reading.ts';
import { diagnose, type Source } from './source.ts';
import type { Leaf, Tree } from './tree.ts';

/** Characters that all values of one file may have together once references are filled in. */
const mostCharacters = 4 * largestFile;
const mostFaults = 100;

interface Filling {
  readonly source: Source;
  readonly folder: string;
  readonly reading: Reading;
  readonly diagnostics: Diagnostic[];
  room: number;
}

/** Where `raw` comes next; behind another `$` it is a literal. */
function nextReference(text: string, raw: string, from: number): number {
  let at = text.indexOf(raw, from);
  while (at !== -1 && text[at - 1] === '$') at = text.indexOf(raw, at + raw.length);
  return at;
}

/** The place of the nth `raw` inside of a scalar; the scalar's own where escapes hide it. */
function within(source: Source, place: Place, raw: string, nth: number): Place {
  let at = nextReference(source.text, raw, place.start);
  for (let skipped = 0; skipped < nth && at !== -1; skipped++) at = nextReference(source.text, raw, at + raw.length);
  return at === -1 || at >= place.end ? place : { start: at, end: at + raw.length };
}

function fillLeaf(filling: Filling, leaf: Leaf, path: readonly PathStep[]): void {
  if (typeof leaf.value !== 'string' || !leaf.value.includes('${')) return;
  const { source, folder, reading, diagnostics } = filling;
  const { value, references, secrets, whole, faults, unfilled } = interpolate(
    leaf.value,
    folder,
    reading,
    filling.room,
  );
  filling.room -= value.length;
  for (const fault of faults.slice(0, mostFaults - diagnostics.length)) {
    const place = within(source, leaf.origin, fault.raw, fault.nth);
    diagnostics.push(diagnose(source, place, fault.code, path, fault.message, { help: fault.help }));
  }
  Object.assign(leaf, { value, references, secrets, whole, broken: faults.length > 0 || unfilled, unfilled });
}

function fillNode(filling: Filling, tree: Tree, path: readonly PathStep[]): void {
  switch (tree.kind) {
    case 'leaf':
      fillLeaf(filling, tree, path);
      return;
    case 'list':
      for (const [at, item] of tree.items.entries()) fillNode(filling, item, [...path, at]);
      return;
    case 'fields':
      for (const [name, field] of tree.entries) fillNode(filling, field.value, [...path, name]);
  }
}

/** Changes the leaves of `tree`; returns what is wrong with its references. */
export function fillReferences(source: Source, tree: Tree, reading: Reading): readonly Diagnostic[] {
  const folder = dirname(source.path);
  const filling: Filling = { source, folder, reading, diagnostics: [], room: mostCharacters };
  fillNode(filling, tree, []);
  return filling.diagnostics;
}
