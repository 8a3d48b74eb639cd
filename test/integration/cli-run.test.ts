/** `eventflow run` and the commands that work on it, each as a process of its own. Runs on every supported Node. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { type CliEnded, type CliSetting, eventflow } from '../support/cli.ts';
import { type EngineChild, spawnEngine } from '../support/engine-process.ts';
import { eventually } from '../support/eventually.ts';

const root = join(import.meta.dirname, '../..');

/** A target whose answer can be changed; `undefined` never answers. */
interface Sink {
  readonly url: string;
  readonly bodies: string[];
  status: number | undefined;
}

let sink: Sink;
let closeSink: () => void;

before(async () => {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk));
    request.on('end', () => {
      sink.bodies.push(body);
      if (sink.status !== undefined) response.writeHead(sink.status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  sink = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, bodies: [], status: 200 };
  closeSink = () => {
    server.close();
    server.closeAllConnections();
  };
});

after(() => closeSink());

const pipeline = (route: string): string => `apiVersion: eventflow/v1
kind: Pipeline
name: orders
routes:
  - id: ${route}
    on: [order.*]
    handler: webhook
    circuitBreaker: false
    with:
      url: ${sink.url}
`;

interface World {
  readonly folder: string;
  readonly file: string;
  readonly bus: string;
  /** Runs a command on this world's bus. */
  ef(args: readonly string[], setting?: CliSetting): Promise<CliEnded>;
  start(...args: readonly string[]): Promise<EngineChild>;
}

/** A folder with one pipeline and a bus; plugins are found from the checkout. */
async function openWorld(t: TestContext): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-run-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  sink.status = 200;
  sink.bodies.length = 0;
  const file = join(folder, 'orders.yaml');
  const bus = `sqlite:${join(folder, 'bus.db')}`;
  await writeFile(file, pipeline('hook'));
  const env = { EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true', EVENTFLOW_BUS: bus };
  return {
    folder,
    file,
    bus,
    ef: (args, setting = {}) => eventflow(args, { cwd: root, ...setting, env: { ...env, ...setting.env } }),
    start: async (...args) => {
      const engine = await spawnEngine(['--pipelines', file, ...args], env, { cwd: root });
      t.after(() => engine.kill());
      return engine;
    },
  };
}

const idsOf = ({ stdout }: CliEnded): string[] => stdout.split('\n').filter((line) => line !== '');

test('run tells what it runs, and where', async (t) => {
  const world = await openWorld(t);
  const engine = await world.start();
  const ready = engine.lines.find(({ msg }) => msg === 'engine is ready');
  assert.match(String(ready?.['ingest']), /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  assert.match(String(ready?.['admin']), /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  assert.deepEqual(
    [ready?.['bus'], ready?.['durability'], ready?.['pipelines'], ready?.['routes']],
    [world.bus, 'guaranteed', ['orders'], 1],
  );
  assert.equal(await engine.stop(), 0);
});

test('commands reach the engine that owns the embedded bus, and open the file when none does', async (t) => {
  const world = await openWorld(t);
  const engine = await world.start();
  const published = await world.ef(['publish', 'order.paid', '--data', '{"total":1}']);
  assert.equal(published.code, 0, published.stderr);
  const [id = ''] = idsOf(published);
  await eventually('the delivery', () => sink.bodies.length === 1);
  await eventually('the timeline', async () =>
    (await world.ef(['events', 'show', id])).stdout.includes('orders.hook  delivered'),
  );
  assert.equal(await engine.stop(), 0);

  const offline = await world.ef(['publish', 'order.paid', '--id', 'later']);
  assert.deepEqual([offline.code, offline.stdout], [0, 'later\n'], offline.stderr);
  const [balance] = JSON.parse((await world.ef(['verify', '--json'])).stdout).groups;
  assert.deepEqual(
    [balance.group, balance.accepted, balance.delivered, balance.waiting, balance.residue],
    ['orders.hook', 2, 1, 1, 0],
  );
  const again = await world.start();
  await eventually('what was published meanwhile', () => sink.bodies.length === 2);
  assert.equal(await again.stop(), 0);
});

test('publish takes lines from stdin and a document from a file, and names what was refused', async (t) => {
  const world = await openWorld(t);
  const engine = await world.start();
  const input =
    '{"type":"order.paid","id":"a"}\n\n{"type":"Order Paid"}\n{"type":"order.paid","id":"b"}\n{"type":"order.paid","id":"a"}\n';
  const lines = await world.ef(['publish'], { input });
  assert.equal(lines.code, 1);
  assert.deepEqual(idsOf(lines), ['a', 'b', 'a']);
  assert.match(lines.stderr, /error: stdin:3: EF4013 /);
  assert.match(lines.stderr, /published 3 events \(1 of them known before\)/);
  assert.match(lines.stderr, /1 event refused/);

  const clash = '{"type":"order.paid"}\n{"type":"order.paid"}\n{"type":"order.paid","id":"a","data":{"total":2}}\n';
  const beside = await world.ef(['publish'], { input: clash });
  assert.match(beside.stderr, /error: stdin:3: EF4009 /);
  assert.match(beside.stderr, /published 2 events to/);
  const [balance] = JSON.parse((await world.ef(['verify', '--json'])).stdout).groups;
  assert.equal(balance.accepted, 4, 'a and b, and the two beside the one that was refused');

  const file = join(world.folder, 'events.json');
  await writeFile(
    file,
    JSON.stringify(
      [
        { type: 'order.paid', id: 'c' },
        { type: 'order.paid', id: 'd' },
      ],
      null,
      2,
    ),
  );
  assert.deepEqual(idsOf(await world.ef(['publish', '--file', file, '--url', engine.ingest])), ['c', 'd']);
  const broken = await world.ef(['publish'], { input: '{"type":' });
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /expected stdin:1 to be JSON: /);
  const paced = await world.ef(['publish', 'order.paid', '-d', '-', '--count', '30', '--rate', '50/s'], {
    input: '{"n":1}',
  });
  assert.equal(new Set(idsOf(paced)).size, 30, paced.stderr);
  assert.ok(Number(/in ([\d.]+) s/.exec(paced.stderr)?.[1]) >= 0.5, paced.stderr);
  assert.equal(await engine.stop(), 0);
});

test('dead letters are listed, shown, and redriven only with --yes', async (t) => {
  const world = await openWorld(t);
  const engine = await world.start();
  sink.status = 400;
  await world.ef(['publish', 'order.paid', '--id', 'bad-1']);
  const letters = await eventually('the dead letter', async () => {
    const found = JSON.parse((await world.ef(['dlq', 'list', '--json'])).stdout) as { id: string; reason: string }[];
    return found.length > 0 && found;
  });
  const id = letters[0]?.id ?? '';
  assert.match((await world.ef(['dlq', 'list'])).stdout, /orders\.hook +permanent +bad-1 +order\.paid/);
  assert.match((await world.ef(['dlq', 'show', id])).stdout, /reason +permanent\n.*\n/);
  assert.equal((await world.ef(['dlq', 'show', 'none'])).code, 1);
  assert.equal((await world.ef(['dlq', 'list', '--reason', 'expired'])).stderr, 'no dead letters\n');

  sink.status = 200;
  const dry = await world.ef(['dlq', 'redrive', '--route', 'orders.hook']);
  assert.deepEqual([dry.code, dry.stdout], [0, 'would redrive 1 letter\n  orders.hook  1\n']);
  assert.match(dry.stderr, /nothing was sent; --yes does it/);
  const done = await world.ef(['dlq', 'redrive', id, '--yes']);
  assert.deepEqual([done.code, done.stdout], [0, 'redrove 1 letter\n  orders.hook  1\n']);
  await eventually('the delivery', () => sink.bodies.length === 2);
  const gone = await world.ef(['dlq', 'redrive', id, '--yes']);
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /no dead letters \(any more\)/);
  assert.equal((await world.ef(['verify'])).code, 0);
  assert.equal(await engine.stop(), 0);
});

