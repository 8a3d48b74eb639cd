/** What the breakers were told and what they let through, over all engines. */
import type { BreakerState } from '../../engine/core/breaker.ts';
import type { BreakerPolicy, Route } from '../../engine/core/route.ts';
import type { EventEnvelope } from '../../engine/plugin.ts';
import { breakerKey } from '../../engine/worker/breakers.ts';
import type { BusModel } from './model/bus-model.ts';
import { routes } from './routes.ts';
import type { Run } from './run.ts';
import type { FakeTime, Host } from './time.ts';

/** An engine hears of a change within its poll of 1 s; and of its own at once. */
const hearsWithinMs = 1_500;

interface Probe {
  readonly key: string;
  readonly host: Host;
  readonly expiresAt: number;
  /** Leased without the store, which did not answer. */
  readonly alone: boolean;
  runs: number;
  running: boolean;
  /** The store knows of it no more. */
  over: boolean;
}

function keyOf(route: Route, event: EventEnvelope): string {
  const scope = route.breaker?.scope;
  return typeof scope === 'object' ? `key:${route.group}:${scope.key(event)}` : breakerKey(route);
}

export class BreakerLedger {
  readonly #run: Run;
  readonly #time: FakeTime;
  readonly #policies: ReadonlyMap<string, BreakerPolicy>;
  readonly #probes = new Map<string, Probe>();
  /** Runs that were admitted in a period of a breaker and did not end well: `key period` → number. */
  readonly #unwell = new Map<string, number>();
  /** `host key`: hosts that had to go by their own state once. */
  readonly #wentAlone = new Set<string>();
  /** From then on versions are given twice, so that an engine may go on from a state that the store has forgotten. */
  #rolledBack = false;
  readonly #notClosedSince = new Map<string, number>();

