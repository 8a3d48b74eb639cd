/** From two generations, and what the bus says of the work under way, to a plan. Pure. */
import { changedFields, type FieldChange } from '../core/diff.ts';
import type { EventTypeRule, Generation, Pipeline, Route } from '../core/route.ts';
import type { Circuit, RouteStatus } from './operations.ts';
import type {
  BreakerEffect,
  EventTypePlan,
  GroupEffect,
  HandlerEffect,
  LiveWork,
  PipelinePlan,
  Plan,
  PlanSide,
  PlanSummary,
  RouteAction,
  RoutePlan,
} from './plan.ts';
import { effectsOf } from './plan-effects.ts';

export interface Live {
  readonly routes: readonly RouteStatus[];
  readonly circuits: readonly Circuit[];
}

export interface PlanInput {
  readonly before: Generation;
  readonly after: Generation;
  readonly from: Omit<PlanSide, 'hash'>;
  readonly to: Omit<PlanSide, 'hash'>;
  /** Undefined: no bus was asked. */
  readonly live: Live | undefined;
  readonly settings: readonly FieldChange[];
  /** `delivery.removedGrace` of what runs before, in ms: what is only read at a start does not change with a reload. */
  readonly removedGrace: number;
  /** Takes secrets out of a value that is going to be shown. */
  readonly mask: (path: string, value: unknown) => unknown;
  /** Why `before` cannot be read, and has nothing in it: see `Plan`. */
  readonly fromProblems?: readonly string[];
}

interface Change {
  readonly action: RouteAction;
  readonly before: Route | undefined;
  readonly after: Route | undefined;
}

/** By group, the route that it is a new name for, running or not: see `diffGenerations` and core/claims.ts. */
function renamesOf(before: Generation, after: Generation): ReadonlyMap<string, Route> {
  const tookOver = new Map([...before.routes.values()].map((route) => [route.previousGroup, route]));
  const gone = (route: Route | undefined): route is Route => route !== undefined && !after.routes.has(route.group);
  const added = [...after.routes.values()].filter(({ group }) => !before.routes.has(group));
  return new Map(
    added.flatMap(({ group, previousGroup = '' }): [string, Route][] => {
      const former = [before.routes.get(previousGroup), tookOver.get(group)].find(gone);
      return former === undefined ? [] : [[group, former]];
    }),
  );
}

/** By group; a renamed route stands under its new name. */
function changesOf(before: Generation, after: Generation): Change[] {
  const former = renamesOf(before, after);
  const renamed = new Set([...former.values()].map(({ group }) => group));
  const groups = [...new Set([...before.routes.keys(), ...after.routes.keys()])].sort();
  return groups.flatMap((group): Change[] => {
    if (renamed.has(group)) return [];
    const [old, now] = [former.get(group) ?? before.routes.get(group), after.routes.get(group)];
    const action = actionOf(old, now, former.has(group));
    return action === undefined ? [] : [{ action, before: old, after: now }];
  });
}

function actionOf(before: Route | undefined, after: Route | undefined, renamed: boolean): RouteAction | undefined {
  if (before === undefined) return 'add';
  if (after === undefined) return 'remove';
  if (renamed) return 'rename';
  if (before.enabled !== after.enabled) return after.enabled ? 'enable' : 'disable';
  return before.hash === after.hash ? undefined : 'change';
}

function handlerOf({ before, after }: Change): HandlerEffect {
  if (after?.enabled !== true) return before?.enabled === true ? 'close' : 'none';
  return before?.enabled === true ? 'replace' : 'create';
}

function groupOf(change: Change, asked: boolean, status: RouteStatus | undefined): GroupEffect {
  const runs = change.after?.enabled === true;
  switch (change.action) {
    case 'add':
    case 'enable':
      if (status !== undefined && status.group !== change.after?.group) return 'rename';
      if (!runs) return status === undefined ? 'none' : 'rest';
      return status !== undefined || (!asked && change.action === 'enable') ? 'resume' : 'create';
    case 'change':
      if (runs) return 'keep';
      return asked && status === undefined ? 'none' : 'rest';
    case 'rename':
      if (!asked || status !== undefined) return 'rename';
      return runs ? 'create' : 'none';
    case 'disable':
      return 'rest';
    case 'remove':
      return asked && status === undefined ? 'none' : 'detach';
  }
}

