/**
 * The bus as a value: what every implementation of the port must answer, in plain code, with the time as an argument.
 * Nothing here waits or fails; links, lost answers and replicas are around it.
 */
import type {
  Entry,
  GroupInfo,
  GroupSpec,
  GroupStats,
  Publication,
  PublishResult,
  Resting,
  SettleItem,
  StoredBreaker,
  Turn,
} from '../../../engine/bus/bus.ts';
import type { BreakerState } from '../../../engine/core/breaker.ts';
import type { Claims, EngineInfo } from '../../../engine/core/claims.ts';
import { type ClaimPlan, holdingOf } from '../../../engine/core/claims.ts';
import type { DeadLetter } from '../../../engine/core/delivery.ts';
import { readsStream, type StreamRule } from '../../../engine/core/match.ts';
import { noPermits, type PermitRequest, type Permits, take } from '../../../engine/core/rate-limit.ts';
import type { Bug } from './bugs.ts';
import { calledOf, claim, holdingsOf, infosOf, living } from './claims.ts';
import { countStart, handOut, Leases } from './leases.ts';
import * as order from './order.ts';
import { Settling } from './settling.ts';
import {
  type Later,
  laterId,
  letterOf,
  type ModelEntry,
  type ModelGroup,
  newGroup,
  newState,
  type Settled,
  type State,
  type Swept,
} from './state.ts';
import { Streams } from './streams.ts';

interface Readable {
  readonly id: string;
  readonly entry: ModelEntry;
}

export class BusModel {
  readonly bug: Bug | undefined;
  readonly streams: Streams;
  readonly #state: State;
  readonly #leases: Leases;
  readonly #settling: Settling;

  constructor(rules: readonly StreamRule[], bug?: Bug, state = newState()) {
    this.bug = bug;
    this.#state = state;
    this.streams = new Streams(rules, bug, state);
    this.#leases = new Leases(this.streams, bug);
    this.#settling = new Settling(state, this.streams, bug);
  }

