/** `eventflow doctor` against real servers that are set up badly, and its checks by themselves. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { aclRules } from '../../engine/bus/redis/acl.ts';
import { probes } from '../../engine/bus/redis/examine.ts';
import type { Finding } from '../../engine/cli/doctor-finding.ts';
import {
  checkAdminAddress,
  checkConfiguration,
  checkIngestAddress,
  checkInotify,
  checkNode,
  checkPlugins,
  oldestNode,
  satisfies,
} from '../../engine/cli/doctor-host.ts';
import { checkClock, checkDisk, checkFill, checkGroup } from '../../engine/cli/doctor-store.ts';
import { checkServerVersion } from '../../engine/cli/doctor-versions.ts';
import { generation, route, stats } from '../observe/world.ts';
import { textOf } from '../repo/sources.ts';
import { temporaryFolder } from '../support/children.ts';
import { eventflow } from '../support/cli.ts';
import { startInside } from '../support/engine-inside.ts';
import { freePort, type RedisProcess, startRedisProcess } from '../support/redis.ts';

const brief = ({ check, status }: Finding): string => `${check} ${status}`;

for (const [name, version, status, expected] of [
  ['Redis', '7.0.15', 'warning', /still mended/],
  ['Redis', '7.2.10', 'problem', /7\.2\.11 or later/],
  ['Redis', '8.2.2', 'problem', /8\.2\.9 or later/],
  ['Redis', '8.2.9', 'ok', undefined],
  ['Redis', '8.6.3', 'problem', /8\.6\.6 or later/],
  ['Redis', '8.10.0', 'ok', undefined],
  ['Valkey', '8.1.3', 'problem', /8\.1\.4 or later/],
  ['Valkey', '8.1.4', 'ok', undefined],
] as const) {
  test(`${name} ${version} is ${status}`, () => {
    const finding = checkServerVersion({ name, version });
    assert.equal(finding.check, 'version');
    if (expected === undefined)
      assert.deepEqual(finding, { check: 'version', status: 'ok', got: `${name} ${version}` });
    else assert.match(`${finding.expected}`, expected);
    assert.equal(finding.status, status);
  });
}

test('a Node.js that is too old is a problem; the oldest one is the one of package.json', () => {
  assert.deepEqual(
    [checkNode('22.21.9').status, checkNode('22.22.0').status, checkNode('24.0.0').status],
    ['problem', 'ok', 'ok'],
  );
  const { engines } = JSON.parse(textOf('engine/package.json')) as { engines: { node: string } };
  assert.equal(`>=${oldestNode.replace(/\.0$/, '')}`, engines.node);
});

test('inotify: too few watches, no free instance, enough of both, and systems without it', () => {
  const limits = { watches: 100, instances: 8, instancesInUse: 2 };
  assert.equal(checkInotify(50, limits).status, 'ok');
  assert.match(checkInotify(101, limits).advice ?? '', /max_user_watches=202/);
  assert.match(checkInotify(1, { ...limits, instancesInUse: 8 }).advice ?? '', /max_user_instances=16/);
  assert.equal(checkInotify(1_000_000, undefined).status === 'problem', process.platform === 'linux');
});

test('listeners that others can reach: a warning for ingest, a problem for the admin', () => {
  assert.deepEqual(
    [checkIngestAddress('0.0.0.0:8787'), checkIngestAddress('127.0.0.1:1'), checkAdminAddress('0.0.0.0:8788')].map(
      brief,
    ),
    ['ingest warning', 'ingest ok', 'admin problem'],
  );
});

test('the clock, the memory and the disk have marks', async () => {
  assert.deepEqual([checkClock(0), checkClock(-1_500)].map(brief), ['clock ok', 'clock warning']);
  assert.match(checkClock(-1_500).got, /1\.5 s behind/);
  assert.deepEqual([checkFill({ used: 79, limit: 100 }), checkFill({ used: 80, limit: 100 })].map(brief), [
    'memory ok',
    'memory warning',
  ]);
  assert.match((await checkDisk('/no/such/folder/bus.db')).got, /MB free/);
});

test('groups without a route, with forgotten deliveries or an unknown lag are told', () => {
  const running = generation([route('orders.receipt')]);
  assert.deepEqual(checkGroup('orders.receipt', stats(), running), []);
  const [detached] = checkGroup('orders.gone', stats({ dead: 3 }), running);
  assert.match(detached?.got ?? '', /orders\.gone has no route any more; 0 events wait for it, 3 dead letters rest/);
  const [forgotten] = checkGroup('orders.receipt', stats({ pending: 2, pendingOldestMs: 7_200_000 }), running);
  assert.match(forgotten?.got ?? '', /2 deliveries that nobody has cared for in 120 min/);
  const lag = [{ stream: 'a', entries: 7, known: false }];
  assert.match(checkGroup('orders.receipt', stats({ lag }), undefined)[0]?.got ?? '', /does not know.*7 or more/);
});

test('ranges of versions as npm reads them', () => {
  const inRange = (version: string, range: string) => `${version} ${range} ${satisfies(version, range)}`;
  assert.deepEqual(
    [
      inRange('0.1.5', '^0.1.0'),
      inRange('0.2.0', '^0.1.0'),
      inRange('1.9.0', '^1.2.0'),
      inRange('2.0.0', '^1.2.0'),
      inRange('1.3.0', '~1.2.0'),
      inRange('1.2.9', '~1.2.0'),
      inRange('9.0.0', '>=1.2.0'),
      inRange('1.2.0', '1.2.0'),
      inRange('1.2.1', '1.2.0'),
      inRange('1.2.1', '1.x || 2.x'),
    ].filter((line) => line.endsWith('false')),
    ['0.2.0 ^0.1.0 false', '2.0.0 ^1.2.0 false', '1.3.0 ~1.2.0 false', '1.2.1 1.2.0 false'],
  );
});

test('a plugin that is not what the lock file names, or not made for this engine, is a warning', async () => {
  const folder = await temporaryFolder('eventflow-doctor-');
  try {
    const at = join(folder.path, 'node_modules', 'crm');
    await mkdir(at, { recursive: true });
    await writeFile(join(at, 'package.json'), JSON.stringify({ peerDependencies: { eventflow: '^9.0.0' } }));
    const manifest = { plugin: 'crm', version: '1.0.0', folder: at } as Parameters<typeof checkPlugins>[0][number];
    assert.match(
      checkPlugins([manifest, manifest], folder.path, '0.1.0')[0]?.got ?? '',
      /crm 1\.0\.0 wants eventflow \^9/,
    );
    const packages = { 'node_modules/crm': { version: '1.0.1' } };
    await writeFile(join(folder.path, 'package-lock.json'), JSON.stringify({ packages }));
    const found = checkPlugins([manifest], folder.path, '9.1.0');
    assert.deepEqual([found.length, found[0]?.expected], [1, '1.0.1, as in package-lock.json']);
  } finally {
    await folder.remove();
  }
});

test('diagnostics are sorted by what has to be done', () => {
  const diagnostic = (code: string, severity: 'error' | 'warning' = 'error') =>
    ({ code, severity, file: 'f', line: 1, message: 'm' }) as Parameters<typeof checkConfiguration>[0][number];
  const found = checkConfiguration(['EF1013', 'EF1015', 'EF3001', 'EF2001'].map((code) => diagnostic(code)));
  assert.deepEqual(found.map(brief), ['variables problem', 'files problem', 'plugins problem', 'pipelines problem']);
  assert.ok(checkConfiguration([diagnostic('EF1013', 'warning')]).every(({ status }) => status === 'ok'));
});

test('every right that the bus needs has a probe', () => {
  const needed = aclRules({ kind: 'single', prefix: 'ef' }).filter((rule) => rule.startsWith('+'));
  assert.deepEqual(needed.map((rule) => rule.slice(1)).sort(), Object.keys(probes('k')).sort());
});

describe('eventflow doctor on a real Redis', { timeout: 120_000 }, () => {
  let server: RedisProcess;
  let admin: Redis;
  let env: Record<string, string>;

  before(async () => {
    server = await startRedisProcess({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    admin = new Redis(server.adminUrl);
    env = {
      EVENTFLOW_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
      EVENTFLOW_HTTP_ADMIN_LISTEN: `127.0.0.1:${await freePort()}`,
      EVENTFLOW_PIPELINES: 'pipelines',
    };
  });
  after(async () => {
    admin.disconnect();
    await server.stop();
  });
  afterEach(async () => {
    await admin.config('SET', 'appendfsync', 'always');
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
  });

  interface Report {
    readonly code: number | null;
    readonly problems: number;
    readonly findings: readonly Finding[];
    readonly find: (check: string, status: Finding['status']) => Finding | undefined;
  }

  async function examine(bus: string, more: Readonly<Record<string, string>> = {}): Promise<Report> {
    const { code, stdout, stderr } = await eventflow(['doctor', '--json', '--bus', bus], { env: { ...env, ...more } });
    const report = JSON.parse(stdout === '' ? stderr : stdout) as Omit<Report, 'code' | 'find'>;
    const find: Report['find'] = (check, status) =>
      report.findings.find((finding) => finding.check === check && finding.status === status);
    return { ...report, code, find };
  }

  test('finds no problem with a good one, under the least-privilege user, and leaves nothing behind', async () => {
    const { code, problems, findings, find } = await examine(server.url);
    assert.deepEqual([code, problems], [0, 0], JSON.stringify(findings, null, 1));
    for (const check of ['reach', 'durability', 'eviction', 'rights', 'clock', 'groups', 'node', 'inotify']) {
      assert.ok(find(check, 'ok'), check);
    }
    assert.deepEqual(await admin.keys('*'), []);
  });

  test('finds a weak persistence and an unsafe eviction, and says what to set; as text too', async () => {
    await admin.config('SET', 'appendfsync', 'everysec');
    await admin.config('SET', 'maxmemory-policy', 'volatile-lru');
    const { code, problems, find } = await examine(server.url);
    assert.deepEqual([code, problems], [1, 2]);
    assert.match(find('durability', 'problem')?.got ?? '', /set `appendfsync always`/);
    assert.match(find('eviction', 'problem')?.got ?? '', /maxmemory-policy volatile-lru/);
    const text = await eventflow(['doctor', '--bus', server.url], { env });
    assert.equal(text.code, 1);
    assert.match(
      text.stdout,
      /^problem {2}eviction .*\n +expected maxmemory-policy noeviction\n +set `maxmemory-policy/m,
    );
    assert.match(text.stderr, /2 problems/);
  });

  test('finds the rights that a user lacks', async () => {
    await admin.call('ACL', 'SETUSER', 'poor', 'on', '>x', '+@all', '-xautoclaim', '-config', '~ef:*', '&*');
    const { code, find } = await examine(server.adminUrl.replace('redis://', 'redis://poor:x@'));
    assert.equal(code, 1);
    assert.match(find('rights', 'problem')?.advice ?? '', /ACL SETUSER … \+xautoclaim \+config\|get /);
  });

  test('finds a replica, and replicas that are missing', async () => {
    const other = await startRedisProcess({ args: ['--replicaof', `127.0.0.1 ${server.port}`] });
    try {
      const replica = await examine(other.url, { EVENTFLOW_DURABILITY_MODE: 'none' });
      assert.match(replica.find('role', 'problem')?.advice ?? '', /name the master/);
    } finally {
      await other.stop();
    }
    const more = { EVENTFLOW_DURABILITY_MODE: 'replicated', EVENTFLOW_DURABILITY_REPLICAS: '2' };
    const { find } = await examine(server.url, more);
    assert.match(find('durability', 'problem')?.got ?? '', /expected 2 connected replicas/);
  });

  test('finds a group whose route is gone', async () => {
    const inside = await startInside({
      bus: server.url,
      routes: '  - { id: gone, on: [order.paid], handler: noop }\n',
    });
    await inside.stop();
    const { find } = await examine(server.url);
    assert.match(find('groups', 'warning')?.got ?? '', /^test\.gone has no route any more/);
    await admin.flushall();
  });

  test('finds an unset variable, a missing file and a port that is taken', async () => {
    const folder = await temporaryFolder('eventflow-doctor-');
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    try {
      const text = `apiVersion: eventflow/v1\nkind: Pipeline\nname: x\nroutes:\n  - id: a\n    on: [a]\n    handler: webhook\n    with: { url: "\${NOBODY_SETS_THIS}", secret: "\${file:./missing}" }\n`;
      await writeFile(join(folder.path, 'x.yaml'), text);
      const { code, find } = await examine(server.url, {
        EVENTFLOW_PIPELINES: folder.path,
        EVENTFLOW_HTTP_LISTEN: `127.0.0.1:${port}`,
      });
      assert.equal(code, 1);
      assert.match(find('variables', 'problem')?.got ?? '', /x\.yaml:8 EF1013 .*NOBODY_SETS_THIS/);
      assert.match(find('files', 'problem')?.got ?? '', /EF1015/);
      assert.match(find('ingest', 'problem')?.got ?? '', /cannot be bound: EADDRINUSE/);
    } finally {
      taken.close();
      await folder.remove();
    }
  });

  test('ends with 69 when nobody answers, after all the other checks', async () => {
    const { code, find } = await examine(`redis://127.0.0.1:${await freePort()}/0`);
    assert.equal(code, 69);
    assert.match(find('reach', 'problem')?.got ?? '', /ECONNREFUSED/);
    assert.ok(find('node', 'ok'));
  });

  test('looks at an embedded bus without making one, and beside the engine that owns it', async () => {
    const folder = await temporaryFolder('eventflow-doctor-');
    try {
      const bus = `sqlite:${join(folder.path, 'bus.db')}`;
      const before = await examine(bus);
      assert.deepEqual(
        [before.code, before.find('reach', 'ok')?.got.includes('is made by the first start')],
        [0, true],
      );
      const inside = await startInside({ bus, routes: '  - { id: a, on: [order.paid], handler: noop }\n' });
      const beside = await examine(bus);
      await inside.stop();
      assert.match(beside.find('reach', 'ok')?.got ?? '', new RegExp(`process ${process.pid} owns`));
      assert.ok(beside.find('disk', 'ok') ?? beside.find('disk', 'warning'));
      const alone = await examine(bus);
      assert.deepEqual([alone.code, alone.find('durability', 'ok')?.got], [0, 'fsync, verified']);
    } finally {
      await folder.remove();
    }
  });
});
