import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GroupStats } from '../../engine/bus/bus.ts';
import { at, labels, own, receipt, start } from './page.ts';
import {
  attempt,
  deadLettered,
  fakeBus,
  gaugesOf,
  generation,
  route,
  sampleOf,
  shop,
  stats,
  turned,
  unavailable,
} from './world.ts';

test('every series of a route is there at 0 before the first event', async () => {
  const metrics = start({ bus: () => undefined });
  metrics.setGeneration(generation([receipt]), 1, at);
  const page = await metrics.render();
  for (const status of ['delivered', 'skipped', 'failed', 'dead']) {
    const where = { ...labels, status, event_type: 'order.paid' };
    assert.equal(sampleOf(page, 'eventflow_events_processed_total', where), 0);
  }
  for (const reason of ['exhausted', 'permanent', 'expired', 'invalid', 'undecodable', 'crash_loop', 'breaker_open']) {
    assert.equal(sampleOf(page, 'eventflow_dead_letters_total', { ...labels, reason }), 0);
  }
  for (const state of ['closed', 'open', 'half_open']) {
    assert.equal(sampleOf(page, 'eventflow_circuit_state', { ...labels, state }), 0);
  }
  assert.equal(sampleOf(page, 'eventflow_circuit_transitions_total', { ...labels, from: 'closed', to: 'open' }), 0);
  assert.equal(sampleOf(page, 'eventflow_attempts_total', { ...labels, outcome: 'failed', error_type: '5xx' }), 0);
  assert.equal(
    sampleOf(page, 'eventflow_processing_seconds_bucket', { ...labels, event_type: 'order.paid', le: '0.01' }),
    0,
  );
  assert.equal(sampleOf(page, 'eventflow_delivery_latency_seconds_count', labels), 0);
  const lag = { consumer_group: 'orders.receipt', pipeline: 'orders', route: 'receipt', stream: 'order.paid' };
  assert.equal(sampleOf(page, 'eventflow_consumer_lag', lag), 0);
  assert.equal(sampleOf(page, 'eventflow_consumer_lag_known', lag), 0, 'nothing was read yet');
  for (const name of [
    'dlq_depth',
    'circuit_opened_total',
    'lost_total',
    'retry_backlog',
    'in_flight',
    'route_running',
  ]) {
    assert.equal(sampleOf(page, `eventflow_${name}`, labels), 0, name);
  }
  assert.equal(sampleOf(page, 'eventflow_events_published_total', { event_type: 'order.paid', source: 'other' }), 0);
});

test('the series of a route go with it, and those of the others stay', async () => {
  const metrics = start();
  metrics.setGeneration(shop(), 1, at);
  assert.ok(own(await metrics.render()).some((name) => name.includes('route="welcome"')));
  metrics.setGeneration(generation([receipt]), 2, at);
  const page = await metrics.render();
  assert.deepEqual(
    own(page).filter((name) => name.includes('route="welcome"') || name.includes('route="audit"')),
    [],
  );
  assert.equal(sampleOf(page, 'eventflow_lost_total', labels), 0);
});

test('a route that is not enabled has no series', async () => {
  const metrics = start();
  metrics.setGeneration(shop(), 1, at);
  assert.deepEqual(
    own(await metrics.render()).filter((name) => name.includes('route="paused"')),
    [],
  );
});

test('an attempt counts by status, by outcome and error type, and into both histograms', async () => {
  const metrics = start();
  metrics.setGeneration(generation([receipt]), 1, at);
  metrics.observer(attempt(receipt, { seconds: 0.02, latency: 0.3 }));
  metrics.observer(attempt(receipt, { outcome: 'skipped' }));
  metrics.observer(attempt(receipt, { outcome: 'failed', fault: unavailable, seconds: 20 }));
  metrics.observer(attempt(receipt, { outcome: 'failed', fault: { code: 'timeout', message: '', kind: 'timeout' } }));
  const page = await metrics.render();
  const processed = (status: string): number =>
    sampleOf(page, 'eventflow_events_processed_total', { ...labels, event_type: 'order.paid', status });
  assert.deepEqual(['delivered', 'skipped', 'failed', 'dead'].map(processed), [1, 1, 2, 0]);
  const attempts = (outcome: string, error_type: string): number =>
    sampleOf(page, 'eventflow_attempts_total', { ...labels, outcome, error_type });
  assert.deepEqual(
    [
      attempts('delivered', 'none'),
      attempts('skipped', 'none'),
      attempts('failed', '5xx'),
      attempts('failed', 'timeout'),
    ],
    [1, 1, 1, 1],
  );
  const bucket = (le: string): number =>
    sampleOf(page, 'eventflow_processing_seconds_bucket', { ...labels, event_type: 'order.paid', le });
  assert.deepEqual([bucket('0.01'), bucket('0.025'), bucket('10'), bucket('+Inf')], [0, 3, 3, 4]);
  assert.equal(
    sampleOf(page, 'eventflow_delivery_latency_seconds_count', labels),
    2,
    'a failed attempt ends no delivery',
  );
});

