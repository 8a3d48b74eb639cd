import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import log from '@eventflow/plugin-log';
import { handlerExam, runHandler } from 'eventflow/testing';

const event = { id: 'o-1', source: '/shop', type: 'order.paid', data: { order_id: 7 } };

test('an event is logged with its type and id at info, without its data', async () => {
  const result = await runHandler(log, 'log', { event });
  assert.deepEqual(result.outcome, { kind: 'delivered' });
  assert.deepEqual(result.log, [
    { level: 'info', fields: { event: { id: 'o-1', type: 'order.paid', source: '/shop' } }, message: 'order.paid o-1' },
  ]);
});

test('level, message and data are options', async () => {
  const options = {
    level: 'warn',
    message: 'order {{ event.data.order_id }}, attempt {{ delivery.attempt }}',
    data: true,
  };
  const result = await runHandler(log, 'log', { event, attempt: 2, options });
  assert.deepEqual(result.log, [{ level: 'warn', fields: { event: { ...event } }, message: 'order 7, attempt 2' }]);
});

test('a message that needs what the event lacks is a permanent failure that names it', async () => {
  const { outcome } = await runHandler(log, 'log', { event, options: { message: '{{ event.data.customer.name }}' } });
  assert.ok(outcome.kind === 'failed' && outcome.permanent);
  assert.match(outcome.fault.message, /event\.data\.customer/);
});

test('noop takes every event and says nothing', async () => {
  const result = await runHandler(log, 'noop', { event });
  assert.deepEqual(result.outcome, { kind: 'delivered' });
  assert.deepEqual(result.log, []);
});

for (const handler of ['log', 'noop']) {
  describe(`the exam for ${handler}`, () => {
    const exam = handlerExam({
      plugin: log,
      handler,
      packageFolder: 'plugins/log',
      event,
      peers: { ok: async () => ({ options: {}, received: () => [], close: async () => undefined }) },
    });
    for (const { name, run } of exam) test(name, run);
  });
}
