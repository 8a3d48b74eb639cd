import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import webhook from '@eventflow/plugin-webhook';
import { HTTP } from 'cloudevents';
import {
  type DeliverySetup,
  fakeClock,
  type HandlerSetup,
  type HttpSink,
  handlerExam,
  httpSink,
  openHandler,
  runHandler,
  type SinkAnswer,
} from 'eventflow/testing';
import { Webhook } from 'standardwebhooks';
import { headerOf, httpPeers } from './peers.ts';

const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const oldSecret = `whsec_${Buffer.alloc(24, 2).toString('base64')}`;

const event = {
  id: 'o-1',
  source: '/shop',
  type: 'order.paid',
  subject: 'Zürich "A"',
  data: { order_id: 7, tenant: 'acme', path: '../admin', host: '.evil.example' },
};

let sink: HttpSink;
before(async () => {
  sink = await httpSink();
});
after(() => sink.close());
beforeEach(() => {
  (sink.requests as unknown[]).length = 0;
  sink.usually(200);
});

const run = (options: object, more: HandlerSetup & DeliverySetup = {}) =>
  runHandler(webhook, 'webhook', { event, ...more, options: { url: `${sink.url}/hook`, ...options } });

async function failure(options: object, more: HandlerSetup & DeliverySetup = {}) {
  const { outcome } = await run(options, more);
  assert.ok(outcome.kind === 'failed', `expected a failure, got ${outcome.kind}`);
  return outcome;
}

const last = () => {
  const request = sink.requests.at(-1);
  assert.ok(request !== undefined, 'expected a request to have arrived');
  return request;
};

describe('the body', () => {
  test('is the whole envelope in the original bytes, as other CloudEvents libraries read it', async () => {
    const original =
      '{ "specversion":"1.0", "id":"o-1","source":"/shop","type":"order.paid","data":{"n":12345678901234567890}}';
    await run({}, { original });
    assert.equal(last().body.toString(), original);
    assert.equal(last().headers['content-type'], 'application/cloudevents+json');
    const read = HTTP.toEvent({ headers: last().headers as Record<string, string>, body: last().body.toString() });
    assert.ok(!Array.isArray(read));
    assert.equal(read.id, 'o-1');
  });

  test('is the envelope as JSON when the publisher sent less than one', async () => {
    await run({});
    assert.equal(JSON.parse(last().body.toString()).subject, event.subject);
  });

  test('is the data with the attributes as ce- headers in binary mode', async () => {
    await run({ mode: 'binary' });
    assert.deepEqual(JSON.parse(last().body.toString()), event.data);
    const { headers } = last();
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['ce-type'], 'order.paid');
    assert.equal(headers['ce-subject'], 'Z%C3%BCrich %22A%22');
    assert.equal(headers['ce-data'], undefined);
  });

  test('is binary data as bytes in binary mode', async () => {
    const data_base64 = Buffer.from([0, 255, 10]).toString('base64');
    await run(
      { mode: 'binary' },
      { event: { ...event, data: undefined, data_base64, datacontenttype: 'application/x-thing' } },
    );
    assert.deepEqual([...last().body], [0, 255, 10]);
    assert.equal(last().headers['content-type'], 'application/x-thing');
  });

  test('is the data alone in data mode, text as text', async () => {
    await run({ mode: 'data' }, { event: { ...event, data: 'a,b', datacontenttype: 'text/csv' } });
    assert.equal(last().body.toString(), 'a,b');
    assert.equal(last().headers['content-type'], 'text/csv');
  });

  test('is what the template renders to in template mode', async () => {
    await run(
      { mode: 'template', body: '{"order":{{ event.data.order_id | json }},"try":{{ delivery.attempt }}}' },
      { attempt: 3 },
    );
    assert.deepEqual(JSON.parse(last().body.toString()), { order: 7, try: 3 });
  });

  test('that needs a variable the event lacks is a permanent failure that names it', async () => {
    const outcome = await failure({ mode: 'template', body: '{{ event.data.nope }}' });
    assert.equal(outcome.permanent, true);
    assert.match(outcome.fault.message, /event\.data\.nope/);
    assert.equal(sink.requests.length, 0);
  });
});

