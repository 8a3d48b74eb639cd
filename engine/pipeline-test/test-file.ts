/** One file of tests: from text to what it says, or every reason why not. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { check } from '../config/check.ts';
import { readTestSchema } from '../config/compose.ts';
import { type Diagnostic, hasErrors, type PathStep } from '../config/diagnostic.ts';
import { readDocument } from '../config/document.ts';
import type { Reading } from '../config/reading.ts';
import { diagnose, type Said, type Source } from '../config/source.ts';
import { keyPlace, type Tree, valuePlace } from '../config/tree.ts';
import { validatorFor } from '../config/validator.ts';
import type { ErrorCode } from '../errors.ts';
import type { Test, TestFile } from './test-file.generated.ts';

export interface OpenTestFile {
  readonly source: Source;
  readonly tree: Tree;
  readonly valid: TestFile;
  /** Where relative paths start. */
  readonly folder: string;
  /** The pipelines under test, as `loadGeneration` takes them; absolute. */
  readonly pipelines: readonly string[];
}

export interface OpenedTestFile {
  /** Undefined: it cannot be run, and `diagnostics` says why. */
  readonly file: OpenTestFile | undefined;
  readonly source: Source | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** The pipeline beside a test: `orders.yaml` for `orders.test.yaml`. */
function pipelineBeside(path: string): string | undefined {
  const name = basename(path).replace(/\.test\.ya?ml$/i, '');
  return ['.yaml', '.yml'].map((ending) => join(dirname(path), name + ending)).find((one) => existsSync(one));
}

export async function openTestFile(path: string, reading: Reading): Promise<OpenedTestFile> {
  const { source, tree, diagnostics } = await readDocument(path, reading);
  if (source === undefined || tree === undefined) return { file: undefined, source, diagnostics };
  const checked = check(source, tree, validatorFor(readTestSchema()));
  const found = [...diagnostics, ...checked.diagnostics];
  if (hasErrors(found)) return { file: undefined, source, diagnostics: found };
  const valid = checked.value as TestFile;
  const folder = dirname(path);
  const beside = pipelineBeside(path);
  const pipelines = valid.pipelines?.map((one) => resolve(folder, one)) ?? (beside === undefined ? [] : [beside]);
  const file: OpenTestFile = { source, tree, valid, folder, pipelines };
  if (pipelines.length > 0) return { file, source, diagnostics: found };
  const name = basename(path).replace('.test.', '.');
  const help = 'name the pipelines under test, for example  pipelines: [orders.yaml]';
  const missing = atValue(file, [], 'EF2101', `expected a pipeline ${name} beside this file, got none`, { help });
  return { file: undefined, source, diagnostics: [...found, missing] };
}

/** About the value at `path`. */
export const atValue = (
  { source, tree }: Pick<OpenTestFile, 'source' | 'tree'>,
  path: readonly PathStep[],
  code: ErrorCode,
  message: string,
  said: Said = {},
): Diagnostic => diagnose(source, valuePlace(tree, path), code, path, message, said);

/** About the key at `path`. */
export const atKey = (
  { source, tree }: Pick<OpenTestFile, 'source' | 'tree'>,
  path: readonly PathStep[],
  code: ErrorCode,
  message: string,
  said: Said = {},
): Diagnostic => diagnose(source, keyPlace(tree, path), code, path, message, said);

/** The variables that the pipelines of a test see. */
export function environmentOf({ valid }: OpenTestFile, test: Test): Record<string, string> {
  const given = Object.entries({ ...valid.env, ...test.env });
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

/** What stands in the files that the pipelines of a test refer to, by absolute path. */
export function filesOf({ valid, folder }: OpenTestFile, test: Test): ReadonlyMap<string, string> {
  const given = Object.entries({ ...valid.files, ...test.files });
  return new Map(given.map(([path, text]) => [resolve(folder, path), text]));
}
