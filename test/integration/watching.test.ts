/** Changes that an engine hears of at awkward times: its folder is replaced, or it is not done with starting. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Bus } from '../../engine/bus/bus.ts';
import { openBus } from '../../engine/bus/open.ts';
import { loadSettings } from '../../engine/config/index.ts';
import { createEngine, type Engine, type EngineOptions } from '../../engine/engine.ts';
import type { Signal } from '../../engine/observe/signals.ts';
import { eventually } from '../support/eventually.ts';

const pipeline = (timeout: string): string => `
apiVersion: eventflow/v1
kind: Pipeline
name: orders
routes:
  - { id: receipt, on: [order.paid], handler: noop, timeout: ${timeout} }
`;

interface Place {
  readonly folder: string;
  /** At once, like all that these tests do to files: the watcher of this process sees no half of it. */
  readonly write: (name: string, timeout: string) => void;
  /** Every reload so far: why, and its result. */
  readonly reloads: () => string[];
  readonly start: (more?: Partial<EngineOptions>) => Promise<Engine>;
}

/** Engines on `pipelines` in a folder of its own that end with the test. */
async function place(t: TestContext): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-watching-'));
  const engines: Engine[] = [];
  t.after(async () => {
    await Promise.all(engines.map((engine) => engine.stop(0)));
    await rm(folder, { recursive: true, force: true });
  });
  const env = {
    EVENTFLOW_BUS: 'sqlite::memory:',
    EVENTFLOW_PIPELINES: join(folder, 'pipelines'),
    EVENTFLOW_LOG_LEVEL: 'silent',
  };
  const signals: Signal[] = [];
  return {
    folder,
    write: (name, timeout) => writeFileSync(join(folder, name), pipeline(timeout)),
    reloads: () => signals.flatMap((told) => (told.kind === 'reloaded' ? [`${told.why} ${told.result}`] : [])),
    async start(more = {}) {
      const loaded = await loadSettings({ env, cwd: process.cwd() });
      assert.ok(loaded.ok);
      const engine = await createEngine({
        ...{ settings: loaded.settings, cwd: process.cwd(), env, watch: true, ingest: false, admin: false },
        stateFolder: join(folder, 'state'),
        observer: (signal) => void signals.push(signal),
        ...more,
      });
      engines.push(engine);
      return engine;
    },
  };
}

const runs = (engine: Engine, timeout: number): Promise<true> =>
  eventually(
    `a timeout of ${timeout} ms`,
    () => engine.generation().generation.routes.get('orders.receipt')?.timeout === timeout,
  );

test('a folder that was removed is refused, and counts again as soon as it is back', async (t) => {
  const { folder, write, reloads, start } = await place(t);
  mkdirSync(join(folder, 'pipelines'));
  write('pipelines/orders.yaml', '1s');
  const engine = await start();
  rmSync(join(folder, 'pipelines'), { recursive: true });
  await eventually('a refusal', () => reloads().includes('files rejected'));
  mkdirSync(join(folder, 'pipelines'));
  write('pipelines/orders.yaml', '2s');
  await runs(engine, 2_000);
  write('pipelines/orders.yaml', '3s');
  await runs(engine, 3_000);
});

for (const [how, put, swap] of [
  [
    'is moved in the place of the folder',
    (first: string, path: string) => renameSync(first, path),
    (second: string, path: string) => {
      renameSync(path, `${path}-before`);
      renameSync(second, path);
    },
  ],
  [
    'a link is turned to',
    (first: string, path: string) => symlinkSync(first, path),
    (second: string, path: string) => {
      symlinkSync(second, `${path}-next`);
      renameSync(`${path}-next`, path);
    },
  ],
] as const) {
  test(`a release that ${how} is run, and so are edits of it`, async (t) => {
    const { folder, write, reloads, start } = await place(t);
    const first = join(folder, 'first');
    const second = join(folder, 'second');
    const path = join(folder, 'pipelines');
    mkdirSync(first);
    mkdirSync(second);
    write('first/orders.yaml', '1s');
    write('second/orders.yaml', '3s');
    put(first, path);
    const engine = await start();
    write('pipelines/orders.yaml', '2s');
    await runs(engine, 2_000);
    swap(second, path);
    await runs(engine, 3_000);
    write('pipelines/orders.yaml', '4s');
    await runs(engine, 4_000);
    assert.deepEqual(reloads(), ['start changed', 'files changed', 'files changed', 'files changed']);
  });
}

/** A bus that opens no group before it is let: that is where a start has read its files and does not run yet. */
async function slowBus(t: TestContext): Promise<{ bus: Bus; opening: Promise<void>; letGo: () => void }> {
  const bus = await openBus('sqlite::memory:', {});
  t.after(() => bus.close());
  const opening = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const openGroup = bus.openGroup.bind(bus);
  bus.openGroup = async (spec) => {
    opening.resolve();
    await gate.promise;
    return openGroup(spec);
  };
  return { bus, opening: opening.promise, letGo: gate.resolve };
}

test('a file that changes while the engine starts is read when it has', async (t) => {
  const { folder, write, reloads, start } = await place(t);
  const { bus, opening, letGo } = await slowBus(t);
  mkdirSync(join(folder, 'pipelines'));
  write('pipelines/orders.yaml', '1s');
  const starting = start({ bus });
  await opening;
  write('pipelines/orders.yaml', '2s');
  letGo();
  const engine = await starting;
  await runs(engine, 2_000);
  assert.deepEqual(reloads(), ['start changed', 'files changed']);
});

test('files that are mended while the engine starts with the last good ones are read when it has', async (t) => {
  const { folder, write, reloads, start } = await place(t);
  mkdirSync(join(folder, 'pipelines'));
  write('pipelines/orders.yaml', '1s');
  await (await start()).stop(0);
  write('pipelines/orders.yaml', 'often');
  const { bus, opening, letGo } = await slowBus(t);
  const starting = start({ bus, lastGood: true });
  await opening;
  write('pipelines/orders.yaml', '2s');
  letGo();
  const engine = await starting;
  await runs(engine, 2_000);
  assert.deepEqual(reloads(), ['start changed', 'last-good changed', 'last-good rejected', 'files changed']);
  assert.equal((await engine.rollback()).result, 'changed');
});
