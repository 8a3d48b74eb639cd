/** What an engine ran and can go back to, and how it starts when its files are broken. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadSettings } from '../../engine/config/index.ts';
import { ConfigError } from '../../engine/config-error.ts';
import { createEngine, type Engine, type EngineOptions } from '../../engine/engine.ts';
import { EventFlowError } from '../../engine/errors.ts';
import type { Health } from '../../engine/http/deps.ts';
import { remoteGenerations, remoteOperations, remoteReload, remoteRollback } from '../../engine/operations/index.ts';
import { sampleOf } from '../observe/world.ts';
import { eventflow as runCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';

interface Place {
  readonly folder: string;
  readonly pipelines: string;
  readonly lines: string[];
  readonly write: (name: string, text: string) => Promise<void>;
  readonly start: (more?: Partial<EngineOptions>, env?: Record<string, string>) => Promise<Engine>;
}

/** A folder with pipelines, and engines on it that end with the test. */
async function place(t: TestContext): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-generations-'));
  const pipelines = join(folder, 'pipelines');
  await mkdir(pipelines);
  const engines: Engine[] = [];
  t.after(async () => {
    await Promise.all(engines.map((engine) => engine.stop(0)));
    await rm(folder, { recursive: true, force: true });
  });
  const lines: string[] = [];
  return {
    ...{ folder, pipelines, lines },
    write: (name, text) => writeFile(join(folder, name), text),
    async start(more = {}, given = {}) {
      const env = {
        EVENTFLOW_BUS: `sqlite:${join(folder, 'bus.db')}`,
        EVENTFLOW_PIPELINES: pipelines,
        EVENTFLOW_HTTP_LISTEN: '127.0.0.1:0',
        EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:0',
        ...given,
      };
      const loaded = await loadSettings({ env, cwd: process.cwd() });
      assert.ok(loaded.ok);
      const engine = await createEngine({
        ...{ settings: loaded.settings, cwd: process.cwd(), env, watch: false },
        stateFolder: join(folder, 'state'),
        logTo: { write: (line) => void lines.push(line) },
        ...more,
      });
      engines.push(engine);
      return engine;
    },
  };
}

const pipeline = (timeout: string, more = ''): string => `
apiVersion: eventflow/v1
kind: Pipeline
name: orders
routes:
  - { id: receipt, on: [order.paid], handler: noop, timeout: ${timeout} }
${more}`;

const adminOf = (engine: Engine): string => engine.addresses.admin ?? assert.fail('no admin listener');
const metric = async (engine: Engine, name: string): Promise<number> =>
  sampleOf(await (await fetch(`${adminOf(engine)}/metrics`)).text(), name);
const timeoutOf = (engine: Engine): number | undefined =>
  engine.generation().generation.routes.get('orders.receipt')?.timeout;

test('generations are listed with what they changed, and can be gone back to until the files count again', async (t) => {
  const { write, start } = await place(t);
  await write('pipelines/orders.yaml', pipeline('1s'));
  const engine = await start();
  const admin = adminOf(engine);
  await write('pipelines/orders.yaml', pipeline('2s', '  - { id: more, on: [order.sent], handler: noop }'));
  const report = await remoteReload(admin);
  assert.deepEqual([report.result, report.changes.started], ['changed', ['orders.more']]);
  assert.deepEqual(report.fields, [
    { route: 'orders.receipt', fields: [{ path: 'timeout', before: '1s', after: '2s' }] },
  ]);
  const back = await remoteRollback(admin);
  assert.deepEqual([back.result, back.generation, back.changes.stopped], ['changed', 3, ['orders.more']]);
  assert.match(back.pinned ?? '', /rolled back to generation 1/);
  assert.equal(timeoutOf(engine), 1_000);
  const { generations, status } = await remoteGenerations(admin);
  assert.deepEqual(
    generations.map(({ number, why, running }) => [number, why, running]),
    [
      [3, 'rollback', true],
      [2, 'request', false],
      [1, 'start', false],
    ],
  );
  assert.match(status.pinned ?? '', /rolled back/);
  assert.equal(await metric(engine, 'eventflow_config_rolled_back'), 1);
  assert.match(await (await fetch(`${admin}/readyz?verbose`)).text(), /rolled back to generation 1/);
  assert.equal((await remoteReload(admin)).result, 'changed', 'a reload goes by the files');
  assert.equal(timeoutOf(engine), 2_000);
  assert.equal(await metric(engine, 'eventflow_config_rolled_back'), 0);
  const refused = await remoteRollback(admin, 99);
  assert.deepEqual([refused.result, refused.generation], ['rejected', 4]);
  assert.match(refused.problems.join(), /a generation that is kept, got 99; kept are 4, 3, 2, 1/);
});

