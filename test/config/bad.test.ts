/** One fault, one fixture: `bad/<fault>.yaml`, or a folder of that name, beside what is said about it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixtures, golden, load, said } from './support.ts';

const folder = join(fixtures, 'bad');
const faults = readdirSync(folder).filter((name) => !name.endsWith('.expected.txt'));
const warningsOnly = new Set([
  'field-that-no-schema-has',
  'picked-field-that-no-schema-has',
  'pattern-that-another-includes',
  'stars-inside-of-a-segment',
  'undeclared-pattern',
  'breaker-never-opens',
  'condition-that-is-never-true',
  'pattern-that-no-type-fits',
  'retries-outlive-max-age',
  'two-routes-that-do-the-same',
  'undeclared-event-type',
  'waits-without-schedule',
]);

for (const name of faults) {
  const fault = name.replace(/\.yaml$/, '');
  test(`a file with the fault "${fault.replaceAll('-', ' ')}" is told about at its place`, async () => {
    const result = await load([name], folder);
    assert.equal(result.ok, warningsOnly.has(fault));
    golden(join(folder, `${fault}.expected.txt`), said(result));
  });
}

test('what a reference stands for is in no diagnostic', async () => {
  const result = await load(faults, folder);
  assert.ok(!result.ok);
  assert.doesNotMatch(JSON.stringify(result.diagnostics) + said(result), /swordfish|hunter22|1000000/);
});

/** What the validator says by itself. */
const bare = /\b(must (be|have|match|NOT|pass)|should (be|have|match|NOT)|schema is invalid|instancePath|#\/\$?defs)\b/;

test('no message is one of the validator alone, and each says what is expected or what is wrong', async () => {
  const result = await load(faults, folder);
  assert.ok(!result.ok);
  for (const { message, help = '', code } of result.diagnostics) {
    assert.doesNotMatch(message + help, bare, code);
    assert.ok(message.length > 8 && message.length < 500, message);
  }
});

/** In block scalars and behind aliases the fault is where the text is, below its key or elsewhere. */
const elsewhere = new Set(['EF1010', 'EF1013', 'EF2024', 'EF2030', 'EF2031']);

test('each place is a line that has the key or the value that it is about', async () => {
  for (const file of faults.filter((fault) => fault.endsWith('.yaml'))) {
    const result = await load([file], folder);
    const text = result.sources.get(file) ?? '';
    for (const { path, line, code, message } of result.ok ? result.warnings : result.diagnostics) {
      const [key] = path.match(/[\w.-]+(?="\]$)|[\w-]+$/) ?? [];
      if (key === undefined || elsewhere.has(code)) continue;
      const here = text.split('\n')[line - 1] ?? '';
      // Options that are not there at all are asked for where their handler is named.
      const name = key === 'with' ? 'handler' : key;
      const words = [key, name, ...[...message.matchAll(/"([^"]+)"/g)].map(([, quoted = '']) => quoted)];
      assert.ok(
        words.some((word) => here.includes(word)),
        `${file}:${line} ${code} ${path}: ${message}\n${here}`,
      );
    }
  }
});
