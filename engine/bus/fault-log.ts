/**
 * What goes wrong in the background is told once, then once a minute while it lasts, and once when it is over, with how
 * long it took and how often it was met: a bus that is away must not fill the disk with lines.
 */
import { faultShape } from '../core/faults.ts';
import type { BusFault } from './bus.ts';

const againAfterMs = 60_000;
/** What nobody has met for so long is over, though nobody said so. */
const quietMs = 15_000;
const lookMs = 5_000;

interface Row {
  readonly kind: string;
  /** What it is about; with the last of them it is over. */
  readonly scopes: Set<string>;
  readonly since: number;
  message: string;
  last: number;
  toldAt: number;
  times: number;
}

export class FaultLog {
  readonly #tell: (fault: BusFault) => void;
  readonly #rows = new Map<string, Row>();
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: ((fault: BusFault) => void) | undefined, now: () => number = () => performance.now()) {
    this.#tell = tell ?? (() => undefined);
    this.#now = now;
  }

  /** `scope` is what the fault is about, such as one connection. The same kind in several scopes is one fault. */
  report(scope: string, kind: string, message: string): void {
    const now = this.#now();
    const key = keyOf(scope, kind, message);
    const row = this.#rows.get(key);
    if (row === undefined)
      this.#begin(key, { kind, scopes: new Set([scope]), since: now, message, last: now, toldAt: now, times: 1 });
    else this.#again(row, scope, message, now);
  }

  /** For what happens once and does not last. */
  event(kind: string, message: string): void {
    this.#tell({ kind, message });
  }

  /** The scope works again. */
  clear(scope: string): void {
    if (this.#rows.size === 0) return;
    for (const [key, row] of this.#rows) if (row.scopes.delete(scope) && row.scopes.size === 0) this.#end(key, row);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#rows.clear();
  }

  #begin(key: string, row: Row): void {
    this.#rows.set(key, row);
    this.#tell({ kind: row.kind, message: row.message });
    this.#timer ??= setInterval(() => this.look(), lookMs).unref();
  }

  #again(row: Row, scope: string, message: string, now: number): void {
    row.scopes.add(scope);
    row.message = message;
    row.last = now;
    row.times += 1;
    if (now - row.toldAt < againAfterMs) return;
    row.toldAt = now;
    this.#tell({ kind: row.kind, message: `${message} (${row.times} times in ${seconds(now - row.since)} s)` });
  }

  /** Ends what has not been met lately; runs by itself every few seconds. */
  look(): void {
    const now = this.#now();
    for (const [key, row] of this.#rows) if (now - row.last >= quietMs) this.#end(key, row);
  }

  #end(key: string, { kind, message, since, last, times }: Row): void {
    this.#rows.delete(key);
    if (this.#rows.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    this.#tell({ kind, message, over: { seconds: seconds(last - since), times } });
  }
}

const seconds = (ms: number): number => Math.round(ms / 1_000);

/** A group that is gone is a fault of its own, and so is what has no name; everything else is the server's. */
function keyOf(scope: string, kind: string, message: string): string {
  if (kind === 'nogroup') return `${kind} ${scope}`;
  return kind === 'other' ? faultShape({ code: kind, message, kind: 'error' }) : kind;
}
