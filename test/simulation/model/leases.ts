/** The model's hand-outs: who holds what, and the ways in which that ends without a settlement. */
import type { Entry } from '../../../engine/bus/bus.ts';
import { firstSuspectStart } from '../../../engine/core/delivery.ts';
import type { Bug } from './bugs.ts';
import type { Lease, ModelGroup, Slot, Swept } from './state.ts';
import type { Streams } from './streams.ts';

/** `start`: the number of this one; from that of a suspect on it is not counted yet. */
export function handOut(group: ModelGroup, lease: Lease, start = lease.starts): Entry {
  group.pending.set(lease.id, lease);
  const { entry, later } = lease;
  return {
    stream: entry.stream,
    id: lease.id,
    origin: String(entry.n),
    body: entry.body,
    meta: entry.meta,
    state: later?.state,
    publishedAt: entry.at,
    starts: start,
    slot: { counted: lease.starts === start } satisfies Slot,
  };
}

export class Leases {
  readonly #streams: Streams;
  readonly #bug: Bug | undefined;

  constructor(streams: Streams, bug: Bug | undefined) {
    this.#streams = streams;
    this.#bug = bug;
  }

  /** Returns what is not the holder's any more. */
  extend(group: ModelGroup, holder: string, entries: readonly Entry[], now: number): readonly Entry[] {
    if (this.#bug === 'the heartbeat does nothing') return [];
    return entries.filter(({ id }) => {
      const lease = group.pending.get(id);
      if (lease?.holder !== holder || !this.#rests(lease)) return true;
      lease.at = now;
      return false;
    });
  }

  #rests({ later, entry }: Lease): boolean {
    return later !== undefined || this.#streams.placeOf(entry.stream, entry.n) >= 0;
  }

  release(group: ModelGroup, holder: string, entries: readonly Entry[]): void {
    for (const { id, slot } of entries) handBack(group, holder, id, (slot as Slot).counted ? 1 : 0);
  }

  /** Ends a consumer: hands back all that it holds. */
  leave(group: ModelGroup, holder: string): void {
    for (const { id } of [...group.pending.values()]) handBack(group, holder, id, 1);
  }

  /** What it holds and `owned` does not know. */
  missed(group: ModelGroup, holder: string, owned: (id: string) => boolean, now: number): Swept {
    const swept = { entries: [] as Entry[], lost: [] as string[], from: [] as (string | undefined)[] };
    const own = [...group.pending.values()].filter((lease) => lease.holder === holder && !owned(lease.id));
    for (const lease of own) {
      swept.from.push(lease.holder);
      swept.entries.push(takeOver(group, lease, holder, now));
    }
    return swept;
  }

  reclaim(
    group: ModelGroup,
    holder: string,
    minIdleMs: number,
    limit: number,
    owned: (id: string) => boolean,
    now: number,
  ): Swept {
    const idleMs = this.#bug === 'reclaims before the lease ends' ? minIdleMs / 4 : minIdleMs;
    const swept = { entries: [] as Entry[], lost: [] as string[], from: [] as (string | undefined)[] };
    for (const lease of [...group.pending.values()]) {
      if (swept.entries.length >= limit) break;
      const free = lease.holder === undefined || now - lease.at >= idleMs;
      if (!free || owned(lease.id)) continue;
      if (this.#rests(lease)) {
        swept.from.push(lease.holder);
        swept.entries.push(takeOver(group, lease, holder, now));
        continue;
      }
      group.pending.delete(lease.id);
      swept.lost.push(lease.id);
    }
    return swept;
  }
}

function handBack(group: ModelGroup, holder: string, id: string, counted: number): void {
  const lease = group.pending.get(id);
  if (lease?.holder !== holder) return;
  lease.holder = undefined;
  lease.starts = Math.max(0, lease.starts - counted);
}

function takeOver(group: ModelGroup, lease: Lease, holder: string, now: number): Entry {
  const start = lease.starts + 1;
  const starts = start < firstSuspectStart ? start : lease.starts;
  return handOut(group, { ...lease, holder, at: now, starts }, start);
}

/** Undefined: it is not the holder's any more. */
export function countStart(group: ModelGroup, holder: string, entry: Entry, now: number): number | undefined {
  const lease = group.pending.get(entry.id);
  if (lease?.holder !== holder) return undefined;
  lease.starts = Math.max(lease.starts, entry.starts);
  lease.at = now;
  (entry.slot as Slot).counted = true;
  return lease.starts;
}
