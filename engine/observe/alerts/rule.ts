/** One alert rule, and the words that every rule has. */

export type Severity = 'critical' | 'warning' | 'info';

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  /** ms. */
  readonly pendingFor: number;
  /** ms; keeps an alert that comes and goes from paging each time. */
  readonly keepFiringFor: number;
  readonly severity: Severity;
  /** Set when the rule is about one route, so that rules of the same name can be told apart. */
  readonly labels?: { readonly pipeline: string; readonly route: string };
  /** One sentence that is the same for every instance of the alert. */
  readonly summary: string;
  /** What this instance says; a Prometheus template. */
  readonly description: string;
}

/** What other rules read in place of many series. */
export interface RecordingRule {
  readonly record: string;
  readonly expr: string;
}

export const minutes = (count: number): number => count * 60_000;
export const hours = (count: number): number => minutes(count * 60);

/** `orders.receipt`, from the labels of the alert. */
export const thisRoute = '{{ $labels.pipeline }}.{{ $labels.route }}';
