/** From the choices of a file to whole policies: the route wins over `defaults`, field by field. Pure. */
import { parseDuration } from '../core/duration.ts';
import type {
  BatchPolicy,
  BreakerPolicy,
  DeadLetterPolicy,
  FaultName,
  RetryPolicy,
  ServiceLevel,
} from '../core/route.ts';
import { parseSize } from '../core/size.ts';
import { scopeOf } from './admission.ts';
import { readPipelineSchema } from './compose.ts';
import type {
  Batch,
  CircuitBreaker,
  DeadLetter,
  PipelineFile,
  Retry,
  Route as RouteFields,
} from './pipeline.generated.ts';

type Schema = { readonly [key: string]: unknown };

/** The defaults stand in the schema and nowhere else. */
function defaultsOf<T>(definition: string): T {
  const definitions = readPipelineSchema()['$defs'] as Record<string, { properties: Record<string, Schema> }>;
  const properties = Object.entries(definitions[definition]?.properties ?? {});
  return Object.fromEntries(
    properties.flatMap(([name, { default: value }]) => (value === undefined ? [] : [[name, value]])),
  ) as T;
}

type Complete<T> = { readonly [K in keyof T]-?: NonNullable<T[K]> };

const retryDefaults = defaultsOf<Complete<Omit<Retry, 'use' | 'schedule'>>>('retry');
const breakerDefaults = defaultsOf<Complete<Omit<CircuitBreaker, 'use'>>>('circuitBreaker');
const deadLetterDefaults = defaultsOf<Complete<Omit<DeadLetter, 'use'>>>('deadLetter');
const batchDefaults = defaultsOf<Complete<Batch>>('batch');
const routeDefaults = defaultsOf<{ timeout: string; concurrency: number; startFrom: 'new' | 'beginning' }>('defaults');

type Choice<T> = string | false | T | undefined;

/** What a choice makes of what lies below it; `over` puts one map of fields over another. */
function layer<T extends { use?: string }>(
  below: T | false,
  choice: Choice<T>,
  named: Readonly<Record<string, T>>,
  over: (below: T, fields: T) => T,
): T | false {
  const nothing = {} as T;
  if (choice === undefined) return below;
  if (choice === false) return false;
  if (typeof choice === 'string') return named[choice] ?? nothing;
  const { use, ...fields } = choice;
  const base = use === undefined ? below || nothing : (named[use] ?? nothing);
  return over(base, fields as T);
}

const spread = <T>(below: T, fields: T): T => ({ ...below, ...fields });

/** The last one to say how failures are counted decides. */
function breakerOver(below: CircuitBreaker, fields: CircuitBreaker): CircuitBreaker {
  const { consecutiveFailures: _, failureRatio, minimumCalls, window, ...rest } = below;
  const byRatio = fields.failureRatio ?? fields.minimumCalls ?? fields.window;
  if (fields.consecutiveFailures !== undefined) return { ...rest, ...fields };
  if (byRatio === undefined) return { ...below, ...fields };
  const ratio = { failureRatio, minimumCalls, window };
  const kept = Object.fromEntries(Object.entries(ratio).filter(([, value]) => value !== undefined));
  return { ...rest, ...kept, ...fields };
}

const ms = (text: string): number => parseDuration(text) ?? 0;
const names = (faults: readonly (string | number)[]): FaultName[] => faults.map(String);

/** An upper limit that nobody set follows the value that it limits. */
function limitedBy(
  value: string | undefined,
  limit: string | undefined,
  otherwise: readonly [string, string],
): [number, number] {
  const [standardValue, standardLimit] = otherwise.map(ms) as [number, number];
  if (value === undefined && limit === undefined) return [standardValue, standardLimit];
  if (limit === undefined) return [ms(value ?? ''), Math.max(ms(value ?? ''), standardLimit)];
  return [value === undefined ? Math.min(standardValue, ms(limit)) : ms(value), ms(limit)];
}

