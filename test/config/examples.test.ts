/** The examples of `eventflow explain`: the wrong one has that fault and the right one has none. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Example, examples } from '../../engine/config/examples.ts';
import { loadGeneration, readCatalog } from '../../engine/config/index.ts';
import { catalogue } from '../../engine/errors.ts';
import { firstPartyPlugins } from '../../engine/plugins/manifest.ts';
import { eventflow } from '../support/cli.ts';

const root = join(import.meta.dirname, '../..');
const { catalog } = readCatalog([...firstPartyPlugins], root);

/** They are about whole files and folders, or about two files together, so that a few lines cannot show them. */
const withoutExample = new Set([
  'EF1001',
  'EF1002',
  'EF1011',
  'EF1016',
  'EF1017',
  'EF1019',
  'EF2011',
  'EF2014',
  'EF2017',
  'EF2035',
]);

const keysOf = (lines: string): Set<string> => new Set(lines.match(/^[\w-]+(?=:)/gm));

/** Lines with the required fields that they leave out. */
const complete = (lines: string, others: Readonly<Record<string, string>>): string =>
  `${Object.entries(others)
    .filter(([key]) => !keysOf(lines).has(key))
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('')}${lines}\n`;

const indent = (text: string): string => text.replace(/^(?=.)/gm, '    ').replace(/^ {3}/, '  -');

const fileOf = (place: Example['place'], lines: string): string => {
  const route = indent(complete(place === 'route' ? lines : '', { id: 'example', on: '[order.paid]', handler: 'log' }));
  const head = { apiVersion: 'eventflow/v1', kind: 'Pipeline', name: 'examples', routes: `\n${route}` };
  return place === 'route' ? complete('', head) : complete(lines, head);
};

async function codesIn(text: string): Promise<string[]> {
  const texts = [{ path: join(root, 'example.yaml'), file: 'example.yaml', text }];
  const result = await loadGeneration({ paths: [], texts, catalog, env: {}, cwd: root, streams: [] });
  return (result.ok ? result.warnings : result.diagnostics).map(({ code }) => code);
}

for (const [code, { place, wrong, right }] of Object.entries(examples)) {
  test(`the example of ${code} is wrong as it says, and right where it says so`, async () => {
    const found = await codesIn(fileOf(place, wrong));
    assert.ok(found.includes(code), `${fileOf(place, wrong).slice(0, 500)}\n${found.join()}`);
    assert.deepEqual(await codesIn(fileOf(place, right)), [], fileOf(place, right));
  });
}

test('every code about what stands in a file has an example', () => {
  const missing = Object.keys(catalogue).filter(
    (code) => /^EF(1|20)/.test(code) && !(code in examples) && !withoutExample.has(code),
  );
  assert.deepEqual(missing, [], 'add one to engine/config/examples.ts');
});

test('eventflow explain shows wrong and right', async () => {
  const { stdout } = await eventflow(['explain', 'ef2003']);
  assert.match(stdout, /Wrong, in a route:\n\n {4}with: \{ level: loud \}\n\nRight:\n\n {4}with: \{ level: warn \}\n$/);
  const json = JSON.parse((await eventflow(['explain', 'EF2003', '--json'])).stdout) as { example: Example };
  assert.equal(json.example.right, 'with: { level: warn }');
});
