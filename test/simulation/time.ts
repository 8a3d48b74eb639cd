/**
 * Time that stands still until it is moved, and the hosts that live in it. Everything that happens is an item with a time
 * and a place in the order; between two items all promises that can go on have gone on, so a run is one fixed sequence.
 *
 * An item may belong to a host. What belongs to a frozen host waits for its thaw; what belongs to a dead one never happens.
 */
import { TimeHeap } from '../../engine/core/heap.ts';
import type { Timers } from '../../engine/core/timers.ts';

interface Item {
  readonly at: number;
  readonly order: number;
  readonly host: Host | undefined;
  act: (() => void) | undefined;
}

/** A process: an engine, or a publisher. */
export class Host {
  readonly name: string;
  state: 'up' | 'frozen' | 'dead' = 'up';
  #troubledAt = Number.NEGATIVE_INFINITY;
  readonly startedAt: number;
  /** Came due while it was frozen. */
  readonly backlog: Item[] = [];
  /** Items that are still to come: a leak of timers shows here. */
  pending = 0;

  constructor(name: string, startedAt: number) {
    this.name = name;
    this.startedAt = startedAt;
  }

  /** When something last happened to it that may cost it a lease, or keep news from it, ms. */
  get troubledAt(): number {
    return this.#troubledAt;
  }

  trouble(until: number): void {
    this.#troubledAt = Math.max(this.#troubledAt, until);
  }
}

export class FakeTime {
  /** ms; far from 0, so that a time that was forgotten shows. */
  now = 1_000_000_000;
  readonly #heap = new TimeHeap<Item>();
  #order = 0;

  /** Calls `act` in `ms`, as `host`. */
  after(ms: number, host: Host | undefined, act: () => void): Item {
    const item = { at: this.now + Math.max(0, Math.round(ms)), order: this.#order, host, act };
    this.#order += 1;
    if (host !== undefined) host.pending += 1;
    this.#heap.push(item);
    return item;
  }

  timersOf(host: Host): Timers {
    return {
      now: () => this.now,
      after: (ms, act) => this.after(Math.max(1, ms), host, act),
      cancel: (timer) => {
        const item = timer as Item | undefined;
        if (item?.act === undefined) return;
        item.act = undefined;
        host.pending -= 1;
      },
      wait: (ms) =>
        new Promise((resolve) => {
          this.after(Math.max(1, ms), host, resolve);
        }),
      soon: (act) => void this.after(0, host, act),
    };
  }

  freeze(host: Host): void {
    if (host.state === 'up') host.state = 'frozen';
  }

  /** What came due meanwhile happens now, in its order. */
  thaw(host: Host): void {
    if (host.state !== 'frozen') return;
    host.state = 'up';
    for (const { act } of host.backlog.splice(0)) {
      if (act === undefined) continue;
      host.pending -= 1;
      this.after(0, host, act);
    }
  }

  kill(host: Host): void {
    host.state = 'dead';
    host.backlog.length = 0;
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    for (let next = this.#heap.first; next !== undefined && next.at <= end; next = this.#heap.first) {
      this.#heap.pop();
      this.now = next.at;
      if (this.#happen(next)) await settled();
    }
    this.now = end;
  }

  /** False: nothing happened now. */
  #happen(item: Item): boolean {
    const { host, act } = item;
    if (act === undefined || host?.state === 'dead') return false;
    if (host?.state === 'frozen') {
      host.backlog.push(item);
      return false;
    }
    item.act = undefined;
    if (host !== undefined) host.pending -= 1;
    act();
    return true;
  }
}

/**
 * Resolves when every promise that can go on has gone on: Node calls a tick that is asked for in a promise's turn when no
 * promise has one any more. A turn of the real event loop would do too, and takes several times as long.
 */
const settled = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
