/** `rateLimit` and the `scope` of a breaker: what they compile to, and what a reload sees of them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type LoadResult, loadGeneration, readCatalog } from '../../engine/config/index.ts';
import { changedFields } from '../../engine/core/diff.ts';
import type { Route } from '../../engine/core/route.ts';
import { env, fixtures } from './support.ts';

const { catalog } = readCatalog(['@eventflow/plugin-webhook', '@eventflow/plugin-log'], process.cwd());
const event = { specversion: '1.0', id: '1', source: '/s', type: 'order.paid', time: '2026-01-01T00:00:00Z' } as const;

function load(lines: string, handler = 'webhook'): Promise<LoadResult> {
  const options = handler === 'webhook' ? '    with: { url: "https://partner.example/x" }\n' : '';
  const text = `apiVersion: eventflow/v1
kind: Pipeline
name: orders
routes:
  - id: receipt
    on: [order.paid]
    ${lines}
    handler: ${handler}
${options}`;
  const texts = [{ path: join(fixtures, 'orders.yaml'), file: 'orders.yaml', text }];
  return loadGeneration({ paths: [], texts, catalog, env, cwd: fixtures });
}

async function compiled(lines: string): Promise<Route> {
  const result = await load(lines);
  assert.ok(result.ok, JSON.stringify(result.ok || result.diagnostics));
  return result.generation.routes.get('orders.receipt') as Route;
}

test('a limit is a number in a span, for the route or for each key', async () => {
  const { rateLimit: plain } = await compiled('rateLimit: { limit: 50, per: 1s }');
  assert.deepEqual(plain, { limit: 50, per: 1_000, key: undefined });
  const { rateLimit } = await compiled('rateLimit: { limit: 5, per: 24h, key: event.data.customer.id }');
  assert.deepEqual([rateLimit?.per, rateLimit?.key?.source], [86_400_000, 'event.data.customer.id']);
  assert.equal(rateLimit?.key?.key({ ...event, data: { customer: { id: 7 } } }), '7');
  assert.throws(() => rateLimit?.key?.key({ ...event, data: {} }), /customer/);
});

test('a breaker is one for the route, its handler, a host, or each answer of an expression', async () => {
  for (const scope of ['route', 'handler', 'host'] as const) {
    assert.equal((await compiled(`circuitBreaker: { scope: ${scope} }`)).breaker?.scope, scope);
  }
  const { breaker } = await compiled('circuitBreaker: { scope: event.subject }');
  assert.ok(typeof breaker?.scope === 'object');
  assert.equal(breaker.scope.key({ ...event, subject: 'a' }), 'a');
  assert.equal((await compiled('timeout: 5s')).breaker?.scope, 'route');
});

test('a breaker for each host needs a handler that knows its target', async () => {
  const result = await load('circuitBreaker: { scope: host }', 'log');
  assert.deepEqual(result.ok || result.diagnostics.map(({ code, line }) => [code, line]), [['EF2055', 7]]);
});

test('a reload sees what changed of them, and nothing else', async () => {
  const before = await compiled('rateLimit: { limit: 5, per: 1s, key: event.subject }');
  const again = await compiled('rateLimit: { limit: 5, per: 1000ms, key: event.subject }');
  assert.equal(before.hash, again.hash);
  const after = await compiled('rateLimit: { limit: 6, per: 1m, key: event.source }');
  assert.notEqual(before.hash, after.hash);
  assert.deepEqual(
    changedFields(before, after).map(({ path, before: from, after: to }) => [path, from, to]),
    [
      ['rateLimit.key', 'event.subject', 'event.source'],
      ['rateLimit.limit', 5, 6],
      ['rateLimit.per', '1s', '1m'],
    ],
  );
  const keyed = await compiled('circuitBreaker: { scope: event.subject }');
  const plain = await compiled('circuitBreaker: { openFor: 60s }');
  assert.deepEqual(
    changedFields(plain, keyed).map(({ path, after: to }) => [path, to]),
    [['circuitBreaker.scope', 'event.subject']],
  );
});
