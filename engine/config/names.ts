/** Names that must lead somewhere, and names that must be the only ones. Works on files of any shape. */
import { compilePattern } from '../core/match.ts';
import {
  findHandler,
  firstPartyPlugins,
  fullName,
  type HandlerManifest,
  type PluginCatalog,
} from '../plugins/manifest.ts';
import { type Misplaced, shown } from './check.ts';
import { readPipelineSchema } from './compose.ts';
import type { Diagnostic, PathStep } from './diagnostic.ts';
import { patternsLike } from './patterns.ts';
import { atKey, atValue, type OpenFile } from './pipeline-file.ts';
import { nearest, suggestion } from './suggest.ts';
import { nodeAt } from './tree.ts';

export const fieldsAt = (file: OpenFile, path: readonly PathStep[]): string[] => {
  const node = nodeAt(file.tree, path);
  return node?.kind === 'fields' ? [...node.entries.keys()] : [];
};

export function textAt(file: OpenFile, path: readonly PathStep[]): string | undefined {
  const node = nodeAt(file.tree, path);
  return node?.kind === 'leaf' && typeof node.value === 'string' ? node.value : undefined;
}

const said = (help: string | undefined): { help?: string } => (help === undefined ? {} : { help });

const mostSuggestions = 30;
const suggested = new WeakMap<OpenFile, number>();

/** The value may be that of a reference, which is never compared in public. Comparing takes time: a few times per file. */
function helpFor(file: OpenFile, path: readonly PathStep[], words: readonly string[], kind: string): { help?: string } {
  const node = nodeAt(file.tree, path);
  const before = suggested.get(file) ?? 0;
  if (before >= mostSuggestions) return {};
  suggested.set(file, before + 1);
  if (node?.kind !== 'leaf' || typeof node.value !== 'string' || node.references.length > 0) return {};
  return said(suggestion(node.value, words, kind));
}

export const routePaths = (file: OpenFile): PathStep[][] => {
  const routes = nodeAt(file.tree, ['routes']);
  return routes?.kind === 'list' ? routes.items.map((_, at) => ['routes', at]) : [];
};

/** What to install, when the name of a handler tells whose it is and that plugin is not there. */
function missingPlugin(name: string, manifests: readonly HandlerManifest[]): { help: string } | undefined {
  const colon = name.lastIndexOf(':');
  const plugin = colon === -1 ? `@eventflow/plugin-${name}` : name.slice(0, colon);
  const isPackage = colon === -1 ? firstPartyPlugins.includes(plugin) : !plugin.startsWith('.');
  if (!isPackage || manifests.some((manifest) => manifest.plugin === plugin)) return undefined;
  return { help: `npm install ${plugin}, and name it where eventflow.yaml lists plugins` };
}

function unknownHandler(file: OpenFile, path: readonly PathStep[], name: string, catalog: PluginCatalog): Diagnostic {
  const manifests = [...catalog.handlers.values()].flat();
  const words = name.includes(':') ? manifests.map(fullName) : [...catalog.handlers.keys()];
  const none = { help: 'no plugin is installed; list one under plugins: in eventflow.yaml' };
  const node = nodeAt(file.tree, path);
  const missing = node?.kind === 'leaf' && node.references.length === 0 ? missingPlugin(name, manifests) : undefined;
  const help = missing ?? (words.length === 0 ? none : helpFor(file, path, words, 'known handlers'));
  const got = shown(nodeAt(file.tree, path));
  return atValue(file, path, 'EF2010', `expected a handler of an allowed plugin, got ${got}`, help);
}

export function checkHandlers(file: OpenFile, catalog: PluginCatalog): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  for (const route of routePaths(file)) {
    const path = [...route, 'handler'];
    const name = textAt(file, path);
    const choice = findHandler(catalog, name ?? '');
    if (name === undefined || name === '' || choice.kind === 'found') continue;
    if (choice.kind === 'unknown') {
      diagnostics.push(unknownHandler(file, path, name, catalog));
      continue;
    }
    const message = `expected the handler of one plugin, got ${shown(nodeAt(file.tree, path))}, which several have`;
    const help = `write ${choice.names.map((full) => JSON.stringify(full)).join(' or ')}`;
    diagnostics.push(atValue(file, path, 'EF2011', message, { help }));
  }
  return diagnostics;
}

