/** The metric table keeps the promises that its users build on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from '../../engine/observe/metrics.ts';
import { type Metric, nodeMetrics, table } from '../../engine/observe/table.ts';
import { fakeBus, shop, stats } from '../observe/world.ts';

const metrics: readonly Metric[] = table;

/** Fixed: dashboards and alerts of users are built on these. */
const founding = {
  eventflow_events_published_total: ['counter', 'event_type,source'],
  eventflow_events_processed_total: ['counter', 'pipeline,route,event_type,handler,status'],
  eventflow_processing_seconds: ['histogram', 'pipeline,route,event_type,handler'],
  eventflow_consumer_lag: ['gauge', 'consumer_group,pipeline,route,stream'],
  eventflow_dlq_depth: ['gauge', 'pipeline,route,handler'],
  eventflow_circuit_opened_total: ['counter', 'pipeline,route,handler'],
};

test('the founding metrics keep name, type and labels', () => {
  const now = metrics
    .filter(({ name }) => name in founding)
    .map(({ name, type, labels }) => [name, [type, labels.join(',')]]);
  assert.deepEqual(Object.fromEntries(now), founding);
  const processing = metrics.find(({ name }) => name === 'eventflow_processing_seconds');
  assert.deepEqual(processing?.buckets, [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]);
});

test('every metric is named by the conventions of Prometheus and explained in a sentence', () => {
  assert.equal(new Set(metrics.map(({ name }) => name)).size, metrics.length);
  for (const { name, type, help, labels, buckets } of metrics) {
    assert.match(name, /^eventflow_[a-z]+(_[a-z]+)*$/);
    assert.equal(type === 'counter', name.endsWith('_total'), name);
    assert.equal(type === 'histogram', buckets !== undefined, name);
    assert.match(help, /^[A-Z0-9].*\.$/, name);
    for (const label of labels) assert.match(label, /^[a-z]+(_[a-z]+)*$/);
  }
});

test('the page shows every metric of the table, with its labels, and no other of ours', async () => {
  const page = createMetrics({
    bus: () => fakeBus(async () => stats()),
    gauges: () => [],
    version: '0.1.0',
    plugins: () => [{ name: 'p', version: '1' }],
  });
  page.setGeneration(shop(), 1, 0);
  page.observer({ kind: 'durability', mode: 'fsync', level: 'guaranteed', reason: undefined });
  const text = await page.render();
  page.close();
  for (const { name, type, labels } of metrics) {
    assert.ok(text.includes(`# TYPE ${name} ${type}\n`), name);
    const sample = new RegExp(`^${name}(?:_bucket)?(?:\\{(.*)\\})? [\\d.e+-]+$`, 'm').exec(text);
    assert.ok(sample, `${name} has no series`);
    const seen = Array.from((sample[1] ?? '').matchAll(/(\w+)="/g), ([, label]) => label).filter((l) => l !== 'le');
    assert.deepEqual(new Set(seen), new Set(labels), name);
  }
  const shown = Array.from(text.matchAll(/^# TYPE (eventflow_\w+)/gm), ([, name]) => name);
  assert.deepEqual(
    shown,
    metrics.map(({ name }) => name),
  );
  for (const name of nodeMetrics) assert.ok(text.includes(`# TYPE ${name} `), name);
});
