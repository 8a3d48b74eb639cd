/** The engine's settings: defaults, then eventflow.yaml, then EVENTFLOW_* variables; the later ones win. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseDuration } from '../core/duration.ts';
import type { StreamRule } from '../core/match.ts';
import type { OverloadPolicy } from '../core/overload.ts';
import type { PluginsPlace } from '../plugins/manifest.ts';
import { check } from './check.ts';
import { readSettingsSchema } from './compose.ts';
import { type Diagnostic, hasErrors, pathText, sortDiagnostics } from './diagnostic.ts';
import { readDocument } from './document.ts';
import { checkPlainPasswords } from './plain-passwords.ts';
import { openReading, type Reading } from './reading.ts';
import type { SettingsFile } from './settings.generated.ts';
import { createSource, diagnoseFile, type Source } from './source.ts';
import { type Fields, type Leaf, nodeAt, type Tree } from './tree.ts';
import { createDefaulter, createValidator, type JsonSchema } from './validator.ts';
import { wordsOf } from './words.ts';

export interface Settings {
  /** Absolute; undefined without a file. */
  readonly file: string | undefined;
  /** Where plugins are looked for and `./` folders start; absolute. */
  readonly folder: string;
  /** `sqlite:PATH`, `redis://…`; may hold credentials, so never log it. */
  readonly bus: string;
  /** What every Redis key starts with. */
  readonly prefix: string;
  readonly streams: readonly StreamRule[];
  /** Files, folders and globs; absolute. */
  readonly pipelines: readonly string[];
  /** The allow-list; undefined: the first-party plugins that are installed. */
  readonly plugins: readonly string[] | undefined;
  readonly http: {
    /** `HOST:PORT`. */
    readonly listen: string;
    readonly adminListen: string;
    readonly egress: { readonly allowPrivateNetworks: boolean; readonly allow: readonly string[] };
  };
  readonly journal: {
    readonly keep: 'all' | 'failures' | 'off';
    /** ms. */
    readonly retention: number;
    readonly maxEntries: number;
  };
  /** ms. */
  readonly delivery: {
    readonly lease: number;
    readonly drain: number;
    /** How long a route is gone before its retries become dead letters. */
    readonly removedGrace: number;
    /** How long the event loop may not turn; undefined: as long as it likes. */
    readonly watchdog: number | undefined;
  };
  readonly durability: { readonly mode: 'fsync' | 'replicated' | 'none'; readonly replicas: number };
  readonly overload: OverloadPolicy;
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent' };
}

interface Loaded {
  /** Every file that was read; absolute. */
  readonly files: readonly string[];
  /** The texts of the files by the name that diagnostics give them. */
  readonly sources: ReadonlyMap<string, string>;
}

export type SettingsResult =
  | (Loaded & {
      readonly ok: true;
      readonly settings: Settings;
      readonly warnings: readonly Diagnostic[];
      /** Where the plugins are listed, for `readCatalog`. */
      readonly pluginsPlace: PluginsPlace | undefined;
    })
  | (Loaded & { readonly ok: false; readonly diagnostics: readonly Diagnostic[] });

export interface SettingsRequest {
  /** Relative to `cwd`. Without it `eventflow.yaml` in `cwd`, if there is one. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Files, folders and globs of pipelines, relative to `cwd` [what the variable or the file says]. */
  readonly pipelines?: readonly string[] | undefined;
}

/** A setting and the variable that wins over it. */
export interface SettingsVariable {
  readonly path: readonly string[];
  readonly variable: string;
  /** How the variable's text is read. */
  readonly form: 'text' | 'words' | 'json';
}

type Schema = { readonly [key: string]: unknown };

