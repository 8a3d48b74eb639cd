/**
 * Regular expressions whose time grows with the text and never explodes: every way through the pattern is followed at
 * once, one step for each character (K. Thompson, "Regular Expression Search Algorithm", CACM 11(6), 1968). The syntax
 * is the part of RE2's that people use; what needs backtracking (look-around, back references) is refused, as in RE2.
 *
 *   . [a-z] [^…] [[:alpha:]] \d \w \s \D \W \S \. \n \t \r \f \v \xhh \uhhhh · | ( ) (?: ) · * + ? {n} {n,} {n,m}, lazy too · ^ $ \b \B · (?i) in front
 */

import { bothCases, classes, complement, namedClasses, point, type Range } from './characters.ts';

type Step =
  | { readonly kind: 'one'; readonly ranges: readonly Range[]; readonly negated: boolean }
  | { readonly kind: 'split'; first: number; second: number }
  | { readonly kind: 'at'; readonly where: '^' | '$' | 'b' | 'B' }
  | { readonly kind: 'end' };

type Node =
  | { readonly kind: 'one'; readonly ranges: readonly Range[]; readonly negated: boolean }
  | { readonly kind: 'at'; readonly where: '^' | '$' | 'b' | 'B' }
  | { readonly kind: 'all'; readonly parts: readonly Node[] }
  | { readonly kind: 'any'; readonly choices: readonly Node[] }
  | { readonly kind: 'repeat'; readonly inner: Node; readonly least: number; readonly most: number };

/** Steps of a compiled pattern: each character of the text looks at each of them at most once. */
const mostSteps = 500;
/** How many looks at steps are told about together. */
const looksAtOnce = 1_000;
const mostRepeats = 100;
const deepest = 20;

/** The pattern is refused; `at` is where in it, in UTF-16 units. */
export class PatternError extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

const controls: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, f: 12, v: 11, a: 7 };

