import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { CloudEvent, HTTP } from 'cloudevents';
import { type Answer, envelopeOf, openRoom, type Room } from './http-room.ts';

let room: Room;
before(async () => {
  room = await openRoom({
    rules: [
      { type: 'strict.paid', check: faultsOf, onInvalid: 'reject' },
      { type: 'lenient.paid', check: faultsOf, onInvalid: 'warn' },
      { type: 'late.paid', check: faultsOf, onInvalid: 'deadLetter' },
    ],
  });
});
after(() => room.close());

function faultsOf(data: unknown): readonly string[] {
  return typeof data === 'object' && data !== null && 'total' in data ? [] : ['/total: expected a number, got nothing'];
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

function problem(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8');
  const { code: got, status: said, errorCode, title, detail } = answer.json;
  assert.equal(got, code);
  assert.equal(said, status);
  assert.match(errorCode, /^EF4\d{3}$/);
  assert.ok(title.length > 0 && detail.length > 0);
}

const json = { 'content-type': 'application/json' };
const structured = { 'content-type': 'application/cloudevents+json' };
const batched = { 'content-type': 'application/cloudevents-batch+json' };
const lines = { 'content-type': 'application/x-ndjson' };

test('a new event is answered 202 with its id, after it is stored', async () => {
  const answer = await room.post('{"type":"order.paid","data":{"total":1}}');
  assert.equal(answer.status, 202);
  const { id, duplicate, routes, stream, entryId } = answer.json;
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.deepEqual({ duplicate, routes, stream }, { duplicate: false, routes: 2, stream: 'order.paid' });
  assert.ok(entryId.length > 0);
  const [entry] = await room.stored();
  const { id: storedId, type, data, source } = envelopeOf(entry);
  assert.deepEqual(
    { storedId, type, data, source },
    { storedId: id, type: 'order.paid', data: { total: 1 }, source: 'eventflow/http' },
  );
});

test('an event without id and key is taken with a warning that a repeat is another event', async () => {
  const warned = await room.post('{"type":"order.paid"}');
  assert.match(warned.headers['eventflow-warning'] ?? '', /no Idempotency-Key/);
  const safe = await room.post('{"type":"order.paid","id":"has-id"}');
  assert.equal(safe.headers['eventflow-warning'], undefined);
  await room.stored();
});

test('the same Idempotency-Key with the same body is the same event', async () => {
  const headers = { ...json, 'idempotency-key': '"key-1"' };
  const first = await room.post('{"type":"order.paid","data":1}', headers);
  const again = await room.post('{"type":"order.paid","data":1}', headers);
  assert.equal(again.status, 202);
  assert.deepEqual([again.json.id, first.json.duplicate, again.json.duplicate], [first.json.id, false, true]);
  assert.equal(again.headers['idempotency-replayed'], 'true');
  assert.equal((await room.stored()).length, 1);
});

test('the same source and id with the same body is the same event', async () => {
  const body = '{"type":"order.paid","id":"twice","source":"/shop"}';
  await room.post(body);
  assert.equal((await room.post(body)).json.duplicate, true);
  assert.equal((await room.stored()).length, 1);
});

test('the same key with another body is a conflict', async () => {
  const headers = { ...json, 'idempotency-key': 'key-2' };
  await room.post('{"type":"order.paid","data":1}', headers);
  problem(await room.post('{"type":"order.paid","data":2}', headers), 409, 'idempotency_mismatch');
  assert.equal((await room.stored()).length, 1);
});

test('a type that no route wants is stored and says so', async () => {
  const answer = await room.post('{"type":"unrouted.x"}');
  assert.equal(answer.status, 202);
  assert.equal(answer.json.routes, 0);
  assert.equal((await room.stored()).length, 1);
});

test('a type that no route wants is refused where only wanted types are taken', async () => {
  const strict = await openRoom({ strictTypes: true });
  problem(await strict.post('{"type":"unrouted.x"}'), 422, 'unrouted');
  assert.equal((await strict.stored()).length, 0);
  await strict.close();
});

const refused: readonly (readonly [
  string,
  string | Uint8Array | undefined,
  Readonly<Record<string, string>>,
  number,
  string,
])[] = [
  ['a type that breaks the pattern', '{"type":"Order Paid"}', json, 422, 'invalid_type'],
  ['an event without a type', '{"data":1}', json, 422, 'invalid_type'],
  ['an empty body', '', json, 400, 'empty_body'],
  ['no body at all', undefined, json, 400, 'empty_body'],
  ['a blank body', ' \n', json, 400, 'empty_body'],
  ['blank lines only', '\n\n', lines, 400, 'empty_body'],
  ['text that is no JSON', '{"type":', json, 400, 'invalid_json'],
  ['an array that is no JSON', '[{"type":"a"},{"type":}]', json, 400, 'invalid_json'],
  ['an array with a comma too many', '[{"type":"a"},]', json, 400, 'invalid_json'],
  ['a byte order mark', '\ufeff{"type":"a"}', json, 400, 'invalid_json'],
  ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22]), json, 400, 'invalid_encoding'],
  ['half a surrogate pair', '{"type":"a","data":"\\udc00"}', json, 400, 'invalid_encoding'],
  ['nesting that is too deep', `{"type":"a","data":${'['.repeat(40)}${']'.repeat(40)}}`, json, 422, 'too_complex'],
  ['nesting that would kill a careless parser', '['.repeat(200_000), structured, 422, 'too_complex'],
  ['too many values', `{"type":"a","data":[${'0,'.repeat(10_001)}0]}`, json, 422, 'too_complex'],
  ['a __proto__ key', '{"type":"a","data":{"__proto__":{"x":1}}}', json, 400, 'forbidden_key'],
  ['a constructor.prototype key', '{"type":"a","data":{"constructor":{"prototype":{}}}}', json, 400, 'forbidden_key'],
  ['a hidden __proto__ key', '{"type":"a","data":{"\\u005f_proto__":{}}}', json, 400, 'forbidden_key'],
  ['another content type', '{"type":"a"}', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
  ['a broken content type', '{"type":"a"}', { 'content-type': 'json' }, 415, 'unsupported_media_type'],
  ['CloudEvents in XML', '<a/>', { 'content-type': 'application/cloudevents+xml' }, 415, 'unsupported_media_type'],
  [
    'another charset',
    '{"type":"a"}',
    { 'content-type': 'application/json; charset=latin1' },
    415,
    'unsupported_media_type',
  ],
  ['a compressed body', '{"type":"a"}', { ...json, 'content-encoding': 'gzip' }, 415, 'unsupported_media_type'],
  ['a time in the far future', '{"type":"a","time":"2999-01-01T00:00:00Z"}', json, 422, 'invalid_time'],
  ['a time in the far past', '{"type":"a","time":"1970-01-01T00:00:00Z"}', json, 422, 'invalid_time'],
  ['a time that is no RFC 3339', '{"type":"a","time":"yesterday"}', json, 422, 'invalid_time'],
  ['an id that is too long', `{"type":"a","id":"${'x'.repeat(201)}"}`, json, 422, 'invalid_id'],
  ['an id with control characters', '{"type":"a","id":"x\\u0000"}', json, 422, 'invalid_id'],
  ['a key that is too long', '{"type":"a"}', { ...json, 'idempotency-key': 'x'.repeat(201) }, 422, 'invalid_id'],
  ['a value that is no object', '"text"', json, 422, 'invalid_event'],
  ['one value where a batch is claimed', '{"type":"a"}', batched, 422, 'invalid_event'],
  ['an extension that is an object', '{"type":"a","extra":{}}', json, 422, 'invalid_attribute'],
  ['a structured event without id', '{"specversion":"1.0","type":"a","source":"/s"}', structured, 422, 'invalid_id'],
  ['data that its schema rejects', '{"type":"strict.paid","data":{}}', json, 422, 'invalid_data'],
  ['an event that is too large', `{"type":"a","data":"${'x'.repeat(262_144)}"}`, json, 413, 'too_large'],
  ['a batch of too many', `[${'{"type":"a"},'.repeat(500)}{"type":"a"}]`, json, 413, 'too_large'],
  ['a batch that is too large', `[${' '.repeat(1024 * 1024)}]`, json, 413, 'too_large'],
  [
    'binary mode without an id',
    '1',
    { ...json, 'ce-specversion': '1.0', 'ce-type': 'a', 'ce-source': '/s' },
    422,
    'invalid_id',
  ],
  [
    'binary mode of another version',
    '1',
    { ...json, 'ce-specversion': '0.3', 'ce-type': 'a', 'ce-source': '/s', 'ce-id': '1' },
    422,
    'invalid_attribute',
  ],
  [
    'ce-datacontenttype',
    '1',
    { ...json, 'ce-specversion': '1.0', 'ce-type': 'a', 'ce-source': '/s', 'ce-id': '1', 'ce-datacontenttype': 'x' },
    422,
    'invalid_attribute',
  ],
  [
    'broken percent-encoding in a header',
    '1',
    { ...json, 'ce-specversion': '1.0', 'ce-type': 'a', 'ce-source': '/s', 'ce-id': '%ff' },
    400,
    'invalid_encoding',
  ],
];

