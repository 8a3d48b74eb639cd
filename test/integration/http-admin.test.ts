import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Bus, Entry, Group } from '../../engine/bus/bus.ts';
import { encodeLine } from '../../engine/core/journal.ts';
import { EventFlowError } from '../../engine/errors.ts';
import { startAdmin } from '../../engine/http/admin.ts';
import type { HttpDeps, Listening } from '../../engine/http/deps.ts';
import {
  localOperations,
  type Operations,
  remoteGenerations,
  remoteOperations,
  remoteReload,
  remoteRollback,
} from '../../engine/operations/index.ts';
import { openRoom, type Room, sendRaw } from './http-room.ts';

let room: Room;
let admin: Listening;
let group: Group;
let remote: Operations;
let local: Operations;

before(async () => {
  room = await openRoom();
  group = await room.bus.openGroup({
    group: 'orders.ship',
    patterns: ['order.*'],
    startFrom: 'beginning',
    deadLetter: { retention: 1e9, maxEntries: 1000, onFull: 'pause' },
  });
  admin = await startAdmin(room.deps, '127.0.0.1:0');
  remote = remoteOperations(admin.address);
  local = localOperations(room.bus);
});
after(async () => {
  await admin.close(100);
  await room.close();
});

const fault = { code: 'http_503', message: 'expected a success, got 503', kind: 'status', status: 503 } as const;

/** The delivery of this event; what comes before it, such as an earlier redrive, is delivered. */
async function readUntil(id: string): Promise<Entry> {
  for (;;) {
    const entries = await group.read(100, AbortSignal.timeout(1000));
    assert.ok(entries.length > 0, `${id} never came`);
    const wanted = entries.find((entry) => entry.body.includes(`"${id}"`));
    const others = entries.filter((entry) => entry !== wanted);
    await group.settle(
      others.map((entry) => ({ kind: 'ack', entry, status: 'delivered' })),
      undefined,
    );
    if (wanted !== undefined) return wanted;
  }
}

/** Publishes an event and lets the route fail it once, then die. */
async function letDie(id: string): Promise<void> {
  await room.post(JSON.stringify({ type: 'order.paid', id, data: { deep: `[${id}]` } }));
  const entry = await readUntil(id);
  const row = {
    eventId: id,
    eventType: 'order.paid',
    publishedAt: entry.publishedAt,
    attempt: 1,
    startedAt: entry.publishedAt + 5,
    ms: 7,
    nextAt: undefined,
    reason: 'permanent',
    status: 'dead',
    fault,
  } as const;
  const words = {
    reason: 'permanent',
    handler: 'webhook',
    eventId: id,
    eventType: 'order.paid',
    fault,
    fingerprint: 'f1',
    attempts: [{ n: 1, at: row.startedAt, ms: 7, fault }],
    configHash: 'c1',
  } as const;
  await group.settle([{ kind: 'dead', entry, words }], encodeLine([row]));
}

const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`${admin.address}${path}`, { headers });
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
const getJson = async (path: string): Promise<any> => (await get(path)).json();

test('health, version and metrics are answered', async () => {
  assert.deepEqual(await getJson('/livez'), { status: 'ok' });
  assert.deepEqual(await getJson('/readyz'), { status: 'ready' });
  assert.deepEqual((await getJson('/readyz?verbose')).checks, [{ name: 'bus', ok: true }]);
  assert.equal((await getJson('/version')).version, '1.2.3');
  const metrics = await get('/metrics');
  assert.equal(metrics.headers.get('content-type'), 'text/plain; version=0.0.4');
  assert.match(await metrics.text(), /^eventflow_bus_up 1/m);
});

test('an engine that is not ready says so with 503', async () => {
  const deps: HttpDeps = {
    ...room.deps,
    health: () => ({ ready: false, checks: [{ name: 'bus', ok: false, detail: 'gone' }] }),
  };
  const other = await startAdmin(deps, '127.0.0.1:0');
  const answer = await fetch(`${other.address}/readyz?verbose`);
  assert.equal(answer.status, 503);
  assert.deepEqual(await answer.json(), { status: 'not_ready', checks: [{ name: 'bus', ok: false, detail: 'gone' }] });
  await other.close(100);
});