function variablesOf(schema: Schema, root: Schema, path: readonly string[]): SettingsVariable[] {
  const properties = (schema['properties'] ?? {}) as Record<string, Schema>;
  return Object.entries(properties).flatMap(([name, property]): SettingsVariable[] => {
    const here = [...path, name];
    const variable = property['x-env'];
    if (typeof variable === 'string') return [{ path: here, variable, form: formOf(property) }];
    const target = typeof property['$ref'] === 'string' ? property['$ref'].split('/').at(-1) : undefined;
    const inner = target === undefined ? property : (root['$defs'] as Record<string, Schema>)[target];
    return inner === undefined ? [] : variablesOf(inner, root, here);
  });
}

function formOf(property: Schema): SettingsVariable['form'] {
  if (property['type'] !== 'array') return 'text';
  return (property['items'] as Schema)['$ref'] === undefined ? 'words' : 'json';
}

/** Every setting with its variable. */
export function settingsVariables(schema: JsonSchema = readSettingsSchema()): readonly SettingsVariable[] {
  return variablesOf(schema, schema, []);
}

const nowhere = { start: 0, end: 0 };
const leaf = (value: unknown, variable: string): Leaf => ({
  kind: 'leaf',
  value,
  place: nowhere,
  origin: nowhere,
  references: [variable],
  whole: true,
  broken: false,
});

function treeOf(value: unknown, variable: string): Tree {
  if (Array.isArray(value)) return { kind: 'list', place: nowhere, items: value.map((item) => treeOf(item, variable)) };
  if (typeof value !== 'object' || value === null) return leaf(value, variable);
  const entries = Object.entries(value).map(
    ([key, inner]) => [key, { key: nowhere, value: treeOf(inner, variable) }] as const,
  );
  return { kind: 'fields', place: nowhere, entries: new Map(entries) };
}

function readVariable(text: string, { form, variable }: SettingsVariable): Tree {
  switch (form) {
    case 'text':
      return leaf(text, variable);
    case 'words':
      return treeOf(wordsOf(text), variable);
    case 'json':
      try {
        return treeOf(JSON.parse(text), variable);
      } catch {
        return leaf(text, variable);
      }
  }
}

/** Puts a value into the tree, making the maps on the way. */
function place(tree: Fields, path: readonly string[], value: Tree): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  const field = tree.entries.get(name);
  if (rest.length === 0) {
    tree.entries.set(name, { key: field?.key ?? nowhere, value });
    return;
  }
  const inner: Fields =
    field?.value.kind === 'fields' ? field.value : { kind: 'fields', entries: new Map(), place: nowhere };
  if (field === undefined || (field.value.kind === 'leaf' && field.value.value === null)) {
    tree.entries.set(name, { key: field?.key ?? nowhere, value: inner });
  }
  place(inner, rest, value);
}

const emptyTree = (): Fields => ({ kind: 'fields', entries: new Map(), place: nowhere });

async function openFile(
  path: string | undefined,
  reading: Reading,
): Promise<{ source: Source; tree: Tree | undefined; said: readonly Diagnostic[] }> {
  if (path === undefined) return { source: createSource('', 'settings', ''), tree: emptyTree(), said: [] };
  const { source, tree, diagnostics } = await readDocument(path, reading);
  const name = reading.name(path);
  // A settings file in which everything is commented out means: all defaults.
  if (diagnostics.some((diagnostic) => diagnostic.code === 'EF1011')) {
    return { source: source ?? createSource(path, name, ''), tree: emptyTree(), said: [] };
  }
  return { source: source ?? createSource(path, name, ''), tree, said: diagnostics };
}

/** A fault that an environment variable caused has no place in the file. */
function blame(diagnostic: Diagnostic, set: readonly SettingsVariable[]): Diagnostic {
  const cause = set.find(({ path }) => {
    const setting = pathText(path);
    return diagnostic.path === setting || diagnostic.path.startsWith(`${setting}[`);
  });
  if (cause === undefined) return diagnostic;
  return diagnoseFile('environment', diagnostic.code, `${cause.variable}: ${diagnostic.message}`);
}

const defaultFile = 'eventflow.yaml';