/** Reads a pattern; one instance for each. */
class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #folded = false;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Node {
    if (this.#text.startsWith('(?i)')) {
      this.#folded = true;
      this.#at = 4;
    }
    const node = this.#choices();
    if (this.#at < this.#text.length) this.#refuse('expected no ) without its (');
    return node;
  }

  #refuse(message: string): never {
    throw new PatternError(message, Math.min(this.#at, this.#text.length));
  }

  #peek(): string | undefined {
    const code = this.#text.codePointAt(this.#at);
    return code === undefined ? undefined : String.fromCodePoint(code);
  }

  #take(): string {
    const next = this.#peek() ?? this.#refuse('expected more of the pattern, got its end');
    this.#at += next.length;
    return next;
  }

  #skip(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #choices(): Node {
    const choices = [this.#sequence()];
    while (this.#skip('|')) choices.push(this.#sequence());
    return choices.length === 1 ? (choices[0] as Node) : { kind: 'any', choices };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek()) {
      parts.push(this.#repeated(this.#atom()));
    }
    return { kind: 'all', parts };
  }

  #repeated(inner: Node): Node {
    const counts = this.#counts();
    if (counts === undefined) return inner;
    this.#skip('?');
    if (this.#counts() !== undefined) this.#refuse('expected one repetition, got two of them');
    return { kind: 'repeat', inner, ...counts };
  }

  #counts(): { least: number; most: number } | undefined {
    if (this.#skip('*')) return { least: 0, most: Number.POSITIVE_INFINITY };
    if (this.#skip('+')) return { least: 1, most: Number.POSITIVE_INFINITY };
    if (this.#skip('?')) return { least: 0, most: 1 };
    const braces = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#text.slice(this.#at, this.#at + 12));
    if (braces === null) return undefined;
    const least = Number(braces[1]);
    const most = braces[2] === undefined ? least : braces[3] === '' ? Number.POSITIVE_INFINITY : Number(braces[3]);
    if (least > mostRepeats || (Number.isFinite(most) && most > mostRepeats)) {
      this.#refuse(`expected at most ${mostRepeats} repetitions in { }`);
    }
    if (most < least) this.#refuse('expected { } to hold the lower number first');
    this.#at += braces[0].length;
    return { least, most };
  }

  #atom(): Node {
    const next = this.#take();
    switch (next) {
      case '(':
        return this.#group();
      case '[':
        return this.#set();
      case '.':
        return { kind: 'one', ranges: [[10, 10]], negated: true };
      case '^':
      case '$':
        return { kind: 'at', where: next };
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
        this.#at -= 1;
        return this.#refuse(`expected something before ${next}`);
      default:
        return this.#one([[point(next), point(next)]]);
    }
  }

  #group(): Node {
    if (this.#skip('?') && !this.#skip(':')) {
      this.#refuse('expected a plain group: look-around, names and flags inside of a pattern are not supported');
    }
    this.#depth += 1;
    if (this.#depth > deepest) this.#refuse(`expected at most ${deepest} groups in each other`);
    const node = this.#choices();
    this.#depth -= 1;
    if (!this.#skip(')')) this.#refuse('expected a ) for this (');
    return node;
  }

  #escape(): Node {
    const next = this.#take();
    if (next === 'b' || next === 'B') return { kind: 'at', where: next };
    const known = classes[next.toLowerCase()];
    if (known !== undefined) return { kind: 'one', ranges: known, negated: next !== next.toLowerCase() };
    const code = this.#escaped(next);
    return this.#one([[code, code]]);
  }

  #escaped(letter: string): number {
    const control = controls[letter];
    if (control !== undefined) return control;
    if (letter === 'x' || letter === 'u') {
      const length = letter === 'x' ? 2 : 4;
      const hex = this.#text.slice(this.#at, this.#at + length);
      if (hex.length < length || !/^[0-9a-f]+$/i.test(hex)) this.#refuse(`expected ${length} hex digits`);
      this.#at += length;
      return Number.parseInt(hex, 16);
    }
    if (/[A-Za-z0-9]/.test(letter)) this.#refuse(`expected an escape that stands for a character, got \\${letter}`);
    return point(letter);
  }

  #set(): Node {
    const negated = this.#skip('^');
    const ranges: Range[] = [];
    do ranges.push(...this.#setItem());
    while (this.#peek() !== ']');
    this.#at += 1;
    return { ...this.#one(ranges), negated };
  }

  #setItem(): readonly Range[] {
    const named = this.#named();
    if (named !== undefined) return named;
    const next = this.#take();
    if (next === '\\') {
      const letter = this.#take();
      const known = classes[letter.toLowerCase()];
      if (known !== undefined) return letter === letter.toLowerCase() ? known : complement(known);
      return this.#range(this.#escaped(letter));
    }
    return this.#range(point(next));
  }

  /** `[:alpha:]`, which stands inside of a set only. */
  #named(): readonly Range[] | undefined {
    const [whole, not = '', name = ''] = /^\[:(\^?)([^:\]]*):\]/.exec(this.#text.slice(this.#at)) ?? [];
    if (whole === undefined) return undefined;
    const ranges = namedClasses.get(name);
    if (ranges === undefined) this.#refuse(`expected ${[...namedClasses.keys()].join(', ')} in [: :], got ${name}`);
    this.#at += whole.length;
    return not === '' ? ranges : complement(ranges);
  }

  #range(from: number): Range[] {
    const [dash, after] = [this.#text[this.#at], this.#text[this.#at + 1]];
    if (dash !== '-' || after === ']' || after === undefined) return [[from, from]];
    this.#at += 1;
    const next = this.#take();
    const to = next === '\\' ? this.#escaped(this.#take()) : point(next);
    if (to < from) this.#refuse('expected a range to start with its lower end');
    return [[from, to]];
  }

  /** With `(?i)` letters of the Latin alphabet fit in either case. */
  #one(ranges: readonly Range[]): Node & { kind: 'one' } {
    return { kind: 'one', ranges: this.#folded ? ranges.flatMap(bothCases) : ranges, negated: false };
  }
}

function emit(node: Node, steps: Step[]): void {
  if (steps.length > mostSteps) throw new PatternError(`expected a pattern of at most ${mostSteps} steps`, 0);
  switch (node.kind) {
    case 'one':
    case 'at':
      steps.push(node);
      return;
    case 'all':
      for (const part of node.parts) emit(part, steps);
      return;
    case 'any':
      return emitChoices(node.choices, steps);
    case 'repeat':
      return emitRepeat(node, steps);
  }
}

/** A split whose second way leads to what comes after `emitFirst`. */
function emitSplit(steps: Step[], emitFirst: () => void): void {
  const split = { kind: 'split' as const, first: steps.length + 1, second: 0 };
  steps.push(split);
  emitFirst();
  split.second = steps.length;
}

