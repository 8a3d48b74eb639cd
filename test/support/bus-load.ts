/** Events through a bus while something is done to its servers: who was promised what, and who got it how often. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, Group, Publication } from '../../engine/bus/bus.ts';
import { decodeEvent } from '../../engine/event.ts';
import { eventually } from './eventually.ts';
import { ack, publication } from './redis-entries.ts';

export interface LoadOptions {
  readonly bus: Bus;
  readonly group: Group;
  /** Published in turn. */
  readonly types: readonly string[];
  /** Longer than a read is under way, so that nothing is taken over that is in hand, ms. */
  readonly leaseMs?: number;
}

/** Publishes until stopped, each batch again until it is acknowledged, and settles what it reads. */
export class BusLoad {
  readonly acknowledged = new Set<string>();
  /** How often each came. */
  readonly seen = new Map<string, number>();
  readonly #options: LoadOptions;
  readonly #inHand = new Set<string>();
  readonly #reading = new AbortController();
  readonly #loops: readonly Promise<void>[];
  #publishing = true;
  #published = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#loops = [this.#publish(), this.#read(), this.#reclaim()];
  }

  get repeated(): number {
    return [...this.seen.values()].reduce((sum, times) => sum + times - 1, 0);
  }

  get missing(): readonly string[] {
    return [...this.acknowledged].filter((id) => !this.seen.has(id));
  }

  /** Resolves once so many more were acknowledged and arrived. */
  async goesOn(more: number): Promise<void> {
    const [acknowledged, seen] = [this.acknowledged.size, this.seen.size];
    await eventually(
      `${more} more events to be acknowledged and to arrive`,
      () => this.acknowledged.size >= acknowledged + more && this.seen.size >= seen + more,
      60_000,
    );
  }

  /** Stops publishing, and waits for what was acknowledged to arrive; what is missing after `ms` is lost. */
  async end(ms = 30_000): Promise<void> {
    this.#publishing = false;
    await this.#loops[0];
    await eventually('all to arrive', () => this.missing.length === 0, ms).catch(() => undefined);
    this.#reading.abort();
    await Promise.all(this.#loops);
  }

  async #publish(): Promise<void> {
    const { bus, types } = this.#options;
    while (this.#publishing) {
      const batch = Array.from({ length: 5 }, () => this.#event(types[this.#published++ % types.length] as string));
      while (this.#publishing) {
        try {
          await bus.publish(batch);
          for (const { eventId } of batch) this.acknowledged.add(eventId);
          break;
        } catch {
          await sleep(50);
        }
      }
      await sleep(2);
    }
  }

  #event(type: string): Publication {
    const item = publication();
    return { ...item, type };
  }

  async #read(): Promise<void> {
    const { group } = this.#options;
    const { signal } = this.#reading;
    while (!signal.aborted) await this.#take(await group.read(100, signal).catch(() => []));
  }

  async #reclaim(): Promise<void> {
    const { group, leaseMs = 3_000 } = this.#options;
    while (!this.#reading.signal.aborted) {
      const found = await group.reclaim(leaseMs, 100, (id) => this.#inHand.has(id)).catch(() => undefined);
      await this.#take(found?.entries ?? []);
      await sleep(100);
    }
  }

  /** Runs the entries and settles them until the bus has answered: what ran is not run again for a lost answer. */
  async #take(entries: Awaited<ReturnType<Group['read']>>): Promise<void> {
    for (const { id, body, meta } of entries) {
      this.#inHand.add(id);
      const event = decodeEvent(body, meta).id;
      this.seen.set(event, (this.seen.get(event) ?? 0) + 1);
    }
    if (entries.length === 0) return;
    void this.#settle(entries);
  }

  async #settle(entries: Awaited<ReturnType<Group['read']>>): Promise<void> {
    const { group } = this.#options;
    const settled = await eventually(
      'a settlement to be answered',
      () => group.settle(entries.map(ack), undefined).catch(() => false as const),
      60_000,
    ).catch(() => undefined);
    if (settled !== undefined) for (const { id } of entries) this.#inHand.delete(id);
  }
}
