/** One YAML file: bytes in, a tree with places out, or every reason why not. */
import { isUtf8 } from 'node:buffer';
import { parseAllDocuments, type YAMLError, type YAMLParseError } from 'yaml';
import type { Diagnostic } from './diagnostic.ts';
import { deepest, mostNodes, prescan } from './prescan.ts';
import { largestFile, type Reading } from './reading.ts';
import { createSource, diagnose, diagnoseFile, type Source } from './source.ts';
import { readTree, type Tree } from './tree.ts';

export interface ReadDocument {
  /** Undefined when there is no text to show. */
  readonly source: Source | undefined;
  /** Undefined when the file cannot be worked with. */
  readonly tree: Tree | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

const failed = (diagnostic: Diagnostic, source?: Source): ReadDocument => ({
  source,
  tree: undefined,
  diagnostics: [diagnostic],
});

/** Reads the file at an absolute path. */
export function readDocument(path: string, reading: Reading): ReadDocument {
  const file = reading.name(path);
  const content = reading.file(path);
  if (!content.ok && content.problem === 'too_large') {
    return failed(diagnoseFile(file, 'EF1002', `expected at most ${largestFile} bytes, got ${content.reason}`));
  }
  if (!content.ok) return failed(diagnoseFile(file, 'EF1001', `expected a readable file, got: ${content.reason}`));
  if (!isUtf8(content.bytes)) return failed(diagnoseFile(file, 'EF1003', 'expected text in UTF-8, got other bytes'));
  const text = content.bytes.toString('utf8').replace(/^\ufeff/, '');
  const source = createSource(path, file, text);
  const nul = text.indexOf('\0');
  if (nul !== -1) {
    return failed(
      diagnose(source, { start: nul, end: nul + 1 }, 'EF1003', [], 'expected text, got a NUL byte'),
      source,
    );
  }
  return parse(source, reading);
}

function parse(source: Source, reading: Reading): ReadDocument {
  const excess = prescan(source.text);
  if (excess?.kind === 'deep') {
    const message = `expected at most ${deepest} levels of nesting`;
    return failed(diagnose(source, excess.place, 'EF1004', [], message), source);
  }
  if (excess?.kind === 'large') {
    return failed(diagnose(source, excess.place, 'EF1009', [], `expected at most ${mostNodes} values`), source);
  }
  // Duplicate keys are found while the tree is read: the parser compares every key with every other one.
  const options = { version: '1.2', uniqueKeys: false, prettyErrors: false, resolveKnownTags: false } as const;
  const documents = parseAllDocuments(source.text, options);
  const [document, second] = 'empty' in documents ? [] : documents;
  if (second !== undefined) {
    const start = second.range[0];
    const message = 'expected one document, got a second one after `---`';
    const help = 'put each pipeline into a file of its own';
    return failed(diagnose(source, { start, end: start + 3 }, 'EF1007', [], message, { help }), source);
  }
  const wrong = [...(document?.errors ?? []), ...(document?.warnings ?? [])];
  if (wrong.length > 0) {
    return {
      source,
      tree: undefined,
      diagnostics: onePerLine(source, wrong).map((error) => syntaxError(source, error)),
    };
  }
  if (document?.contents === undefined || document.contents === null) {
    return failed(diagnoseFile(source.file, 'EF1011', 'expected a YAML document, got an empty file'), source);
  }
  const diagnostics: Diagnostic[] = [];
  const tree = readTree(source, document, reading, diagnostics);
  return { source, tree, diagnostics };
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
  return phrases[code] ?? [message.charAt(0).toLowerCase() + message.slice(1), look];
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

function syntaxError(source: Source, error: YAMLError): Diagnostic {
  const place = { start: error.pos[0], end: error.pos[1] };
  if (error.code === 'TAG_RESOLVE_FAILED') {
    const tag = source.text.slice(place.start, place.end);
    const help = 'remove the tag; values of the pipeline language need none';
    return diagnose(source, place, 'EF1008', [], `unknown YAML tag ${tag}`, { help });
  }
  const [message, help] = phraseOf(error, source.text);
  return diagnose(source, place, error.code === 'BAD_ALIAS' ? 'EF1010' : 'EF1005', [], message, { help });
}
