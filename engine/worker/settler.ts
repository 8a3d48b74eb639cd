/**
 * Gathers settlements over a turn of the event loop and settles them in one call: an ack of its own for every event
 * halves the throughput. What could not be settled because the bus did not answer is kept and tried again.
 */
import type { Entry, Group, SettleItem, SettleResult } from '../bus/bus.ts';
import { encodeLine, type JournalRow } from '../core/journal.ts';
import type { Timers } from '../core/timers.ts';

const maxBatch = 256;
const maxCalls = 4;
const firstPause = 100;
const longestPause = 2_000;

export interface SettlerDeps {
  readonly group: Group;
  /** After the bus has spoken, once per item. `full` items were kept and are tried again by the settler. */
  readonly onSettled: (item: SettleItem, result: SettleResult) => void;
  readonly onFault: (error: Error) => void;
  readonly journal: boolean;
  /** Says in the journal by which configuration a delivery ran. */
  readonly config: string;
  readonly timers: Timers;
}

export class Settler {
  #deps: SettlerDeps;
  #items: SettleItem[] = [];
  /** What the bus was asked for, and letters that wait for room. */
  #underWay: (readonly SettleItem[])[] = [];
  #rows: JournalRow[] = [];
  #calls = 0;
  #scheduled = false;
  #stopped = false;
  #unsettled = 0;

  constructor(deps: SettlerDeps) {
    this.#deps = deps;
  }

  /** Whether the entry's settlement is not known yet. */
  has(id: string): boolean {
    return this.entries().some((entry) => entry.id === id);
  }

  /** Settlements that the bus has not confirmed yet. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** Of these settlements: still ours, as long as the bus has not taken them. */
  entries(): Entry[] {
    return [this.#items, ...this.#underWay].flatMap((items) => items.map((item) => item.entry));
  }

  add(item: SettleItem, journalRow: JournalRow | undefined): void {
    this.#items.push(item);
    this.#unsettled += 1;
    if (journalRow !== undefined && this.#deps.journal) this.#rows.push(journalRow);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#deps.timers.soon(() => this.#flush());
  }

  /** Gives up on what the bus does not take: it is redelivered after its lease. */
  stop(): void {
    this.#stopped = true;
  }

  #flush(): void {
    this.#scheduled = false;
    while (this.#items.length > 0 && this.#calls < maxCalls) {
      const items = this.#items.splice(0, maxBatch);
      const rows = this.#rows.splice(0, maxBatch);
      this.#calls += 1;
      this.#underWay.push(items);
      void this.#settle(items, rows.length === 0 ? undefined : encodeLine(rows, this.#deps.config)).finally(() => {
        this.#calls -= 1;
        if (this.#items.length > 0 && !this.#scheduled) this.#flush();
      });
    }
  }

  async #settle(items: readonly SettleItem[], journal: string | undefined): Promise<void> {
    for (let pause = firstPause; !this.#stopped; pause = Math.min(pause * 2, longestPause)) {
      try {
        const results = await this.#deps.group.settle(items, journal);
        this.#confirm(items, results);
        return;
      } catch (error) {
        this.#deps.onFault(error as Error);
        await this.#pause(pause);
      }
    }
  }

  /** Not `wait`: what the bus does not take must not keep the process. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#deps.timers.after(ms, resolve));
  }

  #confirm(items: readonly SettleItem[], results: readonly SettleResult[]): void {
    this.#underWay.splice(this.#underWay.indexOf(items), 1);
    const full: SettleItem[] = [];
    for (let at = 0; at < items.length; at += 1) {
      const item = items[at] as SettleItem;
      const result = results[at] ?? 'fenced';
      if (result === 'full') full.push(item);
      else this.#unsettled -= 1;
      this.#deps.onSettled(item, result);
    }
    if (full.length > 0) this.#tryLater(full);
  }

  /** The DLQ is full: the letters wait here, pending and ours, until somebody makes room. */
  #tryLater(items: readonly SettleItem[]): void {
    this.#underWay.push(items);
    this.#deps.timers.after(longestPause, () => {
      if (this.#stopped) return;
      this.#underWay.splice(this.#underWay.indexOf(items), 1);
      this.#items.push(...items);
      this.#flush();
    });
  }
}
