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
  /** Takes secrets out of a value that is going to be shown. */
  readonly mask: (path: string, value: unknown) => unknown;
}

interface Change {
  readonly action: RouteAction;
  readonly before: Route | undefined;
  readonly after: Route | undefined;
}

/** The route that `after` is a new name for, running or not: see `diffGenerations` and core/claims.ts. */
function formerOf(route: Route, before: Generation, after: Generation): Route | undefined {
  if (before.routes.has(route.group)) return undefined;
  const said = route.previousGroup === undefined ? undefined : before.routes.get(route.previousGroup);
  const back = [...before.routes.values()].find(({ previousGroup }) => previousGroup === route.group);
  return [said, back].find((former) => former !== undefined && !after.routes.has(former.group));
}

/** By group; a renamed route stands under its new name. */
function changesOf(before: Generation, after: Generation): Change[] {
  const former = new Map([...after.routes.values()].map((route) => [route.group, formerOf(route, before, after)]));
  const renamed = new Set([...former.values()].map((route) => route?.group));
  const groups = [...new Set([...before.routes.keys(), ...after.routes.keys()])].sort();
  return groups.flatMap((group): Change[] => {
    if (renamed.has(group)) return [];
    const [old, now] = [former.get(group) ?? before.routes.get(group), after.routes.get(group)];
    const action = actionOf(old, now, former.get(group) !== undefined);
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
      if (status !== undefined && status.group === change.after?.previousGroup) return 'rename';
      if (!runs) return status === undefined ? 'none' : 'rest';
      return status !== undefined || (!asked && change.action === 'enable') ? 'resume' : 'create';
    case 'change':
      if (runs) return 'keep';
      return asked && status === undefined ? 'none' : 'rest';
    case 'rename':
      return 'rename';
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

function circuitsOf(route: Route | undefined, status: RouteStatus | undefined, live: Live | undefined): Circuit[] {
  if (route === undefined || live === undefined) return [];
  const heads = breakerHeads(route, status?.storage);
  return live.circuits.filter(({ key }) => heads.some((head) => key === head || key.startsWith(`${head}:`)));
}

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
function statusOf({ before, after }: Change, live: Live | undefined): RouteStatus | undefined {
  for (const name of [after?.group, before?.group, after?.previousGroup]) {
    const status = live?.routes.find(({ group }) => group === name);
    if (status !== undefined) return status;
  }
  return undefined;
}

const maskFields = (fields: readonly FieldChange[], mask: PlanInput['mask']): FieldChange[] =>
  fields.map(({ path, before, after }) => ({ path, before: mask(path, before), after: mask(path, after) }));

function routePlan(change: Change, { live, mask }: PlanInput): RoutePlan[] {
  const { action, before, after } = change;
  const route = after ?? before;
  if (route === undefined) return [];
  const status = statusOf(change, live);
  const circuits = circuitsOf(before ?? after, status, live);
  const planned = {
    group: route.group,
    action,
    ...(action === 'rename' && before !== undefined ? { previousGroup: before.group } : {}),
    place: route.position,
    fields: before === undefined || after === undefined ? [] : maskFields(changedFields(before, after), mask),
    handler: handlerOf(change),
    consumerGroup: groupOf(change, live !== undefined, status),
    breaker: breakerOf(change),
    circuits,
    live: workOf(status, circuits),
  };
  return [{ ...planned, effects: effectsOf(planned, before, after) }];
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
  const { before, after, from, to, live, settings, mask } = input;
  const routes = changesOf(before, after).flatMap((change) => routePlan(change, input));
  const parts = { eventTypes: typePlans(before, after), pipelines: pipelinePlans(before, after, mask), settings };
  return {
    version: 1,
    ok: true,
    changes: routes.length > 0 || Object.values(parts).some((part) => part.length > 0),
    from: { ...from, hash: before.hash },
    to: { ...to, hash: after.hash },
    summary: summarize(routes, after.routes.size),
    routes,
    ...parts,
    asked: live !== undefined,
  };
}
