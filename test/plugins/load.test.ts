import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Route } from '../../engine/core/route.ts';
import type { Counter, Handler, HandlerContext } from '../../engine/plugin.ts';
import { createEgress } from '../../engine/plugins/egress.ts';
import { type LoadDeps, loadHandler, PluginError } from '../../engine/plugins/load.ts';
import { findHandler, readCatalog } from '../../engine/plugins/manifest.ts';
import { createTemplates } from '../../engine/plugins/templates.ts';

const folder = join(import.meta.dirname, 'fixtures');
const source = { folder, entry: './good.js' };
const warnings: string[] = [];
const counted: string[] = [];

const deps: LoadDeps = {
  http: createEgress({ allowPrivateNetworks: false, allow: [] }),
  templates: createTemplates(),
  log: () => ({ debug() {}, info() {}, error() {}, warn: (_fields, message) => warnings.push(message) }),
  clock: () => 42,
  counter: (name, _help, route): Counter => ({ inc: () => counted.push(`${route.group} ${name}`) }),
  deadline: 200,
};

const routeOf = (handler: string, options: object = {}): Route => ({
  pipeline: 'orders',
  id: 'receipt',
  group: 'orders.receipt',
  on: ['order.paid'],
  handler,
  plugin: 'eventflow-plugin-fixtures',
  options: options as Route['options'],
  timeout: 15_000,
  concurrency: 4,
  retry: {
    maxAttempts: 1,
    backoff: 'fixed',
    initialInterval: 1,
    multiplier: 1,
    maxInterval: 1,
    schedule: [],
    maxElapsed: 1,
    jitter: 'none',
    retryOn: [],
    failOn: [],
    retryAfterMax: 1,
  },
  breaker: undefined,
  deadLetter: { retention: 1, maxEntries: 1, onFull: 'pause' },
  maxAge: undefined,
  startFrom: 'new',
  enabled: true,
  hash: 'h',
  position: { file: '/etc/eventflow/pipelines/orders.yaml', line: 9, column: 5 },
});

async function refusal(handler: string, entry = './good.js', options: object = {}): Promise<PluginError> {
  try {
    await loadHandler(routeOf(handler, options), { ...source, entry }, deps);
  } catch (error) {
    assert.ok(error instanceof PluginError);
    return error;
  }
  throw new assert.AssertionError({ message: `expected ${handler} of ${entry} to be refused` });
}

describe('loading a handler', () => {
  test('gives it its options and a context bound to the route', async () => {
    const { handler } = await loadHandler(routeOf('good', { a: 1 }), source, deps);
    const { options, context } = handler as Handler & { options: object; context: HandlerContext };
    assert.deepEqual(options, { a: 1 });
    assert.equal(context.route, 'orders.receipt');
    assert.equal(context.timeout, 15_000);
    assert.equal(context.concurrency, 4);
    assert.equal(context.folder, '/etc/eventflow/pipelines');
    assert.equal(context.clock(), 42);
    context.metrics.counter('sent', 'Sent.').inc();
    assert.deepEqual(counted, ['orders.receipt sent']);
  });

  test('imports a first-party plugin as the manifest names it', async () => {
    const { catalog } = readCatalog(['@eventflow/plugin-log'], process.cwd());
    const noop = findHandler(catalog, 'noop');
    assert.ok(noop.kind === 'found');
    const { handler } = await loadHandler(routeOf('noop'), noop.manifest, deps);
    assert.equal(typeof handler.handle, 'function');
  });

  for (const [handler, entry, code, message] of [
    ['good', './missing.js', 'EF3101', /cannot be imported.*missing\.js/],
    ['good', '../load.test.ts', 'EF3101', /inside the package/],
    ['good', './throws.js', 'EF3101', /no native module/],
    ['good', './hangs.js', 'EF3106', /import to end within 200 ms/],
    ['good', './shape.js', 'EF3103', /default export.*undefined/],
    ['good', './old.js', 'EF3102', /apiVersion 1, got -1/],
    ['good', './newer.js', 'EF3102', /apiVersion 1, got 7/],
    ['godo', './good.js', 'EF3104', /a handler godo .*good/],
    ['toString', './good.js', 'EF3104', /toString/],
    ['refuses', './good.js', 'EF3105', /expected a better priority/],
    ['rejects', './good.js', 'EF3105', /just a string/],
    ['slow', './good.js', 'EF3106', /create\(\) to end within 200 ms/],
    ['nothing', './good.js', 'EF3103', /handle\(\)/],
    ['greedy', './good.js', 'EF3105', /at most 20 counters/],
    ['odd', './good.js', 'EF3105', /counter name/],
  ] as const) {
    test(`of ${handler} from ${entry} is refused with ${code}, saying where and who`, async () => {
      const error = await refusal(handler, entry);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.match(error.message, /orders\.yaml:9:5: route orders\.receipt, plugin eventflow-plugin-fixtures/);
      assert.deepEqual([error.route, error.plugin], ['orders.receipt', 'eventflow-plugin-fixtures']);
    });
  }
});

test('a plugin that is no JavaScript is refused with what the parser said', async () => {
  const broken = mkdtempSync(join(tmpdir(), 'eventflow-plugin-'));
  writeFileSync(join(broken, 'index.mjs'), 'export default {');
  const loading = loadHandler(routeOf('good'), { folder: broken, entry: './index.mjs' }, deps);
  await assert.rejects(loading, /cannot be imported: Unexpected end of input/);
  rmSync(broken, { recursive: true });
});

describe('a loaded handler', () => {
  const load = (options: object) => loadHandler(routeOf('good', options), source, deps);

  test('is asked by check, and an answer that is bad or late is a result, not a rejection', async () => {
    assert.deepEqual(await (await load({})).check(), { ok: true });
    const down = await (await load({ down: true })).check();
    assert.ok(!down.ok);
    assert.equal(down.error.message, 'the target is down');
    const late = await (await load({ hang: true })).check();
    assert.ok(!late.ok);
    assert.match(late.error.message, /within 200 ms/);
  });

  test('that does not end its close is left behind with a warning', async () => {
    await (await load({ stuck: true })).close();
    assert.match(warnings.at(-1) ?? '', /close\(\) still runs after 200 ms/);
  });
});
