/**
 * What the allowed plugins offer, read from their package.json without running any of their code.
 *
 *   "eventflow": { "apiVersion": 1, "handlers": { "crm": { "entry": ".", "schema": "./crm.schema.json", … } } }
 */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { Diagnostic } from '../config/diagnostic.ts';
import { diagnoseFile } from '../config/source.ts';
import { type JsonSchema, validatorFor } from '../config/validator.ts';
import type { ErrorCode } from '../errors.ts';
import { apiVersion } from '../plugin.ts';

export interface HandlerManifest {
  /** The handler's name in its plugin. */
  readonly handler: string;
  /** As the settings list it: a package name, or a folder that starts with `./`. */
  readonly plugin: string;
  readonly version: string;
  /** Absolute. */
  readonly folder: string;
  /** The file to import; absolute. */
  readonly entry: string;
  /** The JSON Schema of the handler's options. */
  readonly schema: JsonSchema;
  readonly title: string;
  readonly description: string;
  readonly status: 'stable' | 'beta' | 'experimental';
  readonly capabilities: Readonly<Record<string, unknown>>;
}

export interface PluginCatalog {
  /** By the handler's name; several plugins may have one of a name. */
  readonly handlers: ReadonlyMap<string, readonly HandlerManifest[]>;
}

/** Taken when the settings list no plugins: those of them that are installed. */
export const firstPartyPlugins: readonly string[] = [
  '@eventflow/plugin-webhook',
  '@eventflow/plugin-email',
  '@eventflow/plugin-notification',
  '@eventflow/plugin-analytics',
  '@eventflow/plugin-log',
];

export type HandlerChoice =
  | { readonly kind: 'found'; readonly manifest: HandlerManifest }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'ambiguous'; readonly names: readonly string[] };

/** The name that always tells which plugin is meant. */
export const fullName = (manifest: HandlerManifest): string => `${manifest.plugin}:${manifest.handler}`;

/** Which handler a route means: `crm`, or `@acme/eventflow-plugin-crm:crm`. */
export function findHandler(catalog: PluginCatalog, name: string): HandlerChoice {
  const colon = name.lastIndexOf(':');
  const named = catalog.handlers.get(name.slice(colon + 1)) ?? [];
  const meant = colon === -1 ? named : named.filter((manifest) => manifest.plugin === name.slice(0, colon));
  const [only, ...others] = meant;
  if (only === undefined) return { kind: 'unknown' };
  if (others.length > 0) return { kind: 'ambiguous', names: meant.map(fullName) };
  return { kind: 'found', manifest: only };
}

