/**
 * What the bus says about each route, read when somebody scrapes. A bus that is slow or gone must not hang the page:
 * past the deadline the last numbers are shown, and their age with them.
 */
import type { Bus, Fill, GroupStats } from '../bus/bus.ts';

export interface BusReaderOptions {
  readonly bus: () => Bus | undefined;
  readonly groups: () => Iterable<string>;
  /** Told after every reading. */
  readonly onAnswer: (up: boolean) => void;
  /** Scrapes closer together than this share one reading, ms. */
  readonly cacheMs: number;
  /** How long a scrape waits, ms. */
  readonly deadlineMs: number;
  readonly now: () => number;
}

/** Groups asked at the same time. */
const width = 8;

export class BusReader {
  readonly stats = new Map<string, GroupStats>();
  /** Undefined where the store has no limit. */
  fill: Fill | undefined;
  /** ms since the epoch; of the start before the first success. */
  readAt: number;
  #reading: { readonly since: number; readonly done: Promise<void> } | undefined;
  #startedAt = Number.NEGATIVE_INFINITY;
  readonly #options: BusReaderOptions;

  constructor(options: BusReaderOptions) {
    this.#options = options;
    this.readAt = options.now();
  }

  /** Resolves when the numbers are fresh, at the latest after the deadline. Never rejects. */
  async refresh(): Promise<void> {
    const { now, cacheMs, deadlineMs } = this.#options;
    if (this.#reading === undefined && now() - this.#startedAt < cacheMs) return;
    if (this.#reading === undefined || now() - this.#reading.since > 10 * deadlineMs) this.#start();
    await this.#orDeadline(this.#reading?.done);
  }

  #start(): void {
    this.#startedAt = this.#options.now();
    const reading = { since: this.#startedAt, done: this.#read() };
    this.#reading = reading;
    void reading.done.then(() => {
      if (this.#reading === reading) this.#reading = undefined;
    });
  }

  async #orDeadline(reading: Promise<void> | undefined): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, this.#options.deadlineMs, 'late');
    });
    if ((await Promise.race([reading, late])) === 'late') this.#options.onAnswer(false);
    clearTimeout(timer);
  }

  async #read(): Promise<void> {
    const bus = this.#options.bus();
    const up = bus !== undefined && (await succeeds(bus.ping()));
    if (up && (await succeeds(this.#readFill(bus))) && (await succeeds(this.#readGroups(bus))))
      this.readAt = this.#options.now();
    this.#options.onAnswer(up);
  }

  async #readFill(bus: Bus): Promise<void> {
    this.fill = await bus.fill?.();
  }

  async #readGroups(bus: Bus): Promise<void> {
    const groups = new Set(this.#options.groups());
    for (const known of this.stats.keys()) if (!groups.has(known)) this.stats.delete(known);
    const queue = groups.values();
    await Promise.all(Array.from({ length: width }, () => this.#readSome(bus, queue)));
  }

  async #readSome(bus: Bus, groups: IterableIterator<string>): Promise<void> {
    for (const group of groups) {
      const stats = await bus.groupStats(group);
      if (stats === undefined) this.stats.delete(group);
      else this.stats.set(group, stats);
    }
  }
}

const succeeds = async (attempt: Promise<void>): Promise<boolean> => {
  try {
    await attempt;
    return true;
  } catch {
    return false;
  }
};
