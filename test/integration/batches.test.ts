/** An engine that is killed in the middle of a batch, on both buses: nothing is lost, and the next one goes on. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type EngineChild, spawnEngine } from '../support/engine-process.ts';
import { eventually } from '../support/eventually.ts';
import { removeKeys, startRedis, type TestRedis } from '../support/redis.ts';

const prefix = `exam-batch-${process.pid}`;
let redis: TestRedis;
let folder: string;

before(async () => {
  redis = await startRedis();
  folder = await mkdtemp(join(tmpdir(), 'eventflow-batch-'));
});

after(async () => {
  await removeKeys(redis.adminUrl, prefix);
  await redis.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A third-party handler: what it was given goes to one file, what it is done with to another, some time later. */
const plugin = `import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
const write = (path, events) => appendFileSync(path, events.map(({ id }) => id + '\\n').join(''));
const create = ({ begun, done }) => ({
  handle() { throw new Error('expected handleBatch to be called'); },
  async handleBatch(events) {
    write(begun, events);
    await sleep(40);
    write(done, events);
    return events.map(() => 'delivered');
  },
});
export default { name: 'slow', apiVersion: 1, handlers: { slow: { create } } };
`;

const manifest = {
  name: 'slow',
  version: '1.0.0',
  type: 'module',
  eventflow: {
    apiVersion: 1,
    handlers: { slow: { entry: './index.js', schema: './slow.schema.json', capabilities: { batch: true } } },
  },
};

const pipeline = (home: string): string => `apiVersion: eventflow/v1
kind: Pipeline
name: orders
routes:
  - id: bulk
    on: [order.paid]
    handler: slow
    startFrom: beginning
    concurrency: 2
    batch: { maxEvents: 20, maxWait: 100ms }
    with: { begun: ${JSON.stringify(join(home, 'begun'))}, done: ${JSON.stringify(join(home, 'done'))} }
`;

const option = { type: 'string', description: 'A file.' };
const schema = { type: 'object', additionalProperties: false, properties: { begun: option, done: option } };

async function prepare(home: string): Promise<void> {
  await mkdir(join(home, 'slow'), { recursive: true });
  await writeFile(join(home, 'slow', 'index.js'), plugin);
  await writeFile(join(home, 'slow', 'slow.schema.json'), JSON.stringify(schema));
  await writeFile(join(home, 'slow', 'package.json'), JSON.stringify(manifest));
  await writeFile(join(home, 'orders.yaml'), pipeline(home));
  await writeFile(join(home, 'eventflow.yaml'), 'plugins: ["./slow"]\npipelines: ["./orders.yaml"]\n');
}

const linesOf = (path: string): string[] => (existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []);

async function publish({ ingest }: EngineChild, ids: readonly string[]): Promise<void> {
  const events = ids.map((id) => ({ specversion: '1.0', id, source: '/shop', type: 'order.paid', data: {} }));
  const response = await fetch(`${ingest}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body: JSON.stringify(events),
  });
  assert.equal(response.status, 202, await response.text());
}

for (const name of ['sqlite', 'redis'] as const) {
  test(`${name}: what an engine that was killed had in its batches is delivered by the next one`, {
    timeout: 120_000,
  }, async () => {
    const home = join(folder, name);
    await prepare(home);
    const bus = name === 'redis' ? redis.url : `sqlite:${join(home, 'bus.db')}`;
    const env = {
      EVENTFLOW_BUS: bus,
      EVENTFLOW_DELIVERY_LEASE: '3s',
      ...(name === 'redis' && { EVENTFLOW_PREFIX: prefix }),
    };
    const start = (): Promise<EngineChild> => spawnEngine([], env, { cwd: home });
    const first = await start();
    const ids = Array.from({ length: 300 }, (_, n) => `e${n}`);
    await publish(first, ids);
    const path = { begun: join(home, 'begun'), done: join(home, 'done') };
    await eventually('some of them to be done', () => linesOf(path.done).length >= 40, 30_000);
    await first.kill();
    const [begun, done] = [new Set(linesOf(path.begun)), new Set(linesOf(path.done))];
    assert.ok(done.size < ids.length, 'it was killed while it delivered');
    console.log(`# killed with ${done.size} of ${ids.length} done and ${begun.size - done.size} in batches that ran`);
    const second = await start();
    await eventually('all of them', () => new Set(linesOf(path.done)).size === ids.length, 60_000);
    const page = await (await fetch(`${second.admin}/metrics`)).text();
    assert.match(page, /eventflow_batch_events_count\{[^}]*route="bulk"[^}]*\} [1-9]/);
    assert.equal(await second.stop(), 0);
  });
}
