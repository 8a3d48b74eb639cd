/** What keeps deliveries back: `rateLimit`, and the `scope` of a circuit breaker. */
import { parseDuration } from '../core/duration.ts';
import type { BreakerPolicy, EventKey, RateLimitPolicy } from '../core/route.ts';
import { findHandler, fullName, type PluginCatalog } from '../plugins/manifest.ts';
import type { Diagnostic, PathStep } from './diagnostic.ts';
import { compileKey, expressionDiagnostic } from './expressions.ts';
import type { PlannedFile } from './generation.ts';
import { fieldsAt, routePaths } from './names.ts';
import type { Route as RouteFields } from './pipeline.generated.ts';
import { atKey, type OpenFile } from './pipeline-file.ts';
import { textAt } from './route-expressions.ts';
import { nearest } from './suggest.ts';
import { nodeAt } from './tree.ts';

/** Scopes that have a name; every other one is an expression. */
const namedScopes = ['route', 'handler', 'host'] as const;
type NamedScope = (typeof namedScopes)[number];

const isNamed = (scope: string): scope is NamedScope => (namedScopes as readonly string[]).includes(scope);

const breakerPaths = (file: OpenFile): PathStep[][] => [
  ['defaults', 'circuitBreaker'],
  ...routePaths(file).map((route) => [...route, 'circuitBreaker']),
  ...fieldsAt(file, ['policies', 'circuitBreaker']).map((name) => ['policies', 'circuitBreaker', name]),
];

/** Of a file of any shape. */
export const checkAdmissionKeys = (file: OpenFile): Diagnostic[] => [
  ...routePaths(file).flatMap((route) => checkKey(file, [...route, 'rateLimit', 'key'])),
  ...breakerPaths(file).flatMap((breaker) => checkScope(file, [...breaker, 'scope'])),
];

function checkKey(file: OpenFile, path: readonly PathStep[]): Diagnostic[] {
  const source = textAt(file, path);
  const compiled = source === undefined ? undefined : compileKey(source);
  return compiled === undefined || compiled.ok ? [] : [expressionDiagnostic(file, path, compiled.fault)];
}

/** One word alone is no expression that anybody means: it is a slip in the name of a scope. */
function checkScope(file: OpenFile, path: readonly PathStep[]): Diagnostic[] {
  const scope = textAt(file, path);
  if (scope === undefined || isNamed(scope)) return [];
  if (!/^[\w-]+$/.test(scope)) return checkKey(file, path);
  const meant = nearest(scope, namedScopes);
  const message = `expected route, handler, host or a CEL expression, got ${JSON.stringify(scope)}`;
  const help =
    meant === undefined ? 'a key for each tenant is one such as  event.data.tenant' : `did you mean "${meant}"?`;
  return [expressionDiagnostic(file, path, { kind: 'meaning', message, start: 0, end: scope.length, help })];
}

/** A breaker for each host needs somebody who knows the host. */
export function checkTargets({ file, routes }: PlannedFile, catalog: PluginCatalog): Diagnostic[] {
  return routes.flatMap(({ index, fields, resolved }) => {
    const choice = findHandler(catalog, fields.handler);
    if (resolved.breaker?.scope !== 'host' || choice.kind !== 'found') return [];
    const { manifest } = choice;
    if (manifest.capabilities['target'] === true) return [];
    const own: readonly PathStep[] = ['routes', index, 'circuitBreaker'];
    const path = nodeAt(file.tree, own) === undefined ? (['routes', index, 'handler'] as const) : own;
    const message = `expected a handler that tells where it sends an event to, for scope: host, and ${fullName(manifest)} does not`;
    const help = { help: 'write  scope: handler, or a CEL expression that names the target' };
    return [atKey(file, path, 'EF2055', message, help)];
  });
}

/** Where the expression has a fault, which is told elsewhere, the breaker is the route's. */
export function scopeOf(scope: string): BreakerPolicy['scope'] {
  if (isNamed(scope)) return scope;
  const compiled = compileKey(scope);
  return compiled.ok ? keyOf(compiled) : 'route';
}

const keyOf = (compiled: EventKey): EventKey => ({
  source: compiled.source,
  key: (event) => compiled.key(event),
});

/** The key has been checked. */
export function compileRateLimit({ rateLimit }: RouteFields): { readonly rateLimit?: RateLimitPolicy } {
  if (rateLimit === undefined) return {};
  const { limit, per, key: source } = rateLimit;
  const compiled = source === undefined ? undefined : compileKey(source);
  if (compiled?.ok === false) throw new Error(`expected an expression that was checked, got ${source}`);
  return { rateLimit: { limit, per: parseDuration(per) ?? 0, key: compiled && keyOf(compiled) } };
}
