/** What arrives on the wire: slow, oversized, malformed, at a bad moment. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { EventFlowError } from '../../engine/errors.ts';
import { type Answer, openRoom, type Room, sendRaw } from './http-room.ts';

let room: Room;
before(async () => {
  room = await openRoom({ limits: { headersTimeoutMs: 300, requestTimeoutMs: 600 } });
});
after(() => room.close());

const start = 'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
const event = '{"type":"order.paid"}';
const whole = `${start}Content-Length: ${event.length}\r\n\r\n${event}`;
const send = (...parts: readonly (string | Buffer)[]): Promise<Answer> => sendRaw(room.address, parts);
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

async function refused(answer: Answer, status: number, code: string): Promise<void> {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8');
  assert.equal(answer.json.code, code);
  assert.deepEqual(await room.stored(), []);
}

test('a body that is announced too large is refused before it is read, and the connection closed', async () => {
  const answer = await send(`${start}Content-Length: 2000000\r\n\r\n`);
  await refused(answer, 413, 'too_large');
  assert.equal(answer.closed, true);
  assert.equal(answer.headers['connection'], 'close');
});

test('one event in CloudEvents form may announce less than a batch', async () => {
  const head = start.replace('application/json', 'application/cloudevents+json');
  await refused(await send(`${head}Content-Length: 262145\r\n\r\n`), 413, 'too_large');
});

test('a chunked body is refused at the byte that is too many, and the connection closed', async () => {
  const piece = chunk('x'.repeat(60_000));
  const answer = await send(`${start}Transfer-Encoding: chunked\r\n\r\n`, ...Array.from({ length: 18 }, () => piece));
  await refused(answer, 413, 'too_large');
  assert.equal(answer.closed, true);
});

test('a chunked body below the limit is taken', async () => {
  const answer = await send(
    `${start}Transfer-Encoding: chunked\r\n\r\n`,
    chunk('{"type":'),
    chunk('"a"}'),
    '0\r\n\r\n',
  );
  assert.equal(answer.status, 202);
  assert.equal((await room.stored()).length, 1);
});

const malformed: readonly (readonly [string, string])[] = [
  [
    'Content-Length together with Transfer-Encoding',
    `${start}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['two lengths', `${start}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde`],
  ['a chunk size that is no number', `${start}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n`],
  ['a folded header', `${start}X-Fold: a\r\n b\r\nContent-Length: 2\r\n\r\n{}`],
  ['a blank before the colon', `${start}X-Bad : a\r\nContent-Length: 2\r\n\r\n{}`],
  ['NUL in a header', `${start}X-Nul: a\u0000b\r\nContent-Length: 2\r\n\r\n{}`],
  ['NUL in the path', 'POST /v1/ev\u0000ents HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['no HTTP at all', 'hello\r\n\r\n'],
];

for (const [what, bytes] of malformed) {
  test(`${what} is answered 400, and the connection closed`, async () => {
    const answer = await send(bytes);
    await refused(answer, 400, 'bad_request');
    assert.equal(answer.closed, true);
  });
}

test('a header block above 16 KiB is answered 431', async () => {
  await refused(await send(`${start}X-Big: ${'x'.repeat(17_000)}\r\n\r\n`), 431, 'headers_too_large');
});

test('more than 100 headers are answered 431', async () => {
  const many = Array.from({ length: 101 }, (_, at) => `X-${at}: 1\r\n`).join('');
  await refused(await send(`${start}${many}Content-Length: ${event.length}\r\n\r\n${event}`), 431, 'headers_too_large');
});

test('headers that trickle in are answered 408', async () => {
  const parts = ['POST /v1/events HTTP/1.1\r\n', ...Array.from({ length: 30 }, (_, at) => `X-${at}: 1\r\n`)];
  await refused(await sendRaw(room.address, parts, { pauseMs: 50 }), 408, 'request_timeout');
});

test('a body that trickles in is answered 408', async () => {
  const parts = [`${start}Content-Length: 100\r\n\r\n`, ...Array.from({ length: 40 }, () => ' ')];
  await refused(await sendRaw(room.address, parts, { pauseMs: 50 }), 408, 'request_timeout');
});

test('a client that leaves in the middle of its body stores nothing and harms nobody', async () => {
  const { hostname, port } = new URL(room.address);
  const { connect } = await import('node:net');
  await new Promise<void>((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(`${start}Content-Length: 100\r\n\r\n{"type":`);
      setTimeout(() => socket.destroy(), 20);
    });
    socket.on('close', () => resolve());
  });
  assert.equal((await send(whole)).status, 202);
  assert.equal((await room.stored()).length, 1);
});

test('a connection is kept for the next event', async () => {
  const answer = await send(whole);
  assert.equal(answer.status, 202);
  assert.equal(answer.closed, false);
  await room.stored();
});

for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']) {
  test(`${method} is answered 405 with what is allowed`, async () => {
    const answer = await send(`${method} /v1/events HTTP/1.1\r\nHost: x\r\n\r\n`);
    await refused(answer, 405, 'method_not_allowed');
    assert.equal(answer.headers['allow'], 'POST');
  });
}

for (const path of [
  '/',
  '/v1/event',
  '/v1/events/',
  '//v1/events',
  '/../v1/events',
  '/v1/%2e%2e/v1/events',
  '/v1/events%00',
]) {
  test(`the path ${path} is answered 404`, async () => {
    await refused(await send(whole.replace('/v1/events', path)), 404, 'not_found');
  });
}

test('a path with broken percent-encoding is answered 400', async () => {
  await refused(await send(whole.replace('/v1/events', '/v1/events%zz')), 400, 'bad_request');
});

test('a query string changes nothing', async () => {
  assert.equal((await send(whole.replace('/v1/events', '/v1/events?x=1'))).status, 202);
  await room.stored();
});

const storeFaults: readonly (readonly [string, Error, string])[] = [
  ['cannot be reached', new EventFlowError('EF5001', 'connect ECONNREFUSED 10.0.0.7:6379'), 'store_unavailable'],
  ['is loading', new Error('LOADING Redis is loading the dataset in memory'), 'store_unavailable'],
  ['lost its cluster', new Error('CLUSTERDOWN The cluster is down'), 'store_unavailable'],
  ['is a replica', new Error("READONLY You can't write against a read only replica."), 'store_readonly'],
  ['is out of memory', new Error("OOM command not allowed when used memory > 'maxmemory'."), 'store_full'],
  ['has a full disk', new Error('database or disk is full'), 'store_full'],
  ['cannot persist', new Error('MISCONF Redis is configured to save RDB snapshots, but cannot'), 'store_degraded'],
  ['lacks replicas', new Error('NOREPLICAS Not enough good replicas to write.'), 'store_degraded'],
  ['refuses to write, for whatever reason', new EventFlowError('EF5011', 'NOPERM no permission'), 'store_unavailable'],
  ['cannot write its file', new EventFlowError('EF5023', 'I/O'), 'store_degraded'],
  ['is closed', new EventFlowError('EF5024', 'closed'), 'shutting_down'],
  ['did not confirm', new EventFlowError('EF5010', 'who knows'), 'outcome_unknown'],
  ['breaks off after the event was sent', new Error('Connection is closed.'), 'outcome_unknown'],
];

for (const [what, error, code] of storeFaults) {
  test(`a store that ${what} is answered 503 ${code} with a time to repeat, and without its own words`, async () => {
    const broken = await openRoom({ publish: () => Promise.reject(error) });
    const answer = await broken.post(event);
    assert.equal(answer.status, 503);
    assert.equal(answer.json.code, code);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
    assert.ok(!answer.text.includes('10.0.0.7') && !answer.text.includes('Redis'));
    assert.equal((await broken.post(`[${event}]`)).status, 503);
    await broken.close();
  });
}

test('a store that fails at once, without a promise, is answered like any other', async () => {
  const broken = await openRoom({
    publish: () => {
      throw new Error('oops');
    },
  });
  assert.equal((await broken.post(event)).json.code, 'outcome_unknown');
  await broken.close();
});

test('a store that does not answer is answered 503 in bounded time', async () => {
  const broken = await openRoom({ publish: () => new Promise(() => undefined), timeoutMs: 100 });
  const began = Date.now();
  const answer = await broken.post(event);
  assert.equal(answer.json.code, 'outcome_unknown');
  assert.ok(Date.now() - began < 2000);
  await broken.close();
});

test('a shutdown finishes what is under way, and refuses what comes with 503 and Connection: close', async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const stopping = await openRoom({
    publish: async (items) => {
      await held;
      return items.map((_, at) => ({ kind: 'accepted', stream: 's', entryId: String(at) }));
    },
  });
  const underWay = stopping.post(event);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closed = stopping.close(5000);
  const late = await sendRaw(stopping.address, [whole]);
  assert.deepEqual([late.status, late.json.code, late.headers['connection']], [503, 'shutting_down', 'close']);
  release();
  assert.equal((await underWay).status, 202);
  await closed;
  await assert.rejects(fetch(stopping.address));
});

test('a shutdown does not wait for ever for what hangs', async () => {
  const hanging = await openRoom({ publish: () => new Promise(() => undefined), timeoutMs: 3000 });
  const lost = assert.rejects(hanging.post(event));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const began = Date.now();
  await hanging.close(100);
  assert.ok(Date.now() - began < 2000);
  await lost;
});
