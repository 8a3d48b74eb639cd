/** `ordering`: which streams it can hold over, and what its key comes to. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type LoadResult, loadGeneration } from '../../engine/config/index.ts';
import { changedFields } from '../../engine/core/diff.ts';
import type { StreamRule } from '../../engine/core/match.ts';
import { catalog, env, fixtures } from './support.ts';

function load(on: string, streams: readonly StreamRule[] | undefined, key = 'event.subject'): Promise<LoadResult> {
  const text = `apiVersion: eventflow/v1
kind: Pipeline
name: orders
routes:
  - id: receipt
    on: [${on}]
    ordering: { key: '${key}' }
    handler: mailer
    with: { to: shop@example.org }
`;
  const texts = [{ path: join(fixtures, 'orders.yaml'), file: 'orders.yaml', text }];
  return loadGeneration({ paths: [], texts, catalog, env, cwd: fixtures, streams });
}

async function fault(on: string, streams: readonly StreamRule[] | undefined): Promise<string | undefined> {
  const result = await load(on, streams);
  if (result.ok) return undefined;
  assert.deepEqual(
    result.diagnostics.map(({ code }) => code),
    ['EF2050'],
  );
  return result.diagnostics[0]?.message;
}

const rule = (name: string, ...types: string[]): StreamRule => ({ name, types });

test('types that rest in one stream can be ordered, however they are written', async () => {
  for (const [on, ...rules] of [
    ['order.paid'],
    ['order.paid, order.sent', rule('orders', 'order.*')],
    ['order.*', rule('orders', 'order.*')],
    ['order.*', rule('orders', 'order.**')],
    ['order.*', rule('all', '**')],
    ['order.*.done', rule('orders', 'order.*.*')],
    ['order.**', rule('orders', 'order.**')],
    ['order.paid-*', rule('orders', 'order.*')],
    ['order.paid', rule('users', 'user.*'), rule('orders', 'order.paid')],
  ] as const) {
    assert.equal(await fault(on, rules), undefined, on);
  }
});

test('types that may rest in several streams cannot be ordered', async () => {
  const rules = [rule('orders', 'order.paid', 'order.x.*'), rule('rest', 'order.*')];
  for (const [on, streams, got] of [
    ['order.paid, order.sent', [], '2: order.paid, order.sent'],
    ['order.*', [], 'order.*, each type in a stream of its own'],
    ['order.*', [rule('orders', 'order.paid')], 'order.*, each type in a stream of its own'],
    ['order.**', [rule('orders', 'order.*')], 'order.**, each type in a stream of its own'],
    ['order.paid, user.new', [rule('orders', 'order.*')], '2: orders, user.new'],
    ['order.*', rules, '2: orders, rest'],
  ] as const) {
    assert.equal(await fault(on, streams), `expected the types of an ordered route in one stream, got ${got}`);
  }
});

test('nothing is said about streams where the settings are not known', async () => {
  assert.equal(await fault('order.*', undefined), undefined);
});

test('a route has its key compiled, and its hash follows the expression', async () => {
  const [bySubject, again, byType] = [
    await load('order.paid', []),
    await load('order.paid', []),
    await load('order.paid', [], 'event.type'),
  ];
  assert.ok(bySubject.ok && again.ok && byType.ok);
  const [one, same, other] = [bySubject, again, byType].map(({ generation }) =>
    generation.routes.get('orders.receipt'),
  );
  assert.ok(one && same && other);
  assert.equal(one.hash, same.hash);
  assert.notEqual(one.hash, other.hash);
  const event = { specversion: '1.0', id: '1', source: '/s', type: 'order.paid', time: 't', data: {} } as const;
  assert.equal(one.ordering?.source, 'event.subject');
  assert.equal(one.ordering.key({ ...event, subject: 'a' }), 'a');
  assert.throws(() => one.ordering?.key(event), /expected event\.subject, got nothing/);
  assert.deepEqual(changedFields(one, other), [{ path: 'ordering.key', before: 'event.subject', after: 'event.type' }]);
});