/** A pipeline's name and a route's id are the identity of all state: no two routes share both, in one file or in several. */
export function checkRouteIds(files: readonly OpenFile[]): Diagnostic[] {
  const first = new Map<string, { readonly file: OpenFile; readonly line: number }>();
  const checkOne = (file: OpenFile, path: PathStep[]): Diagnostic[] => {
    const node = nodeAt(file.tree, path);
    const id = textAt(file, path);
    if (id === undefined || node === undefined) return [];
    const key = JSON.stringify([textAt(file, ['name']) ?? file.source.file, id]);
    const earlier = first.get(key);
    if (earlier === undefined) {
      first.set(key, { file, line: file.source.at(node.place).line });
      return [];
    }
    const where = earlier.file === file ? `line ${earlier.line}` : `${earlier.file.source.file}:${earlier.line}`;
    return [atValue(file, path, 'EF2013', `expected an id of its own, got ${shown(node)}, as in ${where}`)];
  };
  return files.flatMap((file) => routePaths(file).flatMap((route) => checkOne(file, [...route, 'id'])));
}

const propertiesOf = (schema: unknown): string[] =>
  Object.keys((schema as { properties?: object } | undefined)?.properties ?? {});

/** Fields of the route among the options of its handler, and the other way round. */
export function misplacedField(catalog: PluginCatalog): Misplaced {
  const ofRoute = propertiesOf((readPipelineSchema()['$defs'] as Record<string, unknown>)['route']);
  return (tree, [routes, index, field, option, ...rest]) => {
    if (routes !== 'routes' || index === undefined || rest.length > 0) return undefined;
    if (field === 'with' && ofRoute.includes(String(option))) {
      return `${option} belongs to the route: write it beside with, not in it`;
    }
    const handler = nodeAt(tree, [routes, index, 'handler']);
    if (option !== undefined || handler?.kind !== 'leaf' || typeof handler.value !== 'string') return undefined;
    const choice = findHandler(catalog, handler.value);
    if (choice.kind !== 'found' || !propertiesOf(choice.manifest.schema).includes(String(field))) return undefined;
    return `${field} is an option of the handler: write it under with`;
  };
}

const policyKinds = ['retry', 'circuitBreaker', 'deadLetter'] as const;

export function checkPolicyNames(file: OpenFile): Diagnostic[] {
  return [['defaults'], ...routePaths(file)].flatMap((owner) =>
    policyKinds.flatMap((kind): Diagnostic[] => {
      const choice = [...owner, kind];
      const path = nodeAt(file.tree, choice)?.kind === 'fields' ? [...choice, 'use'] : choice;
      const name = textAt(file, path);
      const known = fieldsAt(file, ['policies', kind]);
      if (name === undefined || known.includes(name)) return [];
      const none = { help: `define it under policies: ${kind}:` };
      const help = known.length === 0 ? none : helpFor(file, path, known, 'defined policies');
      return [
        atValue(
          file,
          path,
          'EF2012',
          `expected a policy of policies.${kind}, got ${shown(nodeAt(file.tree, path))}`,
          help,
        ),
      ];
    }),
  );
}

export function checkPipelineNames(files: readonly OpenFile[]): Diagnostic[] {
  const first = new Map<string, OpenFile>();
  return files.flatMap((file): Diagnostic[] => {
    const name = textAt(file, ['name']);
    if (name === undefined) return [];
    const earlier = first.get(name);
    if (earlier === undefined) {
      first.set(name, file);
      return [];
    }
    const got = shown(nodeAt(file.tree, ['name']));
    return [atValue(file, ['name'], 'EF2014', `expected a name of its own, got ${got}, as in ${earlier.source.file}`)];
  });
}

const warning = { severity: 'warning' } as const;

/** How many segments of patterns and types are held against each other, at most; beyond it nobody is warned. */
const mostComparisons = 5_000_000;
/** As many types are looked through for what a pattern may have meant. */
const mostTypes = 1_000;

