/** What is said about tests that cannot be run, and about expectations that are not met: one file and one golden text each. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatDiagnostic, readCatalog } from '../../engine/config/index.ts';
import { type FileResult, runTestFile } from '../../engine/pipeline-test/run.ts';
import { tellFailure } from '../../engine/pipeline-test/tell.ts';
import { golden } from '../config/support.ts';

const folder = join(import.meta.dirname, 'fixtures');
const { catalog } = readCatalog(undefined, join(import.meta.dirname, '../..'));

const run = (path: string): Promise<FileResult> => runTestFile(path, { catalog, streams: [], cwd: folder, env: {} });

const casesIn = (kind: string): string[] =>
  readdirSync(join(folder, kind)).flatMap((name) =>
    name.endsWith('.test.yaml') ? [name.replace('.test.yaml', '')] : [],
  );

for (const name of casesIn('broken')) {
  test(`a test with the fault "${name.replaceAll('-', ' ')}" is told about at its place`, async () => {
    const { diagnostics, sources, tests } = await run(join(folder, 'broken', `${name}.test.yaml`));
    const broken = diagnostics.some(({ severity }) => severity === 'error');
    assert.equal(tests.length > 0, !broken);
    assert.ok(diagnostics.length > 0);
    const said = diagnostics.map((one) => `${formatDiagnostic(one, sources.get(one.file))}\n`).join('\n');
    golden(join(folder, 'broken', `${name}.expected.txt`), said);
  });
}

for (const name of casesIn('unmet')) {
  test(`"${name.replaceAll('-', ' ')}" is told at the expectation, with what happened`, async () => {
    const { diagnostics, sources, tests } = await run(join(folder, 'unmet', `${name}.test.yaml`));
    assert.deepEqual(diagnostics, []);
    assert.ok(tests.every(({ failures }) => failures.length > 0));
    golden(
      join(folder, 'unmet', `${name}.expected.txt`),
      `${tests.map((one) => tellFailure(one, sources)).join('\n')}\n`,
    );
  });
}

test('a secret is in no failure and in no account of what happened', async () => {
  const result = await run(join(folder, 'secret.test.yaml'));
  assert.deepEqual(result.diagnostics, []);
  const said = JSON.stringify(result.tests);
  assert.match(said, /\[secret\]/);
  assert.doesNotMatch(said, /swordfish/);
});

test('every part of the language can be tested, since the real workers run', async () => {
  const { tests, diagnostics, sources } = await run(join(folder, 'language.test.yaml'));
  assert.deepEqual(diagnostics, []);
  const failed = tests.filter(({ failures }) => failures.length > 0);
  assert.deepEqual(
    failed.map((one) => tellFailure(one, sources)),
    [],
  );
  assert.equal(tests.length, 6);
});
