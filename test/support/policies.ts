/** Policies and routes with the language's defaults, for tests that care about one field. */
import type { BreakerPolicy, RetryPolicy, Route } from '../../engine/core/route.ts';

export const retryPolicy = (given: Partial<RetryPolicy> = {}): RetryPolicy => ({
  maxAttempts: 5,
  backoff: 'exponential',
  initialInterval: 1_000,
  multiplier: 2,
  maxInterval: 300_000,
  schedule: [],
  maxElapsed: 86_400_000,
  jitter: 'none',
  retryOn: ['timeout', 'connection', 'dns', '408', '425', '429', '5xx'],
  failOn: ['4xx'],
  retryAfterMax: 3_600_000,
  ...given,
});

export const breakerPolicy = (given: Partial<BreakerPolicy> = {}): BreakerPolicy => ({
  rule: { kind: 'consecutive', failures: 5 },
  openFor: 60_000,
  maxOpenFor: 600_000,
  halfOpenProbes: 1,
  scope: 'route',
  countOn: ['timeout', 'connection', 'dns', '429', '5xx'],
  onOpen: 'hold',
  redriveOnClose: false,
  ...given,
});

export const routeOf = (given: Partial<Route> = {}): Route => ({
  pipeline: 'orders',
  id: 'receipt',
  group: `${given.pipeline ?? 'orders'}.${given.id ?? 'receipt'}`,
  on: ['order.paid'],
  handler: 'noop',
  plugin: '@eventflow/plugin-log',
  options: {},
  timeout: 15_000,
  concurrency: 16,
  retry: retryPolicy(),
  breaker: undefined,
  deadLetter: { retention: 1_209_600_000, maxEntries: 100_000, onFull: 'pause' },
  maxAge: undefined,
  startFrom: 'beginning',
  enabled: true,
  hash: 'h1',
  position: { file: 'orders.yaml', line: 1, column: 1 },
  ...given,
});