describe('the signature', () => {
  test('is what the reference library of Standard Webhooks verifies', async () => {
    await run({ secrets: [secret] });
    const { body, headers } = last();
    assert.doesNotThrow(() => new Webhook(secret).verify(body.toString(), headers as Record<string, string>));
    assert.throws(() => new Webhook(secret).verify(`${body.toString()} `, headers as Record<string, string>));
  });

  test('is there twice while secrets rotate, so that either one verifies', async () => {
    await run({ secrets: [secret, oldSecret] });
    const { body, headers } = last();
    assert.equal(String(headers['webhook-signature']).split(' ').length, 2);
    for (const known of [secret, oldSecret]) {
      assert.doesNotThrow(() => new Webhook(known).verify(body.toString(), headers as Record<string, string>));
    }
  });

  test('has one id over all attempts and the time of each', async () => {
    const clock = fakeClock(1_700_000_000_999);
    const setup = { clock: clock.now, options: { url: sink.url, secrets: [secret] } };
    const handler = await openHandler(webhook, 'webhook', setup);
    await handler.deliver({ event, attempt: 1 });
    clock.advance(60_000);
    await handler.deliver({ event, attempt: 2 });
    await handler.close();
    const [first, second] = sink.requests.map(({ headers }) => headers);
    assert.equal(first?.['webhook-id'], second?.['webhook-id']);
    assert.match(String(first?.['webhook-id']), /^msg_[A-Za-z0-9_-]+$/);
    assert.equal(first?.['webhook-timestamp'], '1700000000');
    assert.equal(second?.['webhook-timestamp'], '1700000060');
    assert.notEqual(first?.['webhook-signature'], second?.['webhook-signature']);
  });

  for (const bad of [
    'whsec_short',
    'whsec_AAAA',
    'not base64 at all!',
    `whsec_${Buffer.alloc(65).toString('base64')}`,
  ]) {
    test(`refuses the secret ${bad.slice(0, 20)} without showing it`, async () => {
      await assert.rejects(run({ secrets: [bad] }), (error: Error) => {
        assert.match(error.message, /secrets\[0\].*24 to 64 bytes/);
        return !error.message.includes(bad);
      });
    });
  }
});

describe('headers', () => {
  test('carry bearer and basic authorization', async () => {
    await run({ auth: { bearer: 'tok' } });
    assert.equal(last().headers.authorization, 'Bearer tok');
    await run({ auth: { username: 'ada', password: 'p:w' } });
    assert.equal(last().headers.authorization, `Basic ${Buffer.from('ada:p:w').toString('base64')}`);
  });

  test('from templates lose line breaks and so cannot inject others', async () => {
    await run(
      { headers: { 'X-Tenant': '{{ event.data.tenant }}' } },
      { event: { ...event, data: { tenant: 'a\r\nx-evil: 1\0' } } },
    );
    assert.equal(last().headers['x-tenant'], 'a x-evil: 1');
    assert.equal(last().headers['x-evil'], undefined);
  });

  test('that are not Latin-1 are a permanent failure that names the header', async () => {
    const outcome = await failure(
      { headers: { 'x-tenant': '{{ event.data.tenant }}' } },
      { event: { ...event, data: { tenant: '東京' } } },
    );
    assert.equal(outcome.permanent, true);
    assert.match(outcome.fault.message, /x-tenant/);
  });

  test('that the engine sets cannot be taken', async () => {
    await assert.rejects(run({ headers: { 'Webhook-Id': 'x' } }), /Webhook-Id/);
    await assert.rejects(run({ headers: { Host: 'x' } }), /Host/);
  });

  test('pass the trace on', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await run({}, { traceparent });
    assert.equal(last().headers.traceparent, traceparent);
  });
});

describe('the url', () => {
  test('takes percent-encoded values from a template', async () => {
    await run(
      { url: `${sink.url}/t/{{ event.data.tenant }}?q={{ event.data.path }}` },
      { event: { ...event, data: { tenant: 'a/b?c#d e', path: '&x=1' } } },
    );
    assert.equal(last().path, '/t/a%2Fb%3Fc%23d%20e?q=%26x%3D1');
  });

  test('cannot be led out of its path by dots from an event', async () => {
    for (const path of ['..', '.', '%2e%2e']) {
      const outcome = await failure(
        { url: `${sink.url}/t/{{ event.data.path | raw }}/x` },
        { event: { ...event, data: { path } } },
      );
      assert.equal(outcome.permanent, true);
    }
    assert.equal(sink.requests.length, 0);
  });

  for (const url of [
    '{{ event.data.url }}',
    'http://{{ event.data.host }}/',
    'http://partner.example{{ event.data.host }}/',
    'https://partner.{{ event.data.host }}',
    '/hook',
    'partner.example/hook',
    '',
  ]) {
    test(`has to start with a literal scheme and host: ${url || '(empty)'}`, async () => {
      await assert.rejects(run({ url }), /literal scheme and host/);
    });
  }
});

