/** One mutated file: loaded and formatted, and everything that must hold of the answers. */
import assert from 'node:assert/strict';
import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatText } from '../../../engine/config/format.ts';
import { type Diagnostic, formatDiagnostic, loadGeneration, readCatalog } from '../../../engine/config/index.ts';
import { firstPartyPlugins } from '../../../engine/plugins/manifest.ts';
import { Dice } from '../../simulation/dice.ts';
import { hostileTexts } from '../hostile.ts';
import { env, fixtures, catalog as ofFixtures } from '../support.ts';
import { mutate } from './mutate.ts';

const root = join(import.meta.dirname, '../../..');
/** Of long texts the first part: most of what they do to a parser is in it. */
const longestSeed = 10_000;

const textsOf = (...patterns: readonly string[]): readonly string[] =>
  patterns
    .flatMap((pattern) => globSync(pattern).sort())
    .map((path) => readFileSync(path, 'utf8'))
    .map((text) => text.slice(0, longestSeed));

const good = textsOf(join(fixtures, 'good/*.yaml'), join(root, '{pipelines,examples/*/pipelines}/*.yaml'));
const bad = textsOf(join(fixtures, 'bad/**/*.yaml'));
const hostile = Object.values(hostileTexts).map((text) => text.slice(0, longestSeed));

const seedOf = (dice: Dice): string =>
  dice.pick(dice.pick([good, good, good, good, good, bad, bad, bad, bad, hostile]));

const catalog = {
  handlers: new Map([...ofFixtures.handlers, ...readCatalog([...firstPartyPlugins], root).catalog.handlers]),
};

/** What the seeds refer to lies beside the mutated files. */
export function prepare(folder: string): void {
  cpSync(join(root, 'schemas'), join(folder, 'schemas'), { recursive: true });
  for (const name of ['mail.liquid', 'order.paid.schema.json']) {
    cpSync(join(fixtures, 'good', name), join(folder, 'pipelines', name));
  }
}

export interface Verdict {
  readonly kind: 'generation' | 'diagnostics';
  readonly ms: number;
}

/** The file of a seed; the same one each time. */
export function fileOf(seed: number): Buffer {
  const dice = new Dice(seed);
  // Their neighbours throw alike at first.
  for (let thrown = 0; thrown < 3; thrown++) dice.next();
  return mutate(seedOf(dice), seedOf(dice), dice);
}

function assertPlace(diagnostic: Diagnostic, lines: readonly string[]): void {
  const { line, column, endColumn, message, help = '' } = diagnostic;
  const shown = JSON.stringify(diagnostic);
  assert.ok(line >= 1 && line <= lines.length, shown);
  assert.ok(column >= 1 && column <= (lines[line - 1] ?? '').length + 1 && endColumn > column, shown);
  assert.doesNotMatch(message + help, /\bundefined\b|\[object /, shown);
  if (diagnostic.code.startsWith('EF2')) assert.doesNotMatch(message, /\bmust (be|have|NOT|match)\b/, shown);
}

/** Formatting never throws, and what it made it leaves alone. */
async function assertFormat(text: string): Promise<void> {
  const formatted = await formatText(text, 'a.yaml');
  if (formatted.ok) assert.deepEqual(await formatText(formatted.text, 'a.yaml'), formatted);
  else assert.ok(formatted.faults.length > 0);
}

/** Loads the file of a seed from a folder that was prepared; rejects when something that must hold does not. */
export async function fuzzOne(seed: number, folder: string): Promise<Verdict> {
  const bytes = fileOf(seed);
  writeFileSync(join(folder, 'pipelines/mutated.yaml'), bytes);
  const started = performance.now();
  const variables = { ...env, A: 'x: [', NONE: '' };
  const result = await loadGeneration({ paths: ['pipelines/mutated.yaml'], catalog, env: variables, cwd: folder });
  const ms = performance.now() - started;
  const text = bytes.toString('utf8').replace(/^\ufeff/, '');
  const lines = text.split('\n');
  const diagnostics = result.ok ? result.warnings : result.diagnostics;
  assert.ok(result.ok || diagnostics.some(({ severity }) => severity === 'error'));
  for (const diagnostic of diagnostics) {
    assertPlace(diagnostic, lines);
    formatDiagnostic(diagnostic, result.sources.get(diagnostic.file));
  }
  if (seed % 4 === 0) await assertFormat(text);
  return { kind: result.ok ? 'generation' : 'diagnostics', ms };
}
