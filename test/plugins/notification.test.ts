import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import notification from '@eventflow/plugin-notification';
import {
  type DeliverySetup,
  type HttpSink,
  handlerExam,
  httpSink,
  runHandler,
  type SinkAnswer,
} from 'eventflow/testing';
import { headerOf, httpPeers } from './peers.ts';

const event = {
  id: 'p-1',
  source: '/payments',
  type: 'payment.failed',
  data: { payment: 'p/1', reason: 'card <declined> & gone', who: '@everyone', nothing: '' },
};
const common = {
  title: 'Payment {{ event.data.payment }} failed',
  body: '{{ event.data.reason }}',
  severity: 'error',
  url: 'https://shop.example/p/{{ event.data.payment }}',
  fields: { Who: '{{ event.data.who }}', Empty: '{{ event.data.nothing }}' },
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

const run = (more: object, delivery: DeliverySetup = {}) =>
  runHandler(notification, 'notification', {
    event,
    ...delivery,
    options: { channel: 'generic', endpoint: `${sink.url}/hook`, ...common, ...more },
  });

const sent = () => {
  const request = sink.requests.at(-1);
  assert.ok(request !== undefined, 'expected a request to have arrived');
  return { ...request, json: JSON.parse(request.body.toString()) };
};

async function failure(more: object, delivery: DeliverySetup = {}) {
  const { outcome } = await run(more, delivery);
  assert.ok(outcome.kind === 'failed', `expected a failure, got ${outcome.kind}`);
  return outcome;
}

describe('a message', () => {
  test('to a generic endpoint is a plain JSON object', async () => {
    await run({ token: 'generic-token' });
    assert.deepEqual(sent().json, {
      title: 'Payment p/1 failed',
      body: 'card <declined> & gone',
      severity: 'error',
      url: 'https://shop.example/p/p%2F1',
      fields: { Who: '@everyone' },
      event: { id: 'p-1', type: 'payment.failed', source: '/payments', time: '2026-01-01T00:00:00Z', subject: null },
    });
    assert.equal(sent().headers.authorization, 'Bearer generic-token');
  });

  test('to Slack has blocks, a colour and escaped markup', async () => {
    await run({ channel: 'slack' });
    const { text, attachments } = sent().json;
    assert.equal(text, 'Payment p/1 failed');
    const [{ color, blocks }] = attachments;
    assert.equal(color, '#eb5757');
    assert.deepEqual(
      blocks.map(({ type }: { type: string }) => type),
      ['header', 'section', 'section', 'context'],
    );
    assert.equal(blocks[1].text.text, 'card &lt;declined&gt; &amp; gone');
  });

  test('to Slack stays within its limits', async () => {
    const fields = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`f${n}`, '{{ event.data.reason }}']));
    const long = '&'.repeat(10_000);
    await run(
      { channel: 'slack', title: '{{ event.data.reason }}', fields },
      { event: { ...event, data: { ...event.data, reason: long } } },
    );
    const [{ blocks }] = sent().json.attachments;
    assert.ok(blocks[0].text.text.length <= 150);
    assert.ok(blocks[1].text.text.length <= 3000);
    assert.equal(blocks[2].fields.length, 10);
    for (const field of blocks[2].fields) assert.ok(field.text.length <= 2000);
  });

  test('to Discord is an embed that mentions nobody and waits for the answer', async () => {
    await run({ channel: 'discord' });
    const { json, path } = sent();
    assert.equal(path, '/hook?wait=true');
    assert.deepEqual(json.allowed_mentions, { parse: [] });
    assert.equal(json.embeds[0].title, 'Payment p/1 failed');
    assert.equal(json.embeds[0].color, 0xeb5757);
    assert.deepEqual(json.embeds[0].fields, [{ name: 'Who', value: '@everyone', inline: true }]);
  });

  test('to Discord stays within its limits', async () => {
    const fields = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`f${n}`, '{{ event.data.reason }}']));
    await run(
      { channel: 'discord', title: '{{ event.data.reason }}', fields },
      { event: { ...event, data: { ...event.data, reason: '😀'.repeat(5_000) } } },
    );
    const [embed] = sent().json.embeds;
    const total = [
      embed.title,
      embed.description,
      ...embed.fields.flatMap((field: { name: string; value: string }) => [field.name, field.value]),
    ];
    assert.ok(embed.title.length <= 256 && embed.title.isWellFormed());
    assert.ok(total.join('').length <= 6000);
  });

  test('to ntfy is published as JSON to the topic of the endpoint', async () => {
    await run({ channel: 'ntfy', endpoint: `${sink.url}/base/alerts`, severity: 'critical' });
    const { json, path } = sent();
    assert.equal(path, '/base/');
    assert.equal(json.topic, 'alerts');
    assert.equal(json.priority, 5);
    assert.equal(json.click, 'https://shop.example/p/p%2F1');
    assert.equal(json.message, 'card <declined> & gone\nWho: @everyone');
  });

  test('to ntfy stays within 4,096 bytes', async () => {
    await run({ channel: 'ntfy' }, { event: { ...event, data: { ...event.data, reason: '東'.repeat(5_000) } } });
    assert.ok(Buffer.byteLength(sent().json.message) <= 4096);
  });

  test('may have a severity from a template, and no other words', async () => {
    await run({ severity: '{% if event.data.payment %}Warning{% else %}info{% endif %}' });
    assert.equal(sent().json.severity, 'warning');
    const { permanent, fault } = await failure({ severity: '{{ event.data.payment }}' });
    assert.equal(permanent, true);
    assert.match(fault.message, /info, warning, error, critical/);
  });

  test('has a title, and a link that is one', async () => {
    assert.equal((await failure({ title: '{{ event.data.nothing }}' })).permanent, true);
    assert.equal((await failure({ url: '{{ event.data.payment | prepend: "javascript:" }}' })).permanent, true);
    await run({ url: '' });
    assert.equal(sent().json.url, null);
  });
});

