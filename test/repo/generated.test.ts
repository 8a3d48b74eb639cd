import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { generated, renderTypes } from './generate-types.ts';

for (const { schema, types, name } of generated) {
  test(`${types} says what ${schema} says`, async () => {
    const written = readFileSync(new URL(`../../${types}`, import.meta.url), 'utf8');
    assert.equal(written, await renderTypes(schema, name), 'stale: run test/repo/generate-types.ts');
  });
}
