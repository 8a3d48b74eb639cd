/**
 * The demo: a real engine on the shipped pipelines, fed over HTTP, in front of services that fail. It shows what happens
 * and checks every word of it against the ledgers of those services; one lost event and it exits 1.
 *
 *   npm run demo [-- --bus redis://127.0.0.1:6379/15] [--events 4000] [--keep]
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Operations, remoteOperations, type Verification } from 'eventflow';
import { Redis } from 'ioredis';
import { check, type Facts } from './check.ts';
import { type EngineProcess, startEngine } from './engine-process.ts';
import { type DemoEvent, feed, malformed, poison } from './feed.ts';
import { note, progress, say, table } from './print.ts';
import { type Sinks, startSinks } from './sinks.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const seed = 2026;
const batch = 100;

interface Scene {
  readonly folder: string;
  readonly engine: EngineProcess;
  readonly sinks: Sinks;
  readonly operations: Operations;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until<T>(what: string, ms: number, probe: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (Date.now() > end) throw new Error(`expected ${what} within ${ms / 1_000} s`);
    await sleep(100);
  }
}

/** Publishes a batch and returns the ids that the engine took; refused ones are the caller's to know. */
async function publish(scene: Scene, events: readonly DemoEvent[]): Promise<string[]> {
  const response = await fetch(`${scene.engine.ingest}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(events),
  });
  if (response.status !== 202)
    throw new Error(`expected 202 for a batch, got ${response.status}: ${await response.text()}`);
  await response.body?.cancel();
  return events.map((event) => event.id);
}

async function publishAll(scene: Scene, events: readonly DemoEvent[], perSecond: number): Promise<void> {
  const began = Date.now();
  for (let at = 0; at < events.length; at += batch) {
    await publish(scene, events.slice(at, at + batch));
    progress('published', Math.min(at + batch, events.length), events.length);
    const ahead = began + ((at + batch) / perSecond) * 1_000 - Date.now();
    if (ahead > 0) await sleep(ahead);
  }
}

async function refuseMalformed(scene: Scene): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${scene.engine.ingest}/v1/events`, { method: 'POST', headers, body: malformed });
  const problem = (await response.json()) as { code?: string; detail?: string };
  if (response.status !== 400) throw new Error(`expected 400 for half an event, got ${response.status}`);
  say(`half an event was refused: ${response.status} ${problem.code}: ${problem.detail}`);
}

const circuitOf = async (scene: Scene, route: string): Promise<string | undefined> =>
  (await scene.operations.circuits()).find((circuit) => circuit.key === `route:${route}`)?.state;

/** The warehouse goes down under load; its circuit opens, waits, probes and closes again. */
async function outage(scene: Scene, events: readonly DemoEvent[]): Promise<void> {
  scene.sinks.warehouseDown = true;
  say('the warehouse now answers 503 to everything');
  await publishAll(scene, events, 400);
  await until('the warehouse circuit to open', 10_000, async () =>
    (await circuitOf(scene, 'orders.warehouse')) === 'open' ? true : undefined,
  );
  const before = scene.sinks.warehouse.requests;
  note(`its circuit is open: ${before} requests so far; the others are delivered meanwhile`);
  await sleep(1_000);
  scene.sinks.warehouseDown = false;
  say(`the warehouse is up again; it was sent ${scene.sinks.warehouse.requests - before} requests in that second`);
  await until('the warehouse circuit to close', 20_000, async () =>
    (await circuitOf(scene, 'orders.warehouse')) === 'closed' ? true : undefined,
  );
  note('a probe got through: its circuit is closed');
}

const atRest = ({ total }: Verification): boolean => total.waiting + total.pending + total.retrying + total.due === 0;

async function settle(scene: Scene): Promise<Verification> {
  return until('everything to come to rest', 30_000, async () => {
    const verification = await scene.operations.verify();
    return atRest(verification) ? verification : undefined;
  });
}

async function generationOf(scene: Scene): Promise<number> {
  const response = await fetch(`${scene.engine.admin}/admin/generation`);
  return ((await response.json()) as { generation: number }).generation;
}

/** Edits a pipeline file under the running engine: first so that it breaks, then so that gifts get through. */
async function hotReload(scene: Scene): Promise<void> {
  const file = join(scene.folder, 'pipelines', 'orders.yaml');
  const text = await readFile(file, 'utf8');
  const before = await generationOf(scene);
  await writeFile(file, text.replace('handler: webhook', 'handler: webhok'));
  const rejected = await until('the broken file to be reported', 10_000, async () =>
    scene.engine.lines.find((line) => JSON.stringify(line).includes('did you mean')) === undefined ? undefined : true,
  );
  if (rejected && (await generationOf(scene)) !== before) throw new Error('expected a broken file to change nothing');
  say('orders.yaml was broken by hand ("handler: webhok"): reported, and nothing changed');
  await writeFile(file, text.replace('x-warehouse-api: "1"', 'x-warehouse-api: "2"'));
  await until('the edited file to take effect', 10_000, async () =>
    (await generationOf(scene)) > before ? true : undefined,
  );
  say('orders.yaml was edited (x-warehouse-api: "2"): in force without a restart');
}