describe('an answer', () => {
  const cases: readonly [string, SinkAnswer, { permanent?: boolean; retryAfter?: number; code: string }][] = [
    ['slack', { status: 429, headers: { 'retry-after': '30' } }, { code: 'http_429', retryAfter: 30_000 }],
    [
      'discord',
      { status: 429, headers: { 'retry-after': '2' }, body: '{"retry_after":1.25,"global":false}' },
      { code: 'http_429', retryAfter: 1250 },
    ],
    ['discord', { status: 429, body: 'not json' }, { code: 'http_429' }],
    ['ntfy', { status: 507, body: 'full' }, { code: 'http_507' }],
    ['slack', { status: 404, body: 'no_service' }, { code: 'http_404' }],
    ['generic', 302, { code: 'http_302' }],
  ];
  for (const [channel, answer, expected] of cases) {
    test(`of ${channel} ${JSON.stringify(answer)} fails as ${expected.code}`, async () => {
      sink.usually(answer);
      const { fault, retryAfter } = await failure({ channel });
      assert.equal(fault.code, expected.code);
      assert.equal(retryAfter, expected.retryAfter);
    });
  }
});

test('an ntfy endpoint without a topic is refused', async () => {
  await assert.rejects(run({ channel: 'ntfy', endpoint: `${sink.url}/` }), /topic/);
});

test('an endpoint in the private network is refused without showing it', async () => {
  const options = { ...common, channel: 'slack', endpoint: 'http://10.0.0.1/services/secret' };
  await assert.rejects(
    runHandler(notification, 'notification', { options, allowPrivateNetworks: false }),
    (error: Error) => /public address/.test(error.message) && !error.message.includes('secret'),
  );
});

for (const channel of ['slack', 'discord', 'ntfy', 'generic']) {
  describe(`the exam for ${channel}`, () => {
    const exam = handlerExam({
      plugin: notification,
      handler: 'notification',
      packageFolder: 'plugins/notification',
      event,
      peers: httpPeers((url) => ({
        ...common,
        channel,
        endpoint: `${url}/secretpath-${channel}`,
        token: 'token-of-the-exam',
      })),
      keyOf: (received) => headerOf(received, 'idempotency-key'),
    });
    for (const { name, run: sit } of exam) test(name, sit);
  });
}
