import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { generateAlerts } from '../../engine/observe/alerts/index.ts';
import { table } from '../../engine/observe/table.ts';
import { familyOf, selectorsOf } from './promql.ts';
import { breaker, generation, promtool, type Ran, route, shop } from './world.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly keep_firing_for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Recording {
  readonly record: string;
  readonly expr: string;
}

const allRules = (files: Readonly<Record<string, string>>): readonly (Rule | Recording)[] =>
  Object.values(files).flatMap((text) =>
    (parse(text) as { groups: { rules: (Rule | Recording)[] }[] }).groups.flatMap((group) => group.rules),
  );

const rulesOf = (files: Readonly<Record<string, string>>): readonly Rule[] =>
  allRules(files).filter((rule) => 'alert' in rule);

/** By what is recorded: the metrics that it is made of. */
const recordingsOf = (files: Readonly<Record<string, string>>): ReadonlyMap<string, readonly string[]> =>
  new Map(
    allRules(files).flatMap((rule) =>
      'record' in rule ? [[rule.record, selectorsOf(rule.expr).map(({ metric }) => metric)] as const] : [],
    ),
  );

async function withFiles(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'eventflow-alerts-'));
  t.after(() => rm(dir, { recursive: true }));
  for (const [file, text] of Object.entries(files)) await writeFile(join(dir, file), text);
  return dir;
}

test('promtool accepts every rule file', async (t) => {
  const files = generateAlerts(shop());
  const dir = await withFiles(t, files);
  const paths = Object.keys(files).map((file) => join(dir, file));
  const checked = await promtool(['check', 'rules', '--lint=all', '--lint-fatal', ...paths]);
  assert.equal(checked.code, 0, checked.output);
});

test('the same pipelines give the same bytes, in whichever order they were read', () => {
  const { pipelines, ...rest } = shop();
  assert.deepEqual(generateAlerts({ ...rest, pipelines: pipelines.toReversed() }), generateAlerts(shop()));
  assert.deepEqual(Object.keys(generateAlerts(shop())), [
    'eventflow.rules.yaml',
    'eventflow-pipeline-accounts.rules.yaml',
    'eventflow-pipeline-orders.rules.yaml',
  ]);
});

test('each alert reads metrics of the table, and the table knows which alerts read them', () => {
  const recorded = recordingsOf(generateAlerts(shop()));
  const readers = new Map<string, Set<string>>(table.map(({ name }) => [name, new Set()]));
  for (const { alert, expr } of rulesOf(generateAlerts(shop()))) {
    for (const metric of selectorsOf(expr).flatMap((one) => recorded.get(one.metric) ?? [one.metric])) {
      const known = readers.get(familyOf(metric));
      assert.ok(known, `${alert} reads ${metric}, which is not in the table`);
      known.add(alert);
    }
  }
  const told = table.map(({ name, alerts }) => [name, [...alerts].sort()]);
  assert.deepEqual(
    told,
    Array.from(readers, ([name, alerts]) => [name, [...alerts].sort()]),
  );
});