test('the watcher does not undo a rollback until a file changes', async (t) => {
  const { write, start } = await place(t);
  await write('pipelines/orders.yaml', pipeline('1s'));
  const engine = await start({ watch: true });
  await write('pipelines/orders.yaml', pipeline('2s'));
  await eventually('the second generation', () => timeoutOf(engine) === 2_000);
  await engine.rollback();
  // The same bytes again: no change, and no reload either.
  await write('pipelines/orders.yaml', pipeline('2s'));
  assert.equal(timeoutOf(engine), 1_000);
  await write('pipelines/orders.yaml', pipeline('3s'));
  await eventually('the third', () => timeoutOf(engine) === 3_000);
  assert.equal((await remoteGenerations(adminOf(engine))).status.pinned, undefined);
});

test('what a pipeline refers to is read again when it changes: a schema, a secret', async (t) => {
  const { folder, write, start } = await place(t);
  await mkdir(join(folder, 'run'));
  await write('run/paid.json', '{}');
  await write('run/token', 'first-secret-token');
  const types = 'eventTypes: { order.paid: { schema: ../run/paid.json, onInvalid: reject } }';
  const route =
    '  - { id: hook, on: [order.paid], handler: webhook, with: { url: "https://shop.example/", headers: { authorization: "${file:../run/token}" } } }';
  await write('pipelines/orders.yaml', pipeline('1s', `${route}\n${types}\n`));
  const engine = await start({ watch: true });
  const fieldsOf = async () => (await remoteGenerations(adminOf(engine))).generations[0]?.fields;
  await write('run/token', 'second-secret-token');
  await eventually('the second token', () => engine.generation().number === 2);
  const secret = { path: 'with.headers.authorization', before: '[secret]', after: '[secret]' };
  assert.deepEqual(await fieldsOf(), [{ route: 'orders.hook', fields: [secret] }]);
  await write('run/paid.json', JSON.stringify({ type: 'object', required: ['total'] }));
  await eventually('the second schema', () => engine.generation().number === 3);
  assert.deepEqual(await fieldsOf(), [], 'no route changed');
  await assert.rejects(engine.publisher.publish({ id: 'e', type: 'order.paid', source: '/test', data: {} }), /total/);
});

test('a reload that only the store refused is tried again', async (t) => {
  const { write, start } = await place(t);
  await write('pipelines/orders.yaml', pipeline('1s'));
  const engine = await start();
  const { bus } = engine;
  const openGroup = bus.openGroup.bind(bus);
  bus.openGroup = () => Promise.reject(new EventFlowError('EF5010', 'nobody answers'));
  await write('pipelines/orders.yaml', pipeline('2s'));
  assert.equal((await engine.reload()).result, 'rejected');
  assert.equal(timeoutOf(engine), 1_000);
  bus.openGroup = openGroup;
  await eventually('the second try', () => timeoutOf(engine) === 2_000, 30_000);
});

