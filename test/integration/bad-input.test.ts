/**
 * What a running engine, and one that is being started, answers when the world around it is wrong: a bus that goes away,
 * targets that nobody listens on, files and addresses that cannot be had. What a single request, file or handler can get
 * wrong is tested in its own room.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { createEngine, type Engine } from 'eventflow';
import { httpSink } from 'eventflow/testing';
import { SMTPServer } from 'smtp-server';
import { describeFailure } from '../../engine/cli/exit.ts';
import { loadSettings } from '../../engine/config/index.ts';
import type { Signal } from '../../engine/observe/signals.ts';
import { localOperations } from '../../engine/operations/index.ts';
import { eventually } from '../support/eventually.ts';
import { type RedisProcess, startRedisProcess } from '../support/redis.ts';

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'eventflow-bad-input-'));
  // Plugins are looked for beside the settings.
  await symlink(join(import.meta.dirname, '../../node_modules'), join(folder, 'node_modules'));
});

after(() => rm(folder, { recursive: true, force: true }));

interface Given {
  readonly bus?: string;
  readonly listen?: string;
  readonly adminListen?: string;
  /** Text of `eventflow.yaml`. */
  readonly settings?: string;
  readonly observer?: (signal: Signal) => void;
}

/** An engine on `pipelines` (text of one file), as `eventflow run` makes it. */
async function start(pipeline: string, given: Given = {}): Promise<Engine> {
  const file = join(folder, 'shop.yaml');
  await writeFile(file, pipeline);
  const env = {
    EVENTFLOW_BUS: given.bus ?? 'sqlite::memory:',
    EVENTFLOW_PIPELINES: file,
    EVENTFLOW_HTTP_LISTEN: given.listen ?? '127.0.0.1:0',
    EVENTFLOW_HTTP_ADMIN_LISTEN: given.adminListen ?? '127.0.0.1:0',
    EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
    EVENTFLOW_LOG_LEVEL: 'silent',
  };
  const named = given.settings === undefined ? {} : { file: join(folder, 'eventflow.yaml') };
  if (named.file !== undefined) await writeFile(named.file, given.settings ?? '');
  const loaded = await loadSettings({ env, cwd: process.cwd(), ...named });
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return createEngine({
    settings: loaded.settings,
    pluginsPlace: loaded.pluginsPlace,
    cwd: folder,
    env,
    watch: false,
    ...(given.observer === undefined ? {} : { observer: given.observer }),
  });
}

/** How the command line ends when the engine does not start. */
const refusal = (starting: Promise<Engine>): Promise<{ exitCode: number; message: string }> =>
  starting.then(async (engine) => {
    await engine.stop(0);
    return assert.fail('expected the start to be refused');
  }, describeFailure);

const noop = `apiVersion: eventflow/v1
kind: Pipeline
name: shop
routes:
  - id: nothing
    on: [order.paid]
    handler: noop
`;

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const { server, port } = await listening();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listening(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  return { server, port: typeof bound === 'object' && bound !== null ? bound.port : 0 };
}

