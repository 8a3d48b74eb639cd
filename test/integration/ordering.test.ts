/** A route with ordering over two engines on one Redis, one of which is killed while it delivers. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { storeEnvelope } from '../../engine/event.ts';
import { type EngineChild, spawnEngine } from '../support/engine-process.ts';
import { eventually } from '../support/eventually.ts';
import { inTurn, keyOf, ofKey } from '../support/order.ts';
import { removeKeys, startRedis, type TestRedis } from '../support/redis.ts';

const prefix = `exam-order-${process.pid}`;
const keys = Array.from({ length: 20 }, (_, n) => `k${n}`);

/** What arrived, and what came before its time: an earlier one of its key had not been answered well. */
const arrived: string[] = [];
const early: string[] = [];
const done = new Set<string>();
/** Refused at first. */
const stumbles = new Set<string>();
let redis: TestRedis;
let folder: string;
let url: string;
let close: () => void;

function answer(id: string): number {
  const before = Array.from({ length: Number(id.slice(id.lastIndexOf('-') + 1)) }, (_, n) => `${keyOf(id)}-${n}`);
  if (!before.every((other) => done.has(other))) early.push(id);
  arrived.push(id);
  if (stumbles.delete(id)) return 503;
  done.add(id);
  return 200;
}

before(async () => {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk));
    request.on('end', () => {
      const { id } = JSON.parse(body) as { id: string };
      setTimeout(() => response.writeHead(answer(id)).end(), 3);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  close = () => {
    server.close();
    server.closeAllConnections();
  };
  redis = await startRedis();
  folder = await mkdtemp(join(tmpdir(), 'eventflow-order-'));
});

after(async () => {
  close();
  await removeKeys(redis.adminUrl, prefix);
  await redis.stop();
  await rm(folder, { recursive: true, force: true });
});

const pipeline = (): string => `apiVersion: eventflow/v1
kind: Pipeline
name: orders
routes:
  - id: hook
    on: [order.paid]
    ordering: { key: event.subject }
    handler: webhook
    startFrom: beginning
    circuitBreaker: false
    retry: { initialInterval: 200ms, jitter: none }
    with: { url: ${url} }
`;

function startEngine(): Promise<EngineChild> {
  return spawnEngine([], {
    EVENTFLOW_BUS: redis.url,
    EVENTFLOW_PREFIX: prefix,
    EVENTFLOW_PIPELINES: join(folder, 'orders.yaml'),
    EVENTFLOW_DELIVERY_LEASE: '3s',
    EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
  });
}

async function publish(names: readonly string[]): Promise<void> {
  const bus = await openRedisBus(redis.url, { prefix });
  const items = names.map((id) => {
    const time = '2026-01-01T00:00:00Z';
    const event = {
      specversion: '1.0',
      id,
      source: '/shop',
      type: 'order.paid',
      time,
      subject: keyOf(id),
      data: {},
    } as const;
    return { type: 'order.paid', event: storeEnvelope(event), dedupeKey: id, fingerprint: id, eventId: id };
  });
  for (let at = 0; at < items.length; at += 100) await bus.publish(items.slice(at, at + 100));
  await bus.close();
}

test('when the engine that has the turn is killed another goes on, and every key keeps its order', {
  timeout: 120_000,
}, async () => {
  await writeFile(join(folder, 'orders.yaml'), pipeline());
  const first = await startEngine();
  await publish(keys.map((key) => `${key}-0`));
  await eventually('the first engine to deliver', () => done.size === keys.length, 20_000);
  const second = await startEngine();
  const names = inTurn(keys, 60);
  for (const [at, id] of names.entries()) if (at % 11 === 5 && !done.has(id)) stumbles.add(id);
  await publish(names.slice(keys.length));
  await eventually('a third of them', () => done.size > names.length / 3, 30_000);
  await first.kill();
  const atDeath = done.size;
  assert.ok(atDeath < names.length, 'it was killed while it delivered');
  await eventually('all of them', () => done.size === names.length, 60_000);
  assert.deepEqual(early, [], 'none comes before those before it are done');
  for (const key of keys) assert.deepEqual([...new Set(ofKey(arrived, key))], ofKey(names, key));
  console.log(`# killed after ${atDeath} of ${names.length}; ${arrived.length - names.length} arrived again`);
  const began = performance.now();
  const third = await startEngine();
  await publish(keys.map((key) => `${key}-60`));
  await eventually('them too', () => done.size === names.length + keys.length, 20_000);
  const stopping = second.stop();
  await publish(keys.map((key) => `${key}-61`));
  await eventually('the third engine to go on', () => done.size === names.length + 2 * keys.length, 20_000);
  console.log(`# handed over within ${Math.round(performance.now() - began)} ms, the start of an engine included`);
  assert.equal(await stopping, 0);
  assert.deepEqual(early, []);
  assert.equal(await third.stop(), 0);
});