test('a rollback says nothing about the files: refused, they are in force; done, they are still refused', async (t) => {
  const { write, start, lines } = await place(t);
  await write('pipelines/orders.yaml', pipeline('1s'));
  const engine = await start();
  const admin = adminOf(engine);
  const config = async () =>
    ((await (await fetch(`${admin}/readyz?verbose`)).json()) as Health).checks.find(({ name }) => name === 'config');
  const isGood = (): Promise<number> => metric(engine, 'eventflow_config_last_reload_successful');
  await write('pipelines/orders.yaml', pipeline('2s'));
  await engine.reload();
  const { bus } = engine;
  const openGroup = bus.openGroup.bind(bus);
  bus.openGroup = () => Promise.reject(new Error('no room for a group'));
  assert.equal((await engine.rollback()).result, 'rejected');
  bus.openGroup = openGroup;
  assert.deepEqual(await config(), { name: 'config', ok: true, detail: 'generation 2' });
  assert.equal(await isGood(), 1);
  assert.ok(lines.some((line) => line.includes('rollback rejected, generation 2 goes on') && line.includes('no room')));
  assert.doesNotMatch((await runCli(['generations', '--admin', admin])).stderr, /refused/);
  await write('pipelines/orders.yaml', pipeline('often'));
  assert.equal((await engine.reload()).result, 'rejected');
  assert.equal((await engine.rollback()).result, 'changed');
  assert.equal(await isGood(), 0);
  assert.match((await config())?.detail ?? '', /^the files are refused:[\s\S]*often[\s\S]*rolled back to generation 1/);
});

test('an engine ends after the reload that is under way, and reloads no more', async (t) => {
  const { write, start, lines } = await place(t);
  await write('pipelines/orders.yaml', pipeline('1s'));
  const engine = await start();
  const { bus } = engine;
  const opening = Promise.withResolvers<void>();
  const openGroup = bus.openGroup.bind(bus);
  bus.openGroup = async (spec) => {
    opening.resolve();
    await sleep(1_500);
    return openGroup(spec);
  };
  await write('pipelines/orders.yaml', pipeline('2s'));
  const ended: string[] = [];
  const reload = engine.reload().finally(() => ended.push('reload'));
  await opening.promise;
  await engine.stop(60_000);
  ended.push('stop');
  await reload;
  assert.deepEqual(ended, ['reload', 'stop']);
  assert.match((await engine.reload()).problems.join(), /the engine is stopping/);
  assert.ok(!lines.some((line) => line.includes('rejected')), lines.join(''));
});

test('ten generations are kept, and no more', async (t) => {
  const { write, start } = await place(t);
  await write('pipelines/orders.yaml', pipeline('1s'));
  const engine = await start();
  for (let n = 2; n <= 12; n += 1) {
    await write('pipelines/orders.yaml', pipeline(`${n}s`));
    await engine.reload();
  }
  const { generations } = await remoteGenerations(adminOf(engine));
  assert.deepEqual([generations.length, generations.at(0)?.number, generations.at(-1)?.number], [10, 12, 3]);
});

