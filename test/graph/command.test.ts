/** `eventflow graph` as people call it. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventflow } from '../support/cli.ts';

const root = join(import.meta.dirname, '../..');

test('the README shows the graph of the shipped pipelines', async () => {
  const { code, stdout } = await eventflow(['graph', 'pipelines'], { cwd: root });
  assert.equal(code, 0);
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const [, shown] = /```mermaid\n([\s\S]*?)```/.exec(readme) ?? [];
  assert.equal(shown, stdout, 'put the output of `npm run -s eventflow -- graph pipelines` into README.md');
});

test('every format is drawn, to stdout or into a file, and what is wrong is told as validate does', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-graph-'));
  t.after(() => rm(folder, { recursive: true }));
  const pipeline = (handler: string): string =>
    `apiVersion: eventflow/v1\nkind: Pipeline\nname: shop\nroutes:\n  - { id: hook, on: [order.paid], handler: ${handler} }\n`;
  await writeFile(join(folder, 'shop.yaml'), pipeline('noop'));
  const draw = (...args: string[]) => eventflow(['graph', join(folder, 'shop.yaml'), ...args], { cwd: root });
  assert.match((await draw()).stdout, /^flowchart LR\n/);
  assert.match((await draw('-f', 'dot')).stdout, /^digraph eventflow \{\n/);
  const { nodes } = JSON.parse((await draw('-f', 'json', '--dead-letters')).stdout) as { nodes: { id: string }[] };
  assert.deepEqual(
    nodes.map(({ id }) => id),
    ['type:order.paid', 'route:shop.hook', 'handler:@eventflow/plugin-log:noop', 'deadLetters:shop'],
  );
  const out = join(folder, 'shop.svg');
  const written = await draw('-f', 'svg', '-o', out);
  assert.deepEqual([written.code, written.stdout], [0, '']);
  assert.match(await readFile(out, 'utf8'), /^<svg /);

  await writeFile(join(folder, 'shop.yaml'), pipeline('nope'));
  const wrong = await draw();
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /shop\.yaml:5:44: error EF\d{4}.*nope/);
});
