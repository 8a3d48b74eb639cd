/** A registry to ask, and what its page says. */
import { createMetrics, type Metrics, type MetricsOptions } from '../../engine/observe/metrics.ts';
import { fakeBus, route, seriesOf, stats } from './world.ts';

export const at = 1_700_000_000_000;

export function start(options: Partial<MetricsOptions> = {}): Metrics {
  return createMetrics({
    bus: () => fakeBus(async () => stats()),
    gauges: () => [],
    version: '0.1.0',
    cacheMs: 0,
    now: () => at,
    ...options,
  });
}

export const receipt = route('orders.receipt');
export const labels = { pipeline: 'orders', route: 'receipt', handler: 'webhook' };

/** Series of our own without those of Node. */
export const own = (page: string): string[] =>
  [...seriesOf(page).keys()].filter((name) => name.startsWith('eventflow_'));
