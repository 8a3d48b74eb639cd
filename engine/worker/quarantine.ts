/** The suspects of one route: they wait here, with their lease kept, for their turn in the lane of the process. */
import type { Entry, Group } from '../bus/bus.ts';
import { firstSuspectStart } from '../core/delivery.ts';
import type { Timers } from '../core/timers.ts';
import type { Batches } from './batches.ts';
import type { Consumer } from './consumer.ts';
import type { Executor } from './executor.ts';
import type { Settler } from './settler.ts';
import { type LaneMember, maxCrashes, type SuspectLane } from './suspects.ts';

/** More than these are left to peers. */
const mostSuspects = 1_000;

export interface QuarantineDeps {
  readonly lane: SuspectLane;
  readonly group: Group;
  readonly consumer: Consumer;
  readonly executor: Executor;
  readonly batches: Batches | undefined;
  readonly settler: Settler;
  readonly timers: Timers;
  /** Started `maxCrashes` times, and never ended. */
  readonly onCrashLoop: (entry: Entry) => void;
  readonly onLost: (entries: readonly Entry[]) => void;
  readonly onFault: (error: Error) => void;
}

export class Quarantine implements LaneMember {
  #deps: QuarantineDeps;
  #waiting = new Set<Entry>();
  /** The one of them whose start is being counted. */
  #counting: Entry | undefined;
  #stopped = false;

  constructor(deps: QuarantineDeps) {
    this.#deps = deps;
  }

  get room(): boolean {
    return this.#waiting.size < mostSuspects;
  }

  get ready(): boolean {
    return this.#deps.consumer.ready;
  }

  get unfinished(): number {
    return this.#deps.executor.inFlight + this.#deps.settler.unsettled;
  }

  start(): void {
    this.#deps.lane.join(this);
  }

  hurry(): void {
    this.#deps.batches?.flush();
  }

  wake(): void {
    this.#deps.consumer.wake();
  }

  /** Entries whose lease must be kept. */
  entries(): Iterable<Entry> {
    return this.#waiting;
  }

  /** Keeps the suspects among entries that were taken over; returns the others. */
  sortOut(entries: readonly Entry[]): Entry[] {
    for (const entry of entries) if (entry.starts >= firstSuspectStart) this.#add(entry);
    return entries.filter(({ starts }) => starts < firstSuspectStart);
  }

  drop(entries: readonly Entry[]): void {
    for (const entry of entries) this.#waiting.delete(entry);
    this.#deps.lane.drop(new Set(entries));
  }

  /** No suspect starts any more; returns those that wait. One that is being counted is handed back when that is done. */
  stop(): Entry[] {
    this.#stopped = true;
    this.#deps.lane.drop(this.#waiting);
    return [...this.#waiting].filter((entry) => entry !== this.#counting);
  }

  /** Nothing of the route runs any more. */
  leave(): void {
    this.#deps.lane.leave(this);
  }

  /** Resolves when it is settled: the next one may end the process, and with it what is not. */
  async run(entry: Entry): Promise<void> {
    if (this.#stopped) return;
    const { consumer, executor, settler, timers, onLost } = this.#deps;
    const starts = await this.#countStart(entry);
    if (!this.#waiting.delete(entry) || starts === undefined) return onLost([entry]);
    if (this.#stopped) return this.#handBack(entry);
    consumer.addFirst(entry);
    const { id } = entry;
    while (!this.#stopped && (consumer.has(id) || executor.has(id) || settler.has(id))) await timers.wait(5);
  }

  #add(entry: Entry): void {
    if (entry.starts > maxCrashes) return this.#deps.onCrashLoop(entry);
    if (this.#stopped) return void this.#handBack(entry);
    this.#waiting.add(entry);
    this.#deps.lane.enter(this, entry);
  }

  /** When the bus cannot be asked the suspect waits for another turn. */
  async #countStart(entry: Entry): Promise<number | undefined> {
    this.#counting = entry;
    try {
      return await this.#deps.group.countStart(entry);
    } catch (error) {
      this.#deps.onFault(error as Error);
      if (this.#stopped) await this.#handBack(entry);
      throw error;
    } finally {
      this.#counting = undefined;
    }
  }

  async #handBack(entry: Entry): Promise<void> {
    await this.#deps.group.release([entry]).catch(this.#deps.onFault);
  }
}
