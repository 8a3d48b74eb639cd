/** What goes wrong in the background is said once, and again only when it changes or comes back after it was gone. */
import type { BusFault } from '../bus.ts';

const kinds: readonly (readonly [RegExp, string])[] = [
  [/^(NOGROUP|UNBLOCKED)\b/, 'nogroup'],
  [/^READONLY\b/, 'readonly'],
  [/^OOM\b/, 'oom'],
  [/^LOADING\b/, 'loading'],
  [/\b(E[A-Z]{5,}|closed|ended|writeable|Socket timeout|max retries|NOAUTH|WRONGPASS)\b/i, 'connection'],
  [/did not answer/, 'timeout'],
];

/** One of the low-cardinality words of {@link BusFault}. */
export function faultKind(error: Error): string {
  return kinds.find(([pattern]) => pattern.test(error.message))?.[1] ?? 'other';
}

export class FaultLog {
  readonly #tell: (fault: BusFault) => void;
  readonly #last = new Map<string, string>();

  constructor(tell: ((fault: BusFault) => void) | undefined) {
    this.#tell = tell ?? (() => undefined);
  }

  /** `scope` is what the fault is about; a scope has one fault at a time. */
  report(scope: string, kind: string, message: string): void {
    if (this.#last.get(scope) === message) return;
    this.#last.set(scope, message);
    this.#tell({ kind, message });
  }

  /** The scope works again. */
  clear(scope: string): void {
    if (this.#last.size > 0) this.#last.delete(scope);
  }
}