const classes = [
  [{ code: 'http_429', message: '', kind: 'status', status: 429 }, '429'],
  [{ code: 'http_404', message: '', kind: 'status', status: 404 }, '4xx'],
  [{ code: 'http_302', message: '', kind: 'status', status: 302 }, 'status'],
  [{ code: 'ECONNREFUSED', message: '', kind: 'connection' }, 'connection'],
  [{ code: 'ENOTFOUND', message: '', kind: 'dns' }, 'dns'],
  [{ code: 'boom', message: '', kind: 'error' }, 'error'],
] as const;

for (const [fault, type] of classes) {
  test(`${fault.code} counts as error type ${type}`, async () => {
    const metrics = start();
    metrics.setGeneration(generation([receipt]), 1, at);
    metrics.observer(attempt(receipt, { outcome: 'failed', fault }));
    const page = await metrics.render();
    assert.equal(sampleOf(page, 'eventflow_attempts_total', { ...labels, outcome: 'failed', error_type: type }), 1);
  });
}

test('a dead letter counts by reason, as dead, and ends the delivery', async () => {
  const metrics = start();
  metrics.setGeneration(generation([receipt]), 1, at);
  metrics.observer(deadLettered(receipt, { reason: 'permanent' }));
  const page = await metrics.render();
  assert.equal(sampleOf(page, 'eventflow_dead_letters_total', { ...labels, reason: 'permanent' }), 1);
  assert.equal(sampleOf(page, 'eventflow_events_processed_total', { status: 'dead', event_type: 'order.paid' }), 1);
  assert.equal(sampleOf(page, 'eventflow_delivery_latency_seconds_bucket', { ...labels, le: '60' }), 0);
  assert.equal(sampleOf(page, 'eventflow_delivery_latency_seconds_bucket', { ...labels, le: '300' }), 1);
});

test('a latency below 0, from clocks that differ, counts as 0 and never makes the sum shrink', async () => {
  const metrics = start();
  metrics.setGeneration(generation([receipt]), 1, at);
  metrics.observer(attempt(receipt, { latency: -5, seconds: Number.NaN }));
  const page = await metrics.render();
  assert.equal(sampleOf(page, 'eventflow_delivery_latency_seconds_sum', labels), 0);
  assert.equal(sampleOf(page, 'eventflow_processing_seconds_sum', { ...labels, event_type: 'order.paid' }), 0);
});

