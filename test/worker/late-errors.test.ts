import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { remoteOperations } from 'eventflow';
import { culpritOf } from '../../engine/late-errors.ts';
import { badStatus } from '../../engine/plugin.ts';
import { Service } from '../chaos/service.ts';
import { temporaryFolder } from '../support/children.ts';
import { type EngineChild, spawnEngine } from '../support/engine-process.ts';
import { eventually } from '../support/eventually.ts';
import type { PoisonKind } from '../support/poison-plugin/index.ts';

const plugins = [
  { plugin: '@acme/crm', folder: '/app/node_modules/@acme/crm' },
  { plugin: './mine', folder: '/app/mine' },
];

function withStack(...frames: readonly string[]): Error {
  const error = new Error('no');
  error.stack = ['Error: no', ...frames.map((frame) => `    at ${frame}`)].join('\n');
  return error;
}

test('an error belongs to the innermost plugin on its stack', () => {
  const node = 'listOnTimeout (node:internal/timers:605:17)';
  const dependency = 'send (file:///app/node_modules/axios/index.js:1:2)';
  const mine = 'file:///app/mine/index.js:10:5';
  const crm = 'async deliver (/app/node_modules/@acme/crm/lib/deliver.cjs:3:4)';
  assert.equal(culpritOf(withStack('Timeout._onTimeout (file:///app/mine/index.js:10:5)', node), plugins), './mine');
  assert.equal(culpritOf(withStack(dependency, crm, mine), plugins), '@acme/crm');
  assert.equal(culpritOf(withStack(mine, crm), plugins), './mine');
  assert.equal(culpritOf(withStack(`async ${mine}`), plugins), './mine');
  assert.equal(culpritOf(withStack('x (file:///app/mine/index.js?edition=1:10:5)'), plugins), './mine', 'an upgrade');
});

test('an error without a plugin on its stack belongs to nobody', () => {
  assert.equal(culpritOf(withStack('run (file:///app/node_modules/eventflow/dist/engine.js:1:1)'), plugins), undefined);
  assert.equal(culpritOf(withStack('x (/app/mine-too/index.js:1:1)'), plugins), undefined);
  for (const reason of [undefined, null, 'a text', 7, {}, withStack()])
    assert.equal(culpritOf(reason, plugins), undefined);
});

test('what cannot be looked at belongs to nobody, and what only plugins are given belongs to one of them', () => {
  const trap = new Proxy(new Error('x'), {
    get() {
      throw new Error('trap');
    },
  });
  assert.equal(culpritOf(trap, plugins), undefined);
  assert.equal(culpritOf(badStatus('no', 503), []), null);
});

interface Room {
  readonly engine: EngineChild;
  readonly service: Service;
  readonly start: () => Promise<EngineChild>;
  readonly publish: (...ids: readonly string[]) => Promise<void>;
}

async function room(poison: Readonly<Record<string, PoisonKind>>): Promise<Room> {
  const folder = await temporaryFolder('eventflow-late-');
  const service = new Service();
  const url = await service.start();
  await writeFile(
    join(folder.path, 'p.yaml'),
    `
apiVersion: eventflow/v1
kind: Pipeline
name: late
routes:
  - id: main
    on: [late.event]
    handler: poison
    startFrom: beginning
    timeout: 500ms
    circuitBreaker: false
    retry: { maxAttempts: 1 }
    with: { url: "${url}", starts: starts.txt, poison: ${JSON.stringify(poison)} }
`,
  );
  const start = (): Promise<EngineChild> =>
    spawnEngine(['--bus', `sqlite:${join(folder.path, 'bus.db')}`, '--pipelines', folder.path], {
      EVENTFLOW_PLUGINS: './test/support/poison-plugin',
      EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
      EVENTFLOW_DELIVERY_LEASE: '2s',
    });
  const engine = await start();
  after(async () => {
    await engine.kill();
    service.stop();
    await folder.remove();
  });
  return {
    engine,
    service,
    start,
    async publish(...ids) {
      const body = JSON.stringify(ids.map((id) => ({ id, type: 'late.event', source: '/late', data: {} })));
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${engine.ingest}/v1/events`, { method: 'POST', headers, body });
      assert.equal(response.status, 202, await response.text());
    },
  };
}

async function metric(engine: EngineChild, name: string): Promise<number> {
  const page = await (await fetch(`${engine.admin}/metrics`)).text();
  const found = new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'm').exec(page);
  return Number(found?.[1] ?? Number.NaN);
}

test('what a plugin rejects or throws after its delivery is told and counted for it, and the process goes on', async () => {
  const { engine, service, publish } = await room({ r: 'rejectAfter', t: 'throwAfter' });
  await publish('r', 't');
  const counted = 'eventflow_late_errors_total\\{plugin="./test/support/poison-plugin"\\}';
  await eventually('both to be counted', async () => (await metric(engine, counted)) === 2, 20_000);
  await publish('after');
  await eventually('the next delivery', () => service.arrivals.has('after'), 20_000);
  const told = engine.lines
    .filter(({ plugin }) => plugin === './test/support/poison-plugin')
    .map(({ msg }) => String(msg));
  assert.match(told.join('\n'), /promise that was rejected.*rejected after its delivery/);
  assert.match(told.join('\n'), /nobody catches.*thrown after its delivery/);
});

test('an error that belongs to nobody ends the process after what runs, and nothing is lost', async () => {
  const { engine, service, publish, start } = await room({ n: 'rejectNothing' });
  service.answer = () => ({ status: 200, afterMs: 300 });
  const ids = Array.from({ length: 40 }, (_, n) => `e${n}`);
  const exit = new Promise((resolve) => engine.child.once('exit', resolve));
  await publish('n', ...ids);
  assert.equal(await exit, 70);
  assert.match(JSON.stringify(engine.lines), /nobody caught an error/);
  const next = await start();
  await eventually('the rest', () => ids.every((id) => service.arrivals.has(id)), 20_000);
  const repeated = [...service.arrivals.values()].filter(({ times }) => times > 1);
  assert.deepEqual(repeated, [], 'what ran was finished, and what waited was handed back');
  assert.equal((await remoteOperations(next.admin).verify()).total.residue, 0);
  await next.stop();
});

test('a handler that ignores its abort is given up, counted while it runs, and told by the health check', async () => {
  const { engine, service, publish } = await room({ d: 'deaf', l: 'late' });
  await publish('d', 'l', 'other');
  const leaked = 'eventflow_leaked_handlers';
  await eventually('both to be given up', async () => (await metric(engine, leaked)) === 2, 20_000);
  await eventually('the late one to end', async () => (await metric(engine, leaked)) === 1, 20_000);
  assert.ok(service.arrivals.has('other'));
  const health = await fetch(`${engine.admin}/readyz?verbose`);
  assert.equal(health.status, 200, 'it goes on');
  assert.match(await health.text(), /given up and still running: 1 of late\.main/);
});

test('what a plugin leaves running does not keep the process from ending', async () => {
  const { engine, service, publish } = await room({ k: 'leak' });
  await publish('k');
  await eventually('the delivery', () => service.arrivals.has('k'), 20_000);
  assert.equal(await engine.stop(), 0);
});
