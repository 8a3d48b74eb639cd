/**
 * Reads entries ahead of the free slots, and starts them as the breaker and the route's concurrency allow. One read is
 * always under way while there is room, also while the entries of the last one run.
 *
 *   read ─▶ queue ─▶ (breaker, slots) ─▶ executor
 *
 * The route holds (reads nothing, starts nothing) while its breaker is open or its DLQ is full. Entries that were read
 * before stay queued; the heartbeat keeps their lease.
 */
import type { Entry, Group } from '../bus/bus.ts';
import type { Route } from '../core/route.ts';
import type { Timer, Timers } from '../core/timers.ts';
import { largestWindow, nextWindow } from '../core/window.ts';
import type { EventEnvelope } from '../event.ts';
import type { Admission } from './admission.ts';
import { type Batches, slotsOf } from './batches.ts';
import type { BreakerGate } from './breaker-gate.ts';
import type { Executor } from './executor.ts';
import { Ramp, StartRate } from './ramp.ts';
import type { SuspectLane } from './suspects.ts';

const maxUnsettled = 2_048;
/** Of small events this many fit into what a socket gives at once, 64 KiB; more is not faster. */
const longestRead = 192;
/** So few entries run at once: a trip to the bus would make them wait for longer than they take. */
const few = 16;
const firstPause = 100;
const longestPause = 2_000;
const longestSleep = 1_000;

export interface ConsumerDeps {
  readonly route: Route;
  readonly group: Pick<Group, 'read'>;
  readonly executor: Executor;
  readonly gate: BreakerGate | undefined;
  readonly admission: Admission | undefined;
  readonly batches: Batches | undefined;
  readonly suspects: SuspectLane;
  /** False: nothing may start now, whatever the breaker says [it may]. */
  readonly mayStart?: (() => boolean) | undefined;
  readonly now: () => number;
  readonly timers: Timers;
  readonly random: () => number;
  /** Settlements under way: past a bound the reader waits for the bus. */
  readonly unsettled: () => number;
  /** Settles an entry that is judged without running. `shortCircuit`: the breaker is open and dead-letters. */
  readonly judge: (
    entry: Entry,
    verdict: Exclude<ReturnType<Executor['admit']>, { kind: 'run' }> | { readonly kind: 'shortCircuit' },
  ) => void;
  readonly onFault: (error: Error) => void;
}

export class Consumer {
  #deps: ConsumerDeps;
  /** What was taken from it leaves a hole before `#head`, so that nothing is kept alive by it. */
  #queue: (Entry | undefined)[] = [];
  #head = 0;
  #window: number;
  #filledAt = 0;
  #abort = new AbortController();
  #reading: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #paused = false;
  #leasing = false;
  /** What `#slots` grows to. */
  readonly #mostSlots: number;
  #slots: number;
  #rate: StartRate;
  #ramp: Ramp | undefined;
  #holdTimer: Timer | undefined;

  constructor(deps: ConsumerDeps) {
    this.#deps = deps;
    this.#mostSlots = slotsOf(deps.route);
    this.#window = deps.batches === undefined ? this.#mostSlots : Math.min(this.#mostSlots, largestWindow);
    this.#slots = this.#mostSlots;
    this.#rate = new StartRate(deps.timers.now());
  }

  start(): void {
    this.#reading = this.#read();
  }

  get queued(): number {
    return this.#queue.length - this.#head;
  }

  get held(): boolean {
    return this.#paused || (this.#deps.gate !== undefined && this.#deps.gate.state.kind !== 'closed');
  }