const segmentsIn = (pattern: string): number => pattern.split('.').length;

/** Whether some declared type fits a pattern. */
function declaredTypes(catalogue: readonly string[]): (pattern: string) => boolean {
  const exact = new Set(catalogue);
  const size = catalogue.reduce((sum, type) => sum + segmentsIn(type), 0);
  let work = 0;
  return (pattern) => {
    if (!pattern.includes('*')) return exact.has(pattern);
    work += segmentsIn(pattern) * size;
    return work > mostComparisons || catalogue.some(compilePattern(pattern));
  };
}

/**
 * In a pipeline that declares event types, a type that no pipeline declares is probably a typo: the route would wait for
 * ever. Pipelines without declarations may mean any type.
 */
export function checkEventTypes(files: readonly OpenFile[]): Diagnostic[] {
  const catalogue = [...new Set(files.flatMap((file) => fieldsAt(file, ['eventTypes'])))];
  const isDeclared = declaredTypes(catalogue);
  const checkOne = (file: OpenFile, path: PathStep[]): Diagnostic[] => {
    const pattern = textAt(file, path);
    if (pattern === undefined || isDeclared(pattern)) return [];
    const what = pattern.includes('*') ? 'a pattern that some declared event type fits' : 'a declared event type';
    const like = pattern.includes('*') ? patternsLike(pattern, catalogue.slice(0, mostTypes)) : [];
    const words = nearest(pattern, like) === undefined ? catalogue : like;
    const help = helpFor(file, path, words, 'declared types');
    const message = `expected ${what}, got ${shown(nodeAt(file.tree, path))}`;
    return [atValue(file, path, 'EF2015', message, { ...warning, ...help })];
  };
  const declaring = files.filter((file) => fieldsAt(file, ['eventTypes']).length > 0);
  return declaring.flatMap((file) =>
    routePaths(file).flatMap((route) => {
      const list = nodeAt(file.tree, [...route, 'on']);
      const items = list?.kind === 'list' ? list.items : [];
      return items.flatMap((_, at) => checkOne(file, [...route, 'on', at]));
    }),
  );
}

const ratioFields = ['failureRatio', 'minimumCalls', 'window'];

/** A breaker counts in a row or by ratio; one map cannot ask for both. */
export function checkBreakerRules(file: OpenFile): Diagnostic[] {
  const owners = [
    ['defaults', 'circuitBreaker'],
    ...routePaths(file).map((route) => [...route, 'circuitBreaker']),
    ...fieldsAt(file, ['policies', 'circuitBreaker']).map((name) => ['policies', 'circuitBreaker', name]),
  ];
  return owners.flatMap((path): Diagnostic[] => {
    const fields = fieldsAt(file, path);
    const ratio = ratioFields.find((field) => fields.includes(field));
    if (ratio === undefined || !fields.includes('consecutiveFailures')) return [];
    const message = `expected either consecutiveFailures or ${ratioFields.join(', ')}, got both`;
    return [atKey(file, [...path, ratio], 'EF2008', message)];
  });
}

/** `backoff: schedule` and `schedule` go together; a map that overrides a policy may name only one of them. */
export function checkSchedules(file: OpenFile): Diagnostic[] {
  const owners: PathStep[][] = [
    ['defaults', 'retry'],
    ...routePaths(file).map((route) => [...route, 'retry']),
    ...fieldsAt(file, ['policies', 'retry']).map((name) => ['policies', 'retry', name]),
  ];
  return owners.flatMap((path): Diagnostic[] => {
    const fields = fieldsAt(file, path);
    const backoff = textAt(file, [...path, 'backoff']);
    if (!fields.includes('schedule') || backoff === undefined || backoff === 'schedule') return [];
    const message = `the waits of schedule are not used with backoff: ${shown(nodeAt(file.tree, [...path, 'backoff']))}`;
    return [atKey(file, [...path, 'schedule'], 'EF2021', message, { ...warning, help: 'write backoff: schedule' })];
  });
}
