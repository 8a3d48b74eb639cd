/** An engine with work under way in every state, whose plans are held against what its reloads then do. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GroupInfo, GroupStats } from '../../engine/bus/bus.ts';
import { loadSettings } from '../../engine/config/index.ts';
import { createEngine, type Engine } from '../../engine/engine.ts';
import type { Signal } from '../../engine/observe/signals.ts';
import type { Plan, PlanAnswer, PostedFile } from '../../engine/operations/index.ts';
import { eventually } from '../support/eventually.ts';

export interface Stage {
  readonly engine: Engine;
  readonly signals: readonly Signal[];
  readonly folder: string;
  write(text: string, file?: string): Promise<void>;
  ask(files?: readonly Omit<PostedFile, 'pipeline'>[]): Promise<PlanAnswer>;
  plan(): Promise<Plan>;
  groups(): Promise<ReadonlyMap<string, { readonly info: GroupInfo; readonly stats: GroupStats }>>;
  /** Requests that reached a path of the service, until now. */
  calls(path: string): number;
  publish(count: number, type?: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * `fails` has three deliveries in its retry set, `gives-up` three dead letters, `held` one in the retry set and what waits
 * behind its open circuit; `quick` has none, `off` never ran, `counted` shares nothing with anybody.
 */
export const routes: Readonly<Record<string, string>> = {
  quick: '{ id: quick, on: [live.event], handler: noop, startFrom: beginning }',
  fails:
    '{ id: fails, on: [live.event], handler: webhook, startFrom: beginning, circuitBreaker: { consecutiveFailures: 1000 }, retry: { initialInterval: 1h, maxInterval: 1h, jitter: none }, with: { url: "URL/fails" } }',
  'gives-up':
    '{ id: gives-up, on: [live.event], handler: webhook, startFrom: beginning, circuitBreaker: false, with: { url: "URL/gone" } }',
  held: '{ id: held, on: [live.event], handler: webhook, startFrom: beginning, concurrency: 1, circuitBreaker: { consecutiveFailures: 1, openFor: 1h, maxOpenFor: 1h }, retry: { initialInterval: 1h, maxInterval: 1h }, with: { url: "URL/held" } }',
  off: '{ id: off, on: [live.event], handler: noop, enabled: false }',
  counted: '{ id: counted, on: [other.event], handler: noop, startFrom: beginning }',
};

export const pipeline = (lines: readonly string[] = Object.values(routes), head = ''): string =>
  `apiVersion: eventflow/v1\nkind: Pipeline\nname: live\n${head}routes:\n${lines.map((line) => `  - ${line}\n`).join('')}`;

async function startService() {
  const calls = new Map<string, number>();
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    calls.set(path, (calls.get(path) ?? 0) + 1);
    request.resume().on('end', () => response.writeHead(path === '/gone' ? 404 : 503).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    calls,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

export async function startStage(bus: string, more: Readonly<Record<string, string>> = {}): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-plan-'));
  const service = await startService();
  const write = (text: string, file = 'live.yaml'): Promise<void> =>
    writeFile(join(folder, file), text.replaceAll('URL', service.url));
  await write(pipeline());
  const env = {
    EVENTFLOW_BUS: bus,
    EVENTFLOW_PREFIX: `exam-plan-${process.pid}-${Math.random().toString(36).slice(2)}`,
    EVENTFLOW_PIPELINES: folder,
    EVENTFLOW_HTTP_LISTEN: '127.0.0.1:0',
    EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:0',
    EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
    EVENTFLOW_DURABILITY_MODE: 'none',
    EVENTFLOW_LOG_LEVEL: 'silent',
    ...more,
  };
  const loaded = await loadSettings({ env, cwd: process.cwd() });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.diagnostics));
  const signals: Signal[] = [];
  const tidy = async (): Promise<void> => {
    service.close();
    await rm(folder, { recursive: true, force: true });
  };
  const starting = createEngine({
    settings: loaded.settings,
    cwd: folder,
    env,
    watch: false,
    allowUnsafeStore: true,
    observer: (signal) => void signals.push(signal),
  });
  const engine = await starting.catch(async (error: unknown) => {
    await tidy();
    throw error;
  });
  let published = 0;
  const ask = async (files?: readonly Omit<PostedFile, 'pipeline'>[]): Promise<PlanAnswer> => {
    const sent = files?.map((file) => ({ ...file, pipeline: file.path.endsWith('.yaml') }));
    const response = await fetch(`${engine.addresses.admin}/admin/plan`, {
      method: 'POST',
      ...(sent === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ files: sent }) }),
    });
    return (await response.json()) as PlanAnswer;
  };
  return {
    engine,
    signals,
    folder,
    write,
    ask,
    async plan() {
      const answer = await ask();
      if (!answer.ok) throw new Error(`expected a plan, got ${JSON.stringify(answer)}`);
      return answer;
    },
    async groups() {
      const infos = await engine.bus.groups();
      const found = await Promise.all(
        infos.map(async (info) => {
          const stats = await engine.bus.groupStats(info.group);
          return stats === undefined ? [] : [[info.group, { info, stats }] as const];
        }),
      );
      return new Map(found.flat());
    },
    calls: (path) => service.calls.get(path) ?? 0,
    async publish(count, type = 'live.event') {
      for (let n = 0; n < count; n += 1) {
        published += 1;
        await engine.publisher.publish({ id: `e-${published}`, type, source: '/test', data: {} });
      }
    },
    async close() {
      await engine.stop(2_000);
      await tidy();
    },
  };
}

/** Three events, and every route of the stage in the state that it is there for. */
export async function fill(stage: Stage): Promise<void> {
  await stage.publish(3);
  await eventually('work in every state', async () => {
    const groups = await stage.groups();
    const of = (name: string): GroupStats | undefined => groups.get(`live.${name}`)?.stats;
    const waiting = of('held')?.lag.reduce((sum, { entries }) => sum + entries, 0) ?? 0;
    const heldRest = waiting + (of('held')?.pending ?? 0);
    return (
      of('quick')?.totals.delivered === 3 &&
      of('fails')?.retrying === 3 &&
      of('gives-up')?.dead === 3 &&
      of('held')?.retrying === 1 &&
      heldRest === 2
    );
  });
  await eventually('the circuit to be open on the bus', async () => {
    const stored = await stage.engine.bus.breakers.list();
    return stored.some(({ key, state }) => key.startsWith('route:live.held') && state.kind === 'open');
  });
}
