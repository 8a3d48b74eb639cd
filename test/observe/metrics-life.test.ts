import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, labels, own, receipt, start } from './page.ts';
import { attempt, fakeBus, generation, promtool, route, sampleOf, seriesOf, stats } from './world.ts';

// ── reloads ──────────────────────────────────────────────────────────────────────────────────────────────────────

test('a reload that changes a route goes on counting, whichever object the signals carry', async () => {
  const metrics = start();
  metrics.setGeneration(generation([receipt]), 1, at);
  metrics.observer(attempt(receipt));
  const changed = route('orders.receipt', { timeout: 1, hash: 'h2' });
  metrics.setGeneration(generation([changed]), 2, at);
  metrics.observer(attempt(receipt));
  metrics.observer(attempt(changed));
  const where = { ...labels, status: 'delivered', event_type: 'order.paid' };
  assert.equal(sampleOf(await metrics.render(), 'eventflow_events_processed_total', where), 3);
});

test('a new handler starts at 0, and what the old one still drains counts for neither', async () => {
  const metrics = start();
  metrics.setGeneration(generation([receipt]), 1, at);
  metrics.observer(attempt(receipt));
  metrics.setGeneration(generation([route('orders.receipt', { handler: 'email' })]), 2, at);
  metrics.observer(attempt(receipt));
  const page = await metrics.render();
  const delivered = { route: 'receipt', status: 'delivered', event_type: 'order.paid' };
  assert.equal(sampleOf(page, 'eventflow_events_processed_total', { ...delivered, handler: 'email' }), 0);
  assert.deepEqual(
    own(page).filter((name) => name.includes('handler="webhook"')),
    [],
  );
});

test('a refused reload shows, and leaves the generation as it was', async () => {
  let now = at;
  const metrics = start({ now: () => now });
  metrics.setGeneration(generation([receipt]), 3, at);
  now += 5_000;
  const changes = { started: [], changed: [], renamed: [], stopped: [] };
  const reloaded = { kind: 'reloaded', generation: 3, hash: 'c0ffee', problems: ['x'], changes } as const;
  metrics.observer({ ...reloaded, result: 'rejected' });
  const page = await metrics.render();
  assert.equal(sampleOf(page, 'eventflow_config_last_reload_successful'), 0);
  assert.equal(sampleOf(page, 'eventflow_config_last_reload_success_timestamp_seconds'), at / 1_000);
  assert.equal(sampleOf(page, 'eventflow_config_reloads_total', { result: 'rejected' }), 1);
  assert.equal(sampleOf(page, 'eventflow_config_info', { hash: 'c0ffee', generation: '3' }), 1);
  metrics.observer({ ...reloaded, result: 'unchanged' });
  const after = await metrics.render();
  assert.equal(sampleOf(after, 'eventflow_config_last_reload_successful'), 1);
  assert.equal(sampleOf(after, 'eventflow_config_last_reload_success_timestamp_seconds'), at / 1_000 + 5);
});

test('a rollback is counted and says nothing about the files, whether it worked or not', async () => {
  let now = at;
  const metrics = start({ now: () => now });
  metrics.setGeneration(generation([receipt]), 1, at);
  now += 5_000;
  const changes = { started: [], changed: [], renamed: [], stopped: [] };
  const reloaded = { kind: 'reloaded', generation: 2, hash: 'c0ffee', problems: [], changes } as const;
  metrics.observer({ ...reloaded, result: 'rejected', why: 'rollback' });
  const refused = await metrics.render();
  assert.equal(sampleOf(refused, 'eventflow_config_last_reload_successful'), 1);
  assert.equal(sampleOf(refused, 'eventflow_config_reloads_total', { result: 'rejected' }), 1);
  metrics.observer({ ...reloaded, result: 'rejected', why: 'files' });
  metrics.setGeneration(generation([receipt]), 2, now);
  metrics.observer({ ...reloaded, result: 'changed', why: 'rollback', pinned: 'rolled back' });
  const back = await metrics.render();
  assert.equal(sampleOf(back, 'eventflow_config_last_reload_successful'), 0);
  assert.equal(sampleOf(back, 'eventflow_config_last_reload_success_timestamp_seconds'), at / 1_000);
  assert.equal(sampleOf(back, 'eventflow_config_reloads_total', { result: 'changed' }), 1);
  assert.equal(sampleOf(back, 'eventflow_config_rolled_back'), 1);
});

test('how long each swap of a reload held the event loop is told, from 0 on', async () => {
  const metrics = start();
  metrics.setGeneration(generation([receipt]), 1, at);
  assert.equal(sampleOf(await metrics.render(), 'eventflow_config_swap_seconds_count'), 0);
  metrics.observer({ kind: 'swapped', seconds: 0.002 });
  const page = await metrics.render();
  assert.equal(sampleOf(page, 'eventflow_config_swap_seconds_bucket', { le: '0.001' }), 0);
  assert.equal(sampleOf(page, 'eventflow_config_swap_seconds_bucket', { le: '0.0025' }), 1);
  assert.equal(sampleOf(page, 'eventflow_config_swap_seconds_sum'), 0.002);
});

// ── bounds ───────────────────────────────────────────────────────────────────────────────────────────────────────

const typesOf = (page: string, one: string): string[] =>
  own(page)
    .filter((name) => name.startsWith('eventflow_events_processed_total') && name.includes(`route="${one}"`))
    .filter((name) => name.includes('status="delivered"'))
    .map((name) => /event_type="([^"]*)"/.exec(name)?.[1] ?? '');

