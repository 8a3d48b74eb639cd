/** Files that are made to do harm, beside an engine that has work to do. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type TestContext, test } from 'node:test';
import { createEngine } from 'eventflow';
import { httpSink } from 'eventflow/testing';
import { loadSettings } from '../../engine/config/index.ts';
import { hostileTexts } from '../config/hostile.ts';
import { eventually } from '../support/eventually.ts';

/** The ones that kept a parser in the engine's own thread busy for seconds. */
const worst = [
  'flow-close',
  'flow-colon2',
  'aliases-2400',
  'block-blank',
  'docs',
  'props',
  'types-stars',
  'policies-use',
];

async function engineWithSink(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-hostile-files-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await symlink(join(import.meta.dirname, '../../node_modules'), join(folder, 'node_modules'));
  await mkdir(join(folder, 'pipelines'));
  const sink = await httpSink();
  t.after(() => sink.close());
  const pipeline = `apiVersion: eventflow/v1\nkind: Pipeline\nname: shop\nroutes:\n  - id: hook\n    on: [order.paid]\n    handler: webhook\n    with: { url: "${sink.url}" }\n`;
  await writeFile(join(folder, 'pipelines/shop.yaml'), pipeline);
  const env = {
    EVENTFLOW_BUS: 'sqlite::memory:',
    EVENTFLOW_HTTP_LISTEN: '127.0.0.1:0',
    EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:0',
    EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
    EVENTFLOW_LOG_LEVEL: 'silent',
  };
  const loaded = await loadSettings({ env, cwd: folder });
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const engine = await createEngine({ settings: loaded.settings, cwd: folder, env, watch: false });
  t.after(() => engine.stop(0));
  return { engine, sink, folder };
}

test('deliveries go on, each once, while hostile files are reloaded one after the other', async (t) => {
  const { engine, sink, folder } = await engineWithSink(t);
  const { hash } = engine.generation().generation;
  const delay = monitorEventLoopDelay({ resolution: 5 });
  let [published, going] = [0, true];
  const publishing = (async () => {
    while (going) {
      const ids = Array.from({ length: 10 }, () => `e-${published++}`);
      await Promise.all(ids.map((id) => engine.publisher.publish({ type: 'order.paid', id, source: '/s' })));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  delay.enable();
  for (const name of worst) {
    await writeFile(join(folder, 'pipelines/hostile.yaml'), hostileTexts[name] ?? '');
    const report = await engine.reload();
    assert.equal(report.result, 'rejected', name);
  }
  delay.disable();
  going = false;
  await publishing;
  await eventually('every event at the target', () => sink.requests.length >= published, 30_000);
  const ids = sink.requests.map(({ headers }) => String(headers['ce-id'] ?? headers['webhook-id']));
  assert.equal(ids.length, published);
  assert.equal(new Set(ids).size, published);
  assert.equal(engine.generation().generation.hash, hash);
  t.diagnostic(`${published} events; the event loop stood for ${Math.round(delay.max / 1e6)} ms at most`);
  // Wide, for a machine that has more to do: in the engine's own thread each of these took seconds.
  assert.ok(delay.max / 1e6 < 2_000, `the event loop stood for ${Math.round(delay.max / 1e6)} ms`);
});
