/** What is published: every package packed, looked at, and used from an empty folder as its users do. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { spawnEngine } from '../support/engine-process.ts';
import { eventually } from '../support/eventually.ts';
import { npm, packAll } from '../support/npm.ts';

const run = promisify(execFile);
const plugins = ['webhook', 'email', 'notification', 'analytics', 'log'].map((name) => `@eventflow/plugin-${name}`);
const packages = ['eventflow', ...plugins, 'eventflow-plugin-crm'];

let folder = '';
let tarballs: ReadonlyMap<string, string> = new Map();
const project = (): string => join(folder, 'project');
const bin = (): string => join(project(), 'node_modules/eventflow/bin/eventflow.js');

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'eventflow-packages-'));
  tarballs = await packAll(folder, packages);
  await mkdir(join(project(), 'pipelines'), { recursive: true });
  await writeFile(join(project(), 'package.json'), '{ "name": "empty", "private": true, "type": "module" }');
  await npm(['install', '--prefer-offline', '--no-audit', '--no-fund', ...tarballs.values()], project());
  await writeFile(join(project(), 'eventflow.yaml'), 'plugins: [eventflow-plugin-crm]\n');
});

after(() => rm(folder, { recursive: true, force: true }));

const pipeline = (options: string): string => `apiVersion: eventflow/v1
kind: Pipeline
name: contacts
routes:
  - id: crm
    on: [account.created]
    handler: crm
    with:
      token: \${CRM_TOKEN}
${options}
`;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function eventflow(...args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, CRM_TOKEN: 'secret', NO_COLOR: '1' };
  try {
    const { stdout, stderr } = await run(process.execPath, [bin(), ...args], { cwd: project(), env });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as Ended;
    return { code, stdout, stderr };
  }
}

for (const name of packages) {
  test(`${name} is packed as publint wants it`, async () => {
    const tarball = await readFile(tarballs.get(name) ?? '');
    const { messages, pkg } = await publint({ pack: { tarball: tarball.buffer as ArrayBuffer }, strict: true });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg)),
      [],
    );
  });
}

test('the installed command prints its version', async () => {
  const { version } = JSON.parse(await readFile(join(project(), 'node_modules/eventflow/package.json'), 'utf8')) as {
    version: string;
  };
  assert.deepEqual(await eventflow('--version'), { code: 0, stdout: `${version}\n`, stderr: '' });
  const { stdout } = await run(join(project(), 'node_modules/.bin/eventflow'), ['--version'], { cwd: project() });
  assert.equal(stdout, `${version}\n`);
});

test('every template of the installed init is valid, and passes its tests', async () => {
  for (const template of ['minimal', 'webhooks', 'full']) {
    const made = await eventflow('init', template, '--template', template);
    assert.equal(made.code, 0, made.stderr);
    const cwd = join(project(), template);
    for (const command of ['validate', 'test']) await run(process.execPath, [bin(), command], { cwd });
  }
});

test("a third party's bad options are reported where they stand in the YAML", async () => {
  await writeFile(
    join(project(), 'pipelines/contacts.yaml'),
    pipeline('      baseUrl: https://crm.example\n      priority: urgent'),
  );
  const { code, stdout } = await eventflow('validate');
  assert.equal(code, 1);
  assert.match(stdout, /^pipelines\/contacts\.yaml:11:17: error EF\d{4} routes\[0\]\.with\.priority: .*"urgent"/m);
  assert.match(stdout, / {2}11 \| {7}priority: urgent\n {5}\| {17}\^{6}/);
});

test('a third-party handler runs from YAML beside the installed engine', async (t) => {
  const seen: string[] = [];
  const sink = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    request.resume().on('end', () => response.end('{}'));
  });
  await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
  t.after(() => sink.close());
  const { port } = sink.address() as AddressInfo;
  await writeFile(join(project(), 'pipelines/contacts.yaml'), pipeline(`      baseUrl: http://127.0.0.1:${port}`));
  assert.equal((await eventflow('validate')).code, 0);

  const env = { CRM_TOKEN: 'secret', EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true' };
  const engine = await spawnEngine([], env, { cli: bin(), cwd: project() });
  t.after(() => engine.kill());
  const published = await eventflow(
    'publish',
    'account.created',
    '--data',
    '{"email":"a@example.com"}',
    '--url',
    engine.ingest,
  );
  assert.equal(published.code, 0, published.stderr);
  await eventually('the sink to be called', () => seen.includes('POST /contacts Bearer secret'));
  await eventually('the delivery in the timeline', async () => {
    const { stdout } = await eventflow('events', 'show', published.stdout.trim(), '--json');
    return JSON.parse(stdout).deliveries[0]?.status === 'delivered';
  });
  assert.equal((await eventflow('verify')).code, 0);
  assert.equal(await engine.stop(), 0);
});

test('the published doors have types', async () => {
  const source = `
    import { createEngine, createPublisher, type Engine } from 'eventflow';
    import { definePlugin, permanent, type Handler } from 'eventflow/plugin';
    import * as testing from 'eventflow/testing';
    export const engine: (options: Parameters<typeof createEngine>[0]) => Promise<Engine> = createEngine;
    export const handler: Handler = { handle: () => { throw permanent(new Error('no')); } };
    export const all = { createPublisher, definePlugin, testing };
  `;
  await writeFile(join(project(), 'use.ts'), source);
  const tsc = join(import.meta.dirname, '../../node_modules/.bin/tsc');
  const flags = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2024',
    '--skipLibCheck',
    '--types',
    'node',
  ];
  const types = join(import.meta.dirname, '../../node_modules/@types');
  const { stdout } = await run(tsc, [...flags, '--typeRoots', types, 'use.ts'], { cwd: project() }).catch(
    (error: { stdout: string }) => error,
  );
  assert.equal(stdout, '');
});