test('every further signal moves its own counter', async () => {
  const metrics = start();
  metrics.setGeneration(generation([receipt]), 1, at);
  const one = { route: receipt, count: 2 } as const;
  const retry = { route: receipt, eventId: 'e', attempt: 1, delayMs: 5, fault: unavailable } as const;
  for (const kind of ['unmatched', 'reclaimed', 'fenced'] as const) metrics.observer({ kind, ...one });
  metrics.observer({ kind: 'lost', route: receipt, ids: ['1-0', '2-0', '3-0'] });
  metrics.observer({ kind: 'unkeyed', route: receipt, reason: 'expected event.subject, got nothing' });
  metrics.observer({ kind: 'retry_scheduled', ...retry });
  metrics.observer({ kind: 'published', eventType: 'order.paid', source: '/shop', count: 7 });
  metrics.observer({ kind: 'duplicate_suppressed', eventType: 'order.paid' });
  metrics.observer({ kind: 'data_warning', eventType: 'order.paid', eventId: 'e', faults: ['/: expected x'] });
  metrics.observer({ kind: 'bus_error', errorKind: 'oom', message: 'full' });
  metrics.observer({ kind: 'bus_error', errorKind: 'never heard of', message: '?' });
  metrics.observer({ kind: 'durability', mode: 'fsync', level: 'best_effort', reason: 'appendfsync is everysec' });
  const page = await metrics.render();
  const of = (name: string): number => sampleOf(page, `eventflow_${name}`, labels);
  assert.deepEqual(
    [
      'unmatched_total',
      'unkeyed_total',
      'reclaimed_total',
      'fenced_total',
      'lost_total',
      'retries_scheduled_total',
    ].map(of),
    [2, 1, 2, 2, 3, 1],
  );
  assert.equal(sampleOf(page, 'eventflow_events_published_total', { event_type: 'order.paid', source: 'other' }), 7);
  assert.equal(sampleOf(page, 'eventflow_duplicates_suppressed_total', { event_type: 'order.paid' }), 1);
  assert.equal(sampleOf(page, 'eventflow_data_warnings_total', { event_type: 'order.paid' }), 1);
  assert.equal(sampleOf(page, 'eventflow_bus_errors_total', { kind: 'oom' }), 1);
  assert.equal(sampleOf(page, 'eventflow_bus_errors_total', { kind: 'other' }), 1);
  assert.equal(sampleOf(page, 'eventflow_bus_durability', { mode: 'fsync' }), 0);
});

test('a circuit counts its changes, and every opening, also the one after a failed probe', async () => {
  const open = { kind: 'open', period: 1, since: at - 30_000, until: at, openFor: 60_000, why: 'x' } as const;
  const metrics = start({ gauges: () => [gaugesOf(receipt, { held: true, breaker: open })] });
  metrics.setGeneration(generation([receipt]), 1, at);
  metrics.observer(turned(receipt, 'closed', 'open'));
  metrics.observer(turned(receipt, 'open', 'half_open'));
  metrics.observer(turned(receipt, 'half_open', 'open'));
  const page = await metrics.render();
  assert.equal(sampleOf(page, 'eventflow_circuit_opened_total', labels), 2);
  assert.equal(sampleOf(page, 'eventflow_circuit_transitions_total', { ...labels, from: 'half_open', to: 'open' }), 1);
  const state = (name: string): number => sampleOf(page, 'eventflow_circuit_state', { ...labels, state: name });
  assert.deepEqual(['closed', 'open', 'half_open'].map(state), [0, 1, 0]);
});

test('limits and keys are counted per route, without a label for a key', async () => {
  const metrics = start({ gauges: () => [gaugesOf(receipt, { openKeys: 3, limited: true })] });
  metrics.setGeneration(generation([receipt]), 1, at);
  const read = async (): Promise<number[]> => {
    const page = await metrics.render();
    return ['rate_limited_total', 'rate_limited', 'circuit_open_keys', 'unkeyed_total'].map((name) =>
      sampleOf(page, `eventflow_${name}`, labels),
    );
  };
  assert.deepEqual(await read(), [0, 1, 3, 0]);
  metrics.observer({ kind: 'rate_limited', route: receipt, count: 2 });
  metrics.observer({ kind: 'rate_limited', route: receipt, count: 1 });
  metrics.observer({ kind: 'unkeyed', route: receipt, of: 'rateLimit', reason: 'no subject' });
  assert.deepEqual(await read(), [3, 1, 3, 1]);
});

test('a route without a breaker has no series of a circuit', async () => {
  const metrics = start();
  metrics.setGeneration(generation([route('orders.receipt', { breaker: undefined })]), 1, at);
  assert.deepEqual(
    own(await metrics.render()).filter((name) => name.includes('circuit')),
    [],
  );
});