/** A plugin that cannot be used, and why. */
class Unusable extends Error {
  readonly code: ErrorCode;
  readonly help: string | undefined;
  constructor(code: ErrorCode, message: string, help?: string) {
    super(message);
    this.code = code;
    this.help = help;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const packageName = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;
const isFolder = (name: string): boolean => name.startsWith('./');

function checkName(name: string): void {
  const allowed = isFolder(name) ? !name.split(/[/\\]/).includes('..') : packageName.test(name) && name.length <= 214;
  if (allowed) return;
  const help = 'name an npm package, or a folder below eventflow.yaml that starts with ./';
  throw new Unusable('EF3006', `expected a package name or ./folder, got ${JSON.stringify(name.slice(0, 100))}`, help);
}

/** A package is where Node finds it; one that hides its package.json is looked for in each node_modules. */
function packageFolder(name: string, from: string): string | undefined {
  if (isFolder(name)) {
    const folder = resolve(from, name);
    return existsSync(join(folder, 'package.json')) ? folder : undefined;
  }
  try {
    return dirname(createRequire(join(from, 'noop.js')).resolve(`${name}/package.json`));
  } catch {
    for (let at = from; ; at = dirname(at)) {
      const folder = join(at, 'node_modules', name);
      if (existsSync(join(folder, 'package.json'))) return folder;
      if (at === dirname(at)) return undefined;
    }
  }
}

function readJson(path: string, code: ErrorCode, what: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (error as Error).message;
    throw new Unusable(code, `expected ${what}, got: ${reason}`);
  }
}

/** An existing file within the package, links followed. */
function inside(folder: string, file: unknown, what: string): string {
  if (typeof file !== 'string' || !file.startsWith('./')) {
    const got = JSON.stringify(file) ?? 'nothing';
    throw new Unusable('EF3003', `expected ${what} to be a path that starts with ./, got ${got}`);
  }
  const path = resolve(folder, file);
  if (!existsSync(path) || !statSync(path).isFile()) {
    throw new Unusable('EF3004', `expected ${what} at ${file}, got no such file`, 'was the plugin built?');
  }
  const real = relative(realpathSync(folder), realpathSync(path));
  if (real === '..' || real.startsWith(`..${sep}`) || resolve(real) === real) {
    throw new Unusable('EF3004', `expected ${what} to be within the plugin's folder, got ${file}`);
  }
  return path;
}

/** The target of `exports["."]` for `import`, when Node's own resolution for `require` finds none. */
function importTarget(target: unknown): string | undefined {
  if (typeof target === 'string') return target;
  if (!isObject(target)) return undefined;
  for (const condition of ['import', 'node', 'module', 'default']) {
    const found = importTarget(target[condition]);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The package's main export, under the conditions that this process runs with. */
function mainEntry(folder: string, manifest: Record<string, unknown>): string {
  const own = createRequire(join(folder, 'package.json'));
  const name = String(manifest['name']);
  try {
    const found = manifest['exports'] === undefined ? own.resolve(folder) : own.resolve(name);
    return inside(folder, `./${relative(realpathSync(folder), realpathSync(found))}`, 'the entry');
  } catch (error) {
    if (error instanceof Unusable) throw error;
    const exported = manifest['exports'];
    const main = isObject(exported) && '.' in exported ? exported['.'] : exported;
    const target = importTarget(main) ?? manifest['main'] ?? './index.js';
    return inside(folder, target, 'the entry');
  }
}

function readSchema(path: string, handler: string): JsonSchema {
  const schema = readJson(path, 'EF3005', `the schema of handler ${handler} as JSON`);
  if (!isObject(schema) || schema['type'] !== 'object') {
    throw new Unusable('EF3005', `expected the schema of handler ${handler} to have "type": "object"`);
  }
  try {
    validatorFor(schema);
  } catch (error) {
    throw new Unusable('EF3005', `the schema of handler ${handler} is no JSON Schema: ${(error as Error).message}`);
  }
  return schema;
}

const handlerName = /^[a-z][a-z0-9-]{0,62}$/;
const statuses = ['stable', 'beta', 'experimental'] as const;
const text = (value: unknown, otherwise: string): string => (typeof value === 'string' ? value : otherwise);

interface Package {
  readonly name: string;
  readonly folder: string;
  readonly json: Record<string, unknown>;
}

function readHandler({ name, folder, json }: Package, handler: string, manifest: unknown): HandlerManifest {
  if (!handlerName.test(handler)) {
    throw new Unusable(
      'EF3003',
      `expected a handler name of a-z, 0-9 and -, got ${JSON.stringify(handler.slice(0, 100))}`,
    );
  }
  if (!isObject(manifest)) throw new Unusable('EF3003', `expected handler ${handler} to be an object in the manifest`);
  const { entry, schema, title, description, status, capabilities } = manifest;
  return {
    handler,
    plugin: name,
    version: text(json['version'], '0.0.0'),
    folder,
    schema: readSchema(inside(folder, schema, `the schema of handler ${handler}`), handler),
    entry: entry === '.' ? mainEntry(folder, json) : inside(folder, entry, `the entry of handler ${handler}`),
    title: text(title, handler),
    description: text(description, ''),
    status: statuses.find((known) => known === status) ?? 'stable',
    capabilities: isObject(capabilities) ? capabilities : {},
  };
}

function handlersOf(found: Package): Record<string, unknown> {
  const manifest = found.json['eventflow'];
  if (!isObject(manifest)) {
    throw new Unusable('EF3003', `expected an "eventflow" manifest in the package.json of ${found.name}, got nothing`);
  }
  const spoken = manifest['apiVersion'];
  if (!Number.isInteger(spoken) || (spoken !== apiVersion && (spoken !== apiVersion - 1 || spoken === 0))) {
    const help = Number(spoken) > apiVersion ? 'update eventflow' : 'update the plugin';
    throw new Unusable(
      'EF3002',
      `expected apiVersion ${apiVersion} in ${found.name}, got ${JSON.stringify(spoken) ?? 'nothing'}`,
      help,
    );
  }
  if (!isObject(manifest['handlers']) || Object.keys(manifest['handlers']).length === 0) {
    throw new Unusable('EF3003', `expected the manifest of ${found.name} to list handlers, got none`);
  }
  return manifest['handlers'];
}

function openPackage(name: string, from: string): Package | undefined {
  checkName(name);
  const folder = packageFolder(name, from);
  if (folder === undefined) return undefined;
  const json = readJson(join(folder, 'package.json'), 'EF3003', `the package.json of ${name} as JSON`);
  if (!isObject(json)) throw new Unusable('EF3003', `expected the package.json of ${name} to be an object`);
  return { name, folder, json };
}

const notInstalled = (name: string): Unusable =>
  isFolder(name)
    ? new Unusable('EF3001', `expected a plugin in the folder ${name}, got no package.json there`)
    : new Unusable('EF3001', `the plugin ${name} is not installed`, `npm install ${name}`);

/** Where the settings name the plugins; the default stands for settings without a file. */
export interface PluginsPlace {
  readonly file: string;
  /** The place of the name at this index. */
  at(index: number): { readonly line: number; readonly column: number; readonly endColumn: number } | undefined;
}

/**
 * Reads the manifests of the plugins that `names` allows, as they are found from `fromFolder`; undefined stands for the
 * first-party plugins that are installed. A plugin that cannot be used has a diagnostic, and the others are still there.
 */
export function readCatalog(
  names: readonly string[] | undefined,
  fromFolder: string,
  place?: PluginsPlace,
): { catalog: PluginCatalog; diagnostics: Diagnostic[] } {
  const handlers = new Map<string, HandlerManifest[]>();
  const diagnostics: Diagnostic[] = [];
  for (const [index, name] of (names ?? firstPartyPlugins).entries()) {
    const attempt = (action: () => void): void => {
      try {
        action();
      } catch (error) {
        if (!(error instanceof Unusable)) throw error;
        diagnostics.push(unusable(error, index, names === undefined ? undefined : place));
      }
    };
    attempt(() => {
      const found = openPackage(name, resolve(fromFolder));
      if (found === undefined && names === undefined) return;
      if (found === undefined) throw notInstalled(name);
      for (const [handler, manifest] of Object.entries(handlersOf(found))) {
        attempt(() => {
          handlers.set(handler, [...(handlers.get(handler) ?? []), readHandler(found, handler, manifest)]);
        });
      }
    });
  }
  return { catalog: { handlers }, diagnostics };
}

function unusable(error: Unusable, index: number, place: PluginsPlace | undefined): Diagnostic {
  const said = error.help === undefined ? {} : { help: error.help };
  const diagnostic = diagnoseFile(place?.file ?? 'plugins', error.code, error.message, said);
  return { ...diagnostic, ...place?.at(index), path: `plugins[${index}]` };
}