function toRetry(fields: Retry): RetryPolicy {
  const full = { ...retryDefaults, ...fields };
  const { initialInterval: first, maxInterval: longest } = retryDefaults;
  const [initialInterval, maxInterval] = limitedBy(fields.initialInterval, fields.maxInterval, [first, longest]);
  const schedule = (full.schedule ?? []).map(ms);
  const longestWait = fields.maxInterval === undefined ? Math.max(maxInterval, ...schedule) : maxInterval;
  return {
    maxAttempts: full.maxAttempts,
    backoff: full.backoff,
    initialInterval,
    multiplier: full.multiplier,
    maxInterval: full.backoff === 'schedule' ? longestWait : maxInterval,
    schedule: full.backoff === 'schedule' ? schedule : [],
    maxElapsed: ms(full.maxElapsed),
    jitter: full.jitter,
    retryOn: names(full.retryOn),
    failOn: names(full.failOn),
    retryAfterMax: ms(full.retryAfterMax),
  };
}

function toBreaker(fields: CircuitBreaker): BreakerPolicy {
  const full = { ...breakerDefaults, ...fields };
  const byRatio = fields.failureRatio ?? fields.minimumCalls ?? fields.window;
  const { openFor: first, maxOpenFor: longest } = breakerDefaults;
  const [openFor, maxOpenFor] = limitedBy(fields.openFor, fields.maxOpenFor, [first, longest]);
  return {
    rule:
      byRatio === undefined
        ? { kind: 'consecutive', failures: full.consecutiveFailures }
        : { kind: 'ratio', ratio: full.failureRatio, minimumCalls: full.minimumCalls, window: ms(full.window) },
    openFor,
    maxOpenFor,
    halfOpenProbes: full.halfOpenProbes,
    scope: scopeOf(full.scope),
    countOn: names(full.countOn),
    onOpen: full.onOpen,
    redriveOnClose: full.redriveOnClose,
  };
}

function toDeadLetter(fields: DeadLetter): DeadLetterPolicy {
  const full = { ...deadLetterDefaults, ...fields };
  return { retention: ms(full.retention), maxEntries: full.maxEntries, onFull: full.onFull };
}

function toBatch(fields: Batch): BatchPolicy {
  const { maxEvents, maxBytes, maxWait } = { ...batchDefaults, ...fields };
  return { maxEvents, maxBytes: parseSize(maxBytes) ?? 0, maxWait: ms(maxWait) };
}

/** Everything of a route that `defaults` and `policies` have a part in. Times in ms. */
export interface Resolved {
  readonly timeout: number;
  readonly concurrency: number;
  readonly retry: RetryPolicy;
  readonly breaker: BreakerPolicy | undefined;
  readonly deadLetter: DeadLetterPolicy;
  readonly maxAge: number | undefined;
  readonly batch?: BatchPolicy;
  readonly slo?: ServiceLevel;
  readonly startFrom: 'new' | 'beginning';
}

/** The file has to fit the schema, and every policy that it names has to be there. */
export function resolvePolicies(file: PipelineFile, route: RouteFields): Resolved {
  const { defaults = {}, policies = {} } = file;
  const retry = [defaults.retry, route.retry].reduce<Retry | false>(
    (below, choice) => layer(below, choice, policies.retry ?? {}, spread),
    {},
  );
  const breaker = [defaults.circuitBreaker, route.circuitBreaker].reduce<CircuitBreaker | false>(
    (below, choice) => layer(below, choice, policies.circuitBreaker ?? {}, breakerOver),
    {},
  );
  const deadLetter = [defaults.deadLetter, route.deadLetter].reduce<DeadLetter | false>(
    (below, choice) => layer(below, choice, policies.deadLetter ?? {}, spread),
    {},
  );
  const maxAge = route.maxAge ?? defaults.maxAge;
  const { batch, slo } = route;
  return {
    timeout: ms(route.timeout ?? defaults.timeout ?? routeDefaults.timeout),
    concurrency: route.concurrency ?? defaults.concurrency ?? routeDefaults.concurrency,
    retry: toRetry(retry || {}),
    breaker: breaker === false ? undefined : toBreaker(breaker),
    deadLetter: toDeadLetter(deadLetter || {}),
    maxAge: maxAge === undefined ? undefined : ms(maxAge),
    ...(batch === undefined ? {} : { batch: toBatch(batch) }),
    ...(slo === undefined
      ? {}
      : { slo: { target: slo.target, latency: slo.latency === undefined ? undefined : ms(slo.latency) } }),
    startFrom: route.startFrom ?? defaults.startFrom ?? routeDefaults.startFrom,
  };
}
