/** One run of one seed: what it has covered, the trace that tells two runs apart, and the first promise it broke. */

export class Violation extends Error {
  /** The promise that was broken, as a sentence. */
  readonly invariant: string;

  constructor(invariant: string, detail: string) {
    super(`${invariant}: ${detail}`);
    this.name = 'Violation';
    this.invariant = invariant;
  }
}

export class Run {
  readonly coverage = new Map<string, number>();
  violation: Violation | undefined;
  /** The newest lines of the trace. */
  readonly tail: string[] = [];
  readonly #now: () => number;
  readonly #print: ((line: string) => void) | undefined;
  #hash = 0x811c9dc5;

  constructor(now: () => number, print?: (line: string) => void) {
    this.#now = now;
    this.#print = print;
  }

  cover(what: string, by = 1): void {
    this.coverage.set(what, (this.coverage.get(what) ?? 0) + by);
  }

  /** Only the first counts: what follows is its consequence. */
  fail(invariant: string, detail: string): void {
    this.violation ??= new Violation(invariant, detail);
  }

  note(what: () => string): void {
    const line = `${this.#now() - 1_000_000_000} ${what()}`;
    this.#mix(line);
    this.tail.push(line);
    if (this.tail.length > 120) this.tail.splice(0, 60);
    this.#print?.(line);
  }

  /** FNV-1a over every line so far. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  #mix(line: string): void {
    let hash = this.#hash;
    for (let at = 0; at < line.length; at += 1) hash = Math.imul(hash ^ line.charCodeAt(at), 0x01000193);
    this.#hash = hash;
  }
}
