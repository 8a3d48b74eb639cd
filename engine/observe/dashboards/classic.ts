/** Grafana's classic dashboard JSON, as versions 9 to 13 import it. Key order, ids and layout depend on the content alone. */
import { createHash } from 'node:crypto';
import type { Dashboard, Panel, Row, Threshold } from './panel.ts';

type Json = Record<string, unknown>;

const datasource = { type: 'prometheus', uid: '${datasource}' } as const;
const columns = 24;
const heights: Readonly<Record<Panel['kind'], number>> = { stat: 4, timeseries: 8, 'state-timeline': 8 };

/** Grafana's schema version of 9.0; later ones bring it up to date when they load it. */
const schemaVersion = 36;

export function toClassic(dashboard: Dashboard): string {
  const json = {
    id: null,
    uid: dashboard.uid,
    title: dashboard.title,
    description: dashboard.description,
    tags: dashboard.tags,
    schemaVersion,
    editable: false,
    graphTooltip: 1,
    timezone: 'browser',
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    links: [siblings],
    annotations: { list: annotations(dashboard) },
    templating: { list: variables(dashboard) },
    panels: layOut(dashboard.rows),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

const siblings = {
  type: 'dashboards',
  title: 'EventFlow',
  tags: ['eventflow'],
  asDropdown: true,
  includeVars: true,
  keepTime: true,
  targetBlank: false,
  icon: 'external link',
  tooltip: '',
  url: '',
};

// ── variables and annotations ────────────────────────────────────────────────────────────────────────────────────

function variables({ pipeline }: Dashboard): Json[] {
  const chosen = 'job=~"$job",pipeline=~"$pipeline"';
  return [
    { type: 'datasource', name: 'datasource', label: 'Data source', query: 'prometheus', refresh: 1, hide: 0 },
    labelValues('job', 'Job', 'label_values(eventflow_build_info, job)'),
    labelValues('instance', 'Engine', 'label_values(eventflow_build_info{job=~"$job"}, instance)'),
    pipeline === undefined
      ? labelValues('pipeline', 'Pipeline', 'label_values(eventflow_route_running{job=~"$job"}, pipeline)')
      : { type: 'constant', name: 'pipeline', label: 'Pipeline', query: pipeline, hide: 2, skipUrlSync: true },
    labelValues('route', 'Route', `label_values(eventflow_route_running{${chosen}}, route)`),
  ];
}

const labelValues = (name: string, label: string, query: string): Json => ({
  type: 'query',
  name,
  label,
  datasource,
  definition: query,
  query: { query, refId: `variable-${name}` },
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  allValue: '.+',
  current: { selected: true, text: ['All'], value: ['$__all'] },
  hide: 0,
});

function annotations({ pipeline }: Dashboard): Json[] {
  const engine = 'job=~"$job",instance=~"$instance"';
  const route = `${engine},pipeline=~"$pipeline",route=~"$route"`;
  const reloads = `sum(increase(eventflow_config_reloads_total{${engine},result="changed"}[$__rate_interval])) > 0`;
  const openings = `sum by (pipeline, route) (increase(eventflow_circuit_opened_total{${route}}[$__rate_interval])) > 0`;
  const where = pipeline === undefined ? '{{pipeline}}.{{route}}' : '{{route}}';
  return [
    { name: 'Reloads', ...annotation(reloads, 'blue'), titleFormat: 'Pipelines reloaded', textFormat: '' },
    {
      name: 'Circuit openings',
      ...annotation(openings, 'red'),
      titleFormat: `Circuit opened: ${where}`,
      textFormat: '',
    },
  ];
}

const annotation = (expr: string, iconColor: string): Json => ({
  datasource,
  enable: true,
  hide: false,
  iconColor,
  expr,
  step: '60s',
});

// ── panels ───────────────────────────────────────────────────────────────────────────────────────────────────────

function layOut(rows: readonly Row[]): Json[] {
  const ids = new PanelIds();
  let y = 0;
  return rows.flatMap((row) => {
    const head = {
      id: ids.of(row.key),
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { h: 1, w: columns, x: 0, y: y++ },
      panels: [],
    };
    let x = 0;
    let line = 0;
    const panels = row.panels.map((panel) => {
      const height = heights[panel.kind];
      if (x + panel.width > columns) {
        x = 0;
        y += line;
        line = 0;
      }
      const gridPos = { h: height, w: panel.width, x, y };
      x += panel.width;
      line = Math.max(line, height);
      return { id: ids.of(`${row.key}/${panel.key}`), ...toPanel(panel), gridPos };
    });
    y += line;
    return [head, ...panels];
  });
}

/** Made of the key, not of the position: links to a panel outlive what is added before it. */
class PanelIds {
  readonly #taken = new Set<number>();

  of(key: string): number {
    let id = createHash('sha256').update(key).digest().readUInt32BE(0) >>> 2;
    while (id === 0 || this.#taken.has(id)) id++;
    this.#taken.add(id);
    return id;
  }
}

function toPanel(panel: Panel): Json {
  return {
    type: panel.kind,
    title: panel.title,
    description: panel.description,
    datasource,
    targets: panel.targets.map(({ expr, legend }, at) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + at),
      datasource,
      expr,
      legendFormat: legend,
      editorMode: 'code',
      range: true,
      instant: false,
    })),
    fieldConfig: { defaults: fieldDefaults(panel), overrides: [] },
    options: options(panel),
  };
}

function fieldDefaults(panel: Panel): Json {
  return {
    unit: panel.unit,
    ...(panel.signed ? {} : { min: 0 }),
    noValue: 'no data',
    color: { mode: panel.kind === 'timeseries' ? 'palette-classic' : 'thresholds' },
    thresholds: { mode: 'absolute', steps: steps(panel.thresholds) },
    mappings: mappings(panel),
    custom: panel.kind === 'timeseries' ? graphStyle(panel) : {},
  };
}

const steps = (thresholds: readonly Threshold[]): Json[] =>
  thresholds.length === 0
    ? [{ color: 'blue', value: null }]
    : thresholds.map(({ from, color }) => ({ color, value: from ?? null }));

function mappings({ words }: Panel): Json[] {
  if (words.length === 0) return [];
  const entries = words.map(({ value, text, color }, index) => [String(value), { text, color, index }]);
  return [{ type: 'value', options: Object.fromEntries(entries) }];
}

const graphStyle = ({ stacked, thresholds }: Panel): Json => ({
  drawStyle: 'line',
  lineWidth: 1,
  fillOpacity: stacked ? 30 : 10,
  showPoints: 'never',
  spanNulls: false,
  stacking: { mode: stacked ? 'normal' : 'none', group: 'A' },
  thresholdsStyle: { mode: thresholds.length === 0 ? 'off' : 'dashed' },
});

function options({ kind }: Panel): Json {
  switch (kind) {
    case 'stat':
      return {
        colorMode: 'value',
        graphMode: 'area',
        justifyMode: 'auto',
        textMode: 'auto',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      };
    case 'timeseries':
      return {
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
        tooltip: { mode: 'multi', sort: 'desc' },
      };
    case 'state-timeline':
      return {
        mergeValues: true,
        showValue: 'auto',
        rowHeight: 0.8,
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
        tooltip: { mode: 'single' },
      };
  }
}