function settingsPath({ file, cwd }: SettingsRequest): string | undefined {
  if (file !== undefined) return resolve(cwd, file);
  const path = resolve(cwd, defaultFile);
  return existsSync(path) ? path : undefined;
}

/** Reads the settings; says everything that is wrong with them. */
export async function loadSettings(request: SettingsRequest): Promise<SettingsResult> {
  const reading = openReading(request.cwd, request.env);
  const path = settingsPath(request);
  const { source, tree, said } = await openFile(path, reading);
  const loaded = (): Loaded => ({ files: reading.touched(), sources: new Map([[source.file, source.text]]) });
  const schema = readSettingsSchema();
  const set = settingsVariables(schema).filter(({ variable }) => (request.env[variable] ?? '') !== '');
  if (tree?.kind === 'fields') {
    for (const known of set) place(tree, known.path, readVariable(request.env[known.variable] ?? '', known));
  }
  const checked = tree === undefined ? undefined : check(source, tree, createValidator(schema));
  const found = (checked?.diagnostics ?? []).map((diagnostic) => blame(diagnostic, set));
  const exposed = tree === undefined ? [] : checkPlainPasswords(source, tree);
  const diagnostics = sortDiagnostics([...said, ...found, ...exposed]);
  if (tree === undefined || checked === undefined || hasErrors(diagnostics)) {
    return { ok: false, diagnostics, ...loaded() };
  }
  const full = createDefaulter(schema)(checked.value) as SettingsFile;
  const pipelinesAreFromFile = !set.some(({ variable }) => variable === 'EVENTFLOW_PIPELINES');
  const settled = settle(full, path, request.cwd, pipelinesAreFromFile);
  const asked = request.pipelines?.map((pattern) => resolve(request.cwd, pattern));
  const settings = asked === undefined ? settled : { ...settled, pipelines: asked };
  const pluginsPlace = path === undefined ? undefined : placeOfPlugins(source, tree);
  return { ok: true, settings, warnings: diagnostics, pluginsPlace, ...loaded() };
}

function placeOfPlugins(source: Source, tree: Tree): PluginsPlace {
  return {
    file: source.file,
    at(index) {
      const node = nodeAt(tree, ['plugins', index]);
      return node === undefined || node.place === nowhere ? undefined : source.at(node.place);
    },
  };
}

function settleDelivery({
  lease,
  drain,
  removedGrace,
  watchdog,
}: Complete<NonNullable<SettingsFile['delivery']>>): Settings['delivery'] {
  const leaseMs = parseDuration(lease) ?? 0;
  const watchdogMs = watchdog === 'auto' ? 2 * leaseMs : parseDuration(watchdog);
  const [drainMs = 0, graceMs = 0] = [parseDuration(drain), parseDuration(removedGrace)];
  return { lease: leaseMs, drain: drainMs, removedGrace: graceMs, watchdog: watchdogMs };
}

/** The file after its defaults were filled in; every default stands in the schema. */
type Complete<T> = {
  [K in keyof T]-?: NonNullable<T[K]> extends readonly unknown[] | string | number | boolean
    ? NonNullable<T[K]>
    : Complete<NonNullable<T[K]>>;
};

function settle(file: SettingsFile, path: string | undefined, cwd: string, pipelinesAreFromFile: boolean): Settings {
  const { plugins, ...rest } = file;
  const { bus, prefix, streams, pipelines, http, journal, delivery, durability, overload, log } = rest as Complete<
    Omit<SettingsFile, 'plugins'>
  >;
  const folder = path === undefined ? resolve(cwd) : dirname(path);
  const start = pipelinesAreFromFile ? folder : resolve(cwd);
  return {
    file: path,
    folder,
    bus,
    prefix,
    streams,
    pipelines: pipelines.map((pattern) => resolve(start, pattern)),
    plugins,
    http,
    journal: { ...journal, retention: parseDuration(journal.retention) ?? 0 },
    delivery: settleDelivery(delivery),
    durability,
    overload,
    log,
  };
}
