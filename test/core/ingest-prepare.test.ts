import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkAttributes, parseTime } from '../../engine/core/attributes.ts';
import { idMaker } from '../../engine/core/event-id.ts';
import { IngestFault, type RefusalWord, refusals } from '../../engine/core/ingest-fault.ts';
import { measure } from '../../engine/core/json-text.ts';
import {
  defaultEventLimits,
  type Intake,
  prepareBytes,
  prepareData,
  prepareEvent,
  readIdempotencyKey,
} from '../../engine/core/prepare.ts';
import { catalogue } from '../../engine/errors.ts';
import { decodeEvent, type StoredEvent } from '../../engine/event.ts';

const now = Date.parse('2026-06-01T12:00:00Z');
const intake: Intake = {
  now,
  time: new Date(now).toISOString(),
  newId: () => 'made-1',
  limits: defaultEventLimits,
  source: 'eventflow/test',
  idempotencyKey: undefined,
  traceparent: undefined,
};

const plain = (value: unknown, more: Partial<Intake> = {}) => prepareText(JSON.stringify(value), more);
const prepareText = (text: string, more: Partial<Intake> = {}) =>
  prepareEvent(measure(text), false, { ...intake, ...more });
const decode = (event: StoredEvent) =>
  decodeEvent(event.body, event.meta === undefined ? undefined : JSON.stringify(event.meta));

function refusedAs(word: RefusalWord, run: () => unknown, message = /./): void {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof IngestFault, String(error));
    assert.equal(error.word, word, error.message);
    assert.match(error.message, message);
    return true;
  });
}

test('what a plain event lacks is added beside it, and its bytes stay', () => {
  const text = '{ "type": "order.paid",  "data": {"n": 1.0} }';
  const { event, eventId, repeatable } = prepareText(text);
  assert.equal(event.body, text);
  assert.equal(eventId, 'made-1');
  assert.equal(repeatable, false);
  assert.deepEqual(decode(event), {
    type: 'order.paid',
    data: { n: 1 },
    specversion: '1.0',
    id: 'made-1',
    source: 'eventflow/test',
    time: '2026-06-01T12:00:00.000Z',
  });
});

test('a whole envelope is stored alone', () => {
  const envelope = { specversion: '1.0', id: 'a', source: '/s', type: 't', time: '2026-06-01T12:00:00Z', data: 1 };
  const { event } = plain(envelope);
  assert.deepEqual(event, { body: JSON.stringify(envelope), meta: undefined });
});

test('null means absent: the engine fills the place', () => {
  const { event } = plain({ type: 't', id: null, time: null, source: null, subject: null });
  assert.equal(decode(event).id, 'made-1');
  assert.equal(decode(event).source, 'eventflow/test');
});

test('the trace of the request is taken unless the event has its own', () => {
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  assert.equal(decode(plain({ type: 't' }, { traceparent }).event).traceparent, traceparent);
  assert.equal(decode(plain({ type: 't', traceparent: 'own' }, { traceparent }).event).traceparent, 'own');
});

test('a repeat is recognised by source and id, or by the key instead', () => {
  const one = plain({ type: 't', id: '1', source: '/a' });
  assert.equal(plain({ type: 't', id: '1', source: '/a' }).dedupeKey, one.dedupeKey);
  assert.notEqual(plain({ type: 't', id: '1', source: '/b' }).dedupeKey, one.dedupeKey);
  const keyed = plain({ type: 't' }, { idempotencyKey: 'k', newId: () => 'x' });
  const again = plain({ type: 't' }, { idempotencyKey: 'k', newId: () => 'y' });
  assert.equal(keyed.dedupeKey, again.dedupeKey);
  assert.equal(keyed.fingerprint, again.fingerprint);
  assert.equal(keyed.repeatable, true);
});

test('another body has another fingerprint, and so have other attributes of the same data', () => {
  assert.notEqual(
    plain({ type: 't', id: '1', data: 1 }).fingerprint,
    plain({ type: 't', id: '1', data: 2 }).fingerprint,
  );
  const data = (subject: string) =>
    prepareData({ specversion: '1.0', id: '1', source: '/a', type: 't', subject }, 'application/json', '1', intake);
  assert.notEqual(data('x').fingerprint, data('y').fingerprint);
  assert.equal(data('x').fingerprint, data('x').fingerprint);
});

test('a dedupe key is never longer than 400 characters', () => {
  const long = plain({ type: 't', id: 'i'.repeat(200), source: `/${'s'.repeat(900)}` });
  assert.ok(long.dedupeKey.length <= 400);
  const other = plain({ type: 't', id: 'i'.repeat(200), source: `/${'s'.repeat(899)}x` });
  assert.notEqual(long.dedupeKey, other.dedupeKey);
});

test('data apart from its attributes decodes to the same envelope', () => {
  const attributes = { specversion: '1.0', id: '1', source: '/a', type: 't' };
  assert.deepEqual(decode(prepareData(attributes, 'application/json', '{"a":1.0}', intake).event).data, { a: 1 });
  assert.equal(decode(prepareData(attributes, 'text/plain', 'hello', intake).event).data, 'hello');
  assert.equal('data' in decode(prepareData(attributes, undefined, '', intake).event), false);
  const bytes = decode(prepareBytes(attributes, 'image/png', Buffer.from([0xff, 0]), intake).event);
  assert.equal(bytes.data_base64, '/wA=');
  assert.equal(bytes.datacontenttype, 'image/png');
});