async function redrive(scene: Scene): Promise<number> {
  const filter = { group: 'orders.warehouse', reason: 'permanent', limit: 10_000 } as const;
  const planned = await scene.operations.redrive({ dryRun: true, filter });
  const done = await scene.operations.redrive({ dryRun: false, filter });
  say(`dead letters of orders.warehouse redriven: ${done.redriven.length} of ${planned.matched}`);
  return done.redriven.length;
}

async function play(scene: Scene, count: number): Promise<Facts> {
  const events = feed(count, seed);
  const part = (from: number, to: number): DemoEvent[] =>
    events.slice(Math.floor(count * from), Math.floor(count * to));
  await publishAll(scene, part(0, 0.4), 600);
  await refuseMalformed(scene);
  await publish(scene, [poison]);
  await outage(scene, part(0.4, 0.7));
  await publishAll(scene, part(0.7, 1), 600);
  await settle(scene);
  const deadBefore = (await scene.operations.verify()).total.dead;
  note(`at rest with ${deadBefore} dead letters`);
  await hotReload(scene);
  const redriven = await redrive(scene);
  await publish(scene, events.slice(0, batch)); // Sent again by a nervous producer: the same ids make no second event.
  const verification = await settle(scene);
  return {
    events: [...events, poison],
    redriven,
    verification,
    sinks: scene.sinks,
    letters: await scene.operations.deadLetters({ limit: 10_000 }),
  };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      bus: { type: 'string' },
      events: { type: 'string', default: '4000' },
      keep: { type: 'boolean', default: false },
    },
  });
  const began = Date.now();
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-demo-'));
  await cp(join(root, 'pipelines'), join(folder, 'pipelines'), { recursive: true });
  await cp(join(root, 'schemas'), join(folder, 'schemas'), { recursive: true });
  const sinks = await startSinks();
  const prefix = `demo-${process.pid}-${Date.now()}`;
  const bus = values.bus ?? `sqlite:${join(folder, 'bus.db')}`;
  const engine = await startEngine(['--bus', bus, '--pipelines', join(folder, 'pipelines')], {
    SMTP_URL: sinks.smtpUrl,
    WAREHOUSE_URL: `${sinks.httpUrl}/warehouse`,
    CRM_URL: `${sinks.httpUrl}/crm`,
    ALERT_URL: `${sinks.httpUrl}/alerts`,
    RETRY_INTERVAL: '200ms',
    RETRY_MAX_INTERVAL: '2s',
    BREAKER_OPEN_FOR: '1s',
    BREAKER_MAX_OPEN_FOR: '2s',
    EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
    EVENTFLOW_PREFIX: prefix,
  });
  const scene: Scene = { folder, engine, sinks, operations: remoteOperations(engine.admin) };
  say(
    `engine on ${values.bus ?? 'the embedded bus'}: events to ${engine.ingest}/v1/events, metrics at ${engine.admin}/metrics`,
  );
  try {
    const facts = await play(scene, Number(values.events));
    table(facts.verification);
    const faults = check(facts);
    for (const fault of faults) say(`WRONG: ${fault}`);
    say(
      `${faults.length === 0 ? 'everything is accounted for' : `${faults.length} things are not as they should be`} (${((Date.now() - began) / 1_000).toFixed(0)} s)`,
    );
    if (values.keep) await keep(scene);
    return faults.length === 0 ? 0 : 1;
  } finally {
    await engine.stop();
    if (values.bus?.startsWith('redis') === true) await clearRedis(values.bus, prefix);
    await sinks.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The demo's keys have a prefix of their own; it takes them away again, and nothing else. */
async function clearRedis(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url);
  for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1_000 })) {
    if ((keys as string[]).length > 0) await redis.unlink(...(keys as string[]));
  }
  await redis.quit();
}

async function keep(scene: Scene): Promise<void> {
  say(`still running; pipelines in ${join(scene.folder, 'pipelines')}; Ctrl-C ends it`);
  await new Promise<void>((resolve) => process.once('SIGINT', resolve));
}

try {
  process.exitCode = await main();
} catch (error) {
  say(`the demo failed: ${(error as Error).message}`);
  process.exitCode = 1;
}
