/**
 * What was promised and what became of it, written down apart from the bus: every delivery of every event to every group.
 * The ledger is told what the store answered and what handlers did, and says at once when the two do not fit.
 */
import type { Entry, GroupSpec, Publication, PublishResult, SettleItem } from '../../engine/bus/bus.ts';
import { backoff } from '../../engine/core/backoff.ts';
import { matchAny } from '../../engine/core/match.ts';
import type { RunningDelivery } from '../../engine/worker/running.ts';
import { maxCrashes } from '../../engine/worker/suspects.ts';
import { BreakerLedger } from './breaker-ledger.ts';
import type { BusModel } from './model/bus-model.ts';
import { originOf, type Settled, type Swept } from './model/state.ts';
import { OrderLedger } from './order-ledger.ts';
import { newPair, type Pair, type Recorded, textOf } from './pairs.ts';
import { RateLedger } from './rate-ledger.ts';
import { leaseMs, removedGraceMs, routeByGroup } from './routes.ts';
import type { Run } from './run.ts';
import type { FakeTime, Host } from './time.ts';

/** Longer than any host freezes or any call takes, ms. */
const longestFreeze = 10_000;

export class Ledger {
  readonly breakers: BreakerLedger;
  readonly order: OrderLedger;
  readonly rates: RateLedger;
  readonly pairs = new Map<string, Map<string, Pair>>();
  /** Not settled yet, by group and origin. */
  readonly open = new Map<string, Map<string, Pair>>();
  readonly hosts = new Map<string, Host>();
  /** Consumers whose route has ended; what they could not hand back lies until its lease ends. */
  readonly left = new Set<string>();
  readonly #events = new Map<string, Recorded>();
  readonly #ids = new Set<string>();
  readonly #run: Run;
  readonly #time: FakeTime;
  /** When each route was last claimed, and when the last long time without a claim ended. */
  readonly #claims = new Map<string, { readonly at: number; readonly gapUntil: number }>();

  constructor(run: Run, time: FakeTime) {
    this.#run = run;
    this.#time = time;
    this.breakers = new BreakerLedger(run, time);
    this.order = new OrderLedger(run, time);
    this.rates = new RateLedger(run, time);
  }

  // ── publishing ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** What the store answered; whether the publisher hears of it is another matter. */
  published(model: BusModel, items: readonly Publication[], results: readonly PublishResult[]): void {
    for (const [at, result] of results.entries()) {
      const item = items[at] as Publication;
      if (result.kind !== 'accepted') continue;
      const origin = originOf(result.stream, result.entryId);
      if (this.#ids.has(item.eventId)) this.#run.fail('a resent publish makes no second event', item.eventId);
      this.#ids.add(item.eventId);
      const event = {
        origin,
        stream: result.stream,
        n: Number(result.entryId),
        eventId: item.eventId,
        type: item.type,
        confirmed: false,
      };
      this.#events.set(origin, event);
      for (const group of model.groups.values()) if (group.cursors.has(result.stream)) this.#expect(group.name, event);
    }
  }

  /** The publisher heard it. */
  confirmed(results: readonly PublishResult[]): void {
    for (const result of results) {
      if (result.kind === 'conflict') continue;
      const event = this.#events.get(originOf(result.stream, result.entryId));
      if (event === undefined) this.#run.fail('an acknowledged event is never gone', `${result.entryId} at its answer`);
      else event.confirmed = true;
    }
  }

  /** An engine says which routes it has. */
  claimed(groups: readonly string[]): void {
    const { now } = this.#time;
    for (const group of groups) {
      const { at, gapUntil } = this.#claims.get(group) ?? { at: now, gapUntil: Number.NEGATIVE_INFINITY };
      this.#claims.set(group, { at: now, gapUntil: now - at >= removedGraceMs ? now : gapUntil });
    }
  }

  /** Nobody has had the route for the grace, or had not until a moment ago: whoever froze since may not know better. */
  #isGone(group: string): boolean {
    const { now } = this.#time;
    const { at, gapUntil } = this.#claims.get(group) ?? { at: Number.NEGATIVE_INFINITY, gapUntil: now };
    return now - at >= removedGraceMs || now - gapUntil <= longestFreeze;
  }