test('types that break the pattern are refused', () => {
  for (const type of ['', 'Order.Paid', '.a', 'a b', 'a*', 'ä', 'a'.repeat(129), 7, null, undefined, {}]) {
    refusedAs('invalid_type', () => plain({ type }), /expected a type that matches/);
  }
  assert.equal(plain({ type: 'a'.repeat(128) }).type.length, 128);
});

test('ids and keys that are too long, empty or hold control characters are refused', () => {
  for (const id of ['', 'a'.repeat(201), 'a\nb', 'a\u0000', 7, {}])
    refusedAs('invalid_id', () => plain({ type: 't', id }));
  for (const key of ['', '""', 'a'.repeat(201), 'a\tb']) refusedAs('invalid_id', () => readIdempotencyKey(key));
  assert.equal(readIdempotencyKey('"a-1"'), readIdempotencyKey('a-1'));
});

test('times that are no RFC 3339 or far from now are refused', () => {
  const bad = ['yesterday', '2026-06-01', '2026-06-01T12:00:00', '2026-02-30T00:00:00Z', '2026-06-01T24:00:00Z'];
  for (const time of [...bad, 7, '9999-01-01T00:00:00Z', '1970-01-01T00:00:00Z', '2026-06-03T12:00:01Z']) {
    refusedAs('invalid_time', () => plain({ type: 't', time }));
  }
  for (const time of ['2026-06-01t12:00:00.123456789z', '2026-06-02T00:00:00+14:00', '2024-02-29T00:00:00Z']) {
    assert.equal(plain({ type: 't', time }).type, 't');
  }
});

test('every time that JavaScript prints is understood, and a leap second is the second before', () => {
  fc.assert(
    fc.property(fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }), (date) => {
      assert.equal(parseTime(date.toISOString()), date.getTime());
    }),
  );
  assert.equal(parseTime('2016-12-31T23:59:60Z'), Date.parse('2016-12-31T23:59:59Z'));
});

test('attributes outside CloudEvents belong under data', () => {
  refusedAs('invalid_attribute', () => plain({ type: 't', orderId: 7 }), /put it under data/);
  refusedAs('invalid_attribute', () => plain({ type: 't', nested: {} }));
  refusedAs('invalid_attribute', () => plain({ type: 't', source: 'a b' }));
  refusedAs('invalid_attribute', () => plain({ type: 't', subject: '' }));
  refusedAs('invalid_attribute', () => plain({ type: 't', specversion: '0.3' }));
  refusedAs('invalid_attribute', () => plain({ type: 't', data_base64: 'a' }));
  refusedAs('invalid_event', () => plain({ type: 't', data: 1, data_base64: 'AA==' }));
  assert.equal(plain({ type: 't', tenant: 'x', priority: 3, urgent: true }).type, 't');
});

test('what is no object is no event', () => {
  for (const value of [null, 1, 'text', [], true]) refusedAs('invalid_event', () => plain(value));
});

test('a publisher that claims CloudEvents must send what CloudEvents demands', () => {
  const strict = (value: unknown) => prepareEvent(measure(JSON.stringify(value)), true, intake);
  const whole = { specversion: '1.0', id: '1', source: '/a', type: 't' };
  assert.equal(strict(whole).eventId, '1');
  refusedAs('invalid_id', () => strict({ ...whole, id: undefined }));
  refusedAs('invalid_attribute', () => strict({ ...whole, source: undefined }));
  refusedAs('invalid_attribute', () => strict({ ...whole, specversion: undefined }));
});

test('too deep, too many values and too large are refused before anything is parsed', () => {
  const nested = (depth: number) => `{"type":"t","data":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  assert.equal(prepareText(nested(31)).type, 't');
  refusedAs('too_complex', () => prepareText(nested(32)), /33 levels/);
  refusedAs('too_complex', () => prepareText(nested(100_000)));
  refusedAs('too_complex', () => plain({ type: 't', data: Array.from({ length: 10_001 }, () => 0) }));
  refusedAs('too_large', () => plain({ type: 't', data: 'ä'.repeat(131_072) }), /at most 262144 bytes/);
});

test('hidden dangers and broken JSON are refused with their place', () => {
  refusedAs('forbidden_key', () => prepareText('{"type":"t","data":{"__proto__":{}}}'), /#\/data\/__proto__/);
  refusedAs('invalid_encoding', () => prepareText('{"type":"t","data":"\\ud800"}'), /#\/data/);
  refusedAs('invalid_json', () => prepareText('{"ä":}'), /byte 6/);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

test('a name from Object.prototype is an attribute like any other', () => {
  for (const name of ['toString', 'hasOwnProperty', 'constructor']) {
    assert.throws(() => checkAttributes({ type: 't', [name]: {} }, now, defaultEventLimits), IngestFault);
  }
});

test('made ids are UUIDs of version 7 that sort by time and never repeat', () => {
  let at = now;
  let drawn = 0;
  const make = idMaker(
    () => at,
    () => {
      drawn++;
      return '01234567-89ab-4cde-8f01-23456789abcd';
    },
  );
  const made = Array.from({ length: 4096 }, make);
  assert.equal(new Set(made).size, 4096);
  assert.equal(drawn, 1);
  for (const id of made) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual([...made].sort(), made);
  at += 1;
  assert.ok(make() > (made.at(-1) ?? ''));
  assert.equal(drawn, 2);
  const [first = ''] = made;
  assert.equal(Number.parseInt(first.slice(0, 8) + first.slice(9, 13), 16), now);
});

test('every refusal has a number in the catalogue, and no two share one', () => {
  const codes = Object.values(refusals).map((refusal) => refusal.code);
  assert.equal(new Set(codes).size, codes.length);
  for (const code of codes) assert.ok(code in catalogue);
});
