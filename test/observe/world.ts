/** A small world to observe: generations, a bus that answers what it is told, and the Prometheus tools. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Bus, GroupStats } from '../../engine/bus/bus.ts';
import { closedBreaker } from '../../engine/core/breaker.ts';
import type { BreakerPolicy, Generation, Pipeline, Route } from '../../engine/core/route.ts';
import type { RouteGauges, Signal } from '../../engine/observe/signals.ts';

// ── generations ──────────────────────────────────────────────────────────────────────────────────────────────────

export const breaker: BreakerPolicy = {
  rule: { kind: 'consecutive', failures: 5 },
  openFor: 60_000,
  maxOpenFor: 600_000,
  halfOpenProbes: 1,
  scope: 'route',
  countOn: ['timeout', 'connection', '5xx'],
  onOpen: 'hold',
  redriveOnClose: false,
};

export function route(group: string, more: Partial<Route> = {}): Route {
  const [pipeline = '', id = ''] = group.split('.');
  return {
    pipeline,
    id,
    group,
    on: ['order.paid'],
    handler: 'webhook',
    plugin: '@eventflow/plugin-webhook',
    options: {},
    timeout: 15_000,
    concurrency: 16,
    retry: {
      maxAttempts: 5,
      backoff: 'exponential',
      initialInterval: 1_000,
      multiplier: 2,
      maxInterval: 300_000,
      schedule: [],
      maxElapsed: 86_400_000,
      jitter: 'full',
      retryOn: ['5xx'],
      failOn: ['4xx'],
      retryAfterMax: 3_600_000,
    },
    breaker,
    deadLetter: { retention: 14 * 86_400_000, maxEntries: 100_000, onFull: 'pause' },
    maxAge: undefined,
    startFrom: 'new',
    enabled: true,
    hash: 'h1',
    position: { file: 'pipelines/orders.yaml', line: 1, column: 1 },
    ...more,
  };
}

export function generation(
  routes: readonly Route[],
  more: { types?: readonly string[]; labels?: Record<string, string>; hash?: string } = {},
): Generation {
  const names = [...new Set(routes.map(({ pipeline }) => pipeline))];
  const pipelines: Pipeline[] = names.map((name) => ({
    name,
    description: undefined,
    labels: more.labels ?? { team: 'payments' },
    file: `pipelines/${name}.yaml`,
    routes: routes.filter(({ pipeline }) => pipeline === name),
  }));
  return {
    hash: more.hash ?? 'c0ffee',
    pipelines,
    routes: new Map(routes.map((one) => [one.group, one])),
    eventTypes: new Map((more.types ?? []).map((type) => [type, { type, check: undefined, onInvalid: 'reject' }])),
  };
}

/** Two pipelines with what can differ between routes: wildcards, no breaker, an age limit, odd names. */
export const shop = (): Generation =>
  generation([
    route('orders.receipt', {
      on: ['order.paid', 'order.refunded'],
      maxAge: 86_400_000,
      slo: { target: 99.9, latency: 1_000 },
      batch: { maxEvents: 500, maxBytes: 1_048_576, maxWait: 1_000 },
    }),
    route('orders.audit', { on: ['order.**'], handler: 'log', breaker: undefined }),
    route('orders.paused', { enabled: false }),
    route('accounts.welcome', {
      on: ['account.created'],
      handler: 'email',
      breaker: { ...breaker, rule: { kind: 'ratio', ratio: 0.5, minimumCalls: 20, window: 60_000 } },
      deadLetter: { retention: 3_600_000, maxEntries: 10, onFull: 'dropOldest' },
    }),
  ]);

// ── the bus ──────────────────────────────────────────────────────────────────────────────────────────────────────

