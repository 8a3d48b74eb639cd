/** The parts of Grafana's classic dashboard JSON that the tests look at. */

export interface Target {
  readonly refId: string;
  readonly datasource: unknown;
  readonly expr: string;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description: string;
  readonly datasource: unknown;
  readonly targets: readonly Target[];
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig: {
    readonly defaults: {
      readonly unit: string;
      readonly noValue: string;
      readonly thresholds: { readonly steps: readonly { readonly color: string; readonly value: number | null }[] };
    };
  };
}

export interface QueryVariable {
  readonly type: 'query';
  readonly name: string;
  readonly datasource: unknown;
  readonly query: { readonly query: string };
  readonly refresh: number;
  readonly multi: boolean;
  readonly includeAll: boolean;
  readonly allValue: string;
}

export interface PlainVariable {
  readonly type: 'datasource' | 'constant';
  readonly name: string;
  readonly query: string;
}

export interface Dashboard {
  readonly id: null;
  readonly uid: string;
  readonly editable: boolean;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly (QueryVariable | PlainVariable)[] };
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] };
}

export const parseDashboards = (files: Readonly<Record<string, string>>): ReadonlyMap<string, Dashboard> =>
  new Map(Object.entries(files).map(([file, text]) => [file, JSON.parse(text) as Dashboard]));

/** Without the heads of rows. */
export const panelsOf = (dashboard: Dashboard): readonly Panel[] =>
  dashboard.panels.filter(({ type }) => type !== 'row');

export const exprsOf = (
  dashboard: Dashboard,
): readonly { readonly panel: Panel; readonly target: Target; readonly expr: string }[] =>
  panelsOf(dashboard).flatMap((panel) => panel.targets.map((target) => ({ panel, target, expr: target.expr })));
