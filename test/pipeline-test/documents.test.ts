/** The tests of pipelines that the documents show pass, and the failure they show is what is printed. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { readCatalog } from '../../engine/config/index.ts';
import { type FileResult, runTestFile } from '../../engine/pipeline-test/run.ts';
import { tellFailure } from '../../engine/pipeline-test/tell.ts';
import { blocksOf } from '../repo/markdown.ts';
import { root, textOf } from '../repo/sources.ts';

const blocks = blocksOf(textOf('README.md'));

/** The block in YAML of this kind whose text has `part` in it. */
function yamlOf(kind: string, part: string): string {
  const found = blocks.find(
    ({ language, text }) =>
      language === 'yaml' && text.includes(part) && (parse(text) as { kind?: string }).kind === kind,
  );
  if (found === undefined) throw new Error(`expected a ${kind} with ${part} in README.md`);
  return found.text;
}

async function runShown(edit: (text: string) => string): Promise<FileResult> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-documents-'));
  try {
    const file = join(folder, 'pipelines/accounts.test.yaml');
    await mkdir(join(folder, 'pipelines'));
    await writeFile(join(folder, 'pipelines/accounts.yaml'), yamlOf('Pipeline', 'name: accounts'));
    await writeFile(file, edit(yamlOf('PipelineTest', 'pipelines/accounts.test.yaml')));
    const { catalog } = readCatalog(undefined, root);
    return await runTestFile(file, { catalog, streams: [], cwd: folder, env: {} });
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('the test in the README passes', async () => {
  const { tests, diagnostics, sources } = await runShown((text) => text);
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(
    tests.flatMap((one) => (one.failures.length === 0 ? [] : [tellFailure(one, sources)])),
    [],
  );
  assert.ok(tests.length >= 2);
});

test('the failure in the README is what is printed when its test is wrong', async () => {
  const { tests, sources } = await runShown((text) => text.replace('[0s, 1s, 13s]', '[0s, 1s, 3s]'));
  const [first] = tests;
  assert.ok(first !== undefined);
  const shown = blocks.find(({ text }) => text.includes('what happened:'));
  assert.equal(`${tellFailure(first, sources)}\n`, shown?.text);
});
