/** The text of one file: a tree with places, or every reason why not. Bounded by the limits of `prescan.ts`; see `parser.ts`. */
import { parseAllDocuments, type YAMLError, type YAMLParseError } from 'yaml';
import { deepest, mostNodes, prescan } from './prescan.ts';
import { type ReadTree, readTree, type TextFault } from './read-tree.ts';
import { createSource, type Source } from './source.ts';

const failed = (fault: TextFault): ReadTree => ({ tree: undefined, faults: [fault] });

const tooDeep = (start: number, end: number): ReadTree =>
  failed({ place: { start, end }, code: 'EF1004', path: [], message: `expected at most ${deepest} levels of nesting` });

/** A text of commas makes an error of each, and most of the time goes into stacks that nobody reads. */
function withoutStacks<T>(work: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return work();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** Plain data, so that it can come from another thread. Throws only when the library under it is at fault. */
export function parseText(text: string): ReadTree {
  const excess = prescan(text);
  if (excess?.kind === 'deep') return tooDeep(excess.place.start, excess.place.end);
  if (excess?.kind === 'large') {
    return failed({ place: excess.place, code: 'EF1009', path: [], message: `expected at most ${mostNodes} values` });
  }
  // Duplicate keys are found while the tree is read: the parser compares every key with every other one.
  const options = { version: '1.2', uniqueKeys: false, prettyErrors: false, resolveKnownTags: false } as const;
  const documents = withoutStacks(() => parseAllDocuments(text, options));
  const [document, second] = 'empty' in documents ? [] : documents;
  if (second !== undefined) {
    const start = second.range[0];
    const message = 'expected one document, got a second one after `---`';
    const help = 'put each pipeline into a file of its own';
    return failed({ place: { start, end: start + 3 }, code: 'EF1007', path: [], message, help });
  }
  const wrong = [...(document?.errors ?? []), ...(document?.warnings ?? [])];
  const source = createSource('', '', text);
  if (wrong.length > 0) {
    return { tree: undefined, faults: onePerLine(source, wrong).map((error) => syntaxFault(text, error)) };
  }
  if (document?.contents === undefined || document.contents === null) {
    const message = 'expected a YAML document, got an empty file';
    return failed({ place: { start: 0, end: 1 }, code: 'EF1011', path: [], message });
  }
  return readTree(document, (place) => source.at(place).line);
}

type Phrase = readonly [message: string, help?: string];

/** What the parser means, in words that do not need its source beside them. */
const phrases: Partial<Record<YAMLParseError['code'], Phrase>> = {
  TAB_AS_INDENT: ['expected spaces, got a tab', 'YAML does not take tabs as indentation'],
  BAD_INDENT: [
    'expected this line to be indented like the ones around it',
    'items of one map or list start in one column',
  ],
  MULTILINE_IMPLICIT_KEY: [
    'expected a key and its value on one line',
    'the next line is probably indented too far, or a quote is missing',
  ],
  BLOCK_AS_IMPLICIT_KEY: ['a colon too many', 'put quotes around a value that has a colon and a space in it'],
};

const look = 'look at the quotes, colons and brackets here and in the line above';

function phraseOf({ code, message, pos }: YAMLError, text: string): Phrase {
  if (text.slice(pos[0] - 1, pos[0] + 1) === '${') {
    return ['expected quotes around a reference within { } or [ ]', 'write "${NAME}"'];
  }
  const [, closing] = /must be sufficiently indented and end with a (.)/.exec(message) ?? [];
  if (closing !== undefined) return [`expected the closing ${closing} before this`, 'the bracket is opened above'];
  if (code === 'MISSING_CHAR' && message.includes('quote')) {
    return ['expected a closing quote, got the end of the text', 'a quote is opened above and never closed'];
  }
  const own = message.charAt(0).toLowerCase() + message.slice(1, 200);
  return phrases[code] ?? [own, look];
}

/** One slip makes several errors on its line; the most telling one is kept. */
function onePerLine(source: Source, errors: readonly YAMLError[]): YAMLError[] {
  const byLine = new Map<number, YAMLError>();
  for (const error of errors) {
    const { line } = source.at({ start: error.pos[0], end: error.pos[1] });
    const known = byLine.get(line);
    if (known === undefined || known.code === 'BLOCK_AS_IMPLICIT_KEY') byLine.set(line, error);
  }
  return [...byLine.values()];
}

function syntaxFault(text: string, error: YAMLError): TextFault {
  const place = { start: error.pos[0], end: error.pos[1] };
  if (error.code === 'TAG_RESOLVE_FAILED') {
    const tag = text.slice(place.start, Math.min(place.end, place.start + 60));
    const help = 'remove the tag; values of the pipeline language need none';
    return { place, code: 'EF1008', path: [], message: `unknown YAML tag ${tag}`, help };
  }
  const [message, help] = phraseOf(error, text);
  return { place, code: error.code === 'BAD_ALIAS' ? 'EF1010' : 'EF1005', path: [], message, help };
}