/** A jump is a split with one way. */
function emitJump(steps: Step[], to: number): { first: number; second: number } {
  const jump = { kind: 'split' as const, first: to, second: to };
  steps.push(jump);
  return jump;
}

function emitChoices(choices: readonly Node[], steps: Step[]): void {
  const jumps = choices.slice(0, -1).map((choice) => {
    let jump = { first: 0, second: 0 };
    emitSplit(steps, () => {
      emit(choice, steps);
      jump = emitJump(steps, 0);
    });
    return jump;
  });
  emit(choices.at(-1) as Node, steps);
  for (const jump of jumps) jump.first = jump.second = steps.length;
}

function emitRepeat({ inner, least, most }: Extract<Node, { kind: 'repeat' }>, steps: Step[]): void {
  for (let count = 0; count < least; count++) {
    const before = steps.length;
    emit(inner, steps);
    // A hundred times nothing is nothing, also inside of a hundred times a hundred.
    if (steps.length === before) return;
  }
  if (Number.isFinite(most)) {
    for (let count = least; count < most; count++) emitSplit(steps, () => emit(inner, steps));
    return;
  }
  const start = steps.length;
  emitSplit(steps, () => {
    emit(inner, steps);
    emitJump(steps, start);
  });
}

function fits({ ranges, negated }: Extract<Step, { kind: 'one' }>, code: number): boolean {
  for (const [low, high] of ranges) if (code >= low && code <= high) return !negated;
  return negated;
}

const isWord = (text: string, at: number): boolean => /\w/.test(text[at] ?? '');

function holds(where: '^' | '$' | 'b' | 'B', text: string, at: number): boolean {
  switch (where) {
    case '^':
      return at === 0;
    case '$':
      return at === text.length;
    case 'b':
    case 'B':
      return (isWord(text, at - 1) !== isWord(text, at)) === (where === 'b');
  }
}

/** The steps that wait for a character; each is in it once, whatever ways lead there. */
class Front {
  readonly #steps: readonly Step[];
  readonly #seen: Int32Array;
  readonly #open: number[] = [];
  #round = 0;
  waiting: number[] = [];
  ended = false;
  /** At how many steps it has looked. */
  looks = 0;

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
    this.#seen = new Int32Array(steps.length);
  }

  clear(): void {
    this.#round += 1;
    this.waiting.length = 0;
  }

  add(from: number, text: string, at: number): void {
    const open = this.#open;
    open.push(from);
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      this.looks += 1;
      if (this.#seen[next] === this.#round) continue;
      this.#seen[next] = this.#round;
      const step = this.#steps[next] as Step;
      if (step.kind === 'end') this.ended = true;
      else if (step.kind === 'one') this.waiting.push(next);
      else if (step.kind === 'split') open.push(step.second, step.first);
      else if (holds(step.where, text, at)) open.push(next + 1);
    }
  }
}

function search(steps: readonly Step[], text: string, spend: (looks: number) => void): boolean {
  let [now, next] = [new Front(steps), new Front(steps)];
  now.clear();
  for (let at = 0; ; ) {
    if (now.looks > looksAtOnce) {
      spend(now.looks);
      now.looks = 0;
    }
    now.add(0, text, at);
    if (now.ended) return true;
    const code = text.codePointAt(at);
    if (code === undefined) return false;
    const after = at + (code > 0xffff ? 2 : 1);
    next.clear();
    now.looks += now.waiting.length;
    for (const index of now.waiting) {
      if (fits(steps[index] as Extract<Step, { kind: 'one' }>, code)) next.add(index + 1, text, after);
    }
    if (next.ended) return true;
    [now, next] = [next, now];
    at = after;
  }
}

/**
 * Whether the pattern is anywhere in a text. Throws {@link PatternError} for what it does not take. While the test runs it
 * tells `spend` at how many steps it has looked since it told last; what that throws ends the test.
 */
export function compileRegex(
  pattern: string,
  spend: (looks: number) => void = () => undefined,
): (text: string) => boolean {
  const steps: Step[] = [];
  emit(new Parser(pattern).parse(), steps);
  steps.push({ kind: 'end' });
  return (text) => search(steps, text, spend);
}