describe('a start is refused', () => {
  test('with 69 when Redis does not answer, and the answer names it without its password', async () => {
    const port = await freePort();
    assert.deepEqual(await refusal(start(noop, { bus: `redis://:hushhush@127.0.0.1:${port}/0` })), {
      exitCode: 69,
      message: `EF5001 no answer from redis://127.0.0.1:${port}/0: connect ECONNREFUSED 127.0.0.1:${port}`,
    });
  });

  test('with 69 when another engine has the bus file, and the answer names its process and where to reach it', async () => {
    const bus = `sqlite:${join(folder, 'owned.db')}`;
    const owner = await start(noop, { bus });
    try {
      assert.deepEqual(await refusal(start(noop, { bus })), {
        exitCode: 69,
        message: `EF5002 expected to own the bus file ${join(folder, 'owned.db')}, but process ${process.pid} has it: talk to it at ${owner.addresses.admin}, or stop it first`,
      });
    } finally {
      await owner.stop(0);
    }
  });

  test('with 69 when the bus file is no database, and the file is left as it is', async () => {
    const file = join(folder, 'letter.db');
    await writeFile(file, 'Dear reader, this is no database. '.repeat(100));
    assert.deepEqual(await refusal(start(noop, { bus: `sqlite:${file}` })), {
      exitCode: 69,
      message: `EF5022 expected ${file} to be a SQLite file that this process can read and write, got "file is not a database": check the path, its permissions and the disk`,
    });
  });

  test('with 69 when the folder of the bus file cannot be made', async () => {
    await writeFile(join(folder, 'a-file'), '');
    const { exitCode, message } = await refusal(start(noop, { bus: `sqlite:${join(folder, 'a-file', 'bus.db')}` }));
    assert.equal(exitCode, 69);
    assert.match(
      message,
      /^EF5022 expected \S+a-file\/bus\.db to be a SQLite file .*, got "EEXIST: file already exists, mkdir '\S+a-file'": check/,
    );
  });

  for (const setting of ['listen', 'adminListen'] as const) {
    test(`with 1 when the address of http.${setting} is taken, and the answer says how to set another`, async () => {
      const { server, port } = await listening();
      const variable = setting === 'listen' ? 'EVENTFLOW_HTTP_LISTEN' : 'EVENTFLOW_HTTP_ADMIN_LISTEN';
      try {
        assert.deepEqual(await refusal(start(noop, { [setting]: `127.0.0.1:${port}` })), {
          exitCode: 1,
          message: `EF6023 expected http.${setting} to be an address to listen on, got 127.0.0.1:${port}: another process listens there: stop it, or set http.${setting} or ${variable} to another`,
        });
      } finally {
        server.close();
      }
    });
  }

  test('with 78 when the admin listener would be public', async () => {
    const { exitCode, message } = await refusal(start(noop, { adminListen: '0.0.0.0:0' }));
    assert.equal(exitCode, 78);
    assert.match(message, /^EF6020 expected a loopback address for the admin listener, such as 127\.0\.0\.1, got 0/);
  });

  test('with 78 when a plugin of the allow-list is not installed, at its place in the settings', async () => {
    const settings = 'plugins:\n  - "@eventflow/plugin-log"\n  - eventflow-plugin-fax\n';
    const { exitCode, message } = await refusal(start(noop, { settings }));
    assert.equal(exitCode, 78);
    assert.match(message, /^EF6001 \S*eventflow\.yaml:3:5: error EF\d{4} plugins\[1\]: .*eventflow-plugin-fax/);
  });

  test('with 78 when the handler belongs to a plugin that the allow-list does not have', async () => {
    const settings = 'plugins: ["@eventflow/plugin-webhook"]\n';
    const { exitCode, message } = await refusal(start(noop, { settings }));
    assert.equal(exitCode, 78);
    assert.match(message, /^EF6001 shop\.yaml:7:14: error EF\d{4} routes\[0\]\.handler: .*"noop"/);
  });

  test('with 78 when options of a plugin are wrong, all of them at their places', async () => {
    const { exitCode, message } = await refusal(
      start(`${noop.replace('noop', 'webhook')}    with:\n      method: SHOUT\n      headres: {}\n`),
    );
    assert.equal(exitCode, 78);
    assert.deepEqual(message.match(/shop\.yaml:\d+:\d+: error EF\d{4} \S+/g)?.length, 3, message);
    assert.match(message, /shop\.yaml:9:15: error EF\d{4} routes\[0\]\.with\.method: expected one of .*, got "SHOUT"/);
  });
});

const delivering = (url: string, handler = 'webhook'): string => `apiVersion: eventflow/v1
kind: Pipeline
name: shop
routes:
  - id: target
    on: [order.paid]
    handler: ${handler}
    startFrom: beginning
    retry: { maxAttempts: 50, backoff: fixed, initialInterval: 30ms, jitter: none }
    circuitBreaker: { consecutiveFailures: 2, openFor: 400ms, maxOpenFor: 400ms }
    with: ${url}
`;