/** What the route's breaker, or each of them, belongs to: with the same answer it goes on with the same ones. */
function breakerOwner({ breaker, plugin, handler }: Route): string | undefined {
  if (breaker === undefined) return undefined;
  const { scope } = breaker;
  if (scope === 'handler') return `handler ${plugin} ${handler}`;
  return typeof scope === 'string' ? scope : 'key';
}

/** Keys of breakers begin with these: see worker/breakers.ts. What belongs to a host is shared with all routes. */
function breakerHeads({ group, breaker, plugin, handler }: Route, storage: string | undefined): string[] {
  if (breaker === undefined || breaker.scope === 'host') return [];
  if (breaker.scope === 'handler') return [`handler:${plugin}:${handler}`];
  return [`${breaker.scope === 'route' ? 'route' : 'key'}:${storage ?? group}`];
}

function breakerOf({ before, after }: Change): BreakerEffect {
  const old = before?.enabled === true ? breakerOwner(before) : undefined;
  const now = after?.enabled === true ? breakerOwner(after) : undefined;
  if (old === undefined) return now === undefined ? 'none' : 'join';
  if (now === undefined) return 'leave';
  return old === now ? 'keep' : 'reset';
}

/** What is looked up for each route; there may be thousands of all three. */
interface Lookup {
  readonly status: (name: string | undefined) => RouteStatus | undefined;
  /** The group that had the name before and that no route has any more: it gets the name back (see core/claims.ts). */
  readonly formerly: (name: string | undefined) => RouteStatus | undefined;
  /** Whether a route that is added takes the group of one that goes, without saying so. */
  readonly isTaken: (group: string) => boolean;
  readonly circuits: (head: string) => readonly Circuit[];
}

/** A breaker of one key, `key:orders.receipt:acme`, is found by what stands before the key. */
const headOf = (key: string): string => (key.startsWith('key:') ? key.slice(0, key.indexOf(':', 4)) : key);

function lookUp({ routes, circuits }: Live, after: Generation): Lookup {
  const byGroup = new Map(routes.map((status) => [status.group, status]));
  const byHead = Map.groupBy(circuits, ({ key }) => headOf(key));
  const left = routes.filter(({ group, removedAt }) => !after.routes.has(group) && removedAt === undefined);
  const byFormer = new Map(left.flatMap((status) => status.former.map((name) => [name, status] as const)));
  const taken = new Set([...byFormer].flatMap(([name, { group }]) => (comesBack(name) ? [group] : [])));
  return {
    status: (name) => byGroup.get(name ?? ''),
    formerly: (name) => byFormer.get(name ?? ''),
    isTaken: (group) => taken.has(group),
    circuits: (head) => byHead.get(head) ?? [],
  };

  function comesBack(name: string): boolean {
    const route = after.routes.get(name);
    return route !== undefined && !byGroup.has(name) && !byGroup.has(route.previousGroup ?? '');
  }
}

const circuitsOf = (
  route: Route | undefined,
  status: RouteStatus | undefined,
  lookup: Lookup | undefined,
): readonly Circuit[] =>
  route === undefined || lookup === undefined
    ? []
    : breakerHeads(route, status?.storage).flatMap((head) => lookup.circuits(head));

function workOf(status: RouteStatus | undefined, circuits: readonly Circuit[]): LiveWork | undefined {
  if (status === undefined) return undefined;
  const { lag, pending, retrying, due, dead } = status.stats;
  return {
    waiting: lag.reduce((sum, { entries }) => sum + entries, 0),
    pending,
    retrying,
    due,
    dead,
    exact: lag.every(({ known }) => known),
    held: circuits.some(({ state }) => state !== 'closed'),
  };
}

/** Under its own name, the one it had, or one that it says it had before these files knew it. */
function statusOf({ before, after }: Change, lookup: Lookup | undefined): RouteStatus | undefined {
  const names = [after?.group, before?.group, after?.previousGroup];
  const found = names.map((name) => lookup?.status(name)).find((status) => status !== undefined);
  return found ?? lookup?.formerly(after?.group);
}

const maskFields = (fields: readonly FieldChange[], mask: PlanInput['mask']): FieldChange[] =>
  fields.map(({ path, before, after }) => ({ path, before: mask(path, before), after: mask(path, after) }));