describe('the answer', () => {
  const cases: readonly [SinkAnswer, { permanent?: boolean; retryAfter?: number; code: string; kind: string }][] = [
    [301, { code: 'http_301', kind: 'status' }],
    [
      { status: 302, headers: { location: 'http://127.0.0.1:1/' } },
      { code: 'http_302', kind: 'status' },
    ],
    [400, { code: 'http_400', kind: 'status' }],
    [404, { code: 'http_404', kind: 'status' }],
    [410, { code: 'http_410', kind: 'status' }],
    [
      { status: 429, headers: { 'retry-after': '7' } },
      { code: 'http_429', kind: 'status', retryAfter: 7000 },
    ],
    [
      { status: 503, headers: { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' } },
      { code: 'http_503', kind: 'status', retryAfter: 30_000 },
    ],
    [
      { status: 503, headers: { 'retry-after': 'soon' } },
      { code: 'http_503', kind: 'status' },
    ],
    [500, { code: 'http_500', kind: 'status' }],
    ['reset', { code: 'ECONNRESET', kind: 'connection' }],
    ['garbage', { code: 'bad_answer', kind: 'connection' }],
  ];
  for (const [answer, expected] of cases) {
    const name = typeof answer === 'object' ? JSON.stringify(answer) : answer;
    test(`${name} fails as ${expected.code}`, async () => {
      sink.usually(answer);
      const { fault, permanent, retryAfter } = await failure({}, { clock: fakeClock(Date.UTC(2026, 0, 1)).now });
      assert.equal(fault.code, expected.code);
      assert.equal(fault.kind, expected.kind);
      assert.equal(permanent, expected.permanent ?? false);
      assert.equal(retryAfter, expected.retryAfter);
      assert.equal(sink.requests.length, 1, 'no redirect is followed and nothing is sent twice');
    });
  }

  test('of 2xx is delivered, and so is what successStatus lists, and then nothing else', async () => {
    sink.usually(204);
    assert.equal((await run({})).outcome.kind, 'delivered');
    sink.usually(409);
    assert.equal((await run({ successStatus: [409] })).outcome.kind, 'delivered');
    sink.usually(200);
    assert.equal((await run({ successStatus: [409] })).outcome.kind, 'failed');
  });

  test('is kept in the fault up to 1 KiB', async () => {
    sink.usually({ status: 500, body: 'x'.repeat(5000) });
    assert.equal((await failure({})).fault.body, 'x'.repeat(1024));
  });

  test('that hangs or drips ends at the deadline', async () => {
    for (const answer of ['hang', 'drip'] as const) {
      sink.usually(answer);
      const start = Date.now();
      const { fault } = await failure({}, { timeout: 300 });
      assert.equal(fault.kind, 'timeout');
      assert.ok(Date.now() - start < 1500, `${answer} ended after ${Date.now() - start} ms`);
    }
  });

  test('that is huge counts by its status, and the rest of it is not read', async () => {
    sink.usually({ status: 200, body: Buffer.alloc(8 * 1024 * 1024, 97) });
    assert.equal((await run({})).outcome.kind, 'delivered');
  });
});

test('connections are kept and used again', async () => {
  const handler = await openHandler(webhook, 'webhook', { options: { url: sink.url } });
  const before = sink.connections;
  for (let n = 0; n < 20; n += 1) await handler.deliver({ event });
  await handler.close();
  // The next delivery can start a moment before its connection is free again, so two may take turns.
  assert.ok(sink.connections - before <= 2, `20 deliveries took ${sink.connections - before} connections`);
});

test('an address in the private network is refused when the handler is created', async () => {
  await assert.rejects(run({}, { allowPrivateNetworks: false }), /http\.egress\.allow/);
});

describe('the exam', () => {
  const exam = handlerExam({
    plugin: webhook,
    handler: 'webhook',
    packageFolder: 'plugins/webhook',
    event,
    peers: httpPeers((url) => ({ url: `${url}/hook`, secrets: [secret], auth: { bearer: 'bearer-token-1234' } })),
    keyOf: (received) => headerOf(received, 'webhook-id'),
  });
  for (const { name, run: sit } of exam) test(name, sit);
});
