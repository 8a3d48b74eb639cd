import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type HttpSink, handlerExam, httpSink, type Peer, runHandler, type SinkAnswer } from 'eventflow/testing';
import crm from '../index.ts';

const event = { type: 'account.created', data: { email: 'ada@example.com' } };

let sink: HttpSink;
before(async () => {
  sink = await httpSink();
});
after(() => sink.close());
beforeEach(() => sink.usually(201));

const run = (options: object = {}, fields: object = event) =>
  runHandler(crm, 'crm', {
    event: { ...fields },
    options: { baseUrl: `${sink.url}/api/`, token: 'the-token', ...options },
  });

test('a contact is posted with the token, the priority and the reason', async () => {
  const { outcome, counters } = await run({ priority: 'high' });
  assert.deepEqual(outcome, { kind: 'delivered' });
  assert.deepEqual(counters, { crm_contacts_saved: 1 });
  const request = sink.requests.at(-1);
  assert.equal(request?.path, '/api/contacts');
  assert.equal(request?.headers.authorization, 'Bearer the-token');
  assert.deepEqual(JSON.parse(String(request?.body)), {
    email: 'ada@example.com',
    priority: 'high',
    reason: 'account.created',
  });
});

test('an event without an address is skipped', async () => {
  const { outcome } = await run({}, { ...event, data: { email: '' } });
  assert.equal(outcome.kind, 'skipped');
});

test('a contact that is there already counts as saved', async () => {
  sink.usually(409);
  assert.deepEqual((await run()).outcome, { kind: 'delivered' });
});

test('a CRM that asks for patience is given it', async () => {
  sink.usually({ status: 429, headers: { 'retry-after': '12' } });
  const { outcome } = await run();
  assert.ok(outcome.kind === 'failed');
  assert.equal(outcome.retryAfter, 12_000);
});

describe('the exam', () => {
  const peer = async (answer: SinkAnswer): Promise<Peer> => {
    const own = await httpSink();
    own.usually(answer);
    return {
      options: { baseUrl: own.url, token: 'token-of-the-exam' },
      received: () => own.requests.map(({ headers }) => String(headers['idempotency-key'])),
      close: () => own.close(),
    };
  };
  const exam = handlerExam({
    plugin: crm,
    handler: 'crm',
    packageFolder: join(import.meta.dirname, '..'),
    event,
    peers: {
      ok: () => peer(201),
      hang: () => peer('hang'),
      down: () => peer('reset'),
      busy: () => peer(503),
      rejects: () => peer(422),
    },
    keyOf: (key) => key,
  });
  for (const { name, run: sit } of exam) test(name, sit);
});