for (const [what, body, headers, status, code] of refused) {
  test(`${what} is answered ${status} ${code}, and nothing is stored`, async () => {
    problem(await room.post(body, headers), status, code);
    assert.deepEqual(await room.stored(), []);
  });
}

test('broken JSON is answered with the byte where it breaks', async () => {
  assert.match((await room.post('{"type":"é",}')).json.detail, /got "}" at byte 13/);
  assert.match((await room.post('[{"type":"a"},\n{"type":oops}]')).json.detail, /got "o" at byte 23/);
});

test('a body without a Content-Type is refused', async () => {
  problem(await room.post(Buffer.from('{"type":"a"}'), {}), 415, 'unsupported_media_type');
});

test('big integers, 1.0 and duplicate keys come out byte for byte', async () => {
  const body = '{"type":"order.paid", "data":{"n":12345678901234567890,"one":1.0,"e":1e400,"a":1,"a":2}}';
  assert.equal((await room.post(body)).status, 202);
  const [entry] = await room.stored();
  assert.equal(sha256(entry?.body ?? ''), sha256(body));
});

test('items of an array and lines come out byte for byte', async () => {
  const items = [
    '{"type":"a","data":1.0}',
    '{ "type":"a","data":"],{\\"" }',
    '{"type":"a","data":123456789012345678901}',
  ];
  assert.equal((await room.post(` [${items.join(' ,\n')}] `)).status, 202);
  assert.equal((await room.post(`${items.join('\r\n')}\n`, lines)).status, 202);
  const bodies = (await room.stored()).map((entry) => entry.body);
  assert.deepEqual(bodies, [...items, ...items]);
});