test('a start on broken files begins with the last good ones when it is asked to, and only then', async (t) => {
  const { folder, write, start, lines } = await place(t);
  const env = { TOKEN: 'swordfish' };
  await mkdir(join(folder, 'schemas'));
  await write('schemas/paid.json', JSON.stringify({ type: 'object', required: ['total'] }));
  await write('secret', 'hunter22\n');
  const good = `
apiVersion: eventflow/v1
kind: Pipeline
name: orders
eventTypes: { order.paid: { schema: ../schemas/paid.json, onInvalid: reject } }
routes:
  - id: receipt
    on: [order.paid]
    handler: webhook
    timeout: 7s
    with: { url: "https://shop.example/", headers: { authorization: "\${TOKEN}", x-key: "\${file:../secret}" } }
`;
  await write('pipelines/orders.yaml', good);
  await (await start({}, env)).stop(0);
  const kept = join(folder, 'state', 'last-good.json');
  const text = await readFile(kept, 'utf8');
  assert.doesNotMatch(text, /swordfish|hunter22/);
  assert.match(text, /\$\{TOKEN\}/);
  assert.equal((await stat(kept)).mode & 0o077, 0);

  await write('pipelines/orders.yaml', good.replace('handler: webhook', 'handler: webhok'));
  await write('schemas/paid.json', 'not json any more');
  await assert.rejects(start({}, env), (error) => error instanceof ConfigError && /webhok/.test(error.message));
  const engine = await start({ lastGood: true }, env);
  assert.equal(timeoutOf(engine), 7_000);
  assert.equal(await metric(engine, 'eventflow_config_last_reload_successful'), 0);
  assert.equal(await metric(engine, 'eventflow_config_rolled_back'), 1);
  assert.ok(lines.some((line) => line.includes('started with the last good pipelines') && line.includes('webhok')));
  const { status } = await remoteGenerations(adminOf(engine));
  assert.match(status.last.problems.join(), /webhok/);
  await assert.rejects(
    engine.publisher.publish({ id: 'e', type: 'order.paid', source: '/test', data: {} }),
    /total/,
    'the event schema is the one that was kept',
  );
  await write('pipelines/orders.yaml', good.replace('7s', '8s'));
  await write('schemas/paid.json', '{}');
  assert.equal((await engine.reload()).result, 'changed');
  assert.equal(await metric(engine, 'eventflow_config_last_reload_successful'), 1);
  assert.equal(await metric(engine, 'eventflow_config_rolled_back'), 0);
});

test('without anything kept, and with a variable gone, a start on broken files says both', async (t) => {
  const { write, start } = await place(t);
  await write('pipelines/orders.yaml', 'broken: [');
  await assert.rejects(start({ lastGood: true }), /expected pipelines kept by an earlier run/);
  const named = pipeline('1s').replace('1s', '"${WAIT}"');
  await write('pipelines/orders.yaml', named);
  await (await start({}, { WAIT: '5s' })).stop(0);
  await write('pipelines/orders.yaml', 'broken: [');
  await assert.rejects(start({ lastGood: true }), (error) => /WAIT/.test(String((error as Error).message)));
});