test('held deliveries are what waits in the streams of a held route, for as long as it has been held', async () => {
  let now = at;
  const lag: GroupStats['lag'] = [{ stream: 'order.paid', entries: 40, known: true }];
  const open = { kind: 'open', period: 1, since: at - 90_000, until: at, openFor: 60_000, why: 'x' } as const;
  let gauges = gaugesOf(receipt, { held: true, breaker: open });
  const metrics = start({
    bus: () => fakeBus(async () => stats({ lag, due: 2 })),
    gauges: () => [gauges],
    now: () => now,
  });
  metrics.setGeneration(generation([receipt]), 1, at);
  const first = await metrics.render();
  assert.equal(sampleOf(first, 'eventflow_held_deliveries', labels), 42);
  assert.equal(sampleOf(first, 'eventflow_held_oldest_seconds', labels), 90);
  now += 10_000;
  gauges = gaugesOf(receipt, {
    breaker: { kind: 'half_open', period: 1, openFor: 1, probes: [], successes: 0, why: '' },
  });
  assert.equal(sampleOf(await metrics.render(), 'eventflow_held_oldest_seconds', labels), 100, 'a probe ends no hold');
  gauges = gaugesOf(receipt);
  const last = await metrics.render();
  assert.deepEqual(
    [sampleOf(last, 'eventflow_held_deliveries', labels), sampleOf(last, 'eventflow_held_oldest_seconds', labels)],
    [0, 0],
  );
});

test('what the bus knows is read at scrape time', async () => {
  const known = stats({
    lag: [
      { stream: 'order.paid', entries: 12, known: true },
      { stream: 'due elsewhere', entries: 3, known: false },
    ],
    pending: 4,
    pendingOldestMs: 1_500,
    retrying: 5,
    postponed: 3,
    retryOverdueMs: 2_500,
    dead: 6,
    deadOldestAt: at - 60_000,
    totals: { ...stats().totals, redriven: 7, dropped: 3 },
  });
  const metrics = start({ bus: () => fakeBus(async () => known) });
  metrics.setGeneration(generation([receipt]), 1, at);
  const page = await metrics.render();
  const lag = (stream: string): number[] =>
    ['eventflow_consumer_lag', 'eventflow_consumer_lag_known'].map((name) =>
      sampleOf(page, name, { consumer_group: 'orders.receipt', stream }),
    );
  assert.deepEqual(lag('order.paid'), [12, 1]);
  assert.deepEqual(lag('due elsewhere'), [3, 0]);
  const of = (name: string): number => sampleOf(page, `eventflow_${name}`, labels);
  assert.deepEqual(
    ['pending_entries', 'pending_oldest_seconds', 'retry_backlog', 'postponed', 'dlq_depth'].map(of),
    [4, 1.5, 5, 3, 6],
  );
  assert.deepEqual(
    [of('retry_overdue_seconds'), of('dlq_oldest_seconds'), of('redriven_total'), of('dlq_dropped_total')],
    [2.5, 60, 7, 3],
  );
  assert.deepEqual(
    own(page).filter((name) => name.includes('residue')),
    [],
    'unknown while the lag is not exact',
  );
});

test('the residue is what was accepted and is nowhere', async () => {
  const totals = { ...stats().totals, accepted: 20, delivered: 9, skipped: 1, unmatched: 1, discarded: 1, dropped: 1 };
  const lag: GroupStats['lag'] = [{ stream: 'order.paid', entries: 2, known: true }];
  const metrics = start({
    bus: () => fakeBus(async () => stats({ lag, pending: 1, retrying: 1, due: 1, dead: 1, totals })),
  });
  metrics.setGeneration(generation([receipt]), 1, at);
  assert.equal(sampleOf(await metrics.render(), 'eventflow_conservation_residue', labels), 1);
});

test('a bus that never answers does not hang the page, and the last numbers stay with their age', async () => {
  let now = at;
  let hangs = false;
  const never = new Promise<never>(() => {});
  const metrics = start({
    bus: () =>
      fakeBus(
        async () => stats({ dead: 3 }),
        () => (hangs ? never : Promise.resolve()),
      ),
    deadlineMs: 30,
    now: () => now,
  });
  metrics.setGeneration(generation([receipt]), 1, at);
  assert.equal(sampleOf(await metrics.render(), 'eventflow_bus_up'), 1);
  hangs = true;
  now += 60_000;
  const started = Date.now();
  const page = await metrics.render();
  assert.ok(Date.now() - started < 1_000);
  assert.equal(sampleOf(page, 'eventflow_bus_up'), 0);
  assert.equal(sampleOf(page, 'eventflow_dlq_depth', labels), 3);
  assert.equal(sampleOf(page, 'eventflow_bus_stats_age_seconds'), 60);
});

