/**
 * Deliveries that were handed out twice and never settled may be what ends the process. They run one at a time with
 * nothing else beside them, on no route of this process: so a death counts against the one that ran, and one that kills
 * takes no innocent's start count with it. (Counting all that was handed out dead-letters the neighbours as well.)
 *
 *   close the doors ─▶ what runs ends ─▶ suspect ─▶ suspect ─▶ … ─▶ open the doors for as long as they were closed
 *
 * Neither wait is longer than a moment: handlers that take long do not keep the suspects from running, nor a suspect
 * that takes long the other routes. What is then not alone is counted all the same, and it takes three such deaths.
 */
import type { Entry } from '../bus/bus.ts';
import type { Timers } from '../core/timers.ts';

/** Started this often without an end: the delivery itself is what kills its process. */
export const maxCrashes = 5;

/** The longest that other deliveries are kept from starting so that the ones that run can end, ms. */
const longestDrain = 2_000;
/** The longest that suspects then have the process to themselves, ms. */
const longestAlone = 2_000;
/** Between two looks, ms. */
const lookPause = 5;
/** Until suspects whose routes are held, or whose start could not be counted, are looked at again, ms. */
const heldPause = 250;

/** One route of this process. */
export interface LaneMember {
  /** Deliveries that run, or whose settlement is under way. */
  readonly unfinished: number;
  /** Whether breaker and DLQ would let a suspect of this route run now. */
  readonly ready: boolean;
  /** The doors close: what waits for company has none to wait for. */
  hurry(): void;
  /** Counts the start and runs it; resolves when it is settled. Rejects when the bus cannot be asked. */
  run(entry: Entry): Promise<void>;
  /** The doors are open again. */
  wake(): void;
}

interface Suspect {
  readonly member: LaneMember;
  readonly entry: Entry;
}

export class SuspectLane {
  /** True while nothing may start but the suspect whose turn it is. */
  closed = false;
  #turn: Entry | undefined;
  #timers: Timers;
  #members = new Set<LaneMember>();
  #suspects: Suspect[] = [];
  #working = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  join(member: LaneMember): void {
    this.#members.add(member);
  }

  leave(member: LaneMember): void {
    this.#members.delete(member);
    this.#suspects = this.#suspects.filter((suspect) => suspect.member !== member);
  }

  /** Whether `entry` may start behind closed doors. */
  admits(entry: Entry | undefined): boolean {
    return entry !== undefined && entry === this.#turn;
  }

  /** Runs `entry` when its turn comes, unless its member leaves before. */
  enter(member: LaneMember, entry: Entry): void {
    this.#suspects.push({ member, entry });
    if (!this.#working) void this.#work();
  }

  drop(entries: ReadonlySet<Entry>): void {
    this.#suspects = this.#suspects.filter(({ entry }) => !entries.has(entry));
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (this.#suspects.length > 0) {
      const began = this.#timers.now();
      const ended = await this.#session();
      // As long as nothing else could start, nothing of ours starts now.
      await this.#pause(Math.max(this.#timers.now() - began, ended ? 0 : heldPause));
    }
    this.#working = false;
  }

  /** Resolves to false when no suspect may run now, or the bus cannot be asked. */
  async #session(): Promise<boolean> {
    if (!this.#suspects.some(({ member }) => member.ready)) return false;
    this.closed = true;
    for (const member of this.#members) member.hurry();
    await this.#until(() => this.#idle(), longestDrain);
    const end = this.#timers.now() + longestAlone;
    let ended = false;
    while (this.#timers.now() < end && (await this.#next(end))) ended = true;
    this.#turn = undefined;
    this.closed = false;
    for (const member of this.#members) member.wake();
    return ended;
  }

  /** The next suspect that may run, until `end` has come. False: there is none, or it has not ended. */
  async #next(end: number): Promise<boolean> {
    const at = this.#suspects.findIndex(({ member }) => member.ready);
    const [suspect] = at === -1 ? [] : this.#suspects.splice(at, 1);
    if (suspect === undefined) return false;
    const { member, entry } = suspect;
    this.#turn = entry;
    let ended = false;
    let again = false;
    void member.run(entry).then(
      () => {
        ended = true;
      },
      () => {
        again = true;
        this.enter(member, entry);
      },
    );
    await this.#until(() => ended || again, end - this.#timers.now());
    return ended;
  }

  #idle(): boolean {
    for (const member of this.#members) if (member.unfinished > 0) return false;
    return true;
  }

  /** Does not keep the process alive: suspects that are left over belong to nobody then. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#timers.after(ms, resolve));
  }

  async #until(done: () => boolean, ms: number): Promise<void> {
    const end = this.#timers.now() + ms;
    while (!done() && this.#timers.now() < end) await this.#timers.wait(lookPause);
  }
}