  /** A group that starts at the beginning gets what rests in its streams. */
  opened(model: BusModel, group: string): void {
    for (const { entry } of model.readable(group).fresh) {
      const event = this.#events.get(entry.origin);
      if (event !== undefined && !this.#of(group).has(event.origin)) this.#expect(group, event);
    }
  }

  #expect(group: string, event: Recorded): void {
    const pair = newPair(group, event);
    this.#of(group).set(event.origin, pair);
    this.#openOf(group).set(event.origin, pair);
    this.order.expect(pair);
  }

  #of(group: string): Map<string, Pair> {
    return inside(this.pairs, group);
  }

  #openOf(group: string): Map<string, Pair> {
    return inside(this.open, group);
  }

  pair(group: string, entry: Pick<Entry, 'stream' | 'origin'>): Pair | undefined {
    return this.pairs.get(group)?.get(originOf(entry.stream, entry.origin));
  }

  // ── hand-outs ──────────────────────────────────────────────────────────────────────────────────────────────────

  handedOut(group: string, consumer: string, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const pair = this.pair(group, entry);
      if (pair === undefined) {
        this.#run.fail('only what was published is handed out', `${group} ${entry.id}`);
        continue;
      }
      this.#run.note(() => `${consumer} gets ${group} ${entry.id} ${pair.event.eventId}, start ${entry.starts}`);
      pair.handOuts += 1;
      pair.holder = consumer;
      pair.entry = entry.id;
    }
  }

  reclaimed(group: string, consumer: string, minIdleMs: number, { entries, lost, from }: Swept): void {
    for (const id of lost) this.#run.fail('trimming removes nothing that a group needs', `${group} lost ${id}`);
    for (const [at, entry] of entries.entries()) {
      const before = from[at];
      const pair = this.pair(group, entry);
      if (pair === undefined || before === undefined) continue;
      this.#run.cover('lease taken over');
      pair.lostLeases += 1;
      if (minIdleMs === leaseMs) this.#mayLose(pair, before);
    }
    this.handedOut(group, consumer, entries);
  }

  /** An answer that held them was lost. */
  missed(group: string, consumer: string, { entries }: Swept): void {
    if (entries.length > 0) this.#run.cover('missed', entries.length);
    for (const entry of entries) {
      const pair = this.pair(group, entry);
      if (pair !== undefined) pair.lostLeases += 1;
    }
    this.handedOut(group, consumer, entries);
  }

  /** Called back before the time for which it was postponed. */
  recalled(group: string, origins: readonly string[]): void {
    for (const origin of origins) {
      this.#run.cover('recalled');
      const pair = this.pairs.get(group)?.get(origin);
      if (pair !== undefined) pair.dueAt = this.#time.now;
    }
  }

  /** A lease is lost only by who died, froze, or could not reach the store. */
  #mayLose(pair: Pair, consumer: string): void {
    const host = this.hosts.get(consumer.slice(0, consumer.indexOf('#')));
    if (host === undefined || host.state !== 'up' || this.left.has(consumer)) return;
    const calm = this.#time.now - host.troubledAt;
    if (calm <= leaseMs + 2_000) return;
    const detail = `${pair.group} ${pair.event.origin} of ${consumer}, who has had no trouble for ${calm} ms`;
    this.#run.fail('who is well keeps its leases', detail);
  }

  promoted(count: number): void {
    this.#run.cover('promoted', count);
  }

  // ── runs ───────────────────────────────────────────────────────────────────────────────────────────────────────

  started(pair: Pair, { attempt, entry }: Pick<RunningDelivery, 'attempt' | 'entry'>, host: Host): void {
    const { group, event, holder } = pair;
    pair.runs += 1;
    this.order.started(pair);
    if (pair.runs > pair.handOuts) {
      const detail = `${group} ${event.origin} ran ${pair.runs} times for ${pair.handOuts} hand-outs`;
      this.#run.fail('a hand-out runs at most once', detail);
    }
    const most = routeByGroup.get(group)?.retry.maxAttempts ?? 0;
    if (attempt > most)
      this.#run.fail('no more attempts than the policy allows', `${group} ${event.origin}: ${attempt}`);
    // One that thaws may run what it held before, and is fenced when it settles.
    const current = entry.id === pair.entry && holder?.startsWith(`${host.name}#`) === true;
    if (current && pair.waits && attempt !== pair.dueAttempt) {
      this.#run.fail('a wait spends no attempt', `${group} ${event.origin}: ${attempt} after ${pair.dueAttempt}`);
    }
    if (current) pair.waits = false;
    if (current && attempt === pair.dueAttempt && this.#time.now < pair.dueAt) {
      const detail = `${group} ${event.origin}, ${pair.dueAt - this.#time.now} ms early`;
      this.#run.fail('no retry runs before its time', detail);
    }
  }

  // ── settlements ────────────────────────────────────────────────────────────────────────────────────────────────

  settled(spec: GroupSpec, consumer: string, items: readonly SettleItem[], { results, dropped }: Settled): void {
    for (const [at, item] of items.entries()) {
      const pair = this.pair(spec.group, item.entry);
      this.#run.note(() => `${consumer} ${textOf(item)} ${spec.group} ${item.entry.id}: ${results[at]}`);
      if (pair === undefined) continue;
      if (results[at] === 'done') this.#settledOne(spec, consumer, item, pair);
      else this.#run.cover(results[at] === 'full' ? 'letter that found no room' : 'fenced');
    }
    for (const origin of dropped) this.#end(spec.group, origin, 'gone', 'letter dropped');
  }

  #settledOne(spec: GroupSpec, consumer: string, item: SettleItem, pair: Pair): void {
    const { group, event, holder } = pair;
    switch (item.kind) {
      case 'ack':
        if (holder !== consumer) this.#run.cover('late ack');
        this.#acked(spec, item, pair);
        this.order.ended(pair);
        return this.#end(group, event.origin, 'acked', `ack: ${item.status}`);
      case 'retry':
        this.#mustHold(pair, consumer, 'retry');
        return this.#parked(item, pair);
      case 'postpone':
        this.#mustHold(pair, consumer, 'postponement');
        return this.#postponed(item, pair);
      case 'dead':
        this.#mustHold(pair, consumer, 'dead letter');
        return this.#buried(item, pair);
    }
  }

  #mustHold({ group, event, holder }: Pair, consumer: string, what: string): void {
    if (holder === consumer) return;
    const detail = `${what} of ${group} ${event.origin} by ${consumer}, held by ${holder ?? 'nobody'}`;
    this.#run.fail('only the owner settles a retry or a dead letter', detail);
  }

  #acked(spec: GroupSpec, item: Extract<SettleItem, { kind: 'ack' }>, pair: Pair): void {
    const { event, succeeded, skipped } = pair;
    pair.unmatched ||= item.status === 'unmatched';
    const wanted = matchAny(spec.patterns)(event.type);
    const right = { delivered: succeeded > 0, skipped: skipped > 0, unmatched: !wanted }[item.status];
    if (!right) this.#run.fail('an ack says what the handler did', `${item.status} ${spec.group} ${event.origin}`);
  }

  #parked({ delayMs, state }: Extract<SettleItem, { kind: 'retry' }>, pair: Pair): void {
    const policy = routeByGroup.get(pair.group)?.retry;
    if (policy === undefined) return;
    const wait = Math.round(backoff(policy, state.attempt - 1, () => 0));
    if (delayMs !== wait || state.attempts.length !== state.attempt - 1) {
      const detail = `attempt ${state.attempt} in ${delayMs} ms after ${state.attempts.length} attempts`;
      this.#run.fail('a retry waits as its policy says', detail);
    }
    this.#run.cover('retry');
    pair.dueAt = this.#time.now + delayMs;
    pair.dueAttempt = state.attempt;
    pair.holder = undefined;
    pair.lostLeases = 0;
  }

  #postponed({ delayMs, entry }: Extract<SettleItem, { kind: 'postpone' }>, pair: Pair): void {
    this.#run.cover('postponed');
    pair.dueAt = this.#time.now + delayMs;
    pair.dueAttempt = entry.state?.attempt ?? 1;
    pair.waits = true;
    pair.holder = undefined;
    pair.lostLeases = 0;
  }

  #buried({ words }: Extract<SettleItem, { kind: 'dead' }>, pair: Pair): void {
    const route = routeByGroup.get(pair.group);
    this.#run.cover(`dead: ${words.reason}`);
    if (words.reason === 'route_removed') this.order.removed(pair);
    else this.order.buried(pair);
    pair.holder = undefined;
    const right: Partial<Record<string, boolean>> = {
      exhausted: words.attempts.length === route?.retry.maxAttempts,
      permanent: pair.refused > 0,
      crash_loop: pair.lostLeases >= maxCrashes,
      breaker_open: route?.breaker?.onOpen === 'deadLetter',
      route_removed: this.#isGone(pair.group),
    };
    if (right[words.reason] === true) return;
    const detail = `${words.reason} ${pair.group} ${pair.event.origin}: ${words.attempts.length} attempts, ${pair.lostLeases} leases lost`;
    const crash = words.reason === 'crash_loop';
    this.#run.fail(crash ? 'only what crashed again and again is a crash loop' : 'a dead letter says why', detail);
  }

  #end(group: string, origin: string, state: 'acked' | 'gone', what: string): void {
    const pair = this.pairs.get(group)?.get(origin);
    if (pair === undefined) return;
    this.#run.cover(what);
    if (pair.state !== 'open') this.#run.fail('what is settled stays settled', `${what} of ${group} ${origin}`);
    pair.state = state;
    pair.holder = undefined;
    this.#openOf(group).delete(origin);
  }

  // ── people ─────────────────────────────────────────────────────────────────────────────────────────────────────

  redriving(model: BusModel, ids: readonly string[]): void {
    for (const pair of this.#letters(model, ids)) {
      this.#run.cover('redriven');
      pair.waits = false;
      this.order.redriven(pair);
      pair.lostLeases = 0;
      pair.dueAttempt = 0;
    }
  }

  discarding(model: BusModel, ids: readonly string[]): void {
    for (const { group, event } of this.#letters(model, ids)) this.#end(group, event.origin, 'gone', 'discarded');
  }

  #letters(model: BusModel, ids: readonly string[]): readonly Pair[] {
    const wanted = new Set(ids);
    return [...model.groups.values()].flatMap((group) =>
      [...group.dead.values()].flatMap(({ id, entry }) => {
        const pair = wanted.has(id) ? this.pairs.get(group.name)?.get(entry.origin) : undefined;
        return pair === undefined ? [] : [pair];
      }),
    );
  }

  // ── failover ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** The store knows less than before: what it holds again is open again, and what was never confirmed may be gone. */
  rolledBack(model: BusModel): void {
    for (const event of [...this.#events.values()]) this.#mayBeGone(model, event);
    for (const [name, pairs] of this.pairs) {
      const group = model.groups.get(name);
      const held = new Map([...(group?.pending.values() ?? [])].map((lease) => [lease.entry.origin, lease.holder]));
      const resting = new Set([
        ...held.keys(),
        ...(group?.retrying.keys() ?? []),
        ...(group?.due.map(({ entry }) => entry.origin) ?? []),
        ...[...(group?.dead.values() ?? [])].map(({ entry }) => entry.origin),
        ...model.readable(name).fresh.map(({ id }) => id),
      ]);
      for (const [origin, pair] of pairs) {
        pair.holder = held.get(origin);
        // Numbers that were set back with a settlement that is undone now: given the benefit of the doubt.
        pair.lostLeases += maxCrashes;
        pair.waits = false;
        // A postponement that is undone now has no time to wait for.
        pair.dueAt = 0;
        if (resting.has(origin) && pair.state !== 'open') {
          pair.state = 'open';
          pair.event.confirmed = true;
          this.#openOf(name).set(origin, pair);
        }
      }
    }
    this.breakers.rolledBack(model);
    this.rates.rolledBack();
    this.order.failedOver();
  }

  #mayBeGone(model: BusModel, event: Recorded): void {
    if (!model.streams.isBehind(event.stream, event.n)) return;
    if (event.confirmed) this.#run.fail('an acknowledged event is never gone', event.origin);
    this.#run.cover('unconfirmed event gone');
    this.#events.delete(event.origin);
    this.#ids.delete(event.eventId);
    for (const group of this.pairs.keys()) {
      this.#of(group).delete(event.origin);
      this.#openOf(group).delete(event.origin);
    }
  }
}

function inside<T>(map: Map<string, Map<string, T>>, key: string): Map<string, T> {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = new Map<string, T>();
  map.set(key, made);
  return made;
}