test('a bus that refuses is down, and is up again when it answers', async () => {
  let error: Error | undefined = new Error('ECONNREFUSED');
  const ping = async (): Promise<void> => {
    if (error !== undefined) throw error;
  };
  const metrics = start({ bus: () => fakeBus(async () => stats(), ping) });
  metrics.setGeneration(generation([receipt]), 1, at);
  assert.equal(sampleOf(await metrics.render(), 'eventflow_bus_up'), 0);
  error = undefined;
  assert.equal(sampleOf(await metrics.render(), 'eventflow_bus_up'), 1);
});

test('scrapes that come together read the bus once', async () => {
  let pings = 0;
  const ping = async (): Promise<void> => {
    pings++;
  };
  const metrics = start({ bus: () => fakeBus(async () => stats(), ping), cacheMs: 1_000 });
  metrics.setGeneration(generation([receipt]), 1, at);
  await Promise.all([metrics.render(), metrics.render(), metrics.render()]);
  await metrics.render();
  assert.equal(pings, 1);
});

test('a reading that hangs is given up, and the next one can succeed', async () => {
  let now = at;
  let hangs = true;
  const never = new Promise<never>(() => {});
  const ping = (): Promise<void> => (hangs ? never : Promise.resolve());
  const metrics = start({ bus: () => fakeBus(async () => stats(), ping), deadlineMs: 20, now: () => now });
  assert.equal(sampleOf(await metrics.render(), 'eventflow_bus_up'), 0);
  hangs = false;
  now += 100;
  assert.equal(sampleOf(await metrics.render(), 'eventflow_bus_up'), 0, 'the first reading is still under way');
  now += 200;
  assert.equal(sampleOf(await metrics.render(), 'eventflow_bus_up'), 1);
});

test('a delivery of a route with a service level is good, slow or failed, and retries on the way do not count', async () => {
  const promised = route('orders.receipt', { slo: { target: 99.9, latency: 1_000 } });
  const metrics = start();
  metrics.setGeneration(generation([promised, route('orders.audit')]), 1, at);
  const counts = async (): Promise<readonly number[]> => {
    const page = await metrics.render();
    return ['good', 'slow', 'failed'].map((result) =>
      sampleOf(page, 'eventflow_slo_deliveries_total', { ...labels, result }),
    );
  };
  assert.deepEqual(await counts(), [0, 0, 0]);
  metrics.observer(attempt(promised, { latency: 1 }));
  metrics.observer(attempt(promised, { outcome: 'skipped', latency: 0.2 }));
  metrics.observer(attempt(promised, { outcome: 'failed', fault: unavailable, latency: 0.1 }));
  metrics.observer(attempt(promised, { latency: 1.001 }));
  metrics.observer(deadLettered(promised, { latency: 0.1 }));
  assert.deepEqual(await counts(), [2, 1, 1]);
  assert.doesNotMatch(await metrics.render(), /eventflow_slo_deliveries_total\{[^}]*route="audit"/);
  metrics.setGeneration(generation([route('orders.receipt', { slo: { target: 99, latency: undefined } })]), 2, at);
  assert.deepEqual(await counts(), [2, 1, 1], 'a reload goes on counting');
  metrics.setGeneration(generation([route('orders.receipt')]), 3, at);
  assert.doesNotMatch(await metrics.render(), /eventflow_slo_deliveries_total\{/);
});

test('sizes of batches are counted for a route that has batches, and for no other', async () => {
  const batching = route('orders.receipt', { batch: { maxEvents: 500, maxBytes: 1_048_576, maxWait: 1_000 } });
  const metrics = start();
  metrics.setGeneration(generation([batching, route('orders.audit')]), 1, at);
  const read = async (name: string, more: Record<string, string> = {}): Promise<number> =>
    sampleOf(await metrics.render(), `eventflow_batch_events_${name}`, { ...labels, ...more });
  assert.equal(await read('count'), 0);
  for (const events of [1, 40, 500]) metrics.observer({ kind: 'batch', route: batching, events });
  assert.deepEqual([await read('count'), await read('sum')], [3, 541]);
  assert.deepEqual([await read('bucket', { le: '25' }), await read('bucket', { le: '50' })], [1, 2]);
  assert.doesNotMatch(await metrics.render(), /eventflow_batch_events_count\{[^}]*route="audit"/);
});
