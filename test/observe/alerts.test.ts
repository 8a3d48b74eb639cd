import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { generateAlerts } from '../../engine/observe/alerts/index.ts';
import { table } from '../../engine/observe/table.ts';
import { one, type Scenario, scenarios } from './alert-scenarios.ts';
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