test('dead letters are listed, found by id and filtered, here as from afar', async () => {
  await letDie('dead-1');
  const [letter] = await remote.deadLetters({ limit: 10, eventId: 'dead-1' });
  assert.ok(letter !== undefined);
  assert.deepEqual([letter.group, letter.reason, letter.fault.status], ['orders.ship', 'permanent', 503]);
  assert.match(letter.body, /\[dead-1\]/);
  assert.deepEqual(
    await remote.deadLetters({ limit: 10, eventId: 'dead-1' }),
    JSON.parse(JSON.stringify(await local.deadLetters({ limit: 10, eventId: 'dead-1' }))),
  );
  assert.equal((await remote.deadLetter(letter.id))?.eventId, 'dead-1');
  assert.deepEqual(await remote.deadLetters({ limit: 10, reason: 'expired' }), []);
  assert.equal(await remote.deadLetter('no/such id'), undefined);
});

test('a redrive counts first, then sends back exactly what was counted', async () => {
  await letDie('again-1');
  await letDie('again-2');
  const filter = { group: 'orders.ship', limit: 100 };
  const dry = await remote.redrive({ dryRun: true, filter });
  assert.deepEqual(dry.byGroup, { 'orders.ship': dry.matched });
  assert.deepEqual(dry.redriven, []);
  assert.equal((await remote.deadLetters(filter)).length, dry.matched);
  const wet = await remote.redrive({ dryRun: false, filter });
  assert.equal(wet.redriven.length, dry.matched);
  assert.deepEqual(await remote.deadLetters(filter), []);
  assert.ok(room.signals.some((signal) => signal.kind === 'redriven' && signal.count === dry.matched));
});

test('a redrive by ids tells which of them are no dead letters', async () => {
  await letDie('by-id');
  const [letter] = await remote.deadLetters({ limit: 1, eventId: 'by-id' });
  const report = await remote.redrive({ dryRun: false, ids: [letter?.id ?? '', 'nonsense'] });
  assert.deepEqual([report.matched, report.redriven, report.missing], [1, [letter?.id], ['nonsense']]);
});

test('the timeline of an event shows each delivery with its attempts', async () => {
  await letDie('story');
  const timeline = await remote.timeline('story');
  assert.equal(timeline.eventType, 'order.paid');
  const delivery = timeline.deliveries.find((one) => one.group === 'orders.ship');
  assert.ok(delivery !== undefined);
  assert.deepEqual([delivery.status, delivery.deadReason, delivery.attempts.length], ['dead', 'permanent', 1]);
  assert.deepEqual(delivery.attempts[0]?.fault, fault);
  const [letter] = await local.deadLetters({ limit: 1, eventId: 'story' });
  assert.equal(delivery.deadLetterId, letter?.id);
  assert.deepEqual(await remote.timeline('nobody knows'), { eventId: 'nobody knows', deliveries: [] });
});

test('a route that has not settled the event yet is shown as waiting', async () => {
  await letDie('waits');
  const other = await room.bus.openGroup({
    group: 'orders.slow',
    patterns: ['order.*'],
    startFrom: 'beginning',
    deadLetter: { retention: 1e9, maxEntries: 1000, onFull: 'pause' },
  });
  await letDie('waits-too');
  const { deliveries } = await remote.timeline('waits-too');
  assert.equal(deliveries.find((one) => one.group === 'orders.slow')?.status, 'waiting');
  await other.close();
});

test('circuits show their state, and why they opened', async () => {
  const state = { kind: 'open', period: 1, since: 10, until: 20, openFor: 10, why: 'http_503' } as const;
  await room.bus.breakers.swap('orders.ship', 0, state);
  assert.deepEqual(await remote.circuits(), [
    { key: 'orders.ship', state: 'open', why: 'http_503', since: 10, nextProbeAt: 20, failures: 0 },
  ]);
});

test('the conservation law holds, and its numbers are the same here and from afar', async () => {
  const verification = await remote.verify();
  assert.deepEqual(verification, await local.verify());
  assert.equal(verification.total.residue, 0);
  assert.ok(verification.total.accepted > 0);
  const routes = await remote.routes();
  assert.deepEqual(
    routes.map((route) => route.group),
    ['orders.ship', 'orders.slow', 'test.all'],
  );
});