  /** False while the breaker or a full DLQ would keep an entry from running. */
  get ready(): boolean {
    const { gate, route } = this.#deps;
    if (this.#paused || this.#deps.admission?.shut === true) return false;
    if (gate === undefined) return true;
    return gate.admit().kind !== 'hold' || route.breaker?.onOpen === 'deadLetter';
  }

  /** True for an entry that waits in the queue here. */
  has(id: string): boolean {
    return this.waiting().some((entry) => entry.id === id);
  }

  waiting(): readonly Entry[] {
    return this.#queue.slice(this.#head) as Entry[];
  }

  /** A full DLQ: nothing more may start until there is room. */
  pause(paused: boolean): void {
    this.#paused = paused;
    this.wake();
  }

  /** After a breaker closed: one slot first, and one more for each success; and no more than the ramp allows. */
  ramp(): void {
    const now = this.#deps.timers.now();
    this.#ramp = new Ramp(this.#rate.restart(now, this.#ramp?.isOver(now) === false), now);
    this.#slots = 1;
    this.wake();
  }

  /** A delivery ended; a success opens the ramp further. */
  freed(success: boolean): void {
    if (success && this.#slots < this.#mostSlots) this.#slots += 1;
    this.#pump();
    if (this.#wake !== undefined && this.#wanted() > 0) this.wake();
  }

  /** Entries from elsewhere than `read`: reclaimed ones. */
  add(entries: readonly Entry[]): void {
    this.#push(entries);
    this.#pump();
  }

  /** A suspect whose turn it is. */
  addFirst(entry: Entry): void {
    const rest = this.waiting();
    this.#clear();
    this.#push([entry, ...rest]);
    this.#pump();
  }

  /** Looks again at what may be read and started. */
  wake(): void {
    this.#pump();
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Ends reading; resolves to the entries that were read but not started. */
  async stop(): Promise<Entry[]> {
    this.#abort.abort();
    this.wake();
    await this.#reading;
    this.#deps.timers.cancel(this.#holdTimer);
    const rest = [...this.waiting()];
    this.#clear();
    return rest;
  }

  /** Takes lost entries out of the queue. */
  drop(entries: readonly Entry[]): void {
    const gone = new Set(entries.map((entry) => entry.id));
    const rest = this.waiting().filter((entry) => !gone.has(entry.id));
    this.#clear();
    this.#push(rest);
  }

  async #read(): Promise<void> {
    const { group, onFault, timers } = this.#deps;
    const { signal } = this.#abort;
    let pause = firstPause;
    while (!signal.aborted) {
      const limit = Math.min(this.#wanted(), longestRead);
      if (limit <= 0) {
        await this.#sleep();
        continue;
      }
      try {
        const entries = await group.read(limit, signal);
        pause = firstPause;
        this.#push(entries);
        if (entries.length < few) this.#pump();
        // The next read goes out before so many run, so that the bus answers while they do.
        else if (!signal.aborted) queueMicrotask(() => this.#pump());
      } catch (error) {
        onFault(error as Error);
        await timers.wait(pause);
        pause = Math.min(pause * 2, longestPause);
      }
    }
  }

  /** How many entries there is room for now. */
  #wanted(): number {
    const { gate, admission, batches, route, executor, suspects, unsettled } = this.#deps;
    if (this.#paused || batches?.crowded === true || suspects.closed || unsettled() > maxUnsettled) return 0;
    const taken = this.queued + executor.inFlight + (admission?.busy ?? 0);
    const stand = gate?.admit().kind ?? 'run';
    if (stand === 'run' || route.breaker?.onOpen === 'deadLetter') {
      const ahead = this.#slots < this.#mostSlots ? this.#slots : this.#window;
      const most = (admission?.readAhead ?? Number.POSITIVE_INFINITY) - this.queued;
      const room = Math.min(ahead + this.#slots - taken, most);
      // Few free places among many are not worth a trip of their own.
      return room * 4 >= ahead || this.queued === 0 ? room : 0;
    }
    return stand === 'probe' && !this.#leasing ? 1 - taken : 0;
  }

  /** Until somebody wakes it. Nobody does when the time of an open breaker is over. */
  #sleep(): Promise<void> {
    const admission = this.#deps.gate?.admit();
    const left = admission?.kind === 'hold' ? admission.until - this.#deps.now() : longestSleep;
    return new Promise((resolve) => {
      const { timers } = this.#deps;
      const { signal } = this.#abort;
      const timer = timers.after(Math.max(1, Math.min(left, longestSleep)), done);
      function done(): void {
        timers.cancel(timer);
        resolve();
      }
      this.#wake = done;
      if (signal.aborted) done();
    });
  }

  #push(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    if (this.queued === 0) {
      this.#clear();
      this.#filledAt = this.#deps.timers.now();
      this.#rate.tick(this.#filledAt);
    }
    for (const entry of entries) this.#queue.push(entry);
  }

  #clear(): void {
    this.#queue.length = 0;
    this.#head = 0;
  }

  #shift(): Entry {
    const entry = this.#queue[this.#head] as Entry;
    this.#queue[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#queue.length) {
      this.#window = nextWindow(this.#window, this.#mostSlots, this.#deps.timers.now() - this.#filledAt);
      this.#clear();
    } else if (this.#head > 1_024) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return entry;
  }

  /** Starts what may start. Handlers may end inside this loop; `freed` then comes back here, one level deep at most. */
  #pumping = false;
  #pump(): void {
    if (this.#pumping || this.#paused || this.#abort.signal.aborted) return;
    this.#pumping = true;
    const { batches } = this.#deps;
    while (this.queued > 0 && this.#free > 0 && batches?.crowded !== true && this.#isOpen() && this.#startNext());
    if (batches !== undefined && this.#free <= 0) batches.flush();
    this.#pumping = false;
  }

  /** Slots that nobody has. */
  get #free(): number {
    const { executor, admission } = this.#deps;
    return this.#slots - executor.inFlight - (admission?.busy ?? 0);
  }

  #isOpen(): boolean {
    const { suspects, mayStart } = this.#deps;
    if (mayStart?.() === false) return false;
    return !suspects.closed || suspects.admits(this.#queue[this.#head]);
  }

  /** False: nothing more may start now. */
  #startNext(): boolean {
    const { gate, route } = this.#deps;
    if (gate === undefined) return this.#permitted() && this.#run(0);
    const admission = gate.admit();
    switch (admission.kind) {
      case 'run':
        return this.#permitted() && this.#ramped() && this.#run(admission.period);
      case 'probe':
        this.#rate.held(this.#deps.timers.now());
        if (!this.#leasing && this.#permitted()) void this.#probe(gate);
        return this.#shortCircuit(route);
      case 'hold':
        this.#rate.held(this.#deps.timers.now());
        this.#wakeAt(admission.until);
        return this.#shortCircuit(route);
    }
  }

  /** False: there is no permit for the next one yet; who gives them out wakes us. */
  #permitted(): boolean {
    const { admission } = this.#deps;
    if (admission === undefined || admission.stocked) return true;
    this.#judgeUnwanted();
    return this.queued > 0 && admission.admits(Math.max(1, Math.min(this.queued, this.#free)));
  }

  /** What does not run anyway needs no permit. */
  #judgeUnwanted(): void {
    const { executor, judge } = this.#deps;
    while (this.queued > 0) {
      const admitted = executor.admit(this.#queue[this.#head] as Entry);
      if (admitted.kind === 'run') return;
      judge(this.#shift(), admitted);
    }
  }

  /** Counts one more start; false when the ramp does not allow it yet. */
  #ramped(): boolean {
    if (this.#ramp !== undefined && !this.#climb(this.#ramp)) return false;
    this.#rate.started();
    return true;
  }

  #climb(ramp: Ramp): boolean {
    const now = this.#deps.timers.now();
    if (ramp.isOver(now)) {
      this.#ramp = undefined;
      return true;
    }
    const at = ramp.nextAt(now);
    if (at > now) {
      this.#wakeAt(this.#deps.now() + at - now);
      return false;
    }
    ramp.started();
    return true;
  }

  #run(period: number, probe?: string): boolean {
    const entry = this.#shift();
    const admitted = this.#deps.executor.admit(entry);
    if (admitted.kind === 'run') this.#start(entry, admitted, period, probe);
    else this.#deps.judge(entry, admitted);
    return admitted.kind === 'run' || probe === undefined;
  }

  #start(
    entry: Entry,
    { event, published }: { event: EventEnvelope; published: EventEnvelope },
    period: number,
    probe?: string,
  ): void {
    const { admission, executor, gate } = this.#deps;
    if (admission === undefined) executor.run(entry, event, period, probe);
    else admission.pass({ entry, event, published, period, probe, gate });
  }

  /** `onOpen: deadLetter`: what comes while the breaker is open does not wait. One entry is kept for the probe. */
  #shortCircuit(route: Route): boolean {
    if (route.breaker?.onOpen !== 'deadLetter' || (this.#leasing && this.queued <= 1)) return false;
    this.#deps.judge(this.#shift(), { kind: 'shortCircuit' });
    return true;
  }

  async #probe(gate: BreakerGate): Promise<void> {
    this.#leasing = true;
    const id = `${this.#deps.route.group}:${this.#deps.random().toString(36).slice(2)}`;
    const period = await gate.lease(id, this.#deps.route.timeout + 5_000);
    this.#leasing = false;
    if (period === undefined) return this.#wakeAt(this.#deps.now() + 250);
    const canRun = this.queued > 0 && !this.#abort.signal.aborted && this.#isOpen() && this.#permitted();
    if (!canRun || !this.#run(period, id)) await gate.giveBack(id);
    this.#pump();
  }

  #wakeAt(until: number): void {
    const { now, timers } = this.#deps;
    timers.cancel(this.#holdTimer);
    this.#holdTimer = timers.after(Math.max(1, Math.min(until - now(), 60_000)), () => this.wake());
  }
}