interface Target {
  readonly options: string;
  /** Begins to listen; answers with the ids of the events that it gets. */
  open(): Promise<{ ids(): string[]; close(): Promise<void> }>;
}

async function webTarget(): Promise<Target> {
  const port = await freePort();
  const { createServer: createWeb } = await import('node:http');
  return {
    options: `{ url: "http://127.0.0.1:${port}/" }`,
    async open() {
      const ids: string[] = [];
      const server = createWeb((request, response) => {
        ids.push(String(request.headers['webhook-id'] ?? request.headers['idempotency-key']));
        response.end();
        request.resume();
      });
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
      const close = async (): Promise<void> => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      };
      return { ids: () => ids, close };
    },
  };
}

async function mailTarget(): Promise<Target> {
  const port = await freePort();
  return {
    options: `{ url: "\${SMTP_URL:-smtp://127.0.0.1:${port}}", from: a@shop.example, to: b@shop.example, subject: Hi, text: Hello }`,
    async open() {
      const ids: string[] = [];
      const server = new SMTPServer({
        disabledCommands: ['AUTH', 'STARTTLS'],
        closeTimeout: 100,
        onData(stream, _session, done) {
          let raw = '';
          stream.on('data', (chunk: Buffer) => (raw += chunk));
          stream.on('end', () => {
            ids.push(/^Message-ID: (.*)$/im.exec(raw)?.[1] ?? raw);
            done();
          });
        },
      });
      server.on('error', () => undefined);
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
      return { ids: () => ids, close: () => new Promise((resolve) => server.close(() => resolve())) };
    },
  };
}

type Attempt = Extract<Signal, { kind: 'attempt' }>;

for (const [handler, makeTarget] of [
  ['webhook', webTarget],
  ['email', mailTarget],
] as const) {
  test(`${handler}: what nobody listens on is retried, opens the circuit, and gets every event when it is back`, async (t) => {
    const target = await makeTarget();
    const signals: Signal[] = [];
    const engine = await start(delivering(target.options, handler), {
      observer: (signal) => void signals.push(signal),
    });
    t.after(() => engine.stop(0));
    const attempts = (): Attempt[] => signals.filter((signal) => signal.kind === 'attempt');
    const publish = (id: string): Promise<unknown> =>
      engine.publisher.publish({ type: 'order.paid', id, source: '/s' });
    const opened = (): boolean => signals.some((signal) => signal.kind === 'breaker' && signal.to === 'open');

    await publish('first');
    await eventually('the circuit to open', opened);
    assert.deepEqual(new Set(attempts().map(({ outcome, fault }) => fault?.kind ?? outcome)), new Set(['connection']));
    const before = attempts().length;
    const held = Array.from({ length: 20 }, (_, n) => `held-${n}`);
    await Promise.all(held.map(publish));
    assert.ok(attempts().length <= before + 3, 'an open circuit spends no attempts on what comes in');

    const back = await target.open();
    t.after(() => back.close());
    await eventually('every event at the target', () => new Set(back.ids()).size === 21);
    assert.equal(back.ids().length, 21);
    const verified = await eventually('the settlements', async () => {
      const { total } = await localOperations(engine.bus).verify();
      return total.delivered === 21 && total;
    });
    assert.deepEqual([verified.accepted, verified.dead, verified.residue], [21, 0, 0]);
  });
}

