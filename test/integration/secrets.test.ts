/** One secret of each kind goes into an engine, and everything that it and the commands say is searched for them. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type HttpSink, httpSink } from 'eventflow/testing';
import { type CliEnded, eventflow } from '../support/cli.ts';
import { type EngineChild, spawnEngine } from '../support/engine-process.ts';
import { eventually } from '../support/eventually.ts';

let folder = '';
let sink: HttpSink;
let engine: EngineChild;

const env = {
  HOOK_TOKEN: 'hush-variable',
  PARTNER_KEY_FILE: 'hush-unused',
  HOOK_PASSWORD: 'hush-password',
  EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
  EVENTFLOW_BUS: 'sqlite:bus.db',
};

/** `$` of the references is put in afterwards. */
const pipeline = (url: string): string =>
  `apiVersion: eventflow/v1
kind: Pipeline
name: shop
routes:
  - id: bearer
    on: [order.paid]
    handler: webhook
    with:
      url: ${url}/bearer
      auth: { bearer: "@{HOOK_TOKEN}" }
      headers: { x-partner: "key @{file:key}", x-more: "token @{HOOK_TOKEN}" }
  - id: basic
    on: [order.paid]
    handler: webhook
    with:
      url: ${url}/basic
      auth: { username: shop, password: "@{HOOK_PASSWORD}" }
`.replaceAll('@{', '${');

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'eventflow-secrets-'));
  await symlink(join(import.meta.dirname, '../../node_modules'), join(folder, 'node_modules'));
  await mkdir(join(folder, 'pipelines'));
  await writeFile(join(folder, 'pipelines/key'), 'hush-file\n');
  sink = await httpSink();
  // What was sent comes back, as targets do that say why they refuse.
  sink.usually(({ headers }) => ({ status: 422, body: `refused ${JSON.stringify(headers)}` }));
  await writeFile(join(folder, 'pipelines/shop.yaml'), pipeline(sink.url));
  engine = await spawnEngine(['--no-watch'], { ...env, EVENTFLOW_LOG_LEVEL: 'debug' }, { cwd: folder });
});

after(async () => {
  await engine.stop();
  await sink.close();
  await rm(folder, { recursive: true, force: true });
});

const ef = (args: readonly string[], input = ''): Promise<CliEnded> => eventflow(args, { cwd: folder, env, input });
const onEngine = (...args: readonly string[]): Promise<CliEnded> => ef([...args, '--admin', engine.admin]);

async function assertHush(what: string, said: string): Promise<void> {
  assert.doesNotMatch(said, /hush|aHVzaC|c2hvcDpodXNo/, what);
}

test('the target got the secrets, and nobody else does', async () => {
  const published = await fetch(`${engine.ingest}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'order.paid', id: 'told' }),
  });
  assert.equal(published.status, 202);
  await eventually('both dead letters', async () => {
    const letters = await (await fetch(`${engine.admin}/admin/dead-letters`)).text();
    return letters.includes('shop.bearer') && letters.includes('shop.basic');
  });
  assert.match(
    JSON.stringify(sink.requests.map(({ headers }) => headers)),
    /hush-variable.*hush-file|hush-file.*hush-variable/,
  );
  const reads = ['dead-letters', 'circuits', 'routes', 'verify', 'generation', 'generations', 'events/told'];
  const paths = [...reads.map((path) => `/admin/${path}`), '/metrics', '/readyz?verbose', '/version'];
  for (const path of paths) await assertHush(path, await (await fetch(`${engine.admin}${path}`)).text());
});

test('no command says a secret', async () => {
  const event = JSON.stringify({ type: 'order.paid', id: 'asked', source: '/s', specversion: '1.0' });
  await writeFile(join(folder, 'event.json'), event);
  const commands: readonly (readonly string[])[] = [
    ['validate', '-o', 'json'],
    ['explain-event', 'event.json', '--json'],
    ['graph'],
  ];
  for (const command of commands) {
    const { stdout, stderr } = await ef(command);
    await assertHush(command.join(' '), stdout + stderr);
  }
  for (const command of [
    ['dlq', 'list', '--json'],
    ['events', 'show', 'told'],
    ['plan', '--json'],
  ]) {
    const { stdout, stderr } = await onEngine(...command);
    await assertHush(command.join(' '), stdout + stderr);
  }
});

test('a changed secret is a change of its route that is not shown', async () => {
  await writeFile(join(folder, 'pipelines/shop.yaml'), pipeline(sink.url).replace('"key ', '"another key '));
  const { stdout, stderr } = await onEngine('plan');
  assert.match(stdout, /shop\.bearer/);
  await assertHush('plan', stdout + stderr);
});

test('the log has no secret on any level, also not of a reload with faults', async () => {
  const broken = pipeline(sink.url).replace('handler: webhook', 'handler: webhok').replace('url:', 'url: [');
  await writeFile(join(folder, 'pipelines/shop.yaml'), broken);
  await fetch(`${engine.admin}/admin/reload`, { method: 'POST' });
  await eventually('the refusal in the log', () => JSON.stringify(engine.lines).includes('EF1005'));
  await assertHush('the log', JSON.stringify(engine.lines));
});
