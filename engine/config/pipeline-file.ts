/** One pipeline file after reading and schema: what every later step works on. */
import { dirname, resolve } from 'node:path';
import type { ErrorCode } from '../errors.ts';
import { check, type Misplaced, pathOf } from './check.ts';
import { passwordsIn } from './credentials.ts';
import type { Diagnostic, PathStep, Place } from './diagnostic.ts';
import { hasErrors } from './diagnostic.ts';
import type { ReadDocument } from './document.ts';
import type { PipelineFile } from './pipeline.generated.ts';
import { checkPlainPasswords, plainSecret } from './plain-passwords.ts';
import { diagnose, type Said, type Source } from './source.ts';
import { keyPlace, type Leaf, leavesOf, nodeAt, type Tree, valuePlace } from './tree.ts';
import type { Validate } from './validator.ts';

export interface OpenFile {
  readonly source: Source;
  readonly tree: Tree;
  /** May have any shape unless `valid`. */
  readonly raw: unknown;
  /** Undefined when the schema found faults. */
  readonly valid: PipelineFile | undefined;
  /** Where relative paths start. */
  readonly folder: string;
  /** Files that options name, by the JSON pointer of the option; absolute. */
  readonly optionFiles: ReadonlyMap<string, string>;
  /** JSON pointers of secret options and of values from secret files. */
  readonly secretPointers: ReadonlySet<string>;
  /** JSON pointers of options that are Liquid. */
  readonly templates: ReadonlySet<string>;
  /** The values of secret options and of secret files. */
  readonly secrets: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
  /** The text with its plain-text secrets masked. */
  readonly maskedText: string;
}

/** A route without `with` is checked as one with no options, so that its handler can say what it needs. */
function addMissingOptions(tree: Tree): void {
  const routes = nodeAt(tree, ['routes']);
  for (const route of routes?.kind === 'list' ? routes.items : []) {
    if (route.kind !== 'fields' || route.entries.has('with')) continue;
    const handler = route.entries.get('handler');
    if (handler === undefined) continue;
    const options: Tree = { kind: 'fields', entries: new Map(), place: handler.value.place };
    route.entries.set('with', { key: handler.value.place, value: options });
  }
}

function mask(text: string, places: readonly Place[]): string {
  return places.reduce((masked, { start, end }) => {
    const hidden = masked.slice(start, end).replace(/[^\r\n]/g, '*');
    return masked.slice(0, start) + hidden + masked.slice(end);
  }, text);
}

function plainSecrets(tree: Tree, pointers: ReadonlySet<string>): { path: PathStep[]; origin: Place }[] {
  return [...pointers].flatMap((pointer) => {
    const path = pathOf(tree, pointer);
    const node = nodeAt(tree, path);
    return (node === undefined ? [] : leavesOf(node))
      .filter((leaf) => typeof leaf.value === 'string' && leaf.value !== '' && leaf.references.length === 0)
      .map((leaf) => ({ path, origin: leaf.origin }));
  });
}

/** In clear, so that they can be kept out of logs; also the parts that somebody may repeat alone. */
function secretValues(tree: Tree, pointers: ReadonlySet<string>): string[] {
  const marked = [...pointers].flatMap((pointer) => {
    const node = nodeAt(tree, pathOf(tree, pointer));
    return node === undefined ? [] : leavesOf(node);
  });
  const leaves = leavesOf(tree);
  const inUrls = leaves.flatMap(({ value }) => (typeof value === 'string' ? passwordsIn(value) : []));
  const values = [...marked.map(({ value }) => value), ...leaves.flatMap(({ secrets = [] }) => secrets), ...inUrls];
  return values.filter((value): value is string => typeof value === 'string' && value !== '');
}

const isSecret = ({ secrets = [] }: Leaf): boolean => secrets.length > 0;

/** JSON pointers of the values that `${file:…}` and variables with the name of a secret gave. */
function fromSecrets(tree: Tree, at: string): string[] {
  switch (tree.kind) {
    case 'leaf':
      return isSecret(tree) ? [at] : [];
    case 'list':
      return tree.items.flatMap((item, index) => fromSecrets(item, `${at}/${index}`));
    case 'fields':
      return [...tree.entries].flatMap(([name, { value }]) => fromSecrets(value, `${at}/${name}`));
  }
}

export interface OpenedFile {
  /** Undefined: there is nothing to work on, and `diagnostics` says why. */
  readonly file: OpenFile | undefined;
  readonly source: Source | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

export function openPipeline(document: ReadDocument, validate: Validate, misplaced?: Misplaced): OpenedFile {
  const { source, tree, diagnostics } = document;
  if (source === undefined || tree === undefined) return { file: undefined, source, diagnostics };
  addMissingOptions(tree);
  const checked = check(source, tree, validate, misplaced);
  const secrets = plainSecrets(tree, checked.secrets);
  const exposed = secrets.map(({ path }) =>
    diagnose(source, valuePlace(tree, path), 'EF2022', path, plainSecret.message, plainSecret.said),
  );
  const folder = dirname(source.path);
  const optionFiles = new Map<string, string>();
  for (const pointer of checked.files) {
    const node = nodeAt(tree, pathOf(tree, pointer));
    if (node?.kind !== 'leaf' || typeof node.value !== 'string' || node.value.includes('{{')) continue;
    optionFiles.set(pointer, resolve(folder, node.value));
  }
  const all = [...diagnostics, ...checked.diagnostics];
  const file: OpenFile = {
    source,
    tree,
    raw: checked.value,
    valid: hasErrors(all) ? undefined : (checked.value as PipelineFile),
    folder,
    optionFiles,
    templates: checked.templates,
    secretPointers: new Set([...checked.secrets, ...fromSecrets(tree, '')]),
    secrets: secretValues(tree, checked.secrets),
    diagnostics: [...all, ...exposed, ...checkPlainPasswords(source, tree)],
    maskedText: mask(
      source.text,
      secrets.map((secret) => secret.origin),
    ),
  };
  return { file, source, diagnostics: file.diagnostics };
}

/** About the value at `path`. */
export const atValue = (
  file: OpenFile,
  path: readonly PathStep[],
  code: ErrorCode,
  message: string,
  said: Said = {},
): Diagnostic => diagnose(file.source, valuePlace(file.tree, path), code, path, message, said);

/** About the key at `path`. */
export const atKey = (
  file: OpenFile,
  path: readonly PathStep[],
  code: ErrorCode,
  message: string,
  said: Said = {},
): Diagnostic => diagnose(file.source, keyPlace(file.tree, path), code, path, message, said);