test('one bad item never hides the others, and the order is kept', async () => {
  const answer = await room.post('[{"type":"a","id":"m1"},{"type":"B"},7,{"type":"a","id":"m2"}]');
  assert.equal(answer.status, 207);
  const { accepted, rejected, results } = answer.json;
  assert.deepEqual([accepted, rejected], [2, 2]);
  assert.deepEqual(
    results.map((one: { index: number; status: number; id?: string; problem?: { code: string } }) => [
      one.index,
      one.status,
      one.id ?? one.problem?.code,
    ]),
    [
      [0, 202, 'm1'],
      [1, 422, 'invalid_type'],
      [2, 422, 'invalid_event'],
      [3, 202, 'm2'],
    ],
  );
  assert.deepEqual(
    (await room.stored()).map((entry) => envelopeOf(entry).id),
    ['m1', 'm2'],
  );
});

test('a line that is no JSON, or no UTF-8, does not hide the others', async () => {
  const body = Buffer.concat([
    Buffer.from('{"type":"a","id":"l1"}\n{oops\n'),
    Buffer.from([0xff, 0x0a]),
    Buffer.from('\n{"type":"a","id":"l2"}'),
  ]);
  const answer = await room.post(body, lines);
  assert.equal(answer.status, 207);
  assert.deepEqual(
    answer.json.results.map((one: { status: number; problem?: { code: string } }) => one.problem?.code ?? one.status),
    [202, 'invalid_json', 'invalid_encoding', 202],
  );
  assert.equal((await room.stored()).length, 2);
});

test('a batch is answered 202 when every event was taken, and may be empty', async () => {
  const event = { specversion: '1.0', type: 'a', source: '/s' };
  const answer = await room.post(
    JSON.stringify([
      { ...event, id: 'b1' },
      { ...event, id: 'b2' },
    ]),
    batched,
  );
  assert.equal(answer.status, 202);
  assert.equal(answer.json.accepted, 2);
  assert.deepEqual((await room.post('[]', batched)).json, { accepted: 0, rejected: 0, results: [] });
  await room.stored();
});

test('a repeat of a keyed batch is recognised event by event', async () => {
  const headers = { ...json, 'idempotency-key': 'batch-1' };
  const body = '[{"type":"a"},{"type":"a"}]';
  const first = await room.post(body, headers);
  const again = await room.post(body, headers);
  const ids = (answer: Answer) => answer.json.results.map((one: { id: string }) => one.id);
  assert.deepEqual(ids(again), ids(first));
  assert.equal((await room.stored()).length, 2);
});

test('a conflict inside a batch is the answer to its item alone', async () => {
  await room.post('{"type":"a","id":"c1","data":1}');
  const answer = await room.post('[{"type":"a","id":"c1","data":2},{"type":"a","id":"c2"}]');
  assert.equal(answer.status, 207);
  assert.deepEqual(
    answer.json.results.map((one: { status: number }) => one.status),
    [409, 202],
  );
  await room.stored();
});

