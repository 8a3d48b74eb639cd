import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeLine, encodeLine, type JournalRow } from '../../engine/core/journal.ts';

const success: JournalRow = {
  eventId: 'e1',
  eventType: 'order.paid',
  publishedAt: 1_700_000_000_000,
  attempt: 1,
  status: 'delivered',
  startedAt: 1_700_000_000_005,
  ms: 0,
  nextAt: undefined,
  reason: undefined,
  fault: undefined,
};
const fault = { code: 'http_503', message: 'no', kind: 'status', status: 503 } as const;

test('every row of a line says by which configuration it ran', () => {
  const rows = [success, { ...success, eventId: 'e9', attempt: 2 }];
  const line = encodeLine(rows, 'c0ffee');
  assert.ok(line.startsWith('[{"c":"c0ffee"},'), line);
  assert.deepEqual(
    decodeLine(line),
    rows.map((row) => ({ ...row, config: 'c0ffee' })),
  );
});

test('what neighbours share is written once', () => {
  const rows = [success, { ...success, eventId: 'e2' }, { ...success, eventId: 'e3', ms: 7 }];
  assert.equal(encodeLine(rows), '[["order.paid",1700000000000,1700000000005],"e1","e2",["e3",7]]');
  assert.deepEqual(decodeLine(encodeLine(rows)), rows);
});

test('of neighbours that were published at other times only the difference is written', () => {
  const later = { ...success, eventId: 'e2', publishedAt: success.publishedAt + 2, startedAt: success.startedAt + 1 };
  assert.equal(encodeLine([success, later]), '[["order.paid",1700000000000,1700000000005],"e1",[2,1],"e2"]');
  assert.deepEqual(decodeLine(encodeLine([success, later])), [success, later]);
});

test('every row comes back as it went in', () => {
  const row = fc.record({
    eventId: fc.string({ minLength: 1, maxLength: 20 }),
    eventType: fc.constantFrom('order.paid', 'a"b', 'x'),
    publishedAt: fc.integer({ min: 0, max: 3 }),
    attempt: fc.integer({ min: 1, max: 3 }),
    status: fc.constantFrom('delivered', 'skipped', 'retry', 'dead'),
    startedAt: fc.integer({ min: 0, max: 3 }),
    ms: fc.integer({ min: 0, max: 2 }),
    nextAt: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
    reason: fc.option(fc.constantFrom('exhausted', 'permanent'), { nil: undefined }),
    fault: fc.option(fc.constant(fault), { nil: undefined }),
  });
  // A delivered row has no wait, reason or fault.
  const real = row.map((made): JournalRow => {
    if (made.status !== 'delivered') return { ...made };
    return { ...made, nextAt: undefined, reason: undefined, fault: undefined };
  });
  fc.assert(
    fc.property(fc.array(real, { minLength: 1, maxLength: 20 }), (rows) =>
      assert.deepEqual(decodeLine(encodeLine(rows)), rows),
    ),
  );
});