export const stats = (more: Partial<GroupStats> = {}): GroupStats => ({
  lag: [{ stream: 'order.paid', entries: 0, known: true }],
  pending: 0,
  pendingOldestMs: 0,
  retrying: 0,
  postponed: 0,
  retryOverdueMs: 0,
  due: 0,
  dead: 0,
  deadOldestAt: undefined,
  totals: {
    accepted: 0,
    delivered: 0,
    skipped: 0,
    unmatched: 0,
    dead: 0,
    redriven: 0,
    discarded: 0,
    dropped: 0,
    retries: 0,
  },
  ...more,
});

/** The two questions that a scrape asks. */
export function fakeBus(groupStats: (group: string) => Promise<GroupStats | undefined>, ping = async () => {}): Bus {
  return { ping, groupStats } as unknown as Bus;
}

export const gaugesOf = (one: Route, more: Partial<RouteGauges> = {}): RouteGauges => ({
  route: one,
  inFlight: 0,
  leaked: 0,
  queued: 0,
  held: false,
  breaker: closedBreaker(0),
  openKeys: 0,
  limited: false,
  ...more,
});

// ── signals ──────────────────────────────────────────────────────────────────────────────────────────────────────

type Of<Kind extends Signal['kind']> = Extract<Signal, { kind: Kind }>;

export const attempt = (one: Route, more: Partial<Of<'attempt'>> = {}): Of<'attempt'> => ({
  kind: 'attempt',
  route: one,
  eventType: 'order.paid',
  outcome: 'delivered',
  fault: undefined,
  seconds: 0.02,
  latency: 0.05,
  attempt: 1,
  eventId: 'e-1',
  ...more,
});

export const unavailable = { code: 'http_503', message: 'expected 2xx, got 503', kind: 'status', status: 503 } as const;

export const deadLettered = (one: Route, more: Partial<Of<'dead_lettered'>> = {}): Of<'dead_lettered'> => ({
  kind: 'dead_lettered',
  route: one,
  eventType: 'order.paid',
  eventId: 'e-1',
  reason: 'exhausted',
  attempts: 5,
  fault: unavailable,
  latency: 120,
  ...more,
});

export const turned = (one: Route, from: Of<'breaker'>['from'], to: Of<'breaker'>['to']): Of<'breaker'> => ({
  kind: 'breaker',
  route: one,
  key: one.group,
  from,
  to,
  why: 'http_503',
  until: to === 'open' ? 1_700_000_060_000 : undefined,
});

// ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Series of a page by their text, such as `eventflow_lost_total{pipeline="p",…}`. Fails on a series that is there twice. */
export function seriesOf(page: string): ReadonlyMap<string, number> {
  const series = new Map<string, number>();
  for (const line of page.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const end = line.lastIndexOf(' ');
    const name = line.slice(0, end);
    if (series.has(name)) throw new Error(`expected each series once, got ${name} twice`);
    series.set(name, Number(line.slice(end + 1)));
  }
  return series;
}

/** The value of the only series of this name whose labels include `labels`. */
export function sampleOf(page: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const found = [...seriesOf(page)].filter(
    ([text]) => text.split('{')[0] === name && wanted.every((label) => text.includes(label)),
  );
  const [only] = found;
  if (found.length !== 1 || only === undefined) {
    throw new Error(`expected one series ${name} with ${wanted.join()}, got ${JSON.stringify(found)}`);
  }
  return only[1];
}

// ── Prometheus ───────────────────────────────────────────────────────────────────────────────────────────────────

export type Tool = 'promtool' | 'prometheus';

/** Throws, with what to install, when the machine has no such tool: these tests are not skipped. */
export function pathOf(tool: Tool): string {
  const folders = (process.env['PATH'] ?? '').split(':').concat('/usr/bin', '/usr/local/bin');
  const found = folders.map((folder) => `${folder}/${tool}`).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${tool} is needed for this test: apt-get install prometheus`);
  return found;
}

export interface Ran {
  readonly code: number;
  readonly output: string;
}

export function promtool(args: readonly string[], input = ''): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = execFile(pathOf('promtool'), args, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code !== 'number') reject(error as Error);
      else resolve({ code, output: stdout + stderr });
    });
    child.stdin?.end(input);
  });
}
