/** Files without faults, made into one frozen generation. */
import { hash } from 'node:crypto';
import type { EventTypeRule, Generation, Pipeline, Route } from '../core/route.ts';
import { findHandler, type HandlerManifest, type PluginCatalog } from '../plugins/manifest.ts';
import { compileRateLimit } from './admission.ts';
import type { DeclaredType } from './event-types.ts';
import { compileOrdering } from './ordering.ts';
import type { PipelineFile, Route as RouteFields } from './pipeline.generated.ts';
import type { OpenFile } from './pipeline-file.ts';
import type { Resolved } from './policies.ts';
import type { Reading } from './reading.ts';
import { previousGroupOf } from './renames.ts';
import { compileExpressions } from './route-expressions.ts';
import { valuePlace } from './tree.ts';
import { createDefaulter } from './validator.ts';

/** A route whose policies are resolved. */
export interface PlannedRoute {
  readonly index: number;
  readonly fields: RouteFields;
  readonly resolved: Resolved;
}

export interface PlannedFile {
  readonly file: OpenFile;
  readonly fields: PipelineFile;
  readonly routes: readonly PlannedRoute[];
}

/** JSON in which the order of keys says nothing. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

const digest = (value: unknown): string => hash('sha256', canonical(value));

const refuse = (): never => {
  throw new TypeError('a generation is frozen');
};

/** Freezes what can be reached; maps lose the methods that change them. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Map) {
    for (const inner of value.values()) deepFreeze(inner);
    Object.assign(value, { set: refuse, delete: refuse, clear: refuse });
  }
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}

const defaulters = new WeakMap<HandlerManifest, (value: unknown) => unknown>();

/** The options with the defaults of the handler's schema filled in. */
function optionsOf(manifest: HandlerManifest, fields: RouteFields): Record<string, unknown> {
  const known = defaulters.get(manifest) ?? createDefaulter(manifest.schema);
  defaulters.set(manifest, known);
  return known(fields.with ?? {}) as Record<string, unknown>;
}

/** What the files say that options of this route name. */
function contentsOf(file: OpenFile, index: number, reading: Reading): [string, string][] {
  const own = `/routes/${index}/with/`;
  return [...file.optionFiles]
    .filter(([pointer]) => pointer.startsWith(own))
    .map(([pointer, path]) => {
      const content = reading.file(path);
      return [pointer.slice(own.length), content.ok ? hash('sha256', content.bytes) : ''];
    });
}

/** Marked by the schema of the handler, or read from a file that a reference names. */
function secretOptionsOf(file: OpenFile, index: number): string[] {
  const own = `/routes/${index}/with/`;
  return [...file.secretPointers]
    .filter((pointer) => pointer.startsWith(own))
    .map((pointer) => pointer.slice(own.length));
}

function compileRoute(planned: PlannedFile, route: PlannedRoute, manifest: HandlerManifest, reading: Reading): Route {
  const { file, fields: pipeline } = planned;
  const { fields, resolved, index } = route;
  const behaviour = {
    pipeline: pipeline.name,
    id: fields.id,
    group: `${pipeline.name}.${fields.id}`,
    on: [...fields.on],
    ...compileExpressions(fields),
    ...compileRateLimit(fields),
    ...compileOrdering(fields),
    handler: manifest.handler,
    plugin: manifest.plugin,
    options: optionsOf(manifest, fields),
    ...resolved,
  };
  const contents = contentsOf(file, index, reading);
  const shaping = { ...behaviour, version: manifest.version, contents };
  const { line, column } = file.source.at(valuePlace(file.tree, ['routes', index]));
  return {
    ...behaviour,
    previousGroup: fields.previousId === undefined ? undefined : previousGroupOf(pipeline.name, fields.previousId),
    secretOptions: secretOptionsOf(file, index),
    contents: Object.fromEntries(contents),
    pluginVersion: manifest.version,
    enabled: fields.enabled ?? true,
    hash: digest(shaping),
    position: { file: file.source.file, line, column },
  };
}

/** The file has been checked: names lead somewhere, policies are resolved. */
export function compilePipeline(planned: PlannedFile, catalog: PluginCatalog, reading: Reading): Pipeline {
  const { file, fields, routes } = planned;
  return deepFreeze({
    name: fields.name,
    description: fields.description,
    labels: fields.labels ?? {},
    file: file.source.file,
    routes: routes.flatMap((route): Route[] => {
      const choice = findHandler(catalog, route.fields.handler);
      return choice.kind === 'found' ? [compileRoute(planned, route, choice.manifest, reading)] : [];
    }),
  });
}

/** One set of pipelines, and what they say about event types. */
export function compileGeneration(
  pipelines: readonly Pipeline[],
  types: ReadonlyMap<string, DeclaredType>,
): Generation {
  const routes = pipelines.flatMap((pipeline) => pipeline.routes);
  const rules = [...types].map(([type, { rule }]): [string, EventTypeRule] => [type, rule]);
  const shaping = {
    pipelines: Object.fromEntries(pipelines.map(({ name, description, labels }) => [name, { description, labels }])),
    routes: Object.fromEntries(routes.map((route) => [route.group, [route.hash, route.enabled]])),
    types: Object.fromEntries([...types].map(([type, { fingerprint }]) => [type, fingerprint])),
  };
  return deepFreeze({
    hash: digest(shaping),
    pipelines,
    routes: new Map(routes.map((route) => [route.group, route])),
    eventTypes: new Map(rules),
  });
}
