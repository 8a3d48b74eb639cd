/** `POST /admin/plan`: what it says, what it never says, and what it refuses. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Plan, PlanAnswer } from '../../engine/operations/index.ts';
import { fill, pipeline, routes, type Stage, startStage } from './stage.ts';

async function staged(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<Stage> {
  const stage = await startStage('sqlite::memory:', env);
  t.after(() => stage.close());
  return stage;
}

const hook = (fields: string): string => pipeline([`{ id: hook, on: [live.event], handler: webhook, ${fields} }`]);

async function fieldsOf(stage: Stage, before: string, after: string): Promise<Plan['routes'][number]['fields']> {
  await stage.write(before);
  assert.notEqual((await stage.engine.reload()).result, 'rejected');
  await stage.write(after);
  return (await stage.plan()).routes.flatMap(({ fields }) => fields);
}

function expectPlan(answer: PlanAnswer): Plan {
  if (answer.ok) return answer;
  throw new Error(`expected a plan, got ${answer.problems.join('\n')}`);
}

test('a change is told field by field, in the words of the language', async (t) => {
  const stage = await staged(t);
  const before = hook('timeout: 5s, retry: { maxAttempts: 8 }, circuitBreaker: false, with: { url: "URL/a" }');
  const after = hook(
    'timeout: 90s, maxAge: 1h, retry: { maxAttempts: 2, maxElapsed: 30m }, with: { url: "URL/a", headers: { x-a: "1" } }',
  );
  const fields = await fieldsOf(stage, before, after);
  const shown = Object.fromEntries(fields.map(({ path, before: was, after: is }) => [path, [was, is]]));
  assert.deepEqual(shown['timeout'], ['5s', '90s']);
  assert.deepEqual(shown['retry.maxAttempts'], [8, 2]);
  assert.deepEqual(shown['maxAge'], [undefined, '1h']);
  assert.deepEqual(shown['with.headers.x-a'], [undefined, '1']);
  assert.equal((shown['circuitBreaker'] ?? [])[0], false);
});

test('a secret that changes is told, and neither the old value nor the new one', async (t) => {
  const stage = await staged(t, { OLD: 'old-secret-1', NEW: 'new-secret-2' });
  const signed = (name: string): string => hook(`with: { url: "URL/a", auth: { bearer: "\${${name}}" } }`);
  const fields = await fieldsOf(stage, signed('OLD'), signed('NEW'));
  assert.deepEqual(fields, [{ path: 'with.auth.bearer', before: '[secret]', after: '[secret]' }]);
  assert.doesNotMatch(JSON.stringify(await stage.plan()), /old-secret-1|new-secret-2/);
});

test('what stands in a secret file is told nowhere, also where it stands in a text', async (t) => {
  const stage = await staged(t);
  await writeFile(join(stage.folder, 'key'), 'hushhush-key\n');
  const text = (path: string): string => hook(`with: { url: "URL/a", headers: { x-key: "k \${file:${path}}" } }`);
  await fieldsOf(stage, hook('with: { url: "URL/a" }'), text(join(stage.folder, 'key')));
  const plan = await stage.plan();
  assert.equal(plan.changes, true);
  assert.doesNotMatch(JSON.stringify(plan), /hushhush/);
});

test('what becomes of the work under way is told with its numbers', async (t) => {
  const stage = await staged(t);
  await fill(stage);
  const { fails: _, 'gives-up': __, ...rest } = routes;
  await stage.write(pipeline(Object.values(rest)));
  const {
    routes: [fails, gives],
  } = await stage.plan();
  assert.deepEqual(
    [fails?.group, fails?.live?.retrying, gives?.group, gives?.live?.dead],
    ['live.fails', 3, 'live.gives-up', 3],
  );
  assert.match(fails?.effects.join('\n') ?? '', /3 retrying end as dead letters \(route_removed\)/);
  assert.match(gives?.effects.join('\n') ?? '', /3 dead stay/);
});

test('event types and what pipelines say of themselves are compared too', async (t) => {
  const stage = await staged(t);
  const types = (more: string): string =>
    pipeline(undefined, `labels: { team: core }\neventTypes: { live.event: {}, other.event: {}${more} }\n`);
  await stage.write(types(', gone.event: {}'));
  await stage.engine.reload();
  await stage.write(
    types(', come.event: {}').replace('live.event: {}', 'live.event: { onInvalid: warn }').replace('core', 'edge'),
  );
  const { eventTypes, pipelines, routes: changed } = await stage.plan();
  assert.deepEqual(
    eventTypes.map(({ type, action }) => [type, action]),
    [
      ['come.event', 'add'],
      ['gone.event', 'remove'],
      ['live.event', 'change'],
    ],
  );
  assert.deepEqual(eventTypes[2]?.fields, [{ path: 'onInvalid', before: 'reject', after: 'warn' }]);
  assert.deepEqual(pipelines, [
    { pipeline: 'live', action: 'change', fields: [{ path: 'labels.team', before: 'core', after: 'edge' }] },
  ]);
  assert.deepEqual(changed, []);
});

test('files that are sent along are compared with what runs, and change nothing', async (t) => {
  const stage = await staged(t);
  const { generation } = stage.engine.generation();
  const same = pipeline().replaceAll(
    'URL',
    String(generation.routes.get('live.fails')?.options['url']).replace('/fails', ''),
  );
  assert.equal(expectPlan(await stage.ask([{ path: 'live.yaml', text: same }])).changes, false);
  const plan = expectPlan(
    await stage.ask([{ path: 'live.yaml', text: same.replace('handler: noop', 'handler: log') }]),
  );
  assert.deepEqual(
    plan.routes.map(({ group, action }) => [group, action]),
    [['live.quick', 'change']],
  );
  assert.equal(plan.to.kind, 'posted');
  assert.equal(stage.engine.generation().generation, generation);
  assert.equal((await stage.plan()).changes, false);
});

test('files that are sent along learn nothing of the environment and nothing of the disk', async (t) => {
  const stage = await staged(t, { DB_PASSWORD: 'hushhush-env', SHORT: 'xyz' });
  await writeFile(join(stage.folder, 'private'), 'hushhush-disk');
  const sent = (more: string, head = '') =>
    stage.ask([
      { path: 'live.yaml', text: pipeline([`{ id: quick, on: [live.event], handler: noop, ${more} }`], head) },
    ]);
  const env = await sent(
    'description: "d"',
    'description: "a ${DB_PASSWORD} ${SHORT} b"\nlabels: { "x": "${DB_PASSWORD}" }\n',
  );
  assert.equal(expectPlan(env).changes, true);
  assert.doesNotMatch(JSON.stringify(env), /hushhush|xyz/);
  const file = await sent('concurrency: "${file:private}"');
  assert.ok(!file.ok && /what runs does not read it/.test(file.problems.join()), JSON.stringify(file));
  const schema = await sent('enabled: true', `eventTypes: { live.event: { schema: private } }\n`);
  assert.ok(!schema.ok && /it was not sent along/.test(schema.problems.join()), JSON.stringify(schema));
  assert.doesNotMatch(JSON.stringify([file, schema]), /hushhush/);
  const wrong = await sent('concurrency: "${DB_PASSWORD}"');
  assert.ok(!wrong.ok);
  assert.doesNotMatch(JSON.stringify(wrong), /hushhush/);
});

test('a secret file that runs already is compared by files that are sent along', async (t) => {
  const stage = await staged(t);
  await writeFile(join(stage.folder, 'key'), 'hushhush-key');
  const text = hook('with: { url: "https://example.com/a", auth: { bearer: "${file:key}" } }');
  await stage.write(text);
  await stage.engine.reload();
  assert.equal(expectPlan(await stage.ask([{ path: 'live.yaml', text }])).changes, false);
});

test('a body that is none, too large, or leads out of the folder is refused', async (t) => {
  const stage = await staged(t);
  const post = async (body: string): Promise<number> => {
    const answer = await fetch(`${stage.engine.addresses.admin}/admin/plan`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    await answer.text();
    return answer.status;
  };
  const file = (path: unknown, text: unknown = '', pipelineFile: unknown = true): string =>
    JSON.stringify({ files: [{ path, text, pipeline: pipelineFile }] });
  const bad = [
    '{',
    '[]',
    '{}',
    '{"files":{}}',
    file('../x.yaml'),
    file('/etc/x.yaml'),
    file('a/../../x.yaml'),
    file('a\\x'),
    file('c:x'),
    file(''),
    file('a//b'),
    file('a.yaml', 1),
    file('a.yaml', '', 1),
    JSON.stringify({
      files: [
        { path: 'a', text: '', pipeline: true },
        { path: 'a', text: '', pipeline: true },
      ],
    }),
  ];
  for (const body of bad) assert.equal(await post(body), 400, body);
  assert.equal(await post(file('a.yaml', 'x'.repeat(9 * 1024 * 1024))), 413);
  assert.equal(await post(file('a.yaml', '[')), 200, 'a file that is wrong is an answer');
});

test('settings that wait for a restart are told, credentials are not', async () => {
  const { changedSettings, loadSettings } = await import('../../engine/config/index.ts');
  const { maskWith } = await import('../../engine/planning.ts');
  const read = async (env: Record<string, string>) => {
    const loaded = await loadSettings({ env, cwd: process.cwd() });
    assert.ok(loaded.ok);
    return loaded.settings;
  };
  const before = await read({ EVENTFLOW_BUS: 'redis://user:hushhush@a:6379/0' });
  const after = await read({ EVENTFLOW_BUS: 'redis://user:hushhush@b:6379/0', EVENTFLOW_DELIVERY_LEASE: '90s' });
  const mask = maskWith([]);
  const shown = changedSettings(before, after).map(({ path, before: was, after: is }) => [
    path,
    mask(path, was),
    mask(path, is),
  ]);
  assert.deepEqual(
    shown.filter(([path]) => path === 'bus' || path === 'delivery.lease'),
    [
      ['bus', 'redis://[secret]@a:6379/0', 'redis://[secret]@b:6379/0'],
      ['delivery.lease', '30s', '90s'],
    ],
  );
});