  constructor(run: Run, time: FakeTime) {
    this.#run = run;
    this.#time = time;
    this.#policies = new Map(
      routes.flatMap((route): [string, BreakerPolicy][] =>
        route.breaker === undefined ? [] : [[breakerKey(route), route.breaker]],
      ),
    );
  }

  /** The store took a new state. */
  changed(key: string, before: BreakerState | undefined, after: BreakerState, host: Host): void {
    const { now } = this.#time;
    const policy = this.#policyOf(key);
    if (policy === undefined) return;
    if (before?.kind !== after.kind) this.#run.cover(`breaker: ${before?.kind ?? 'new'} → ${after.kind}`);
    if (after.kind === 'closed') this.#notClosedSince.delete(key);
    else if (!this.#notClosedSince.has(key)) this.#notClosedSince.set(key, now);
    if ((before?.kind ?? 'closed') === 'closed' && after.kind === 'open') this.#mayOpen(key, policy, before);
    const alone = this.#wentAlone.has(`${host.name} ${key}`);
    if (after.kind === 'closed' && before?.kind === 'open' && !alone && !this.#rolledBack) {
      this.#run.fail('a breaker closes after a probe', `${key} by ${host.name}`);
    }
    this.#ended(key, after, host);
    if (after.kind === 'half_open') this.#leased(key, policy, before, after, host);
  }

  #mayOpen(key: string, { rule }: BreakerPolicy, before: BreakerState | undefined): void {
    const unwell = this.#unwell.get(`${key} ${before?.period ?? 0}`) ?? 0;
    if (rule.kind !== 'consecutive' || unwell >= rule.failures) return;
    const detail = `${key} opened in period ${before?.period ?? 0} with ${unwell} of ${rule.failures} failures`;
    this.#run.fail('only failures of its own period open a breaker', detail);
  }

  #leased(
    key: string,
    policy: BreakerPolicy,
    before: BreakerState | undefined,
    after: Extract<BreakerState, { kind: 'half_open' }>,
    host: Host,
  ): void {
    const { now } = this.#time;
    const early = !this.#rolledBack && before?.kind === 'open' && now < before.until;
    const live = after.probes.filter((probe) => probe.expiresAt > now).length;
    if (early || live + after.successes > policy.halfOpenProbes) {
      const detail = `${key}: ${live} leased and ${after.successes} done of ${policy.halfOpenProbes}`;
      this.#run.fail('no more probes than the policy allows', early ? `${key} before its time` : detail);
    }
    for (const { id, expiresAt } of after.probes) {
      if (!this.#probes.has(id))
        this.#probes.set(id, { key, host, expiresAt, alone: false, runs: 0, running: false, over: false });
    }
  }

  /** A probe ends by its answer, which takes it out of the state; nobody else may take it out while its lease lasts. */
  #ended(key: string, after: BreakerState, host: Host): void {
    const kept = new Set(after.kind === 'half_open' ? after.probes.map(({ id }) => id) : []);
    for (const [id, probe] of this.#probes) {
      if (probe.key !== key || probe.over || kept.has(id)) continue;
      const stolen = probe.running && probe.host !== host && probe.expiresAt > this.#time.now;
      if (stolen && after.kind === 'half_open') {
        this.#run.fail(
          'no more probes than the policy allows',
          `${host.name} leases over ${probe.host.name} on ${key}`,
        );
      }
      probe.over = true;
    }
  }

  /** The store did not answer `host`, which goes by its own state. */
  alone(host: Host, key: string, state: BreakerState): void {
    this.#wentAlone.add(`${host.name} ${key}`);
    if (state.kind !== 'half_open') return;
    this.#run.note(() => `${host.name} probes by itself`);
    for (const { id, expiresAt } of state.probes) {
      if (!this.#probes.has(id))
        this.#probes.set(id, { key: '', host, expiresAt, alone: true, runs: 0, running: false, over: false });
    }
  }

  #policyOf(key: string): BreakerPolicy | undefined {
    const [, group = ''] = key.split(':');
    return this.#policies.get(key.startsWith('key:') ? `route:${group}` : key);
  }

  started(route: Route, event: EventEnvelope, period: number, probe: string | undefined, host: Host): void {
    const key = keyOf(route, event);
    const policy = this.#policyOf(key);
    if (policy === undefined) return;
    if (probe === undefined) return this.#startedPlain(key, period, host);
    this.#run.cover('probe');
    const leased = this.#probes.get(probe);
    if (leased === undefined) return this.#run.fail('a probe runs with a lease', `${key} by ${host.name}`);
    leased.runs += 1;
    leased.running = true;
    const { now } = this.#time;
    const running = [...this.#probes.values()].filter(
      (one) => one.key === key && one.running && one.expiresAt > now && !one.alone && !one.over,
    );
    this.#run.note(() => `${host.name} probes ${key} in period ${period} with ${probe}`);
    if (leased.runs > 1 || running.length > policy.halfOpenProbes) {
      this.#run.fail(
        'no more probes than the policy allows',
        `${key}: ${running.length} run, one ${leased.runs} times`,
      );
    }
  }

  #startedPlain(key: string, period: number, host: Host): void {
    const place = `${key} ${period}`;
    this.#unwell.set(place, (this.#unwell.get(place) ?? 0) + 1);
    const since = this.#notClosedSince.get(key);
    const known = Math.max(since ?? Number.POSITIVE_INFINITY, host.troubledAt, host.startedAt) + hearsWithinMs;
    if (this.#time.now <= known) return;
    const detail = `${key}, not closed for ${this.#time.now - (since ?? 0)} ms, by ${host.name}`;
    this.#run.fail('an open breaker lets nothing through but probes', detail);
  }

  /** `well`: in time, and not against the target. */
  ended(route: Route, event: EventEnvelope, period: number, probe: string | undefined, well: boolean): void {
    const key = keyOf(route, event);
    if (probe !== undefined) {
      const leased = this.#probes.get(probe);
      if (leased !== undefined) leased.running = false;
    } else if (well) this.#unwell.set(`${key} ${period}`, (this.#unwell.get(`${key} ${period}`) ?? 0) - 1);
  }

  rolledBack(model: BusModel): void {
    this.#rolledBack = true;
    for (const probe of this.#probes.values()) probe.over = true;
    this.#notClosedSince.clear();
    for (const { key, state } of model.breakers()) {
      if (state.kind !== 'closed') this.#notClosedSince.set(key, this.#time.now);
    }
  }
}
