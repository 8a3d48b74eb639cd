/** A new version of a plugin is taken by a reload, without a restart. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Handler } from '../../engine/plugin.ts';
import { createEgress } from '../../engine/plugins/egress.ts';
import { type LoadDeps, loadHandler } from '../../engine/plugins/load.ts';
import { PluginShelf } from '../../engine/plugins/shelf.ts';
import { createTemplates } from '../../engine/plugins/templates.ts';
import { temporaryFolder } from '../support/children.ts';
import { routeOf } from '../support/policies.ts';
import { writeStampPlugin } from '../support/stamp-plugin.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const deps: LoadDeps = {
  http: createEgress({ allowPrivateNetworks: false, allow: [] }),
  templates: createTemplates(),
  log: () => silent,
  clock: Date.now,
  counter: () => ({ inc() {} }),
};

async function folderOf(t: TestContext): Promise<string> {
  const folder = await temporaryFolder('eventflow-upgrade-');
  t.after(() => folder.remove());
  return folder.path;
}

async function versionIn(folder: string, version: string): Promise<string> {
  const route = routeOf({ handler: 'stamp', plugin: './plugin' });
  const { handler } = await loadHandler(route, { folder, entry: './index.js', version }, deps);
  return (handler as Handler & { version: string }).version;
}

test('another version of a plugin is imported anew, with the files that it imports from its own folder', async (t) => {
  const folder = await folderOf(t);
  for (const version of ['1.0.0', '2.0.0', '3.0.0']) {
    await writeStampPlugin(folder, version);
    assert.equal(await versionIn(folder, version), `${version} ${version}`);
  }
});

test('a version that cannot be imported leaves the one before, and is tried again when it is repaired', async (t) => {
  const folder = await folderOf(t);
  await writeStampPlugin(folder, '1.0.0');
  assert.equal(await versionIn(folder, '1.0.0'), '1.0.0 1.0.0');
  await writeStampPlugin(folder, '2.0.0', 'export default {');
  await assert.rejects(versionIn(folder, '2.0.0'), { code: 'EF3101' });
  assert.equal(await versionIn(folder, '1.0.0'), '1.0.0 1.0.0');
  await writeStampPlugin(folder, '2.0.0');
  assert.equal(await versionIn(folder, '2.0.0'), '2.0.0 2.0.0');
});

test('a plugin whose first version cannot be imported is tried again when it is repaired', async (t) => {
  const folder = await folderOf(t);
  await writeStampPlugin(folder, '1.0.0', 'export default {');
  await assert.rejects(versionIn(folder, '1.0.0'), { code: 'EF3101' });
  await writeStampPlugin(folder, '1.0.0');
  assert.equal(await versionIn(folder, '1.0.0'), '1.0.0 1.0.0');
});

test('the shelf shows a new version to the next generation, and to everybody once that is in force', async (t) => {
  const folder = await folderOf(t);
  const shelf = new PluginShelf(['./plugin'], folder, undefined);
  const plugin = join(folder, 'plugin');
  await writeStampPlugin(plugin, '1.0.0');
  assert.deepEqual(shelf.refresh(), []);
  shelf.adopt();
  const first = shelf.next;
  assert.deepEqual(shelf.refresh(), []);
  assert.equal(shelf.next, first, 'nothing changed, so nothing is read');

  await writeStampPlugin(plugin, '2.0.0');
  assert.deepEqual(shelf.refresh(), []);
  assert.equal(shelf.next.handlers.get('stamp')?.[0]?.version, '2.0.0');
  assert.deepEqual(shelf.versions(), [{ name: './plugin', version: '1.0.0' }]);
  shelf.adopt();
  assert.deepEqual(shelf.versions(), [{ name: './plugin', version: '2.0.0' }]);
});

test('a plugin that is broken on disk is told, and the shelf keeps what it has', async (t) => {
  const folder = await folderOf(t);
  const shelf = new PluginShelf(['./plugin'], folder, undefined);
  await writeStampPlugin(join(folder, 'plugin'), '1.0.0');
  shelf.refresh();
  const good = shelf.next;
  await writeFile(join(folder, 'plugin/package.json'), '{ "name": ');
  const [told] = shelf.refresh();
  assert.equal(told?.code, 'EF3003');
  assert.equal(shelf.next, good);
});
