/**
 * What keeps a group healthy while it is consumed: heartbeat (leases of what we hold), promote (retries that are due),
 * reclaim (entries of the dead, and our own whose reply was lost). Each is one pass, run again after a pause.
 */
import type { Entry, Group } from '../bus/bus.ts';
import type { Timer, Timers } from '../core/timers.ts';

const promoteBatch = 500;
const reclaimBatch = 100;
const promotePause = 1_000;
const sweepPause = 1_000;

export interface LoopDeps {
  readonly group: Group;
  readonly leaseMs: number;
  readonly random: () => number;
  readonly timers: Timers;
  /** Everything whose lease must be kept. */
  readonly held: () => readonly Entry[];
  /** False: no place for reclaimed entries now. */
  readonly room: () => boolean;
  readonly onLost: (entries: readonly Entry[]) => void;
  readonly onReclaimed: (entries: readonly Entry[], lost: readonly string[]) => void;
  readonly onFault: (error: Error) => void;
}

export class GroupLoops {
  #deps: LoopDeps;
  #stopped = false;
  #underWay = 0;
  #timers = new Map<string, Timer>();
  #promoteAt = Number.POSITIVE_INFINITY;

  constructor(deps: LoopDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#later('heartbeat', this.#deps.leaseMs / 3, () => this.#heartbeat());
    this.#later('promote', 0, () => this.#promote());
    this.#later('reclaim', 0, () => this.#reclaim());
  }

  /** True when no pass is under way: after `stop`, none will be. */
  get idle(): boolean {
    return this.#underWay === 0;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) this.#deps.timers.cancel(timer);
  }

  /** A retry of ours is due in so many ms: be there. */
  dueIn(ms: number): void {
    const at = this.#deps.timers.now() + ms;
    if (this.#stopped || at >= this.#promoteAt || ms > promotePause) return;
    this.#later('promote', ms + 2, () => this.#promote());
  }

  async #heartbeat(): Promise<number> {
    const held = this.#deps.held();
    if (held.length > 0) {
      const lost = await this.#deps.group.extend(held);
      if (lost.length > 0) this.#deps.onLost(lost);
    }
    return this.#deps.leaseMs / 3;
  }

  async #promote(): Promise<number> {
    const moved = await this.#deps.group.promote(promoteBatch);
    return moved >= promoteBatch ? 0 : promotePause;
  }

  async #reclaim(): Promise<number> {
    const { group, leaseMs, held, room, onReclaimed } = this.#deps;
    if (!room()) return sweepPause / 10;
    // What comes to us while this sweep is under way has a fresh lease, so it is not found by it.
    const owned = new Set(held().map((entry) => entry.id));
    const { entries, lost } = await group.reclaim(leaseMs, reclaimBatch, (id) => owned.has(id));
    onReclaimed(entries, lost);
    return entries.length > 0 ? 0 : sweepPause;
  }

  /** Runs `pass` in `ms`, and again after the pause that it names; jittered so that engines do not march in step. */
  #later(name: string, ms: number, pass: () => Promise<number>): void {
    const { timers } = this.#deps;
    timers.cancel(this.#timers.get(name));
    if (name === 'promote') this.#promoteAt = timers.now() + ms;
    this.#timers.set(
      name,
      timers.after(ms, () => void this.#run(name, pass)),
    );
  }

  async #run(name: string, pass: () => Promise<number>): Promise<void> {
    if (name === 'promote') this.#promoteAt = Number.POSITIVE_INFINITY;
    let pause = sweepPause;
    this.#underWay += 1;
    try {
      pause = await pass();
    } catch (error) {
      this.#deps.onFault(error as Error);
    }
    this.#underWay -= 1;
    if (this.#stopped || (name === 'promote' && this.#promoteAt !== Number.POSITIVE_INFINITY)) return;
    this.#later(name, pause * (0.9 + 0.2 * this.#deps.random()), pass);
  }
}