test('the generation is shown without the options of handlers, and a reload is done on request', async () => {
  const last = { result: 'changed', why: 'start', at: 1, problems: [] };
  assert.deepEqual(await getJson('/admin/generation'), { generation: 3, hash: 'h1', last, pipelines: [] });
  assert.equal((await remoteReload(admin.address)).result, 'unchanged');
});

test('generations are listed and gone back to, and a wrong number is a bad request', async () => {
  const { generations, status } = await remoteGenerations(admin.address);
  assert.deepEqual([generations.map(({ number }) => number), status.generation], [[3], 3]);
  assert.equal((await remoteRollback(admin.address, 2)).result, 'changed');
  assert.equal((await remoteRollback(admin.address)).result, 'rejected');
  await assert.rejects(
    remoteRollback(admin.address, 0.5),
    /status 400: generation: expected the number of a generation/,
  );
});

test('a purge names who and why, and a group that is not there is not found', async () => {
  const operations = remoteOperations(admin.address);
  await assert.rejects(operations.purge({ group: 'p.r', by: '', reason: 'x' }), /status 400: by: expected a string/);
  assert.equal(await operations.purge({ group: 'no.such', by: 'ada', reason: 'x' }), undefined);
});

test('counters are summed over a range of time', async () => {
  await room.post('{"type":"order.counted","id":"counted"}');
  for (let found = false; !found; ) {
    const entries = await group.read(10, AbortSignal.timeout(1000));
    const tallies = [{ name: 'orders', bucket: 60_000, key: 'DE', by: 2 }];
    await group.settle(
      entries.map((entry) => ({ kind: 'ack', entry, status: 'delivered', tallies })),
      undefined,
    );
    found = entries.some((entry) => entry.body.includes('counted'));
  }
  const answer = await getJson('/v1/analytics/orders?from=0&to=1970-01-01T00:02:00Z');
  assert.equal(answer.tallies.length, 1);
  assert.deepEqual([answer.tallies[0].bucket, answer.tallies[0].key, answer.to], [60_000, 'DE', 120_000]);
  assert.deepEqual(await getJson('/v1/analytics'), { names: ['orders'] });
  assert.equal((await get('/v1/analytics/nothing')).status, 404);
  assert.equal((await get('/v1/analytics/orders?from=soon')).status, 400);
});

const badRedrives: readonly (readonly [string, string])[] = [
  ['no JSON', 'oops'],
  ['neither ids nor filter', '{"dryRun":true}'],
  ['both ids and filter', '{"dryRun":true,"ids":[],"filter":{}}'],
  ['no word on dryRun', '{"ids":[]}'],
  ['a filter that is none', '{"dryRun":false,"filter":{"grupo":"x"}}'],
  ['a limit out of range', '{"dryRun":false,"filter":{"limit":0}}'],
  ['a reason that is none', '{"dryRun":false,"filter":{"reason":"bored"}}'],
  ['ids that are no strings', '{"dryRun":false,"ids":[1]}'],
];

for (const [what, body] of badRedrives) {
  test(`a redrive with ${what} is refused, and nothing is sent again`, async () => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${admin.address}/admin/dead-letters/redrive`, { method: 'POST', headers, body });
    assert.equal(answer.status, 400);
    assert.equal(((await answer.json()) as { code: string }).code, 'bad_request');
  });
}

const postJson = (path: string, body?: string) => {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${admin.address}${path}`, { method: 'POST', headers, ...(body === undefined ? {} : { body }) });
};

for (const [path, body, expected] of [
  ['/admin/rollback', '{"genration":1}', /body: expected one of generation, got "genration"/],
  ['/admin/rollback', 'not json', /body: expected a JSON object/],
  ['/admin/reload', 'not json', /body: expected a JSON object/],
  ['/admin/reload', '{"why":"signal"}', /body: expected no field, got "why"/],
  ['/admin/routes/purge', '{"group":"a.b","by":"ada","reason":"x","dryRun":true}', /got "dryRun"/],
  ['/admin/plan', '{"files":[],"fils":[]}', /expected one of files, got "fils"/],
  ['/admin/dead-letters/redrive', '{"dryRun":false,"ids":[],"limit":1}', /dryRun, ids, filter, got "limit"/],
] as const) {
  test(`POST ${path} with ${body} is refused, and the answer names what is wrong`, async () => {
    const answer = await postJson(path, body);
    assert.equal(answer.status, 400);
    assert.match(((await answer.json()) as { detail: string }).detail, expected);
  });
}