test('data that a schema rejects is answered with its faults', async () => {
  const answer = await room.post('{"type":"strict.paid","data":{}}');
  assert.deepEqual(answer.json.errors, [{ detail: '/total: expected a number, got nothing' }]);
  assert.equal((await room.post('{"type":"strict.paid","data":{"total":1}}')).status, 202);
  await room.stored();
});

test('data that a schema only warns about is stored, and the warning told', async () => {
  const answer = await room.post('{"type":"lenient.paid","data":{}}');
  assert.equal(answer.status, 202);
  assert.equal(answer.json.warnings.length, 1);
  assert.equal((await room.post('{"type":"late.paid","data":{}}')).json.warnings, undefined);
  assert.equal((await room.stored()).length, 2);
});

/** As the HTTP binding of CloudEvents asks; the SDK leaves it to its users. */
const encodeHeaders = (headers: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      name.startsWith('ce-') ? String(value).replace(/[^\x21\x23-\x24\x26-\x7e]/gu, encodeURIComponent) : String(value),
    ]),
  );

const sdkEvent = (id: string) =>
  new CloudEvent({
    id,
    source: '/shop',
    type: 'order.paid',
    subject: 'Zoë "€" 100 %',
    datacontenttype: 'application/json',
    data: { total: 1.5 },
    tenant: 'blue',
  });

for (const mode of ['structured', 'binary'] as const) {
  test(`an event that the CloudEvents SDK sends in ${mode} mode arrives whole`, async () => {
    const { headers, body } = HTTP[mode](sdkEvent(`sdk-${mode}`));
    const answer = await room.post(String(body), encodeHeaders(headers));
    assert.equal(answer.status, 202, answer.text);
    const [entry] = await room.stored();
    const { id, source, type, subject, data, tenant } = envelopeOf(entry);
    assert.deepEqual(
      { id, source, type, subject, data, tenant },
      {
        id: `sdk-${mode}`,
        source: '/shop',
        type: 'order.paid',
        subject: 'Zoë "€" 100 %',
        data: { total: 1.5 },
        tenant: 'blue',
      },
    );
  });
}

test('a batch that the CloudEvents SDK would read is taken', async () => {
  const events = ['sdk-1', 'sdk-2'].map(sdkEvent);
  assert.equal((await room.post(JSON.stringify(events), batched)).status, 202);
  assert.deepEqual(
    (await room.stored()).map((entry) => envelopeOf(entry).id),
    ['sdk-1', 'sdk-2'],
  );
});

const binary = { 'ce-specversion': '1.0', 'ce-type': 'a', 'ce-source': '/s' };

test('binary mode takes text as text and bytes as base64', async () => {
  await room.post('hello', { ...binary, 'ce-id': 't', 'content-type': 'text/plain' });
  await room.post(Buffer.from([0xff, 0x00]), { ...binary, 'ce-id': 'p', 'content-type': 'image/png' });
  const [text, bytes] = (await room.stored()).map(envelopeOf);
  assert.deepEqual([text?.data, text?.datacontenttype], ['hello', 'text/plain']);
  assert.deepEqual([bytes?.data_base64, bytes?.datacontenttype, bytes?.data], ['/wA=', 'image/png', undefined]);
});

test('binary mode takes an event without data, and a quoted header', async () => {
  assert.equal((await room.post(undefined, { ...binary, 'ce-id': 'none', 'ce-subject': '"a \\"b\\""' })).status, 202);
  const [event] = (await room.stored()).map(envelopeOf);
  assert.equal(event?.subject, 'a "b"');
  assert.equal(event !== undefined && 'data' in event, false);
});

test('binary mode keeps the bytes of JSON data', async () => {
  await room.post('{ "n": 1.0 }', { ...binary, 'ce-id': 'j', 'content-type': 'application/vnd.shop+json' });
  const [entry] = await room.stored();
  assert.equal(entry?.body, '{ "n": 1.0 }');
  assert.deepEqual(envelopeOf(entry).data, { n: 1 });
});

test('the trace context of the request travels in the event, a malformed one does not', async () => {
  const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
  await room.post('{"type":"a"}', { ...json, traceparent });
  await room.post('{"type":"a"}', { ...json, traceparent: 'nonsense' });
  const traces = (await room.stored()).map((entry) => envelopeOf(entry).traceparent);
  assert.deepEqual(traces, [traceparent, undefined]);
});

test('what was published is told once per batch, type and source', async () => {
  const before = room.signals.length;
  await room.post('[{"type":"s","id":"s1"},{"type":"s","id":"s2"},{"type":"s","id":"s1"}]');
  assert.deepEqual(room.signals.slice(before), [
    { kind: 'published', eventType: 's', source: 'eventflow/http', count: 2 },
    { kind: 'duplicate_suppressed', eventType: 's' },
  ]);
  await room.stored();
});
