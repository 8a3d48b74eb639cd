/** The generated dashboards and alerts against a real Prometheus that scrapes two engines on one bus. About 15 s. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { Bus } from '../../engine/bus/bus.ts';
import { generateAlerts } from '../../engine/observe/alerts/index.ts';
import { generateDashboards } from '../../engine/observe/dashboards/index.ts';
import { createMetrics, type Metrics } from '../../engine/observe/metrics.ts';
import { exprsOf, parseDashboards } from './grafana.ts';
import { attempt, deadLettered, fakeBus, gaugesOf, pathOf, shop, stats, turned, unavailable } from './world.ts';

const world = shop();
const running = [...world.routes.values()].filter((route) => route.enabled);

/** 42 wait for each route, whoever asks. */
const bus: Bus = fakeBus(async () =>
  stats({ lag: [{ stream: 'order.paid', entries: 42, known: true }], totals: { ...stats().totals, accepted: 42 } }),
);

/** One of each signal that a route can give. */
function traffic(metrics: Metrics): void {
  for (const route of running) {
    metrics.observer(attempt(route, { eventType: route.on[0] ?? '', seconds: 0.03 }));
    metrics.observer(attempt(route, { outcome: 'failed', fault: unavailable }));
    metrics.observer(deadLettered(route));
    if (route.batch !== undefined) metrics.observer({ kind: 'batch', route, events: 40 });
    metrics.observer(turned(route, 'closed', 'open'));
    metrics.observer(turned(route, 'half_open', 'closed'));
  }
  metrics.observer({ kind: 'published', eventType: 'order.paid', source: '/shop', count: 3 });
  metrics.observer({ kind: 'swapped', seconds: 0.001 });
}

// ── two engines and a Prometheus ─────────────────────────────────────────────────────────────────────────────────

const closing: (() => Promise<unknown>)[] = [];
let api = '';

async function engine(): Promise<number> {
  const metrics = createMetrics({
    bus: () => bus,
    gauges: () => running.map((route) => gaugesOf(route, { inFlight: 2 })),
    version: '0.1.0',
    plugins: () => [{ name: '@eventflow/plugin-email', version: '0.1.0' }],
    cacheMs: 100,
  });
  metrics.setGeneration(world, 1, Date.now());
  metrics.observer({ kind: 'durability', mode: 'fsync', level: 'guaranteed', reason: undefined });
  const timer = setInterval(() => traffic(metrics), 50);
  const server: Server = createServer((_request, response) => {
    void metrics.render().then((page) => response.setHeader('content-type', metrics.contentType).end(page));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => {
    clearInterval(timer);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    metrics.close();
  });
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function prometheus(targets: readonly number[]): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'eventflow-prometheus-'));
  const rules = generateAlerts(world);
  for (const [file, text] of Object.entries(rules)) await writeFile(join(dir, file), text);
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: Object.keys(rules),
    scrape_configs: [
      { job_name: 'eventflow', static_configs: [{ targets: targets.map((port) => `127.0.0.1:${port}`) }] },
    ],
  };
  await writeFile(join(dir, 'prometheus.yaml'), stringify(config));
  const listen = `127.0.0.1:${await freePort()}`;
  const child: ChildProcess = spawn(
    pathOf('prometheus'),
    [
      `--config.file=${join(dir, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=${listen}`,
      '--log.level=error',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const exit = once(child, 'exit');
  closing.push(async () => {
    child.kill('SIGTERM');
    await exit;
    await rm(dir, { recursive: true });
  });
  api = `http://${listen}/api/v1`;
}

interface Result {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

async function ask<Data>(path: string): Promise<Data> {
  const response = await fetch(`${api}/${path}`, { signal: AbortSignal.timeout(5_000) });
  const answer = (await response.json()) as { status: string; data: Data; error?: string };
  assert.equal(answer.status, 'success', `${path}: ${answer.error}`);
  return answer.data;
}

const query = async (expr: string): Promise<readonly Result[]> =>
  (await ask<{ result: Result[] }>(`query?query=${encodeURIComponent(expr)}`)).result;

/** As Grafana would fill in the variables when everything is chosen. */
const chosen = (expr: string): string =>
  expr
    .replaceAll('$__rate_interval', '5s')
    .replaceAll('$__range', '10s')
    .replace(/"\$(job|instance|pipeline|route)"/g, '".+"');

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(200)) {
    if (await holds().catch(() => false)) return;
  }
  assert.fail(`expected ${what} within 20 s`);
}

before(async () => {
  await prometheus([await engine(), await engine()]);
  const scraped = 'min(count_over_time(eventflow_build_info[30s]))';
  await until(async () => Number((await query(scraped))[0]?.value[1]) >= 7, 'seven scrapes of each engine');
});

after(async () => {
  for (const close of closing) await close();
});

for (const [file, dashboard] of parseDashboards(generateDashboards(world))) {
  test(`${file}: every panel shows numbers while events flow`, async () => {
    for (const { panel, expr } of exprsOf(dashboard)) {
      const results = await query(chosen(expr));
      assert.ok(results.length > 0, `${panel.title} is empty: ${expr}`);
      for (const { value } of results) assert.ok(!Number.isNaN(Number(value[1])), `${panel.title} is NaN: ${expr}`);
    }
    for (const { name, expr } of dashboard.annotations.list) {
      assert.ok(name === 'Reloads' || (await query(chosen(expr))).length > 0, `${name}: ${expr}`);
    }
  });
}

test('the scrapes succeed, and every rule of every file can be evaluated', async () => {
  const { activeTargets } = await ask<{ activeTargets: { health: string; lastError: string }[] }>('targets');
  assert.deepEqual(
    activeTargets.map(({ health, lastError }) => [health, lastError]),
    [
      ['up', ''],
      ['up', ''],
    ],
  );
  const evaluated = async (): Promise<readonly { health: string; name: string }[]> =>
    (await ask<{ groups: { rules: { health: string; name: string }[] }[] }>('rules')).groups.flatMap(
      (group) => group.rules,
    );
  await until(async () => (await evaluated()).every(({ health }) => health !== 'unknown'), 'each rule to be evaluated');
  assert.deepEqual(
    (await evaluated()).filter(({ health }) => health !== 'ok'),
    [],
  );
});

test('two engines on one bus show its lag once and their own work added up', async () => {
  const overview = parseDashboards(generateDashboards(world)).get('eventflow-overview.json');
  const numberOf = async (title: string): Promise<number> => {
    const panels = exprsOf(overview as NonNullable<typeof overview>);
    const expr = panels.find(({ panel }) => panel.title === title && panel.type === 'stat')?.expr ?? '';
    return Number((await query(chosen(expr)))[0]?.value[1]);
  };
  assert.equal(await numberOf('Consumer lag'), 42 * running.length);
  assert.equal(await numberOf('Engines'), 2);
  const inFlight = await query('sum(eventflow_in_flight)');
  assert.equal(Number(inFlight[0]?.value[1]), 2 * 2 * running.length);
});