function routePlan(change: Change, lookup: Lookup | undefined, { mask, removedGrace }: PlanInput): RoutePlan[] {
  const { action, before, after } = change;
  const route = after ?? before;
  if (route === undefined) return [];
  const status = statusOf(change, lookup);
  const circuits = circuitsOf(before ?? after, status, lookup);
  const isTaken = action === 'remove' && lookup?.isTaken(route.group) === true;
  const takesOver = action === 'add' && status !== undefined && status.group !== route.group;
  const previous = takesOver ? status.group : action === 'rename' ? before?.group : undefined;
  const planned: Omit<RoutePlan, 'effects'> = {
    group: route.group,
    action,
    ...(previous === undefined ? {} : { previousGroup: previous }),
    place: route.position,
    fields: before === undefined || after === undefined ? [] : maskFields(changedFields(before, after), mask),
    handler: handlerOf(change),
    consumerGroup: isTaken ? 'rename' : groupOf(change, lookup !== undefined, status),
    breaker: breakerOf(change),
    circuits,
    live: workOf(status, circuits),
  };
  return [{ ...planned, effects: effectsOf(planned, before, after, removedGrace) }];
}

/** Entries of two maps that are not the same, by key. */
function compareMaps<T, R>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  tell: (key: string, old: T | undefined, now: T | undefined) => R[],
): R[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
  return keys.flatMap((key) => tell(key, before.get(key), after.get(key)));
}

type Written = Readonly<Record<string, unknown>>;

function fieldsBetween(before: Written, after: Written): FieldChange[] {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return paths.flatMap((path): FieldChange[] =>
    before[path] === after[path] ? [] : [{ path, before: before[path], after: after[path] }],
  );
}

const partAction = (before: unknown, after: unknown): EventTypePlan['action'] =>
  before === undefined ? 'add' : after === undefined ? 'remove' : 'change';

const ruleFields = (rule: EventTypeRule | undefined): Written =>
  rule === undefined ? {} : { onInvalid: rule.onInvalid, schema: rule.schemaHash?.slice(0, 12) };

const typePlans = (before: Generation, after: Generation): EventTypePlan[] =>
  compareMaps(before.eventTypes, after.eventTypes, (type, old, now): EventTypePlan[] => {
    const fields = fieldsBetween(ruleFields(old), ruleFields(now));
    const action = partAction(old, now);
    return action === 'change' && fields.length === 0 ? [] : [{ type, action, fields }];
  });

function pipelineFields(pipeline: Pipeline | undefined): Written {
  if (pipeline === undefined) return {};
  const labels = Object.entries(pipeline.labels).map(([name, value]) => [`labels.${name}`, value]);
  return { description: pipeline.description, ...Object.fromEntries(labels) };
}

const byName = ({ pipelines }: Generation): Map<string, Pipeline> => new Map(pipelines.map((one) => [one.name, one]));

const pipelinePlans = (before: Generation, after: Generation, mask: PlanInput['mask']): PipelinePlan[] =>
  compareMaps(byName(before), byName(after), (pipeline, old, now): PipelinePlan[] => {
    const fields = maskFields(fieldsBetween(pipelineFields(old), pipelineFields(now)), mask);
    const action = partAction(old, now);
    return action === 'change' && fields.length === 0 ? [] : [{ pipeline, action, fields }];
  });

function summarize(routes: readonly RoutePlan[], total: number): PlanSummary {
  const count = (...actions: readonly RouteAction[]): number =>
    routes.filter(({ action }) => actions.includes(action)).length;
  const summary = {
    added: count('add', 'enable'),
    changed: count('change'),
    renamed: count('rename'),
    removed: count('remove', 'disable'),
  };
  const removed = count('remove');
  return { ...summary, unchanged: total - (routes.length - removed) };
}

export function planReload(input: PlanInput): Plan {
  const { before, after, from, to, live, settings, mask, fromProblems = [] } = input;
  const lookup = live === undefined ? undefined : lookUp(live, after);
  const routes = changesOf(before, after).flatMap((change) => routePlan(change, lookup, input));
  const parts = { eventTypes: typePlans(before, after), pipelines: pipelinePlans(before, after, mask), settings };
  return {
    version: 1,
    ok: true,
    ...(fromProblems.length === 0 ? {} : { fromProblems }),
    changes: routes.length > 0 || Object.values(parts).some((part) => part.length > 0),
    from: { ...from, hash: before.hash },
    to: { ...to, hash: after.hash },
    summary: summarize(routes, after.routes.size),
    routes,
    ...parts,
    asked: live !== undefined,
  };
}
