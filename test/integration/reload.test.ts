/** Hot reload of a whole engine under load. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSettings } from '../../engine/config/index.ts';
import { createEngine, type Engine } from '../../engine/engine.ts';
import type { Signal } from '../../engine/observe/signals.ts';
import { eventually } from '../support/eventually.ts';

interface Stage {
  readonly engine: Engine;
  readonly folder: string;
  readonly signals: Signal[];
  /** By event id, the `x-edit` header that each request carried. */
  readonly seen: Map<string, string[]>;
  readonly file: string;
  write(text: string): Promise<void>;
  publish(id: string, type?: string): Promise<void>;
  close(): Promise<void>;
}

const pipeline = (url: string, edit: number, more = ''): string => `
apiVersion: eventflow/v1
kind: Pipeline
name: live
routes:
  - id: hook
    on: [live.event]
    handler: webhook
    startFrom: beginning
    retry: { initialInterval: 20ms, maxInterval: 100ms }
    with:
      url: "${url}"
      headers: { x-edit: "${edit}" }
  - id: still
    on: [live.event]
    handler: noop
    startFrom: beginning
${more}`;

async function stage(watch = true): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-reload-'));
  const seen = new Map<string, string[]>();
  const sink = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const { id } = JSON.parse(body) as { id: string };
      seen.set(id, [...(seen.get(id) ?? []), String(request.headers['x-edit'])]);
      response.end();
    });
  });
  await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(sink.address() as AddressInfo).port}/`;
  const file = join(folder, 'live.yaml');
  await writeFile(file, pipeline(url, 0));
  const env = {
    EVENTFLOW_BUS: 'sqlite::memory:',
    EVENTFLOW_PIPELINES: folder,
    EVENTFLOW_HTTP_LISTEN: '127.0.0.1:0',
    EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:0',
    EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
    EVENTFLOW_LOG_LEVEL: 'silent',
  };
  const loaded = await loadSettings({ env, cwd: process.cwd() });
  assert.ok(loaded.ok);
  const signals: Signal[] = [];
  const engine = await createEngine({
    settings: loaded.settings,
    cwd: process.cwd(),
    env,
    watch,
    observer: (signal) => void signals.push(signal),
  });
  return {
    engine,
    folder,
    signals,
    seen,
    file,
    write: (text) => writeFile(file, text.replaceAll('URL', url)),
    async publish(id, type = 'live.event') {
      await engine.publisher.publish({ id, type, source: '/test', data: {} });
    },
    async close() {
      await engine.stop(2_000);
      sink.close();
      sink.closeAllConnections();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const reloads = (signals: readonly Signal[], result: string): Extract<Signal, { kind: 'reloaded' }>[] =>
  signals.filter((signal) => signal.kind === 'reloaded').filter((signal) => signal.result === result);

const broken: readonly [string, (text: string) => string, RegExp][] = [
  [
    'an unknown handler',
    (text) => text.replace('handler: webhook', 'handler: webhok'),
    /live\.yaml:8:14: error EF\d{4}.*webhok/,
  ],
  ['an unknown field', (text) => text.replace('retry:', 'retires:'), /live\.yaml:10:5: error EF\d{4}.*retires/],
  [
    'text that is no YAML',
    (text) => text.replace('on: [live.event]', 'on: [live.event'),
    /live\.yaml:\d+:\d+: error EF1\d{3}/,
  ],
  ['a wrong option', (text) => text.replace('headers: {', 'heders: {'), /live\.yaml:13:7: error EF\d{4}.*heders/],
];

test('fifty edits under load, half of them broken: nothing is lost or delivered twice, and each fault is reported at its place', async () => {
  const { engine, file, signals, seen, write, publish, close } = await stage();
  let publishing = true;
  let published = 0;
  const publisher = (async () => {
    while (publishing) {
      await Promise.all(Array.from({ length: 5 }, () => publish(`e${published++}`)));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  try {
    for (let edit = 1; edit <= 50; edit += 1) {
      const good = pipeline('URL', edit);
      if (edit % 2 === 0) {
        await write(good);
        await eventually(`edit ${edit} to be in force`, () => reloads(signals, 'changed').length === edit / 2 + 1);
        continue;
      }
      const [what, spoil, expected] = broken[(edit >> 1) % broken.length] as (typeof broken)[number];
      const before = engine.generation();
      await write(spoil(good));
      await eventually(`${what} to be reported`, () => reloads(signals, 'rejected').length === (edit + 1) / 2);
      assert.match(reloads(signals, 'rejected').at(-1)?.problems.join('\n') ?? '', expected, `${what} in ${file}`);
      assert.equal(engine.generation().generation, before.generation, 'a broken file changes nothing');
    }
  } catch (error) {
    await close();
    throw error;
  } finally {
    publishing = false;
    await publisher.catch(() => undefined);
  }
  try {
    await eventually('everything to be delivered', () => seen.size === published, 20_000);
    const repeated = [...seen].filter(([, edits]) => edits.length > 1);
    assert.deepEqual(repeated, []);
    assert.equal(
      signals.filter((signal) => signal.kind === 'route_stopped' && signal.route.id === 'still').length,
      0,
      'a route that did not change is not touched',
    );
    const edits = new Set([...seen.values()].flat());
    assert.ok(edits.size > 20, `expected the edits to be seen by the target, got ${edits.size} of them`);
  } finally {
    await close();
  }
});

test('a folder that was emptied does not stop the routes', async () => {
  const { engine, folder, file, signals, publish, seen, close } = await stage();
  try {
    await rm(file);
    assert.deepEqual(await readdir(folder), []);
    const report = await engine.reload();
    assert.equal(report.result, 'rejected');
    assert.ok(reloads(signals, 'rejected').length >= 1);
    await publish('after');
    await eventually('the delivery', () => seen.has('after'));
  } finally {
    await close();
  }
});

test('a handler that cannot be made refuses the reload and closes those that were made', async () => {
  const { engine, write, publish, seen, close } = await stage(false);
  try {
    await write(
      pipeline(
        'URL',
        1,
        '  - { id: bad, on: [live.event], handler: webhook, with: { url: "URL{{ event.id | nosuchfilter }}" } }\n',
      ),
    );
    const report = await engine.reload();
    assert.equal(report.result, 'rejected');
    assert.match(report.problems.join('\n'), /nosuchfilter/);
    await publish('after');
    await eventually('the delivery by the old generation', () => seen.get('after')?.[0] === '0');
  } finally {
    await close();
  }
});

test('the same bytes change nothing, a removed route stops, and its place is kept for when it comes back', async () => {
  const { engine, write, publish, seen, close } = await stage(false);
  try {
    assert.equal((await engine.reload()).result, 'unchanged');
    const without = pipeline('URL', 0).replace(/ {2}- id: hook[\s\S]*? {2}- id: still/, '  - id: still');
    await write(without);
    assert.deepEqual((await engine.reload()).changes.stopped, ['live.hook']);
    await publish('meanwhile');
    await write(pipeline('URL', 7));
    assert.deepEqual((await engine.reload()).changes.started, ['live.hook']);
    await eventually('what was published meanwhile', () => seen.get('meanwhile')?.[0] === '7');
  } finally {
    await close();
  }
});
