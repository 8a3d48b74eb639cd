/** A plugin gets a new version while deliveries run. */
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { remoteReload } from '../../../engine/operations/remote.ts';
import { temporaryFolder } from '../../support/children.ts';
import { writeStampPlugin } from '../../support/stamp-plugin.ts';
import { calm, type Fault, type Toll, unless } from '../fault.ts';
import { type Stage, type Surroundings, usual } from '../stage.ts';

/** Where an installation of its own has the plugin. */
const pluginIn = (folder: string): string => join(folder, 'plugin');

async function installation(): Promise<Surroundings> {
  const folder = await temporaryFolder('eventflow-plugins-');
  const { path } = folder;
  const config = join(path, 'eventflow.yaml');
  await symlink(join(import.meta.dirname, '../../../node_modules'), join(path, 'node_modules'));
  await writeFile(config, "plugins: [./plugin, '@eventflow/plugin-webhook']\n");
  await writeStampPlugin(pluginIn(path), '1.0.0');
  return { env: { EVENTFLOW_CONFIG: config }, folder: path, end: () => folder.remove() };
}

const route = 'circuitBreaker: false\n    concurrency: 100\n    retry: { maxAttempts: 50, initialInterval: 50ms }';

/** `main` is handled by the plugin that gets new versions. */
const pipeline = (to: string, beside: string): string =>
  usual(route)(to, beside)
    .replace('handler: webhook', 'handler: stamp')
    .replace(/with: \{ url: "([^"]*\/main)".*/, 'with: { url: "$1" }');

/** Which code sent which request, and when it sent its last. */
class Versions {
  readonly lastAt = new Map<string, number>();
  torn = 0;

  see(stamp: string): void {
    const [own = 'none', ofItsFile] = stamp.split(' ');
    if (own !== ofItsFile) this.torn += 1;
    this.lastAt.set(own, Date.now());
  }
}

const steps = [
  { version: '2.0.0', code: undefined, result: 'changed' },
  { version: '3.0.0', code: "throw new Error('no native module for this system');", result: 'rejected' },
  { version: '4.0.0', code: undefined, result: 'changed' },
] as const;

async function upgrade(stage: Stage): Promise<Toll> {
  const folder = pluginIn(stage.surroundings?.folder ?? '');
  const versions = new Versions();
  const wrong: string[] = [];
  stage.main.answer = (_id, headers) => {
    versions.see(String(headers['x-version']));
    return { status: 200, afterMs: 150 };
  };
  let [running, ran, slowest] = ['1.0.0', 0, 0];
  for (const { version, code, result } of steps) {
    await sleep(1_000);
    await writeStampPlugin(folder, version, code);
    ran = Math.max(ran, stage.main.open);
    const report = await remoteReload(stage.engine(0).admin);
    const replacedAt = Date.now();
    if (report.result !== result)
      wrong.push(`${version}: expected ${result}, got ${report.result}: ${report.problems.join()}`);
    await sleep(1_000);
    if (result === 'rejected') continue;
    slowest = Math.max(slowest, (versions.lastAt.get(running) ?? 0) - replacedAt);
    running = version;
  }
  const seen = [...versions.lastAt.keys()].join(', ');
  return {
    ...calm,
    notes: [`${seen} ran; up to ${ran} deliveries while one was replaced`],
    wrong: [
      ...wrong,
      ...unless(
        [seen === '1.0.0, 2.0.0, 4.0.0', `expected 1.0.0, 2.0.0, 4.0.0 to run in turn, got ${seen}`],
        [versions.torn === 0, `${versions.torn} requests were made by code of two versions`],
        [!stage.full || slowest <= 2_000, `a version that was replaced began requests for ${slowest} ms more`],
      ),
    ],
  };
}

export const upgrades: readonly Fault[] = [
  {
    id: 'T41',
    what: 'plugin upgraded while it runs, once to a broken one',
    tier: 'quick',
    quickLoad: { events: 3_000, perSecond: 500 },
    stage: { pipeline, around: installation },
    inject: upgrade,
  },
];
