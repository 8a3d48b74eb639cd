/** One YAML file: bytes in, a tree with places out, or every reason why not. */
import { isUtf8 } from 'node:buffer';
import { parseAllDocuments, type YAMLError, type YAMLParseError } from 'yaml';
import type { ErrorCode } from '../errors.ts';
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
    return { source, tree: undefined, diagnostics: wrong.map((error) => syntaxError(source, error)) };
  }
  if (document?.contents === undefined || document.contents === null) {
    return failed(diagnoseFile(source.file, 'EF1011', 'expected a YAML document, got an empty file'), source);
  }
  const diagnostics: Diagnostic[] = [];
  const tree = readTree(source, document, reading, diagnostics);
  return { source, tree, diagnostics };
}

/** The parser's words, where they leave the reader alone. */
const phrases: Partial<Record<YAMLParseError['code'], readonly [message: string, help: string]>> = {
  TAB_AS_INDENT: ['expected spaces, got a tab', 'YAML does not take tabs as indentation'],
  BAD_INDENT: [
    'expected this line to be indented like the ones around it',
    'items of one map or list start in one column',
  ],
  BAD_ALIAS: ['an alias cannot stand like this', 'write *name, where &name stands before it'],
  MULTILINE_IMPLICIT_KEY: ['expected a key on one line', 'a quote or a colon is probably missing above'],
  BLOCK_AS_IMPLICIT_KEY: ['a colon too many', 'put quotes around a value that has a colon and a space in it'],
  DUPLICATE_KEY: ['a key stands here twice', 'remove one of them'],
};

function syntaxError(source: Source, error: YAMLError): Diagnostic {
  const place = { start: error.pos[0], end: error.pos[1] };
  const [message, help] = phrases[error.code] ?? [];
  const code: ErrorCode =
    error.code === 'TAG_RESOLVE_FAILED' ? 'EF1008' : error.code === 'BAD_ALIAS' ? 'EF1010' : 'EF1005';
  if (code === 'EF1008') {
    const tag = source.text.slice(place.start, place.end);
    const hint = 'remove the tag; values of the pipeline language need none';
    return diagnose(source, place, code, [], `unknown YAML tag ${tag}`, { help: hint });
  }
  return diagnose(source, place, code, [], message ?? error.message, { help });
}