  copy(): BusModel {
    return new BusModel(this.streams.rules, this.bug, structuredClone(this.#state));
  }

  get groups(): ReadonlyMap<string, ModelGroup> {
    return this.#state.groups;
  }

  group(name: string): ModelGroup {
    const group = this.#state.groups.get(name);
    if (group === undefined) throw new Error(`expected the group ${name} to be open, it never was`);
    return group;
  }

  publish(items: readonly Publication[], now: number): readonly PublishResult[] {
    return items.map((item) => this.streams.publish(item, now));
  }

  claim(engine: string, claims: Claims, now: number): ClaimPlan {
    return claim(this.#state, engine, claims, now);
  }

  infos(now: number): readonly GroupInfo[] {
    return infosOf(this.#state, now);
  }

  engines(now: number): readonly EngineInfo[] {
    return living(this.#state, now);
  }

  /** Of a present or former name. */
  storageOf(name: string): string {
    return holdingOf(holdingsOf(this.#state), name)?.storage ?? name;
  }

  markRemoved(name: string, at: number | undefined): void {
    const storage = this.storageOf(name);
    if (this.#state.groups.has(storage)) {
      this.#state.called.set(storage, { ...calledOf(this.#state, storage), removedAt: at });
    }
  }

  /** Makes the group, or takes it on with other patterns. Streams are only ever joined. `spec.group` is its storage. */
  open(spec: GroupSpec, name = spec.group): void {
    const called = calledOf(this.#state, spec.group);
    const known = this.#state.groups.has(spec.group);
    this.#state.called.set(spec.group, { ...called, ...(known ? {} : { name }), removedAt: undefined });
    const { streams } = this;
    for (const pattern of spec.patterns) if (!pattern.includes('*')) streams.open(streams.streamOf(pattern));
    const group = this.#state.groups.get(spec.group) ?? newGroup(spec);
    this.#state.groups.set(spec.group, group);
    group.patterns = spec.patterns;
    group.policy = spec.deadLetter;
    for (const { name, added, removed } of this.#state.streams.values()) {
      if (group.cursors.has(name) || !readsStream(spec.patterns, streams.rules, name)) continue;
      const start = spec.startFrom === 'new' ? added : removed;
      group.cursors.set(name, { start, next: start });
    }
  }

  // ── read ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What could be handed out now: retries and redrives, and of each stream what was not read, in its order. */
  readable(name: string): { readonly due: readonly Readable[]; readonly fresh: readonly Readable[] } {
    const group = this.group(name);
    const fresh = [...group.cursors.keys()].flatMap((stream) =>
      this.streams.unread(group, stream).map((entry) => ({ id: entry.origin, entry })),
    );
    return { due: group.due.map((later) => ({ id: laterId(later), entry: later.entry })), fresh };
  }

  hasSomething(name: string): boolean {
    const group = this.group(name);
    if (group.due.length > 0) return true;
    for (const stream of group.cursors.keys()) if (this.streams.unreadCount(group, stream) > 0) return true;
    return false;
  }

  /** Due ones take at most half of the room when there are new ones. */
  read(name: string, holder: string, limit: number, now: number, dueOnly = false): readonly Entry[] {
    this.streams.skipHoles(this.group(name));
    const { due, fresh: unread } = this.readable(name);
    const fresh = dueOnly ? [] : unread;
    const dueFirst = due.slice(0, fresh.length > 0 ? Math.ceil(limit / 2) : limit);
    const chosen = [...dueFirst, ...fresh.slice(0, limit - dueFirst.length)];
    return chosen.map(({ id }) => this.take(name, holder, id, now));
  }

  /** Hands out exactly this one. Throws when it is not to be had, or not next in its stream. */
  take(name: string, holder: string, id: string, now: number): Entry {
    const group = this.group(name);
    const at = group.due.findIndex((later) => laterId(later) === id);
    const [later] = at < 0 ? [] : (group.due.splice(at, 1) as [Later]);
    const entry = later?.entry ?? this.#takeFresh(group, id);
    return handOut(group, { id, entry, later, holder, at: now, starts: 1 });
  }

  #takeFresh(group: ModelGroup, id: string): ModelEntry {
    const stream = id.slice(0, id.lastIndexOf('/'));
    const cursor = group.cursors.get(stream);
    const [entry] = this.streams.unread(group, stream);
    if (cursor === undefined || entry === undefined || entry.origin !== id) {
      throw new Error(`expected ${id} to be next for ${group.name}, got ${entry?.n ?? 'nothing'}`);
    }
    cursor.next += 1;
    return entry;
  }

  // ── settle and hold ────────────────────────────────────────────────────────────────────────────────────────────

  settle(name: string, holder: string, items: readonly SettleItem[], now: number): Settled {
    return this.#settling.settle(this.group(name), holder, items, now);
  }

  finishParking(alive: boolean): void {
    this.#settling.finish(alive);
  }

  extend(name: string, holder: string, entries: readonly Entry[], now: number): readonly Entry[] {
    return this.#leases.extend(this.group(name), holder, entries, now);
  }

  release(name: string, holder: string, entries: readonly Entry[]): void {
    this.#leases.release(this.group(name), holder, entries);
  }

  leave(name: string, holder: string): void {
    this.#leases.leave(this.group(name), holder);
  }

  reclaim(
    name: string,
    holder: string,
    minIdleMs: number,
    limit: number,
    owned: (id: string) => boolean,
    now: number,
  ): Swept {
    return this.#leases.reclaim(this.group(name), holder, minIdleMs, limit, owned, now);
  }

  countStart(name: string, holder: string, entry: Entry, now: number): number | undefined {
    return countStart(this.group(name), holder, entry, now);
  }

  promote(name: string, limit: number, now: number): number {
    const group = this.group(name);
    const due = [...group.retrying].filter(([, later]) => later.due <= now).sort(([, a], [, b]) => a.due - b.due);
    const some = due.slice(0, limit);
    for (const [origin, later] of some) {
      if (this.bug !== 'promotes twice') group.retrying.delete(origin);
      group.due.push({ ...later, id: this.streams.newId(now) });
    }
    return some.length;
  }

  // ── ordering ───────────────────────────────────────────────────────────────────────────────────────────────────

  hold(name: string, holder: string, ttlMs: number, now: number): Turn {
    return order.hold(this.group(name), holder, ttlMs, now, this.bug);
  }

  giveBack(name: string, holder: string): void {
    order.giveBack(this.group(name), holder);
  }

  elsewhere(name: string, holder: string): boolean {
    return order.elsewhere(this.group(name), holder);
  }

  missed(name: string, holder: string, owned: (id: string) => boolean, now: number): Swept {
    return this.#leases.missed(this.group(name), holder, owned, now);
  }

  resting(name: string): readonly Resting[] {
    return order.resting(this.group(name));
  }

  recall(name: string, deliveries: readonly Pick<Entry, 'stream' | 'origin'>[], now: number): readonly string[] {
    const group = this.group(name);
    const recalled = order.recall(group, deliveries);
    for (const later of recalled) group.due.push({ ...later, id: this.streams.newId(now), due: now });
    return recalled.map(({ entry }) => entry.origin);
  }

  // ── dead letters, breakers, stats ──────────────────────────────────────────────────────────────────────────────

  /** Newest first. */
  letters(): readonly DeadLetter[] {
    return [...this.#state.groups.values()]
      .flatMap((group) => [...group.dead.values()].map((letter) => letterOf(group.name, letter)))
      .sort((a, b) => b.deadAt - a.deadAt || (a.id < b.id ? 1 : -1));
  }

  #groupOf(letter: string): ModelGroup | undefined {
    return this.#state.groups.get(letter.slice(0, letter.indexOf('~')));
  }

  /** Back to life, each with attempt 1; returns the ids that were there. */
  redrive(ids: readonly string[], now: number): readonly string[] {
    return ids.filter((id) => {
      const group = this.#groupOf(id);
      const letter = group?.dead.get(id);
      if (group === undefined || letter === undefined) return false;
      group.dead.delete(id);
      group.totals.redriven += 1;
      const state = { attempt: 1, attempts: [], redrivenFrom: id };
      group.due.push({ entry: letter.entry, id: this.streams.newId(now), state, due: now });
      return true;
    });
  }

  /** Returns the ids that were there. */
  discard(ids: readonly string[]): readonly string[] {
    return ids.filter((id) => {
      const group = this.#groupOf(id);
      if (group?.dead.delete(id) !== true) return false;
      group.totals.discarded += 1;
      return true;
    });
  }

  breakers(): readonly StoredBreaker[] {
    return [...this.#state.breakers.values()];
  }

  swap(
    key: string,
    expected: number,
    state: BreakerState,
    version = expected + 1,
  ): { readonly won: boolean; readonly stored: StoredBreaker } {
    const stored = this.#state.breakers.get(key) ?? { key, version: 0, state };
    const always = this.bug === 'every engine wins the probe' && state.kind === 'half_open';
    if (stored.version !== expected && !always) return { won: false, stored };
    const next = { key, version, state };
    this.#state.breakers.set(key, next);
    return { won: true, stored: next };
  }

  forget(key: string, expected: number): void {
    if (this.#state.breakers.get(key)?.version === expected) this.#state.breakers.delete(key);
  }

  permits(key: string, request: PermitRequest, now: number): Permits {
    const before = this.#state.permits.get(key) ?? noPermits;
    const { state, permits } = take(before, request, now);
    this.#state.permits.set(key, this.bug === 'gives permits to every engine' ? noPermits : state);
    return permits;
  }

  stats(name: string, now: number): GroupStats {
    const group = this.group(name);
    const leases = [...group.pending.values()];
    const overdue = [...group.retrying.values()].map(({ due }) => now - due);
    const [oldest] = group.dead.values();
    return {
      lag: [...group.cursors.keys()].map((stream) => ({
        stream,
        entries: this.streams.unreadCount(group, stream),
        known: true,
      })),
      pending: leases.length,
      pendingOldestMs: Math.max(0, ...leases.map(({ at }) => now - at)),
      retrying: group.retrying.size,
      postponed: [...group.retrying.values()].filter(({ postponed }) => postponed === true).length,
      retryOverdueMs: Math.max(0, ...overdue),
      due: group.due.length,
      dead: group.dead.size,
      deadOldestAt: oldest?.at,
      totals: { accepted: this.#accepted(group), ...group.totals },
    };
  }

  #accepted(group: ModelGroup): number {
    let sum = 0;
    for (const [stream, { start }] of group.cursors) sum += (this.#state.streams.get(stream)?.added ?? 0) - start;
    return sum;
  }
}
