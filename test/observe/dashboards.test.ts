import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { generateDashboards } from '../../engine/observe/dashboards/index.ts';
import { type MetricName, metricOf, nodeMetrics, table } from '../../engine/observe/table.ts';
import { type Dashboard, exprsOf, panelsOf, parseDashboards, type QueryVariable } from './grafana.ts';
import { familyOf, type Selector, selectorsOf, substitute } from './promql.ts';
import { breaker, generation, promtool, route, shop } from './world.ts';

const dashboards = parseDashboards(generateDashboards(shop()));
const each = (name: string, check: (dashboard: Dashboard) => void): void => {
  for (const [file, dashboard] of dashboards) test(`${file}: ${name}`, () => check(dashboard));
};

const tableNames: ReadonlySet<string> = new Set(table.map(({ name }) => name));
const nodeNames: ReadonlySet<string> = new Set(nodeMetrics);

const selectors = (dashboard: Dashboard): readonly Selector[] =>
  exprsOf(dashboard).flatMap(({ expr }) => selectorsOf(expr));

test('there is an overview, and one dashboard per pipeline', () => {
  assert.deepEqual(
    [...dashboards.keys()],
    ['eventflow-overview.json', 'eventflow-pipeline-accounts.json', 'eventflow-pipeline-orders.json'],
  );
});

test('the same pipelines give the same bytes, in whichever order they were read', () => {
  const { pipelines, ...rest } = shop();
  assert.deepEqual(generateDashboards({ ...rest, pipelines: pipelines.toReversed() }), generateDashboards(shop()));
});

// ── what an import needs ─────────────────────────────────────────────────────────────────────────────────────────

each('has a uid that Grafana takes, no id, and cannot be edited in place', (dashboard) => {
  assert.match(dashboard.uid, /^[a-z0-9-]{1,40}$/);
  assert.equal(dashboard.id, null);
  assert.equal(dashboard.editable, false);
  assert.ok(!('__inputs' in dashboard) && !('__requires' in dashboard) && !('version' in dashboard));
});

test('uids and file names differ also for pipelines with long, similar names', () => {
  const names = ['a-very-long-pipeline-name-for-invoices', 'a-very-long-pipeline-name-for-receipts'];
  const files = parseDashboards(generateDashboards(generation(names.map((name) => route(`${name}.r`)))));
  assert.equal(new Set([...files.values()].map(({ uid }) => uid)).size, 3);
});

each('has unique panel ids and a layout without overlaps inside 24 columns', (dashboard) => {
  const ids = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.every((id) => Number.isInteger(id) && id > 0 && id < 2 ** 31));
  const taken = new Set<string>();
  for (const { title, gridPos } of dashboard.panels) {
    assert.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24, title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(!taken.has(`${x},${y}`), `${title} overlaps at ${x},${y}`);
        taken.add(`${x},${y}`);
      }
    }
  }
});

test('panel ids survive a route that is added before them', () => {
  const idsOf = (files: Record<string, string>): ReadonlyMap<string, number> => {
    const dashboard = parseDashboards(files).get('eventflow-pipeline-orders.json') as Dashboard;
    return new Map(exprsOf(dashboard).map(({ panel, expr }) => [expr, panel.id]));
  };
  const before = idsOf(generateDashboards(generation([route('orders.receipt')])));
  const after = idsOf(generateDashboards(generation([route('orders.audit'), route('orders.receipt')])));
  for (const [expr, id] of before) assert.equal(after.get(expr), id);
});

// ── the rules of Grafana's dashboard-linter ──────────────────────────────────────────────────────────────────────

each('chooses its data source by a variable, in every panel and target', (dashboard) => {
  const variable = dashboard.templating.list.find(({ name }) => name === 'datasource');
  assert.deepEqual([variable?.type, variable?.query], ['datasource', 'prometheus']);
  const chosen = { type: 'prometheus', uid: '${datasource}' };
  for (const panel of panelsOf(dashboard)) {
    assert.deepEqual(panel.datasource, chosen, panel.title);
    for (const target of panel.targets) assert.deepEqual(target.datasource, chosen, panel.title);
  }
});

each('has variables for job, instance, pipeline and route, asked again when the time changes', (dashboard) => {
  const names = dashboard.templating.list.map(({ name }) => name);
  assert.deepEqual(names, ['datasource', 'job', 'instance', 'pipeline', 'route']);
  const queries = dashboard.templating.list.filter((variable): variable is QueryVariable => variable.type === 'query');
  for (const variable of queries) {
    assert.deepEqual(variable.datasource, { type: 'prometheus', uid: '${datasource}' });
    assert.deepEqual([variable.refresh, variable.multi, variable.includeAll, variable.allValue], [2, true, true, '.+']);
    const asked = /^label_values\((.*), (\w+)\)$/.exec(variable.query.query);
    assert.ok(asked?.[1] !== undefined && asked[2] !== undefined, variable.query.query);
    for (const { metric } of selectorsOf(asked[1])) assertLabel(metric, asked[2]);
  }
});

function assertLabel(metric: string, label: string): void {
  assert.ok(tableNames.has(metric), metric);
  const known = ['job', 'instance', ...metricOf(metric as MetricName).labels];
  assert.ok(known.includes(label), `${metric} has no label ${label}`);
}

each('has a title, a description and a unit on every panel, and something to ask', (dashboard) => {
  for (const panel of panelsOf(dashboard)) {
    assert.notEqual(panel.title, '');
    assert.match(panel.description, /\w{2}/, panel.title);
    assert.match(panel.fieldConfig.defaults.unit, /^(short|s|reqps|percentunit|bytes|bool)$/, panel.title);
    assert.notEqual(panel.fieldConfig.defaults.noValue, '');
    assert.ok(panel.targets.length > 0, panel.title);
    const refs = panel.targets.map(({ refId }) => refId);
    assert.equal(new Set(refs).size, refs.length);
  }
});

