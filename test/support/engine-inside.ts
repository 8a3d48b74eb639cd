/** A whole engine in the process of the test: one pipeline in a folder of its own, listeners on free ports. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings } from '../../engine/config/index.ts';
import { createEngine, type Engine } from '../../engine/engine.ts';
import type { Signal } from '../../engine/observe/signals.ts';

export interface EngineInside {
  readonly engine: Engine;
  readonly signals: readonly Signal[];
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** The metrics page. */
  readonly metrics: () => Promise<string>;
  /** `POST /v1/events` with one event. */
  readonly post: (event: object, headers?: Readonly<Record<string, string>>) => Promise<Response>;
  readonly stop: () => Promise<void>;
}

export interface InsideOptions {
  readonly bus: string;
  /** `routes:` of the pipeline, in YAML. */
  readonly routes: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly allowUnsafeStore?: boolean;
}

/** Rejects as `createEngine` does. */
export async function startInside(options: InsideOptions): Promise<EngineInside> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-inside-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  await writeFile(
    join(folder, 'test.yaml'),
    `apiVersion: eventflow/v1\nkind: Pipeline\nname: test\nroutes:\n${options.routes}`,
  );
  const env = {
    EVENTFLOW_BUS: options.bus,
    EVENTFLOW_PIPELINES: folder,
    EVENTFLOW_HTTP_LISTEN: '127.0.0.1:0',
    EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:0',
    EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
    ...options.env,
  };
  const loaded = await loadSettings({ env, cwd: process.cwd() });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.diagnostics));
  const signals: Signal[] = [];
  const lines: Record<string, unknown>[] = [];
  const starting = createEngine({
    settings: loaded.settings,
    cwd: process.cwd(),
    env,
    watch: false,
    allowUnsafeStore: options.allowUnsafeStore ?? false,
    observer: (signal) => void signals.push(signal),
    logTo: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const engine = await starting.catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  return {
    engine,
    signals,
    lines,
    metrics: async () => (await fetch(`${engine.addresses.admin}/metrics`)).text(),
    post: (event, headers = {}) =>
      fetch(`${engine.addresses.ingest}/v1/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(event),
      }),
    stop: async () => {
      await engine.stop(2_000);
      await remove();
    },
  };
}
