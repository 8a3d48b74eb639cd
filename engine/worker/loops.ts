/**
 * What keeps a group healthy while it is consumed: heartbeat (leases of what we hold), promote (retries that are due),
 * reclaim (entries of the dead, and our own whose reply was lost). Each is one pass, run again after a pause.
 */
import type { Entry, Group } from '../bus/bus.ts';
import type { Timer, Timers } from '../core/timers.ts';

const promoteBatch = 500;
const reclaimBatch = 100;
const promotePause = 1_000;
/** Between two passes for retries that are due one after another. */
const promoteLeast = 10;
const mostDue = 1_000;
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
  /** When more retries of ours are due, ascending. */
  #due: number[] = [];

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
    if (this.#stopped) return;
    if (at >= this.#promoteAt || ms > promotePause) noteTime(this.#due, at);
    else this.#later('promote', ms + 2, () => this.#promote());
  }

  /** Until the next that is known, ms. */
  #nextDue(): number {
    const now = this.#deps.timers.now();
    while ((this.#due[0] ?? Number.POSITIVE_INFINITY) <= now) this.#due.shift();
    return Math.max((this.#due[0] ?? Number.POSITIVE_INFINITY) - now + 2, promoteLeast);
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
    const jittered = pause * (0.9 + 0.2 * this.#deps.random());
    this.#later(name, name === 'promote' ? Math.min(jittered, this.#nextDue()) : jittered, pass);
  }
}

/** Keeps the times in order, each some way from the others: one pass serves all that are due. The latest may be left out. */
function noteTime(times: number[], at: number): void {
  let low = 0;
  for (let high = times.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((times[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  const [before = Number.NEGATIVE_INFINITY, after = Number.POSITIVE_INFINITY] = [times[low - 1], times[low]];
  if (at - before < promoteLeast || after - at < promoteLeast || low >= mostDue) return;
  times.splice(low, 0, at);
  if (times.length > mostDue) times.pop();
}
