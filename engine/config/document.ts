/** One YAML file: bytes in, a tree with places out, or every reason why not. */
import { isUtf8 } from 'node:buffer';
import type { Diagnostic } from './diagnostic.ts';
import { fillReferences } from './fill.ts';
import { parse } from './parser.ts';
import { largestFile, type Reading } from './reading.ts';
import { createSource, diagnose, diagnoseFile, type Source } from './source.ts';
import type { Tree } from './tree.ts';

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

const tooLarge = (file: string, got: string): Diagnostic =>
  diagnoseFile(file, 'EF1002', `expected at most ${largestFile} bytes, got ${got}`);

/** The text at an absolute path, without a byte order mark. */
export function textOf(path: string, reading: Reading): { readonly text: string } | { readonly fault: Diagnostic } {
  const file = reading.name(path);
  const content = reading.file(path);
  if (content.ok && isUtf8(content.bytes)) return { text: content.bytes.toString('utf8').replace(/^\ufeff/, '') };
  if (content.ok) return { fault: diagnoseFile(file, 'EF1003', 'expected text in UTF-8, got other bytes') };
  if (content.problem === 'too_large') return { fault: tooLarge(file, content.reason) };
  return { fault: diagnoseFile(file, 'EF1001', `expected a readable file, got: ${content.reason}`) };
}

/** Reads the file at an absolute path. */
export function readDocument(path: string, reading: Reading): Promise<ReadDocument> {
  const read = textOf(path, reading);
  if ('fault' in read) return Promise.resolve(failed(read.fault));
  return readText(createSource(path, reading.name(path), read.text), reading);
}

/** Reads a text that may stand in no file of its own. */
export async function readText(source: Source, reading: Reading): Promise<ReadDocument> {
  const bytes = Buffer.byteLength(source.text);
  if (bytes > largestFile) return failed(tooLarge(source.file, `${bytes} bytes`), source);
  const nul = source.text.indexOf('\0');
  if (nul !== -1) {
    const place = { start: nul, end: nul + 1 };
    return failed(diagnose(source, place, 'EF1003', [], 'expected text, got a NUL byte'), source);
  }
  const { tree, faults } = await parse(source.text);
  const diagnostics = faults.map(({ place, code, path, message, help }) =>
    diagnose(source, place, code, path, message, { help }),
  );
  if (tree === undefined) return { source, tree, diagnostics };
  return { source, tree, diagnostics: [...diagnostics, ...fillReferences(source, tree, reading)] };
}
