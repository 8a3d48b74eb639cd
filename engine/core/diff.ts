/** What a reload has to do: two generations in, routes to start, keep, change, rename and stop out. Pure. */
import { formatDuration } from './duration.ts';
import type { Generation, Route } from './route.ts';
import { formatSize } from './size.ts';

/** One field in the words of the pipeline language; secrets are `[secret]`, durations are written as people do. */
export interface FieldChange {
  /** Such as `retry.maxAttempts` or `with.url`. */
  readonly path: string;
  /** Undefined: the field is not there. */
  readonly before: unknown;
  readonly after: unknown;
}

export interface RouteChange {
  readonly before: Route;
  readonly after: Route;
  /** Never empty for a changed route; may be for one that has only another name. */
  readonly fields: readonly FieldChange[];
}

/** Every route is in at most one list; routes that are disabled in both generations are in none. */
export interface GenerationDiff {
  /** Runs after, did not run before: new, or enabled again. */
  readonly start: readonly Route[];
  /** Runs in both with the same hash: its consumers, handler and breaker stay untouched. The route is the new one. */
  readonly keep: readonly Route[];
  /** Runs in both and behaves differently. */
  readonly change: readonly RouteChange[];
  /** Runs in both under another name, and keeps all of its state. */
  readonly rename: readonly RouteChange[];
  /** Ran before, does not run after: gone, or disabled. */
  readonly stop: readonly Route[];
}

const running = (generation: Generation | undefined): Map<string, Route> =>
  new Map([...(generation?.routes ?? [])].filter(([, route]) => route.enabled));

/** The route that `after` is a new name for: it says so, or the route that took its name has gone again. */
function formerly(after: Route, before: ReadonlyMap<string, Route>, now: Generation): Route | undefined {
  const said = after.previousGroup === undefined ? undefined : before.get(after.previousGroup);
  const back = [...before.values()].find(({ previousGroup }) => previousGroup === after.group);
  return [said, back].find((route) => route !== undefined && !now.routes.has(route.group));
}

const compare = (before: Route, after: Route): RouteChange => ({ before, after, fields: changedFields(before, after) });

/** Routes are the same when their group is; `before` is undefined at the first start. */
export function diffGenerations(before: Generation | undefined, after: Generation): GenerationDiff {
  const old = running(before);
  const now = running(after);
  const both = [...now.values()].flatMap((route): RouteChange[] => {
    const earlier = old.get(route.group);
    return earlier === undefined ? [] : [compare(earlier, route)];
  });
  const added = [...now.values()].filter((route) => !old.has(route.group));
  const rename = added.flatMap((route): RouteChange[] => {
    const earlier = formerly(route, old, after);
    return earlier === undefined ? [] : [compare(earlier, route)];
  });
  const renamed = new Set(rename.flatMap((pair) => [pair.before.group, pair.after.group]));
  return {
    start: added.filter((route) => !renamed.has(route.group)),
    keep: both.filter((pair) => pair.before.hash === pair.after.hash).map((pair) => pair.after),
    change: both.filter((pair) => pair.before.hash !== pair.after.hash),
    rename,
    stop: [...old.values()].filter((route) => !now.has(route.group) && !renamed.has(route.group)),
  };
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const durations: ReadonlySet<string> = new Set([
  ...['timeout', 'initialInterval', 'maxInterval', 'schedule', 'maxElapsed', 'retryAfterMax', 'window', 'openFor'],
  ...['maxOpenFor', 'retention', 'maxAge', 'per', 'maxWait', 'latency'],
]);

function breakerFields(breaker: NonNullable<Route['breaker']>): Fields {
  const { rule, scope, ...others } = breaker;
  const rest = { scope: typeof scope === 'string' ? scope : scope.source, ...others };
  if (rule.kind === 'consecutive') return { consecutiveFailures: rule.failures, ...rest };
  return { failureRatio: rule.ratio, minimumCalls: rule.minimumCalls, window: rule.window, ...rest };
}

/** Identity and place, and what is shown under another name. */
const elsewhere: ReadonlySet<string> = new Set([
  ...['pipeline', 'id', 'group', 'previousGroup', 'hash', 'position'],
  ...['options', 'secretOptions', 'breaker', 'contents'],
]);

/** A route as the file could have said it, all defaults written out; options in clear. */
function fieldsOf(route: Route): Fields {
  const { options, breaker, when, rateLimit, ordering, contents = {} } = route;
  const hashes = Object.entries(contents).map(([option, hash]) => [`content of ${option}`, hash.slice(0, 12)]);
  return {
    ...Object.fromEntries(Object.entries(route).filter(([name]) => !elsewhere.has(name))),
    ...(when === undefined ? {} : { when: when.source }),
    ...(rateLimit === undefined ? {} : { rateLimit: { ...rateLimit, key: rateLimit.key?.source } }),
    ...(ordering === undefined ? {} : { ordering: { key: ordering.source } }),
    with: options,
    circuitBreaker: breaker === undefined ? false : breakerFields(breaker),
    ...Object.fromEntries(hashes),
  };
}

/** Paths below which nothing may be shown. */
const secretPaths = (route: Route): string[] =>
  (route.secretOptions ?? []).map((pointer) => `with.${pointer.replaceAll('/', '.')}`);

const touches = (path: string, secret: string): boolean =>
  path === secret || path.startsWith(`${secret}.`) || secret.startsWith(`${path}.`);

const written = (name: string, value: unknown): unknown => {
  if (Array.isArray(value)) return value.map((one) => written(name, one));
  if (isFields(value)) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, written(key, one)]));
  if (typeof value !== 'number') return value;
  if (name === 'maxBytes') return formatSize(value);
  return durations.has(name) ? formatDuration(value) : value;
};

function shown(path: string, value: unknown, secrets: readonly string[]): unknown {
  if (value === undefined) return undefined;
  if (secrets.some((secret) => touches(path, secret))) return '[secret]';
  return path.startsWith('with.') ? value : written(path.slice(path.lastIndexOf('.') + 1), value);
}

/** Leaves that differ, in the order of their paths. */
function leaves(path: string, before: unknown, after: unknown): FieldChange[] {
  if (typeof before === 'function' || typeof after === 'function') return [];
  if (isFields(before) || isFields(after)) {
    const [old, now] = [isFields(before) ? before : {}, isFields(after) ? after : {}];
    const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].sort();
    const inner = names.flatMap((name) => leaves(path === '' ? name : `${path}.${name}`, old[name], now[name]));
    // From or to a plain value, such as `circuitBreaker: false`: that says more than its fields do.
    const plain = [before, after].some((value) => !isFields(value) && value !== undefined);
    return plain ? [{ path, before, after }] : inner;
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
}

/** What differs between two routes, field by field. Their names and their places in the files are not compared. */
export function changedFields(before: Route, after: Route): readonly FieldChange[] {
  const secrets = [...new Set([...secretPaths(before), ...secretPaths(after)])];
  return leaves('', fieldsOf(before), fieldsOf(after)).map((change) => ({
    path: change.path,
    before: shown(change.path, change.before, secrets),
    after: shown(change.path, change.after, secrets),
  }));
}