test('an event that nobody knows has no timeline', async (t) => {
  const world = await openWorld(t);
  const engine = await world.start();
  const ended = await world.ef(['events', 'show', 'nobody']);
  assert.equal(ended.code, 1);
  assert.match(ended.stderr, /no trace of event "nobody"/);
  assert.equal(await engine.stop(), 0);
});

test('SIGHUP reloads; a broken file changes nothing and says where', async (t) => {
  const world = await openWorld(t);
  const engine = await world.start('--no-watch');
  await writeFile(world.file, pipeline('renamed').replace('handler: webhook', 'handler: webhok'));
  engine.child.kill('SIGHUP');
  await eventually('the refusal', () =>
    engine.lines.some((line) => /orders\.yaml:7:14: error EF/.test(JSON.stringify(line))),
  );
  await writeFile(world.file, pipeline('renamed'));
  engine.child.kill('SIGHUP');
  await eventually('the new generation', () =>
    engine.lines.some((line) => JSON.stringify(line['started']) === '["orders.renamed"]'),
  );
  assert.equal(await engine.stop(), 0);
});

test('a second signal does not wait for what runs', async (t) => {
  const world = await openWorld(t);
  const engine = await world.start();
  sink.status = undefined;
  await world.ef(['publish', 'order.paid']);
  await eventually('the handler to run', () => sink.bodies.length === 1);
  const stopped = engine.stop();
  await eventually('the first signal to be heard', () => engine.lines.some(({ msg }) => /^SIGTERM/.test(String(msg))));
  engine.child.kill('SIGINT');
  assert.equal(await stopped, 130);
});

test('a bad configuration ends run with 78 before anything is opened', async (t) => {
  const world = await openWorld(t);
  await writeFile(world.file, pipeline('hook').replace('handler: webhook', 'handler: webhok'));
  const { code, stderr } = await world.ef(['run', '--pipelines', world.file]);
  assert.equal(code, 78, stderr);
  assert.match(stderr, /orders\.yaml:7:14: error EF\d{4} routes\[0\]\.handler: .*"webhok"/);
  assert.match(stderr, /did you mean "webhook"/);
  assert.deepEqual(await readdir(world.folder), ['orders.yaml']);
});

test('a bus that cannot be had ends run with 69', async (t) => {
  const world = await openWorld(t);
  const engine = await world.start();
  const env = { EVENTFLOW_HTTP_LISTEN: '127.0.0.1:0', EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:0' };
  const second = await world.ef(['run', '--pipelines', world.file], { env });
  assert.equal(second.code, 69, second.stderr);
  assert.match(second.stderr, /EF5002 /);
  const redis = await world.ef(['run', '--pipelines', world.file, '--bus', 'redis://127.0.0.1:1/0'], { env });
  assert.equal(redis.code, 69, redis.stderr);
  assert.equal(await engine.stop(), 0);
});

test('an address that is taken ends run with 1 and names the address', async (t) => {
  const world = await openWorld(t);
  const { host } = new URL(sink.url);
  const { code, stderr } = await world.ef(['run', '--pipelines', world.file], {
    env: { EVENTFLOW_HTTP_LISTEN: host, EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:0' },
  });
  assert.equal(code, 1, stderr);
  assert.match(stderr, new RegExp(host.replaceAll('.', '\\.')));
});
