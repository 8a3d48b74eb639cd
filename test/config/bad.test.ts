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
  'plain-text-secret',
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
