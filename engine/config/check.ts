/** A tree against a schema: diagnostics with their places. */
import type { ErrorObject } from 'ajv';
import { replaceCredentials } from './credentials.ts';
import type { Diagnostic, PathStep } from './diagnostic.ts';
import { explain, type SchemaFault } from './explain.ts';
import { diagnose, type Source } from './source.ts';
import { nearest, suggestion } from './suggest.ts';
import { keyPlace, nodeAt, plain, type Tree, valuePlace } from './tree.ts';
import type { Validate, Validation } from './validator.ts';

export interface Checked extends Validation {
  readonly value: unknown;
  readonly diagnostics: readonly Diagnostic[];
}

/** Where a JSON pointer leads in the tree; steps into lists become numbers. */
export function pathOf(tree: Tree, pointer: string): PathStep[] {
  const path: PathStep[] = [];
  for (const raw of pointer.split('/').slice(1)) {
    const key = raw.replace(/~1/g, '/').replace(/~0/g, '~');
    path.push(nodeAt(tree, path)?.kind === 'list' ? Number(key) : key);
  }
  return path;
}

function converted(text: string, types: readonly string[]): unknown {
  if (types.includes('boolean') && /^(true|false)$/.test(text)) return text === 'true';
  if (types.includes('integer') && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (types.includes('number') && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) return Number(text);
  return undefined;
}

/** A value that is one reference becomes a number or a boolean where the schema wants one. Tells whether any did. */
function convertReferences(tree: Tree, errors: readonly ErrorObject[]): boolean {
  let changed = false;
  for (const error of errors.filter((candidate) => candidate.keyword === 'type')) {
    const leaf = nodeAt(tree, pathOf(tree, error.instancePath));
    if (leaf?.kind !== 'leaf' || !leaf.whole || typeof leaf.value !== 'string') continue;
    const value = converted(leaf.value, [(error.params as { type: string | string[] }).type].flat());
    if (value === undefined) continue;
    leaf.value = value;
    changed = true;
  }
  return changed;
}

/** What stands there, in a few words. Never the value of a reference or of a secret. */
export function shown(node: Tree | undefined, secret = false): string {
  if (node === undefined) return 'nothing';
  if (node.kind === 'fields') return 'a map';
  if (node.kind === 'list') return node.items.length === 0 ? 'an empty list' : 'a list';
  if (node.references.length > 0) return `the value of ${node.references.join(' and ')}`;
  if (secret) return '[secret]';
  if (node.value === null) return 'nothing';
  if (typeof node.value !== 'string') return String(node.value as number | boolean);
  const text = replaceCredentials(node.value);
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** Whether the value may be compared and repeated. */
const isOpen = (node: Tree | undefined, secret: boolean): boolean =>
  !secret && !(node?.kind === 'leaf' && node.references.length > 0);

/** Knows where a field belongs that is unknown where it stands. */
export type Misplaced = (tree: Tree, path: readonly PathStep[]) => string | undefined;

function helpFor(fault: SchemaFault, node: Tree | undefined, secret: boolean): string | undefined {
  if (fault.candidates === undefined || (fault.at === 'value' && !isOpen(node, secret))) return fault.help;
  const { written, words, kind } = fault.candidates;
  if (kind !== '') return suggestion(written, words, kind);
  const near = nearest(written, words);
  return near === undefined ? fault.help : `did you mean ${JSON.stringify(near)}?`;
}

interface Checking {
  readonly source: Source;
  readonly tree: Tree;
  readonly secrets: ReadonlySet<string>;
  readonly misplaced: Misplaced | undefined;
}

function locate(fault: SchemaFault, { source, tree, secrets, misplaced }: Checking): Diagnostic[] {
  const path = pathOf(tree, fault.pointer);
  const node = nodeAt(tree, path);
  if (node?.kind === 'leaf' && node.broken && fault.at === 'value') {
    // A text that nobody looks into may be anything; a number or a duration of the language has to be known.
    if (node.unfilled !== true || path[2] === 'with') return [];
    const message = `expected a value, got ${node.references.join(' and ')}, which has none here`;
    return [
      diagnose(source, valuePlace(tree, path), 'EF1013', path, message, { help: 'set it, or give it a default' }),
    ];
  }
  const secret = secrets.has(fault.pointer);
  const place = fault.at === 'key' ? keyPlace(tree, path) : valuePlace(tree, path);
  const message = fault.got ? `${fault.message}, got ${shown(node, secret)}` : fault.message;
  const elsewhere = fault.code === 'EF2001' ? misplaced?.(tree, path) : undefined;
  return [diagnose(source, place, fault.code, path, message, { help: elsewhere ?? helpFor(fault, node, secret) })];
}

/** More than anybody reads; without a limit a hostile file would make millions of comparisons. */
const mostErrors = 500;

const groupOf = (error: ErrorObject | undefined): string => error?.instancePath.split('/', 3).join('/') ?? '';

/** The first errors; those of one route are kept together, since they explain each other. */
function firstErrors(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  if (errors.length <= mostErrors) return errors;
  const cut = groupOf(errors[mostErrors]);
  const whole = errors.slice(0, mostErrors).filter((error) => groupOf(error) !== cut);
  return whole.length > 0 ? whole : errors.slice(0, mostErrors);
}

/** Validates, turns references into the types that the schema wants, and says what does not fit. */
export function check(source: Source, tree: Tree, validate: Validate, misplaced?: Misplaced): Checked {
  let value = plain(tree);
  let validation = validate(value);
  if (convertReferences(tree, validation.errors)) {
    value = plain(tree);
    validation = validate(value);
  }
  const checking = { source, tree, secrets: validation.secrets, misplaced };
  const diagnostics = explain(firstErrors(validation.errors)).flatMap((fault) => locate(fault, checking));
  return { ...validation, value, diagnostics };
}
