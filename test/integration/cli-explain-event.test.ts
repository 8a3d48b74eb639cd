/** `eventflow explain-event`: what it says about each route, and how it ends. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CliEnded, eventflow } from '../support/cli.ts';

const root = join(import.meta.dirname, '../..');
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
let folder = '';

const pipeline = `apiVersion: eventflow/v1
kind: Pipeline
name: shop
eventTypes:
  order.paid: { schema: order.json, onInvalid: reject }
  order.paid.late:
routes:
  - id: large
    on: [order.paid]
    when: event.data.total >= 100 && (event.data.country in ["DE", "FR"] || event.data.vip)
    handler: log
    transform: { pick: [total], set: { eur: event.data.total / 100 } }
    with: { message: "{{ event.data.eur }} EUR" }
  - id: coupons
    on: [order.*]
    when: event.data.coupon == "X"
    handler: log
  - id: off
    on: [order.paid]
    enabled: false
    handler: log
  - id: stale
    on: [order.paid]
    maxAge: 1d
    handler: log
  - id: hook
    on: ["**"]
    handler: webhook
    with: { url: "https://partner.example/{{ event.data.coupon }}", secrets: ["\${SIGNING}"] }
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'eventflow-explain-'));
  await writeFile(join(folder, 'shop.yaml'), pipeline);
  await writeFile(join(folder, 'order.json'), '{ "type": "object", "required": ["total"] }');
});
after(() => rm(folder, { recursive: true }));

const explain = (event: unknown, ...args: readonly string[]): Promise<CliEnded> =>
  eventflow(['explain-event', '-p', join(folder, 'shop.yaml'), ...args], {
    cwd: root,
    env: { SIGNING: secret },
    input: typeof event === 'string' ? event : JSON.stringify(event),
  });

const order = (data: object, more: object = {}): object => ({
  type: 'order.paid',
  id: 'o-1',
  source: 'till',
  ...more,
  data,
});

interface Told {
  readonly refusal?: string;
  readonly routes: readonly {
    readonly route: string;
    readonly verdict: string;
    readonly reason: string;
    readonly why: readonly string[];
    readonly [more: string]: unknown;
  }[];
}

async function told(event: unknown): Promise<Record<string, Told['routes'][number]>> {
  const { code, stdout, stderr } = await explain(event, '--json');
  assert.equal(code, 0, stderr);
  const [one] = JSON.parse(stdout) as Told[];
  return Object.fromEntries((one?.routes ?? []).map((route) => [route.route.replace('shop.', ''), route]));
}

test('each route says whether it would take the event, and which values decided', async () => {
  const event = order({ total: 120, country: 'US', vip: false }, { time: '2020-01-01T00:00:00Z' });
  const { large, coupons, off, stale } = await told(event);
  assert.deepEqual(
    [large?.verdict, coupons?.verdict, off?.verdict, stale?.verdict],
    ['when', 'dead', 'disabled', 'dead'],
  );
  assert.deepEqual(large?.why, [
    'event.data.total >= 100 && (event.data.country in ["DE", "FR"] || event.data.vip): false',
    'event.data.country in ["DE", "FR"] || event.data.vip: false',
    'event.data.country in ["DE", "FR"]: false',
    'event.data.country: "US"',
    'event.data.vip: false',
  ]);
  assert.match(coupons?.reason ?? '', /^invalid \(when_failed\): expected event\.data\.coupon, got nothing/);
  assert.match(stale?.reason ?? '', /^expired .* within 1d of its publication, if it was published at its time/);
});

test('a route that takes it shows the transformed data and the rendered options, without secrets', async () => {
  const { large, hook } = await told(order({ total: 250, country: 'DE', coupon: 'X' }));
  assert.equal(large?.verdict, 'matched');
  assert.deepEqual(large?.['data'], { total: 250, eur: 2.5 });
  assert.match(JSON.stringify(large?.['options']), /"message":"2\.5 EUR"/);
  assert.match(JSON.stringify(hook?.['options']), /"url":"https:\/\/partner\.example\/X"/);
  assert.doesNotMatch(JSON.stringify(hook), new RegExp(secret));
});

test('options that cannot be rendered, and patterns that are too short, are told about', async () => {
  const { hook, coupons } = await told({ type: 'order.paid.late', data: {} });
  assert.match(String(hook?.['optionsFault']), /^expected the event to have event\.data\.coupon, got nothing/);
  assert.deepEqual([coupons?.verdict, coupons?.reason], ['type', 'it wants order.*']);
  assert.deepEqual(coupons?.why, ['order.*: * is one segment; order.** would fit']);
});

test('an event that publishing would refuse ends with 1, and the others are explained all the same', async () => {
  const lines = [order({}), order({ total: 1, coupon: 'X' })].map((event) => JSON.stringify(event)).join('\n');
  const { code, stdout, stderr } = await explain(lines);
  assert.equal(code, 1);
  assert.match(stdout, /✗ refused when it is published: expected data that fits the schema of order\.paid/);
  assert.match(stdout, /✓ shop\.coupons → log/);
  assert.match(stderr, /^2 events: 1 wanted, 1 refused/);
});

test('a byte order mark in front of an event is no part of it', async () => {
  const file = join(folder, 'marked.json');
  await writeFile(file, `\ufeff${JSON.stringify(order({ total: 1 }))}\r\n`);
  const { code, stderr } = await explain('', file);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^1 event: /);
});

test('only the routes that are asked for are explained, and an unknown one is an error', async () => {
  const some = await explain(order({ total: 1 }), '--route', 'shop.hook');
  assert.doesNotMatch(some.stdout, /shop\.large/);
  const none = await explain(order({ total: 1 }), '--route', 'shop.nope');
  assert.equal(none.code, 1);
  assert.match(none.stderr, /expected a route, got "shop\.nope"; routes: shop\.large/);
});

test('what is no JSON, nothing at all, and a missing file end with 1 and say so', async () => {
  for (const [input, message] of [
    ['{"type":\nx', /expected JSON in stdin, or JSON on each line, got something else in line 1/],
    ['', /expected an event in stdin, got nothing/],
  ] as const) {
    const { code, stderr } = await explain(input);
    assert.equal(code, 1);
    assert.match(stderr, message);
  }
  for (const [path, message] of [
    ['nope.json', /expected a file with an event at .*nope\.json, got nothing; name one, or - for stdin\n$/],
    ['.', /expected a file with an event at .*, got a folder; name one, or - for stdin\n$/],
  ] as const) {
    const { code, stderr } = await explain('', join(folder, path));
    assert.equal(code, 1);
    assert.match(stderr, message);
  }
});