test('numbers of the bus are never summed over engines', () => {
  const fromBus: ReadonlySet<string> = new Set(table.filter(({ scope }) => scope === 'bus').map(({ name }) => name));
  for (const { alert, expr } of rulesOf(generateAlerts(shop()))) {
    for (const [, inner = ''] of expr.matchAll(/sum by \([^)]*\) \((?:\w+\()?(eventflow_\w+)/g)) {
      assert.ok(!fromBus.has(inner), `${alert} sums ${inner}`);
    }
  }
});

test('every alert says what, how bad, for whom, and where to read on', () => {
  for (const rule of rulesOf(generateAlerts(shop(), { runbooks: 'https://wiki.example/eventflow/' }))) {
    assert.match(rule.alert, /^EventFlow[A-Z][A-Za-z]+$/);
    assert.match(rule.labels['severity'] ?? '', /^(critical|warning|info)$/);
    assert.match(rule.annotations['summary'] ?? '', /^[A-Z][^{]*\.$/, 'a sentence that is the same every time');
    assert.match(rule.annotations['description'] ?? '', /\.$/);
    assert.equal(rule.annotations['runbook_url'], `https://wiki.example/eventflow/${rule.alert}.md`);
    if (rule.expr.includes('pipeline=')) assert.equal(rule.labels['team'], 'payments');
  }
});

test('a pipeline without a team has alerts without one', () => {
  const rules = rulesOf(generateAlerts(generation([route('orders.receipt')], { labels: {} })));
  assert.deepEqual(
    rules.filter(({ labels }) => 'team' in labels),
    [],
  );
});

test("an alert's patience and threshold come from the route's own policy", () => {
  const slow = route('orders.receipt', {
    breaker: { ...breaker, maxOpenFor: 90_000 },
    maxAge: 7_200_000,
    deadLetter: { retention: 3_600_000, maxEntries: 50, onFull: 'dropOldest' },
  });
  const rules = rulesOf(generateAlerts(generation([slow])));
  const find = (alert: string): Rule | undefined => rules.find((rule) => rule.alert === alert);
  assert.equal(find('EventFlowCircuitOpen')?.for, '90s');
  assert.match(find('EventFlowHeldTooLong')?.expr ?? '', /> 3600$/);
  assert.match(find('EventFlowDlqOldestTooOld')?.expr ?? '', /> 1800$/);
  assert.match(find('EventFlowDlqNearlyFull')?.expr ?? '', /> 40$/);
  assert.equal(find('EventFlowDlqNearlyFull')?.labels['severity'], 'warning');
});

test('a target that leaves much is not alerted at rates that nothing can reach', () => {
  const alertsAt = (target: number): readonly Rule[] =>
    rulesOf(generateAlerts(generation([route('orders.receipt', { slo: { target, latency: undefined } })]))).filter(
      ({ alert }) => alert.startsWith('EventFlowSlo'),
    );
  assert.match(alertsAt(99.9)[0]?.expr ?? '', /> 0\.0144 and .* or .*> 0\.006 and /);
  assert.doesNotMatch(alertsAt(90)[0]?.expr ?? '', /1\.44/);
  assert.deepEqual(
    alertsAt(80).map(({ alert }) => alert),
    ['EventFlowSloBurnsSlowly'],
  );
  assert.equal(alertsAt(99.9)[1]?.annotations['description']?.includes('99.9 % delivered)'), true);
});

test('only routes with a service level are recorded and alerted', () => {
  const without = generateAlerts(generation([route('orders.receipt')]));
  assert.doesNotMatch(Object.values(without).join(''), /slo_|Slo/);
  assert.deepEqual([...recordingsOf(generateAlerts(shop())).keys()], ['eventflow:slo_deliveries:rate5m']);
});

test('a route without a breaker or an age limit has no alert about them, one that is not enabled has none at all', () => {
  const plain = route('orders.audit', { breaker: undefined });
  const alerts = rulesOf(generateAlerts(generation([plain]))).map(({ alert }) => alert);
  assert.ok(!alerts.includes('EventFlowCircuitOpen') && !alerts.includes('EventFlowHeldTooLong'));
  const files = generateAlerts(generation([route('orders.receipt', { enabled: false })]));
  assert.deepEqual(Object.keys(files), ['eventflow.rules.yaml']);
});

// ── do they fire, hold back and resolve? ─────────────────────────────────────────────────────────────────────────

interface Scenario {
  readonly alert: string;
  readonly what: string;
  /** Series and their values, one a minute, in promtool's notation. */
  readonly series: Readonly<Record<string, string>>;
  /** Minute → how many alerts fire then. */
  readonly firing: Readonly<Record<number, number>>;
}

const one = 'job="e",instance="a",pipeline="orders",route="receipt",handler="webhook"';
const two = 'job="e",instance="b",pipeline="orders",route="receipt",handler="webhook"';
const lag = (instance: string): string =>
  `eventflow_consumer_lag{job="e",instance="${instance}",consumer_group="orders.receipt",pipeline="orders",route="receipt",stream="order.paid"}`;

const slo = (result: string, instance = 'a'): string =>
  `eventflow_slo_deliveries_total{job="e",instance="${instance}",pipeline="orders",route="receipt",handler="webhook",result="${result}"}`;

const scenarios: readonly Scenario[] = [
  {
    alert: 'EventFlowEngineAbsent',
    what: 'when no engine was there for 5 minutes',
    series: { 'eventflow_build_info{job="e",instance="a"}': '1x4 _x20 1x20' },
    firing: { 4: 0, 8: 0, 20: 1, 40: 0 },
  },
  {
    alert: 'EventFlowBusDown',
    what: 'for the engine whose bus is gone, not for a hiccup',
    series: {
      'eventflow_bus_up{job="e",instance="a"}': '1x4 0x9 1x20',
      'eventflow_bus_up{job="e",instance="b"}': '1 0 1x40',
    },
    firing: { 1: 0, 4: 0, 8: 1, 20: 0 },
  },
  {
    alert: 'EventFlowConfigReloadFailed',
    what: 'when a refused file stays for 5 minutes',
    series: { 'eventflow_config_last_reload_successful{job="e",instance="a"}': '1x4 0x9 1x20' },
    firing: { 7: 0, 12: 1, 20: 0 },
  },
  {
    alert: 'EventFlowGenerationsDiffer',
    what: 'when an engine does not follow',
    series: {
      'eventflow_config_info{job="e",instance="a",hash="x",generation="1"}': '1x60',
      'eventflow_config_info{job="e",instance="b",hash="y",generation="2"}': '1x29 stale',
    },
    firing: { 10: 0, 20: 1, 40: 0 },
  },
  {
    alert: 'EventFlowRolledBack',
    what: 'when it stays so for an hour',
    series: { 'eventflow_config_rolled_back{job="e",instance="a"}': '1x30 0x9 1x80 0x20' },
    firing: { 35: 0, 90: 0, 110: 1, 130: 0 },
  },
  {
    alert: 'EventFlowDetachedGroups',
    what: 'once for all engines that count them, when they wait for an hour',
    series: {
      'eventflow_detached_entries{job="e",instance="a"}': '0x4 7x90 0x20',
      'eventflow_detached_entries{job="e",instance="b"}': '0x4 7x90 0x20',
    },
    firing: { 30: 0, 80: 1, 110: 0 },
  },
  {
    alert: 'EventFlowDurabilityBestEffort',
    what: 'unless nobody asked for durability',
    series: {
      'eventflow_bus_durability{job="e",instance="a",mode="fsync"}': '0x9 1x20',
      'eventflow_bus_durability{job="e",instance="b",mode="none"}': '0x40',
    },
    firing: { 2: 0, 8: 1, 15: 0 },
  },
  {
    alert: 'EventFlowStoreUnsafe',
    what: 'at once, for the engine that saw it',
    series: {
      'eventflow_bus_unsafe{job="e",instance="a"}': '0x4 1x9 0x20',
      'eventflow_bus_unsafe{job="e",instance="b"}': '0x40',
    },
    firing: { 4: 0, 6: 1, 30: 0 },
  },
  {
    alert: 'EventFlowStoreReset',
    what: 'when something was gone, not for other faults',
    series: {
      'eventflow_bus_errors_total{job="e",instance="a",kind="store_reset"}': '0x9 2x110',
      'eventflow_bus_errors_total{job="e",instance="a",kind="connection"}': '0+5x120',
    },
    firing: { 8: 0, 12: 1, 60: 1, 110: 0 },
  },
  {
    alert: 'EventFlowStoreNearlyFull',
    what: 'when it stays above four fifths',
    series: { 'eventflow_bus_fill_ratio{job="e",instance="a"}': '0.9x2 0.5x3 0.85x9 0.4x20' },
    firing: { 3: 0, 8: 0, 13: 1, 30: 0 },
  },
  {
    alert: 'EventFlowIngestClosed',
    what: 'for each reason by itself',
    series: {
      'eventflow_ingest_closed{job="e",instance="a",reason="memory"}': '0x4 1x9 0x20',
      'eventflow_ingest_closed{job="e",instance="a",reason="lag"}': '0x40',
    },
    firing: { 4: 0, 8: 1, 20: 0 },
  },
  {
    alert: 'EventFlowNoConsumer',
    what: 'when no engine runs the route; one is enough',
    series: {
      [`eventflow_route_running{${one}}`]: '1x4 0x14 1x20',
      [`eventflow_route_running{${two}}`]: '0x40',
    },
    firing: { 4: 0, 15: 1, 25: 0 },
  },
  {
    alert: 'EventFlowNothingMoves',
    what: 'when events wait and nothing is attempted',
    series: {
      [lag('a')]: '5x60',
      [`eventflow_attempts_total{${one},outcome="delivered",error_type="none"}`]: '0x39 1+10x30',
      [`eventflow_unmatched_total{${one}}`]: '0x70',
      [`eventflow_held_deliveries{${one}}`]: '0x70',
    },
    firing: { 5: 0, 30: 1, 60: 0 },
  },
  {
    alert: 'EventFlowNothingMoves',
    what: 'not while the circuit holds the route, which has an alert of its own',
    series: {
      [lag('a')]: '5x60',
      [`eventflow_attempts_total{${one},outcome="delivered",error_type="none"}`]: '0x60',
      [`eventflow_unmatched_total{${one}}`]: '0x60',
      [`eventflow_held_deliveries{${one}}`]: '5x60',
    },
    firing: { 30: 0, 60: 0 },
  },
  {
    alert: 'EventFlowLagGrowing',
    what: 'when the lag grows, however many engines report it; a small or a steady one holds back',
    series: { [lag('a')]: '0+50x40 2000x40', [lag('b')]: '0+50x40 2000x40' },
    firing: { 5: 0, 35: 1, 75: 0 },
  },
  {
    alert: 'EventFlowLagGrowing',
    what: 'not for 60 events that two engines report: they are 60, not 120',
    series: { [lag('a')]: '0+2x30', [lag('b')]: '0+2x30' },
    firing: { 30: 0 },
  },
  {
    alert: 'EventFlowRetriesOverdue',
    what: 'when retries stay late',
    series: { [`eventflow_retry_overdue_seconds{${one}}`]: '5x4 90x14 0x20' },
    firing: { 6: 0, 15: 1, 30: 0 },
  },
  {
    alert: 'EventFlowEntriesLost',
    what: 'at the first lost entry, and stays for an hour',
    series: { [`eventflow_lost_total{${one}}`]: '0x9 1x120' },
    firing: { 9: 0, 12: 1, 60: 1, 110: 0 },
  },
  {
    alert: 'EventFlowConservationResidue',
    what: 'when events are nowhere for good, not for a moment',
    series: {
      [`eventflow_conservation_residue{${one}}`]: '0x4 3 0x10 3x40 0x60',
      [`eventflow_conservation_residue{${two}}`]: '0x4 0 0x10 3x40 0x60',
    },
    firing: { 6: 0, 14: 0, 50: 1, 100: 0 },
  },
  {
    alert: 'EventFlowDlqGrowing',
    what: 'while dead letters pile up, not while they rest',
    series: { [`eventflow_dlq_depth{${one}}`]: '7x19 7+1x20 28x60' },
    firing: { 18: 0, 30: 1, 90: 0 },
  },
  {
    alert: 'EventFlowDlqDropped',
    what: 'as soon as one is dropped',
    series: { [`eventflow_dlq_dropped_total{${one}}`]: '3x19 9x60' },
    firing: { 18: 0, 22: 1, 60: 0 },
  },
  {
    alert: 'EventFlowDlqOldestTooOld',
    what: 'when nobody decides for a day',
    series: { [`eventflow_dlq_oldest_seconds{${one}}`]: '80000x4 90000x14 0x20' },
    firing: { 4: 0, 15: 1, 30: 0 },
  },
  {
    alert: 'EventFlowDlqNearlyFull',
    what: 'before anything is dropped or the route stops',
    series: { [`eventflow_dlq_depth{${one}}`]: '70000x4 85000x14 10x20' },
    firing: { 4: 0, 15: 1, 30: 0 },
  },
  {
    alert: 'EventFlowCircuitFlapping',
    what: 'when a circuit opens again and again, not when it opens now and then',
    series: {
      [`eventflow_circuit_transitions_total{${one},from="closed",to="open"}`]: '0x9 1x29 2+1x9 11x80',
      [`eventflow_circuit_transitions_total{${one},from="half_open",to="open"}`]: '0+5x130',
    },
    firing: { 30: 0, 48: 1, 110: 0 },
  },
  {
    alert: 'EventFlowCircuitOpen',
    what: 'after its own maxOpenFor, probes in between notwithstanding',
    series: {
      [`eventflow_circuit_state{${one},state="open"}`]: '0 1x4 0 1x10 0x20',
      [`eventflow_circuit_state{${one},state="half_open"}`]: '0 0x4 1 0x10 0x20',
      [`eventflow_circuit_state{${one},state="closed"}`]: '1 0x16 1x20',
    },
    firing: { 5: 0, 9: 0, 14: 1, 30: 0 },
  },
  {
    alert: 'EventFlowHeldTooLong',
    what: 'when half of maxAge is gone',
    series: { [`eventflow_held_oldest_seconds{${one}}`]: '40000x4 50000x14 0x20' },
    firing: { 4: 0, 15: 1, 30: 0 },
  },
  {
    alert: 'EventFlowSloBurnsFast',
    what: 'within minutes when a tenth is missed, not for a moment of it, and ends soon after the fault',
    series: { [slo('good')]: '0+60x30 1800+54x60 5040+60x200', [slo('slow')]: '0x30 0+6x60 360x200' },
    firing: { 29: 0, 60: 1, 90: 1, 140: 0 },
  },
  {
    alert: 'EventFlowSloBurnsFast',
    what: 'within hours at a slower rate, for dead letters as for late ones, of all engines together',
    series: {
      [slo('good')]: '0+60x800',
      [slo('good', 'b')]: '0+60x800',
      [slo('failed', 'b')]: '0x360 0+1x440',
    },
    firing: { 400: 0, 750: 1 },
  },
  {
    alert: 'EventFlowSloBurnsFast',
    what: 'at no rate that the budget allows, and not for one delivery of a quiet route',
    series: { [slo('good')]: '0+1x60 61x100', [slo('slow')]: '0x90 1x70' },
    firing: { 60: 0, 95: 0, 120: 0 },
  },
  {
    alert: 'EventFlowSloBurnsSlowly',
    what: 'after hours of a rate that would use up the budget, and not before',
    series: { [slo('good')]: '0+600x1200', [slo('slow')]: '0x600 0+3x200 600x400' },
    firing: { 650: 0, 800: 1, 1190: 0 },
  },
];

test('every alert has a scenario', () => {
  const alerts = new Set(rulesOf(generateAlerts(shop())).map(({ alert }) => alert));
  assert.deepEqual(new Set(scenarios.map(({ alert }) => alert)), alerts);
});

async function runScenario(t: TestContext, { alert, series, firing }: Scenario): Promise<Ran> {
  const { pipelines, ...rest } = shop();
  const all = Object.entries(generateAlerts({ ...rest, pipelines }));
  const rules = Object.fromEntries(all.filter(([, text]) => text.includes(`alert: ${alert}\n`)));
  const spec = {
    rule_files: Object.keys(rules),
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: Object.entries(firing).map(([minute, count]) => ({
          expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
          eval_time: `${minute}m`,
          exp_samples: [{ labels: '{}', value: count }],
        })),
      },
    ],
  };
  const dir = await withFiles(t, { ...rules, 'test.yaml': stringify(spec) });
  return promtool(['test', 'rules', join(dir, 'test.yaml')]);
}