test('a reload is asked for with nothing, with an empty body or with an empty object', async () => {
  for (const body of [undefined, '', '{}']) assert.equal((await postJson('/admin/reload', body)).status, 200, body);
});

test('a write in any other content type is refused, so that a form on a web page cannot send one', async () => {
  const answer = await fetch(`${admin.address}/admin/dead-letters/redrive`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: '{"dryRun":true,"ids":[]}',
  });
  assert.equal(answer.status, 415);
});

const raw = (lines: string) => sendRaw(admin.address, [`${lines}\r\n\r\n`]);

for (const host of [
  'evil.example',
  '10.0.0.7',
  'localhost.evil.example',
  '127.0.0.1.evil.example',
  '127.0.0.1@evil.example',
  '[::2]',
  '',
]) {
  test(`a request to the host ${JSON.stringify(host)} is refused`, async () => {
    const answer = await raw(`GET /livez HTTP/1.1\r\nHost: ${host}`);
    assert.deepEqual([answer.status, answer.json.code], [403, 'wrong_host']);
  });
}

for (const host of ['localhost', 'localhost:8788', '127.0.0.1:1', '127.0.0.2', '[::1]:8788']) {
  test(`a request to the loopback name ${host} is answered`, async () => {
    assert.equal((await raw(`GET /livez HTTP/1.1\r\nHost: ${host}`)).status, 200);
  });
}

test('a write from another origin is refused', async () => {
  const write = (headers: string) =>
    raw(`POST /admin/reload HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 0\r\n${headers}`);
  for (const headers of [
    'Origin: http://evil.example',
    'Origin: null',
    'Origin: http://localhost:2',
    'Sec-Fetch-Site: cross-site',
  ]) {
    const answer = await write(headers);
    assert.deepEqual([answer.status, answer.json.code], [403, 'cross_origin'], headers);
  }
  assert.equal((await write('Origin: http://localhost:1')).status, 200);
  assert.equal((await write('Sec-Fetch-Site: same-origin')).status, 200);
});

test('unknown paths and wrong methods have their answers', async () => {
  assert.equal((await get('/admin')).status, 404);
  const answer = await fetch(`${admin.address}/admin/reload`);
  assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'POST']);
  for (const path of ['/admin/dead-letters/x', '/admin/events/a%2Fb?verbose', '/v1/analytics/orders']) {
    const put = await fetch(`${admin.address}${path}`, { method: 'PUT' });
    assert.deepEqual([put.status, put.headers.get('allow')], [405, 'GET'], path);
  }
  for (const path of ['/admin/dead-letters/', '/admin/dead-letters/x/y', '/nothing/x']) {
    assert.equal((await fetch(`${admin.address}${path}`, { method: 'PUT' })).status, 404, path);
  }
});

test('answers are not cached, and not guessed at', async () => {
  const { headers } = await get('/admin/circuits');
  assert.deepEqual([headers.get('cache-control'), headers.get('x-content-type-options')], ['no-store', 'nosniff']);
});

test('the admin listener refuses to be public', async () => {
  for (const listen of ['0.0.0.0:0', '[::]:0', '192.168.1.5:0', 'example.org:0']) {
    await assert.rejects(startAdmin(room.deps, listen), (error: unknown) => {
      assert.ok(error instanceof EventFlowError);
      assert.equal(error.code, 'EF6020');
      return true;
    });
  }
});

test('an engine that is not there is named with its address', async () => {
  const gone = await startAdmin(room.deps, '127.0.0.1:0');
  await gone.close(10);
  await assert.rejects(remoteOperations(gone.address).circuits(), (error: unknown) => {
    assert.ok(error instanceof EventFlowError);
    assert.equal(error.code, 'EF6021');
    assert.ok(error.message.includes(gone.address));
    return true;
  });
});

test('a bus that fails is answered with 503 from here, and EF6022 from afar', async () => {
  const broken = Object.assign(Object.create(room.bus) as Bus, { groups: () => Promise.reject(new Error('LOADING')) });
  const other = await startAdmin({ ...room.deps, operations: localOperations(broken) }, '127.0.0.1:0');
  await assert.rejects(remoteOperations(other.address).routes(), /EF6022|status 503/);
  await other.close(100);
});
