/** Alerts about the engines and the bus, whatever the pipelines are. */
import { by, highest, increase, is, type Scope, select, within } from '../promql.ts';
import { type AlertRule, hours, minutes } from './rule.ts';

const everywhere: Scope = { matchers: [], range: '5m' };
const engine = ['job', 'instance'] as const;

export const engineAlerts = (): readonly AlertRule[] => [
  {
    alert: 'EventFlowEngineAbsent',
    expr: `absent(${select('eventflow_build_info', everywhere)})`,
    pendingFor: minutes(5),
    keepFiringFor: minutes(1),
    severity: 'critical',
    summary: 'No engine answers.',
    description:
      'Prometheus has had no numbers from any engine for 5 minutes: events are accepted by nobody, or nobody is watched.',
  },
  {
    alert: 'EventFlowBusDown',
    expr: `${highest('eventflow_bus_up', engine, everywhere)} == 0`,
    pendingFor: minutes(1),
    keepFiringFor: minutes(1),
    severity: 'critical',
    summary: 'The bus does not answer an engine.',
    description: 'Engine {{ $labels.instance }} gets no answer from its bus: it accepts no events and delivers none.',
  },
  {
    alert: 'EventFlowConfigReloadFailed',
    expr: `${highest('eventflow_config_last_reload_successful', engine, everywhere)} == 0`,
    pendingFor: minutes(5),
    keepFiringFor: 0,
    severity: 'warning',
    summary: 'The pipelines on disk are refused.',
    description:
      'Engine {{ $labels.instance }} goes on with the pipelines from before; `eventflow validate` shows what is wrong with the new ones.',
  },
  {
    alert: 'EventFlowGenerationsDiffer',
    expr: `${by('count', ['job'], by('count', ['job', 'hash'], select('eventflow_config_info', everywhere)))} > 1`,
    pendingFor: minutes(15),
    keepFiringFor: 0,
    severity: 'warning',
    summary: 'Engines run different pipelines.',
    description:
      '{{ $value }} different generations run in job {{ $labels.job }}: some engine did not get the files, or refused them.',
  },
  {
    alert: 'EventFlowRolledBack',
    expr: `${highest('eventflow_config_rolled_back', engine, everywhere)} == 1`,
    pendingFor: hours(1),
    keepFiringFor: 0,
    severity: 'warning',
    summary: 'An engine runs other pipelines than its files say.',
    description:
      'Engine {{ $labels.instance }} was rolled back, or started with its last good pipelines, an hour ago: mend the files, then `eventflow reload`.',
  },
  {
    alert: 'EventFlowDetachedGroups',
    expr: `${highest('eventflow_detached_entries', ['job'], everywhere)} > 0`,
    pendingFor: hours(1),
    keepFiringFor: 0,
    severity: 'warning',
    summary: 'Events wait for a route that no engine has.',
    description:
      '{{ $value }} events wait in groups of removed routes, and are kept until their route is back or somebody purges them: `eventflow routes`.',
  },
  {
    alert: 'EventFlowDurabilityBestEffort',
    expr: `${highest('eventflow_bus_durability', [...engine, 'mode'], within(everywhere, 'mode!="none"'))} == 0`,
    pendingFor: minutes(5),
    keepFiringFor: 0,
    severity: 'warning',
    summary: 'Accepted events may not survive a crash of the bus.',
    description:
      'Engine {{ $labels.instance }} could not verify what durability mode {{ $labels.mode }} promises; its log says which setting of the bus to change.',
  },
  ...storeAlerts(),
];

const storeAlerts = (): readonly AlertRule[] => [
  {
    alert: 'EventFlowStoreUnsafe',
    expr: `${highest('eventflow_bus_unsafe', engine, everywhere)} == 1`,
    pendingFor: 0,
    keepFiringFor: minutes(5),
    severity: 'critical',
    summary: 'The store may drop accepted events.',
    description:
      'The store of engine {{ $labels.instance }} is set up so that it drops keys when it is full; the log of the engine says what to set.',
  },
  {
    alert: 'EventFlowStoreReset',
    expr: `${increase('eventflow_bus_errors_total', engine, within({ ...everywhere, range: '15m' }, is('kind', 'store_reset')))} > 0`,
    pendingFor: 0,
    keepFiringFor: hours(1),
    severity: 'critical',
    summary: 'Streams or groups were gone from the store.',
    description:
      'Engine {{ $labels.instance }} found streams or groups gone and made them again: somebody emptied the store or deleted from it, or it came back without its data. What had rested there is lost.',
  },
  {
    alert: 'EventFlowStoreNearlyFull',
    expr: `${highest('eventflow_bus_fill_ratio', ['job'], everywhere)} > 0.8`,
    pendingFor: minutes(5),
    keepFiringFor: minutes(5),
    severity: 'warning',
    summary: 'The store is nearly full.',
    description:
      'The store of job {{ $labels.job }} uses {{ $value | humanizePercentage }} of its memory; engines refuse new events before it is full.',
  },
  {
    alert: 'EventFlowIngestClosed',
    expr: `${highest('eventflow_ingest_closed', [...engine, 'reason'], everywhere)} == 1`,
    pendingFor: minutes(1),
    keepFiringFor: minutes(1),
    severity: 'critical',
    summary: 'New events are refused.',
    description:
      'Engine {{ $labels.instance }} answers 503 to publishers, by reason of {{ $labels.reason }}; it goes on delivering what it has.',
  },
];
