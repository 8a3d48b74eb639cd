import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { generateAlerts } from '../../engine/observe/alerts/index.ts';
import { generateDashboards } from '../../engine/observe/dashboards/index.ts';
import { checkGenerated, writeGenerated } from '../../engine/observe/generated.ts';
import { generation, route, shop } from './world.ts';

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'eventflow-generated-'));
  t.after(() => rm(dir, { recursive: true }));
  return join(dir, 'out');
}

test('what was just written is up to date', async (t) => {
  const dir = await folder(t);
  const files = generateDashboards(shop());
  const written = await writeGenerated(dir, files);
  assert.deepEqual(
    written.map(({ state }) => state),
    ['missing', 'missing', 'missing'],
  );
  assert.deepEqual(await checkGenerated(dir, files), []);
});

test('a folder that does not exist is stale, not an error', async (t) => {
  const stale = await checkGenerated(await folder(t), { 'eventflow-overview.json': '{}\n' });
  assert.deepEqual(stale, [{ file: 'eventflow-overview.json', state: 'missing' }]);
});

test('an edited file is changed back, and the others are not touched', async (t) => {
  const dir = await folder(t);
  const files = generateAlerts(shop());
  await writeGenerated(dir, files);
  const untouched = join(dir, 'eventflow-pipeline-orders.rules.yaml');
  const before = await stat(untouched, { bigint: true });
  await writeFile(join(dir, 'eventflow.rules.yaml'), 'edited');
  assert.deepEqual(await checkGenerated(dir, files), [{ file: 'eventflow.rules.yaml', state: 'changed' }]);
  await writeGenerated(dir, files);
  assert.equal(await readFile(join(dir, 'eventflow.rules.yaml'), 'utf8'), files['eventflow.rules.yaml']);
  assert.equal((await stat(untouched, { bigint: true })).mtimeNs, before.mtimeNs);
});

test('what a removed pipeline left over goes; what people put there and the other kind of file stay', async (t) => {
  const dir = await folder(t);
  await writeGenerated(dir, generateDashboards(shop()));
  await writeGenerated(dir, generateAlerts(shop()));
  await writeFile(join(dir, 'eventflow-mine.json'), '{}');
  const fewer = generateDashboards(generation([route('orders.receipt')]));
  const done = await writeGenerated(dir, fewer);
  assert.deepEqual(done.find(({ state }) => state === 'left over')?.file, 'eventflow-pipeline-accounts.json');
  const left = await readdir(dir);
  assert.ok(!left.includes('eventflow-pipeline-accounts.json'));
  assert.ok(left.includes('eventflow-mine.json') && left.includes('eventflow-pipeline-accounts.rules.yaml'));
});