for (const scenario of scenarios) {
  test(`${scenario.alert} fires ${scenario.what}`, async (t) => {
    const ran = await runScenario(t, scenario);
    assert.equal(ran.code, 0, ran.output);
  });
}

test('an alert reaches its reader in whole sentences', async (t) => {
  const files = generateAlerts(generation([route('orders.receipt')]));
  const spec = {
    rule_files: Object.keys(files),
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: [{ series: `eventflow_retry_overdue_seconds{${one}}`, values: '90x20' }],
        alert_rule_test: [
          {
            eval_time: '10m',
            alertname: 'EventFlowRetriesOverdue',
            exp_alerts: [
              {
                exp_labels: {
                  severity: 'warning',
                  team: 'payments',
                  pipeline: 'orders',
                  route: 'receipt',
                  handler: 'webhook',
                },
                exp_annotations: {
                  summary: 'Retries are not put back into play in time.',
                  description: 'The most overdue retry of orders.receipt is 1m 30s late.',
                  runbook_url: 'runbooks/EventFlowRetriesOverdue.md',
                },
              },
            ],
          },
        ],
      },
    ],
  };
  const dir = await withFiles(t, { ...files, 'test.yaml': stringify(spec) });
  const ran = await promtool(['test', 'rules', join(dir, 'test.yaml')]);
  assert.equal(ran.code, 0, ran.output);
});
