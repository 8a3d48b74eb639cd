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

/** Reads the file at an absolute path. */
export function readDocument(path: string, reading: Reading): Promise<ReadDocument> {
  const file = reading.name(path);
  const content = reading.file(path);
  if (content.ok) return readBytes(path, file, content.bytes, reading);
  const fault =
    content.problem === 'too_large'
      ? tooLarge(file, content.reason)
      : diagnoseFile(file, 'EF1001', `expected a readable file, got: ${content.reason}`);
  return Promise.resolve(failed(fault));
}

async function readBytes(path: string, file: string, bytes: Buffer, reading: Reading): Promise<ReadDocument> {
  if (!isUtf8(bytes)) return failed(diagnoseFile(file, 'EF1003', 'expected text in UTF-8, got other bytes'));
  return readText(createSource(path, file, bytes.toString('utf8').replace(/^\ufeff/, '')), reading);
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