test('a target that repeats what it was sent brings no secret into dead letters and journal', async (t) => {
  const sink = await httpSink();
  t.after(() => sink.close());
  await writeFile(join(folder, 'token'), 'hush-bearer-1\n');
  const options = `{ url: "${sink.url}", auth: { bearer: "\${file:${join(folder, 'token')}}" } }`;
  const engine = await start(delivering(options));
  t.after(() => engine.stop(0));
  // The second time it straddles the limit at which the answer is cut.
  sink.usually(({ headers }) => ({
    status: 422,
    body: `you sent ${String(headers['authorization'])} ${'.'.repeat(985)}hush-bearer-1`,
  }));
  await engine.publisher.publish({ type: 'order.paid', id: 'told', source: '/s' });
  const operations = localOperations(engine.bus);
  const [letter] = await eventually('the dead letter', async () => {
    const letters = await operations.deadLetters({ limit: 1 });
    return letters.length > 0 && letters;
  });
  assert.match(String(sink.requests[0]?.headers['authorization']), /hush-bearer-1/);
  assert.match(letter?.fault.body ?? '', /^you sent Bearer \[secret\] \.+\[secret\]$/);
  const said = JSON.stringify([letter, await operations.timeline('told')]);
  assert.doesNotMatch(said, /hush/);
});

/** Redis on disk, and an engine that delivers to a sink. */
async function onRedis(t: TestContext): Promise<{
  readonly redis: RedisProcess;
  readonly post: (id: string) => Promise<{ status: number; word: unknown; retryAfter: string | null; ms: number }>;
  readonly ready: () => Promise<number>;
  readonly delivered: () => string[];
  readonly engine: Engine;
}> {
  const redis = await startRedisProcess({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
  t.after(() => redis.stop());
  const sink = await httpSink();
  t.after(() => sink.close());
  const engine = await start(delivering(`{ url: "${sink.url}" }`), { bus: redis.url });
  t.after(() => engine.stop(0));
  const post = async (id: string) => {
    const began = Date.now();
    const response = await fetch(`${engine.addresses.ingest}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'order.paid', id }),
      signal: AbortSignal.timeout(20_000),
    });
    const { code } = (await response.json()) as { code?: unknown };
    return {
      status: response.status,
      word: code,
      retryAfter: response.headers.get('retry-after'),
      ms: Date.now() - began,
    };
  };
  const ready = async (): Promise<number> => {
    const response = await fetch(`${engine.addresses.admin}/readyz`, { signal: AbortSignal.timeout(3_000) });
    await response.text();
    return response.status;
  };
  const delivered = (): string[] => sink.requests.map(({ body }) => (JSON.parse(body.toString()) as { id: string }).id);
  return { redis, post, ready, delivered, engine };
}

test('a Redis that dies under the engine is answered 503, and all goes on when it is back', {
  timeout: 90_000,
}, async (t) => {
  const { redis, post, ready, delivered, engine } = await onRedis(t);
  const accepted = ['early-1', 'early-2'];
  for (const id of accepted) assert.equal((await post(id)).status, 202);
  assert.equal(await ready(), 200);

  await redis.kill();
  for (const id of ['lost-1', 'lost-2', 'lost-3']) {
    const { status, word, retryAfter, ms } = await post(id);
    assert.deepEqual([status, retryAfter], [503, '1'], String(word));
    // What was on its way when the link broke may have been stored; later ones were never sent.
    if (id !== 'lost-1') assert.equal(word, 'store_unavailable');
    assert.ok(ms < 3_000, `expected an answer within 3 s, got one after ${ms} ms`);
  }
  assert.equal(await ready(), 503);

  await redis.restart();
  await eventually('ingest to take events again', async () => (await post('late-1')).status === 202, 30_000);
  assert.equal((await post('late-2')).status, 202);
  accepted.push('late-1', 'late-2');
  await eventually('every accepted event', () => accepted.every((id) => delivered().includes(id)), 30_000);
  await eventually('the engine to be ready', async () => (await ready()) === 200);
  const { total } = await eventually('the settlements', async () => {
    const verified = await localOperations(engine.bus).verify();
    return verified.total.accepted === verified.total.delivered && verified;
  });
  assert.deepEqual([total.residue, total.dead], [0, 0]);
});
