/**
 * A linear look at hostile text before the parser sees it: the parser recurses, and 40 KB of `[` end the whole process.
 * The lexer does not recurse, so its tokens can be counted safely. The limits here are coarse; the exact ones are
 * checked on the parsed tree, where every fault has its path.
 */
import { CST, Lexer } from 'yaml';
import type { Place } from './diagnostic.ts';

export const deepest = 32;
export const mostNodes = 5_000;
/** Each node has at most a key and a value. */
const mostWords = 2 * mostNodes;
/** Brackets, commas, colons, anchors and tags: the parser takes time for each. */
const mostTokens = 16 * mostNodes;

export interface Excess {
  readonly kind: 'deep' | 'large';
  readonly place: Place;
}

/** Nesting by indentation: the columns of the blocks that are open. */
class Blocks {
  private readonly columns: number[] = [];
  open(column: number): void {
    while ((this.columns.at(-1) ?? -1) > column) this.columns.pop();
    if (this.columns.at(-1) !== column) this.columns.push(column);
  }
  get depth(): number {
    return this.columns.length;
  }
}

interface Lexeme {
  readonly type: string;
  readonly place: Place;
  readonly column: number;
}

/** The lexer's tokens with their places; the marks that it puts between them, which are not in the text, are left out. */
function* lexemes(text: string): Generator<Lexeme> {
  let [offset, lineStart, valueNext] = [0, 0, false];
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    if (!valueNext && (token === CST.SCALAR || token === CST.DOCUMENT || token === CST.FLOW_END)) {
      valueNext = token === CST.SCALAR;
      continue;
    }
    const place = { start: offset, end: offset + token.length };
    yield { type: valueNext ? 'scalar' : (type ?? 'other'), place, column: offset - lineStart };
    valueNext = false;
    offset = place.end;
    const lastBreak = token.lastIndexOf('\n');
    if (lastBreak !== -1) lineStart = place.start + lastBreak + 1;
  }
}

const blockStarts = new Set([
  'seq-item-ind',
  'explicit-key-ind',
  'scalar',
  'single-quoted-scalar',
  'double-quoted-scalar',
  'alias',
]);
const flowStarts = new Set(['flow-map-start', 'flow-seq-start']);
const flowEnds = new Set(['flow-map-end', 'flow-seq-end']);

const blank = new Set(['space', 'newline', 'comment', 'byte-order-mark']);

/** Undefined: the parser's recursion is bounded, and what it has to do. */
export function prescan(text: string): Excess | undefined {
  const blocks = new Blocks();
  let [flow, words, tokens, previous] = [0, 0, 0, ''];
  for (const { type, place, column } of lexemes(text)) {
    if (blank.has(type)) continue;
    // A colon without a key opens a map, so that `: : :` nests.
    const opens = blockStarts.has(type) || (type === 'map-value-ind' && !blockStarts.has(previous));
    if (flowStarts.has(type)) flow++;
    else if (flowEnds.has(type)) flow--;
    else if (opens) {
      words++;
      if (flow === 0) blocks.open(column);
    }
    tokens++;
    previous = type;
    if (flow + blocks.depth > deepest + 1) return { kind: 'deep', place };
    if (words > mostWords || tokens > mostTokens) return { kind: 'large', place };
  }
  return undefined;
}