test('without a catalogue, types named without a wildcard keep their name and the rest is other', async () => {
  const metrics = start();
  const all = route('orders.audit', { on: ['order.**'] });
  metrics.setGeneration(generation([receipt, all]), 1, at);
  metrics.observer(attempt(all, { eventType: 'order.paid' }));
  for (let i = 0; i < 100; i++) metrics.observer(attempt(all, { eventType: `order.made.up.${i}` }));
  const page = await metrics.render();
  assert.deepEqual(typesOf(page, 'audit'), ['order.paid', 'other']);
  const where = { route: 'audit', status: 'delivered', event_type: 'other' };
  assert.equal(sampleOf(page, 'eventflow_events_processed_total', where), 100);
});

test('with a catalogue, only its types keep their name', async () => {
  const metrics = start();
  const both = route('orders.receipt', { on: ['order.paid', 'order.sent'] });
  metrics.setGeneration(generation([both], { types: ['order.sent', 'order.unwanted'] }), 1, at);
  assert.deepEqual(typesOf(await metrics.render(), 'receipt'), ['order.sent', 'other']);
});

test('a declared source keeps its name, every other one is other', async () => {
  const metrics = start({ sources: ['/shop'] });
  metrics.setGeneration(generation([receipt]), 1, at);
  metrics.observer({ kind: 'published', eventType: 'order.paid', source: '/shop', count: 1 });
  metrics.observer({ kind: 'published', eventType: 'order.paid', source: '/attacker/17', count: 1 });
  const page = await metrics.render();
  const published = (source: string): number =>
    sampleOf(page, 'eventflow_events_published_total', { event_type: 'order.paid', source });
  assert.deepEqual([published('/shop'), published('other')], [1, 1]);
});

test('the cap holds, and what it kept out is counted and still in the sums', async () => {
  const metrics = start({ maxSeries: 300 });
  const types = Array.from({ length: 50 }, (_, i) => `order.t${i}`);
  const all = route('orders.receipt', { on: ['order.**'] });
  metrics.setGeneration(generation([all], { types }), 1, at);
  for (const eventType of types) metrics.observer(attempt(all, { eventType }));
  const page = await metrics.render();
  assert.ok(own(page).length < 350, `${own(page).length} series; the engine's own few are not under the cap`);
  assert.ok(sampleOf(page, 'eventflow_series_dropped_total') > 0);
  const delivered = [...seriesOf(page)]
    .filter(([name]) => name.startsWith('eventflow_events_processed_total') && name.includes('"delivered"'))
    .reduce((sum, [, value]) => sum + value, 0);
  assert.equal(delivered, types.length);
});

test('streams beyond the bound are folded into one, and none of their lag is lost', async () => {
  const lag = Array.from({ length: 150 }, (_, i) => ({ stream: `order.s${i}`, entries: 1, known: true }));
  const metrics = start({ bus: () => fakeBus(async () => stats({ lag })) });
  metrics.setGeneration(generation([route('orders.receipt', { on: ['order.**'] })]), 1, at);
  for (let scrape = 0; scrape < 2; scrape++) {
    const page = await metrics.render();
    assert.equal(sampleOf(page, 'eventflow_consumer_lag', { stream: 'other' }), 50);
    assert.equal(sampleOf(page, 'eventflow_series_dropped_total'), 100, 'counted once, not at every scrape');
  }
});

// ── counters of plugins ──────────────────────────────────────────────────────────────────────────────────────────

test("a handler's counter that is made before its generation runs is exported, and goes with its route", async () => {
  const metrics = start();
  const counter = metrics.counter('messages_sent', 'Messages handed to the server.', receipt);
  metrics.setGeneration(generation([receipt]), 1, at);
  assert.equal(sampleOf(await metrics.render(), 'eventflow_plugin_messages_sent_total'), 0);
  counter.inc();
  metrics.counter('messages_sent', 'Again, after a reload.', route('orders.receipt', { hash: 'h2' })).inc(2);
  const where = { pipeline: 'orders', route: 'receipt' };
  assert.equal(sampleOf(await metrics.render(), 'eventflow_plugin_messages_sent_total', where), 3);
  metrics.setGeneration(generation([route('orders.other')]), 2, at);
  assert.doesNotMatch(await metrics.render(), /messages_sent/);
});

test("a handler's counters are bounded, named well, and only grow", () => {
  const metrics = start();
  for (let i = 0; i < 20; i++) metrics.counter(`c${i}`, 'x', receipt);
  assert.throws(() => metrics.counter('c20', 'x', receipt), /at most 20 counters per handler.*orders\.receipt/);
  assert.throws(() => metrics.counter('Not-A-Name', 'x', receipt), /expected a counter name that matches/);
  assert.throws(() => metrics.counter('c0', 'x', receipt).inc(-1), /got -1/);
  assert.throws(() => metrics.counter('c0', 'x', receipt).inc(Number.NaN), /got NaN/);
});

// ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────────

test('promtool finds nothing to say about the page', async () => {
  const metrics = start({ plugins: () => [{ name: '@eventflow/plugin-email', version: '0.1.0' }] });
  const nasty = route('orders.receipt', { on: ['order.paid', 'ord"er\\pa\nid'] });
  metrics.counter('messages_sent', 'Messages, with a "quote" and a\nline.', nasty).inc();
  metrics.setGeneration(generation([nasty]), 1, at);
  metrics.observer(attempt(nasty));
  metrics.observer({ kind: 'durability', mode: 'fsync', level: 'guaranteed', reason: undefined });
  const checked = await promtool(['check', 'metrics'], await metrics.render());
  assert.deepEqual(checked, { code: 0, output: '' });
});

test('after close no series of ours is exported', async () => {
  const metrics = start();
  metrics.close();
  assert.deepEqual(own(await metrics.render()), []);
});
