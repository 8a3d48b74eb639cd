/** An engine that delivers without a pause, so that what else happens to it can be seen in its deliveries. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEngine, type Engine } from 'eventflow';
import { type HttpSink, httpSink } from 'eventflow/testing';
import { loadSettings } from '../../engine/config/index.ts';
import { eventually } from './eventually.ts';

const perTurn = 5;
const turnMs = 20;

const pipelineTo = (url: string): string =>
  `apiVersion: eventflow/v1\nkind: Pipeline\nname: shop\nroutes:\n  - id: hook\n    on: [order.paid]\n    handler: webhook\n    with: { url: "${url}" }\n`;

async function startEngine(folder: string, sink: HttpSink): Promise<Engine> {
  await symlink(join(import.meta.dirname, '../../node_modules'), join(folder, 'node_modules'));
  await mkdir(join(folder, 'pipelines'));
  await writeFile(join(folder, 'pipelines/shop.yaml'), pipelineTo(sink.url));
  const env = {
    EVENTFLOW_BUS: 'sqlite::memory:',
    EVENTFLOW_HTTP_LISTEN: '127.0.0.1:0',
    EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:0',
    EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
    EVENTFLOW_LOG_LEVEL: 'silent',
  };
  const loaded = await loadSettings({ env, cwd: folder });
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return createEngine({ settings: loaded.settings, cwd: folder, env, watch: false });
}

/** Events of 250 a second until `stop`; resolves to how many there were. */
function publishing(engine: Engine): { stop(): Promise<number> } {
  let [published, going] = [0, true];
  const ended = (async () => {
    while (going) {
      const ids = Array.from({ length: perTurn }, () => `e-${published++}`);
      await Promise.all(ids.map((id) => engine.publisher.publish({ type: 'order.paid', id, source: '/s' })));
      await sleep(turnMs);
    }
  })();
  const stop = async (): Promise<number> => {
    going = false;
    await ended;
    return published;
  };
  return { stop };
}

/**
 * Runs `work` beside deliveries, of which each must come once. Resolves to how many there were, and for how long the
 * engine's event loop stood at most, ms.
 */
export async function besideDeliveries(
  work: (engine: Engine, folder: string) => Promise<void>,
): Promise<{ readonly published: number; readonly stoodMs: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-deliveries-'));
  const sink = await httpSink();
  let engine: Engine | undefined;
  try {
    engine = await startEngine(folder, sink);
    const load = publishing(engine);
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    await work(engine, folder);
    delay.disable();
    const published = await load.stop();
    await eventually('every event at the target', () => sink.requests.length >= published, 30_000);
    const ids = sink.requests.map(({ headers }) => String(headers['ce-id'] ?? headers['webhook-id']));
    assert.equal(ids.length, published);
    assert.equal(new Set(ids).size, published);
    return { published, stoodMs: Math.round(delay.max / 1e6) };
  } finally {
    await engine?.stop(0);
    await sink.close();
    await rm(folder, { recursive: true, force: true });
  }
}
