/** The model's settlements, one by one. */
import type { SettleItem, SettleResult } from '../../../engine/bus/bus.ts';
import type { Bug } from './bugs.ts';
import type { Lease, ModelGroup, Settled, State } from './state.ts';
import type { Streams } from './streams.ts';

type Retry = Extract<SettleItem, { kind: 'retry' }>;
type Postponement = Extract<SettleItem, { kind: 'postpone' }>;
type Dead = Extract<SettleItem, { kind: 'dead' }>;

export class Settling {
  readonly #state: State;
  readonly #streams: Streams;
  readonly #bug: Bug | undefined;

  constructor(state: State, streams: Streams, bug: Bug | undefined) {
    this.#state = state;
    this.#streams = streams;
    this.#bug = bug;
  }

  settle(group: ModelGroup, holder: string, items: readonly SettleItem[], now: number): Settled {
    const dropped: string[] = [];
    return { results: items.map((item) => this.#settleOne(group, holder, item, now, dropped)), dropped };
  }

  #settleOne(group: ModelGroup, holder: string, item: SettleItem, now: number, dropped: string[]): SettleResult {
    const lease = group.pending.get(item.entry.id);
    if (lease === undefined) return 'fenced';
    const owned = lease.holder === holder;
    switch (item.kind) {
      case 'ack':
        group.pending.delete(lease.id);
        group.totals[item.status] += 1;
        return 'done';
      case 'retry':
        if (!owned && this.#bug !== 'no fence on retry') return 'fenced';
        return this.#park(group, lease, item, now);
      case 'postpone':
        return owned ? this.#postpone(group, lease, item, now) : 'fenced';
      case 'dead':
        return owned ? this.#bury(group, lease, item, now, dropped) : 'fenced';
    }
  }

  #park(group: ModelGroup, lease: Lease, { delayMs, state }: Retry, now: number): SettleResult {
    const share = this.#bug === 'retries come early' ? 0.5 : 1;
    const due = now + Math.max(0, Math.ceil(delayMs * share));
    const later = { entry: lease.entry, id: this.#streams.newId(now), state, due };
    group.pending.delete(lease.id);
    group.totals.retries += 1;
    const origin = lease.entry.origin;
    if (this.#bug === 'ack before park') {
      this.#state.between.set(`${group.name} ${origin}`, { group: group.name, later });
    } else group.retrying.set(origin, later);
    return 'done';
  }

  #postpone(group: ModelGroup, lease: Lease, { delayMs }: Postponement, now: number): SettleResult {
    const before = lease.later?.state ?? { attempt: 1, attempts: [] };
    const state = this.#bug === 'lets a wait cost an attempt' ? { ...before, attempt: before.attempt + 1 } : before;
    const due = now + Math.max(0, Math.ceil(delayMs));
    group.pending.delete(lease.id);
    const later = { entry: lease.entry, id: this.#streams.newId(now), state, due, postponed: true } as const;
    group.retrying.set(lease.entry.origin, later);
    return 'done';
  }

  /** The second half of the retries that the bug has torn apart; or the process in between is gone. */
  finish(alive: boolean): void {
    for (const { group, later } of this.#state.between.values()) {
      if (alive) this.#state.groups.get(group)?.retrying.set(later.entry.origin, later);
    }
    this.#state.between.clear();
  }

  #bury(group: ModelGroup, lease: Lease, { words }: Dead, now: number, dropped: string[]): SettleResult {
    if (this.#bug !== 'a full DLQ takes more' && !makeRoom(group, dropped)) return 'full';
    group.pending.delete(lease.id);
    group.totals.dead += 1;
    const id = `${group.name}~${this.#streams.newId(now)}`;
    group.dead.set(id, { id, entry: lease.entry, at: now, words });
    return 'done';
  }
}

function makeRoom(group: ModelGroup, dropped: string[]): boolean {
  const { maxEntries, onFull } = group.policy;
  const excess = group.dead.size - maxEntries + 1;
  if (excess <= 0) return true;
  if (onFull === 'pause' || maxEntries === 0) return false;
  for (const letter of [...group.dead.values()].slice(0, excess)) {
    group.dead.delete(letter.id);
    group.totals.dropped += 1;
    dropped.push(letter.entry.origin);
  }
  return true;
}