for (const [what, damage] of [
  ['was cut off at once', () => ''],
  ['was cut off later', (text: string) => text.slice(0, -9)],
  ['is no object', () => 'null'],
  ['has nothing', () => '{"version":1}'],
  ['is of another version', (text: string) => text.replace('"version":1', '"version":2')],
  ['is of no time', (text: string) => text.replace(/"at":\d+/, '"at":1e99')],
  ['lacks a text', (text: string) => text.replace(/"texts":\{.*/, '"texts":{}}')],
] as const) {
  test(`where what was kept ${what}, a start on broken files says so after what is wrong with them`, async (t) => {
    const { folder, write, start } = await place(t);
    await write('pipelines/orders.yaml', pipeline('1s'));
    await (await start()).stop(0);
    const text = await readFile(join(folder, 'state', 'last-good.json'), 'utf8');
    assert.notEqual(damage(text), text);
    await write('state/last-good.json', damage(text));
    await write('pipelines/orders.yaml', pipeline('often'));
    await assert.rejects(start({ lastGood: true }), (error) => {
      assert.ok(error instanceof ConfigError, String(error));
      assert.match(
        error.message,
        /orders\.yaml:6:\d+: error EF\d{4}[\s\S]*what is kept in .*last-good\.json cannot be read/,
      );
      return true;
    });
  });
}

test('what could not be kept is kept at the next load, also when it changes nothing', async (t) => {
  const { folder, write, start, lines } = await place(t);
  await write('pipelines/orders.yaml', pipeline('1s'));
  await write('state', 'a file where the folder should be');
  const engine = await start();
  await eventually('the warning', () => lines.some((line) => line.includes('the pipelines are not kept')));
  await rm(join(folder, 'state'));
  assert.equal((await engine.reload()).result, 'unchanged');
  await engine.stop(0);
  assert.match(await readFile(join(folder, 'state', 'last-good.json'), 'utf8'), /receipt/);
});

test('a secret in plain text is not written down, and the log says why', async (t) => {
  const { folder, write, start, lines } = await place(t);
  await write(
    'pipelines/orders.yaml',
    pipeline('1s').replace(
      'handler: noop',
      'handler: webhook, with: { url: "https://shop.example/", headers: { x-from: "https://shop:hunter22@shop.example/" } }',
    ),
  );
  const engine = await start();
  await engine.stop(0);
  await assert.rejects(stat(join(folder, 'state', 'last-good.json')), { code: 'ENOENT' });
  assert.ok(
    lines.some((line) => line.includes('EF2022')),
    lines.join(''),
  );
});

test('reload, generations, rollback and routes do from the command line what they say', async (t) => {
  const { write, start } = await place(t);
  await write('pipelines/orders.yaml', pipeline('1s', '  - { id: gone, on: [order.paid], handler: noop }'));
  const engine = await start();
  const admin = ['--admin', adminOf(engine)];
  await write('pipelines/orders.yaml', pipeline('2s'));
  const reloaded = await runCli(['reload', ...admin]);
  assert.equal(reloaded.code, 0, reloaded.stderr);
  assert.match(reloaded.stdout, /~ orders\.receipt\n- orders\.gone\n {4}orders\.receipt: timeout: "1s" → "2s"/);
  await write('pipelines/orders.yaml', pipeline('often'));
  const refused = await runCli(['reload', ...admin]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /orders\.yaml:6:\d+: error EF\d{4}[\s\S]*generation 2 goes on/);
  const listed = await runCli(['generations', ...admin]);
  assert.match(listed.stdout, /2 runs[\s\S]*request[\s\S]*1 changed, 1 stopped\n1 /);
  assert.match(listed.stderr, /the files are refused/);
  assert.equal((await runCli(['rollback', '7', ...admin])).code, 1);
  const back = await runCli(['rollback', ...admin, '--json']);
  assert.equal(back.code, 0, back.stderr);
  assert.equal((JSON.parse(back.stdout) as { generation: number }).generation, 3);
  await write('pipelines/orders.yaml', pipeline('2s'));
  assert.equal((await runCli(['reload', ...admin])).code, 0);

  await engine.publisher.publish({ id: 'e', type: 'order.paid', source: '/test', data: {} });
  assert.match(
    (await runCli(['routes', ...admin])).stdout,
    /orders\.gone +(detached|removed)[\s\S]*orders\.receipt +1 engine/,
  );
  assert.match((await runCli(['routes', 'list', '--detached', ...admin])).stdout, /orders\.gone/);
  const dry = await runCli(['routes', 'purge', 'orders.gone', ...admin]);
  assert.match(dry.stderr, /would throw away orders\.gone: 1 waiting/);
  assert.equal((await runCli(['routes', 'purge', 'orders.gone', '--yes', ...admin])).code, 2);
  const busy = await runCli(['routes', 'purge', 'orders.receipt', '--yes', '--reason', 'x', ...admin]);
  assert.equal(busy.code, 1);
  assert.match(busy.stderr, /no engine has a route for, got orders\.receipt/);
  const purged = await runCli([
    'routes',
    'purge',
    'orders.gone',
    '--yes',
    '--reason',
    'gone for good',
    '--by',
    'ada',
    ...admin,
  ]);
  assert.equal(purged.code, 0, purged.stderr);
  assert.match(purged.stderr, /ada threw away orders\.gone: 1 waiting/);
  const operations = remoteOperations(adminOf(engine));
  assert.deepEqual(
    (await operations.routes()).map(({ group }) => group),
    ['orders.receipt'],
  );
  const { total, purges } = await operations.verify();
  assert.equal(total.residue, 0);
  assert.deepEqual(
    purges.map(({ group, by, reason, accepted, waiting }) => [group, by, reason, accepted, waiting]),
    [['orders.gone', 'ada', 'gone for good', 1, 1]],
  );
  assert.match((await runCli(['verify', ...admin])).stdout, /THROWN AWAY[\s\S]*orders\.gone +1 .* ada +gone for good/);
});
