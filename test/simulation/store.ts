/**
 * The server: one model, and with `replicated` a second one that follows. What is done to the first is written down and
 * done to the second some time later; a failover takes the second one as it stands.
 */

import type { BusModel } from './model/bus-model.ts';
import type { Host } from './time.ts';

type Act = (model: BusModel) => unknown;

/** A read that blocks. */
export interface Waiter {
  readonly group: string;
  readonly host: Host;
  serve(): void;
  fail(): void;
}

/** Operations that the replica is behind at most. */
const mostBehind = 60;

export class Store {
  model: BusModel;
  up = true;
  /** Counts failovers: what was asked of the master before one is answered by nobody. */
  epoch = 0;
  #replica: BusModel | undefined;
  #behind: Act[] = [];
  #waiters = new Set<Waiter>();

  constructor(model: BusModel, replicated: boolean) {
    this.model = model;
    this.#replica = replicated ? model.copy() : undefined;
  }

  get replicated(): boolean {
    return this.#replica !== undefined;
  }

  /** `act` must do the same to the same model every time. */
  apply<T>(act: (model: BusModel) => T): T {
    const result = act(this.model);
    if (this.#replica !== undefined) {
      this.#behind.push(act);
      if (this.#behind.length > mostBehind) this.replicate(mostBehind / 2);
    }
    return result;
  }

  /** Lets the replica do the oldest `count` of what it is behind. */
  replicate(count = this.#behind.length): void {
    const replica = this.#replica;
    if (replica !== undefined) for (const act of this.#behind.splice(0, count)) act(replica);
  }

  /** The replica becomes the master; returns how much of what was done is gone. */
  failOver(reached: number): number {
    this.replicate(Math.floor(this.#behind.length * reached));
    if (this.#replica === undefined) throw new Error('expected a replica to fail over to, there is none');
    const lost = this.#behind.length;
    this.#behind = [];
    this.model = this.#replica;
    this.#replica = this.model.copy();
    this.epoch += 1;
    return lost;
  }

  goDown(): void {
    this.up = false;
    const cut = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of cut) waiter.fail();
  }

  wait(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  /** False: it has been served already. */
  unwait(waiter: Waiter): boolean {
    return this.#waiters.delete(waiter);
  }

  /** Serves reads that block, in their order, while there is something for them. */
  wake(): void {
    if (!this.up) return;
    for (const waiter of [...this.#waiters]) {
      if (waiter.host.state === 'dead') this.#waiters.delete(waiter);
      else if (this.model.hasSomething(waiter.group) && this.#waiters.delete(waiter)) waiter.serve();
    }
  }
}

export const readPatience = 2_000;
