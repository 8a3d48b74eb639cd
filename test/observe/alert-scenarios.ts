/** When each alert fires, holds back and resolves: series a minute apart, and how many alerts fire then. */

export interface Scenario {
  readonly alert: string;
  readonly what: string;
  /** Series and their values, one a minute, in promtool's notation. */
  readonly series: Readonly<Record<string, string>>;
  /** Minute → how many alerts fire then. */
  readonly firing: Readonly<Record<number, number>>;
}

export const one = 'job="e",instance="a",pipeline="orders",route="receipt",handler="webhook"';
const two = 'job="e",instance="b",pipeline="orders",route="receipt",handler="webhook"';
const lag = (instance: string): string =>
  `eventflow_consumer_lag{job="e",instance="${instance}",consumer_group="orders.receipt",pipeline="orders",route="receipt",stream="order.paid"}`;

const slo = (result: string, instance = 'a'): string =>
  `eventflow_slo_deliveries_total{job="e",instance="${instance}",pipeline="orders",route="receipt",handler="webhook",result="${result}"}`;

export const scenarios: readonly Scenario[] = [
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