each('asks valid PromQL for metrics that exist, with labels that they have', (dashboard) => {
  for (const { metric, matchers } of selectors(dashboard)) {
    const family = familyOf(metric);
    assert.ok(tableNames.has(family) || nodeNames.has(metric), `${metric} is not in the table`);
    if (!tableNames.has(family)) continue;
    for (const matcher of matchers) assertLabel(family, /^\w+/.exec(matcher)?.[0] ?? '');
  }
});

each('asks for the chosen jobs and engines, and for the chosen pipelines where there are routes', (dashboard) => {
  for (const { expr } of exprsOf(dashboard)) {
    const clear = expr.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '1h');
    for (const { metric, matchers } of selectorsOf(clear)) {
      assert.ok(matchers.includes('job=~".+"') && matchers.includes('instance=~".+"'), `${metric} in ${expr}`);
      const family = familyOf(metric);
      if (!tableNames.has(family) || !metricOf(family as MetricName).labels.includes('pipeline')) continue;
      assert.ok(
        matchers.some((matcher) => matcher.startsWith('pipeline=~')),
        expr,
      );
      assert.ok(
        matchers.some((matcher) => matcher.startsWith('route=')),
        expr,
      );
    }
  }
});

each('reads counters as rates over $__rate_interval, and nothing else that way', (dashboard) => {
  for (const { expr } of exprsOf(dashboard)) {
    for (const { metric, range, inFunction } of selectorsOf(expr)) {
      const counter = /_(total|bucket|sum|count)$/.test(metric);
      assert.equal(inFunction === 'rate' || inFunction === 'increase', counter, `${metric} in ${expr}`);
      if (inFunction === 'rate') assert.equal(range, '5m', 'what $__rate_interval was replaced by');
    }
    assert.doesNotMatch(expr, /\brate\([^)]*\[(?!\$__rate_interval\])/);
  }
});

each('takes what every engine reads from the bus once, not once per engine', (dashboard) => {
  const fromBus = new Set<string>(table.filter(({ scope }) => scope === 'bus').map(({ name }) => name));
  for (const { expr } of exprsOf(dashboard)) {
    for (const [, metric = ''] of expr.matchAll(/\bsum(?: by \([^)]*\) )?\((?:\w+\()?(eventflow_\w+)/g)) {
      assert.ok(!fromBus.has(metric), expr);
    }
  }
});

test('promtool takes every expression', async (t) => {
  const rules = [...dashboards.values()].flatMap((dashboard) =>
    exprsOf(dashboard).map(({ panel, target, expr }) => ({
      record: 'panel:expression',
      expr: substitute(expr),
      labels: { panel: `${dashboard.uid}-${panel.id}-${target.refId}` },
    })),
  );
  const dir = await mkdtemp(join(tmpdir(), 'eventflow-dashboards-'));
  t.after(() => rm(dir, { recursive: true }));
  await writeFile(join(dir, 'panels.yaml'), stringify({ groups: [{ name: 'panels', rules }] }));
  const checked = await promtool(['check', 'rules', '--lint=all', '--lint-fatal', join(dir, 'panels.yaml')]);
  assert.equal(checked.code, 0, checked.output);
});

// ── from the configuration ───────────────────────────────────────────────────────────────────────────────────────

const rowOf = (files: Record<string, string>, id: string): ReturnType<typeof panelsOf> => {
  const dashboard = parseDashboards(files).get('eventflow-pipeline-orders.json') as Dashboard;
  return panelsOf(dashboard).filter(({ targets }) => targets.some(({ expr }) => expr.includes(`route="${id}"`)));
};

test("a route's thresholds come from its configuration", () => {
  const strict = route('orders.receipt', {
    timeout: 3_000,
    concurrency: 10,
    maxAge: 60_000,
    deadLetter: { retention: 86_400_000, maxEntries: 200, onFull: 'pause' },
    breaker: { ...breaker, maxOpenFor: 120_000 },
  });
  const panels = rowOf(generateDashboards(generation([strict])), 'receipt');
  const worst = (title: string): unknown =>
    panels.find((panel) => panel.title === title)?.fieldConfig.defaults.thresholds.steps.at(-1);
  assert.deepEqual(worst('Handler time'), { color: 'red', value: 3 });
  assert.deepEqual(worst('Handlers running'), { color: 'red', value: 10 });
  assert.deepEqual(worst('Delivery latency'), { color: 'red', value: 60 });
  assert.deepEqual(worst('Dead letters'), { color: 'red', value: 160 });
  assert.deepEqual(worst('Held for'), { color: 'red', value: 120 });
});

test('each enabled route has a row, and only one with a breaker shows a circuit', () => {
  const files = generateDashboards(shop());
  const asksForCircuit = (id: string): boolean =>
    rowOf(files, id).some(({ targets }) => targets.some(({ expr }) => expr.includes('circuit')));
  assert.ok(asksForCircuit('receipt'));
  assert.ok(rowOf(files, 'audit').length > 0 && !asksForCircuit('audit'));
  assert.deepEqual(rowOf(files, 'paused'), []);
});

test('a metric with a panel of its own in the table is on a dashboard', () => {
  const shown = new Set([...dashboards.values()].flatMap(selectors).map(({ metric }) => familyOf(metric)));
  const missing = table.filter((metric) => 'panel' in metric && !shown.has(metric.name)).map(({ name }) => name);
  assert.deepEqual(missing, []);
});
