/** Imports point one way: towards `core`. */
import assert from 'node:assert/strict';
import { isBuiltin } from 'node:module';
import { test } from 'node:test';
import { type Import, importsOf, textOf, typescript } from './sources.ts';

/** What each room may import of ours: rooms, or files of a room. A room may always import itself. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  'config-errors.ts': [],
  'test-errors.ts': ['config-errors.ts'],
  'errors.ts': ['config-errors.ts', 'test-errors.ts'],
  'version.ts': [],
  'event.ts': ['errors.ts'],
  'plugin.ts': ['event.ts'],
  'timers.ts': ['core'],
  'late-errors.ts': ['plugin.ts'],
  'watchdog.ts': [],
  'watchdog-thread.ts': ['watchdog.ts'],
  'own-process.ts': ['late-errors.ts', 'watchdog.ts', 'observe/signals.ts', 'plugins/manifest.ts'],
  core: ['errors.ts', 'event.ts'],
  graph: ['core'],
  bus: ['core', 'errors.ts', 'event.ts'],
  'bus-options.ts': ['bus/bus.ts', 'config'],
  config: ['core', 'errors.ts', 'event.ts', 'plugins/manifest.ts', 'plugins/templates.ts'],
  observe: ['core', 'errors.ts', 'event.ts', 'plugin.ts', 'bus/bus.ts'],
  worker: ['core', 'errors.ts', 'event.ts', 'plugin.ts', 'bus/bus.ts', 'observe/signals.ts'],
  plugins: ['core', 'errors.ts', 'event.ts', 'plugin.ts', 'config'],
  ingest: ['core', 'errors.ts', 'event.ts', 'bus/bus.ts', 'observe/signals.ts'],
  operations: ['core', 'errors.ts', 'event.ts', 'bus/bus.ts', 'observe/signals.ts', 'observe/conservation.ts'],
  'publisher.ts': ['core', 'errors.ts', 'event.ts', 'bus/bus.ts', 'observe/signals.ts', 'ingest'],
  http: ['core', 'errors.ts', 'event.ts', 'bus/bus.ts', 'observe/signals.ts', 'operations', 'ingest'],
  'store-watch.ts': ['errors.ts', 'bus/bus.ts', 'observe/signals.ts'],
  'engine-options.ts': ['bus/bus.ts', 'config', 'observe/signals.ts', 'own-process.ts', 'plugins/manifest.ts'],
  'planning.ts': ['core', 'config', 'plugins/manifest.ts', 'observe/redact.ts', 'operations'],
  'config-error.ts': ['errors.ts'],
  'generations.ts': ['core', 'operations/operations.ts'],
  'reload.ts': [
    ...['core', 'errors.ts', 'config', 'worker', 'observe/signals.ts', 'operations/operations.ts', 'generations.ts'],
  ],
  'last-good.ts': ['core', 'config', 'config-error.ts', 'engine-options.ts', 'plugins/manifest.ts', 'reload.ts'],
  'pipeline-test': [
    ...['core', 'errors.ts', 'event.ts', 'plugin.ts', 'config', 'plugins', 'worker'],
    ...['bus/bus.ts', 'bus/open.ts', 'observe/signals.ts'],
  ],
  testing: ['core', 'errors.ts', 'event.ts', 'plugin.ts', 'bus', 'config', 'plugins', 'worker'],
};

/** They sit on top and may import whatever they need. */
const onTop: ReadonlySet<string> = new Set(['engine.ts', 'index.ts', 'cli']);

/** Packages that one place alone knows. */
const owned: readonly (readonly [string, RegExp])[] = [
  ['ioredis', /^engine\/bus\/redis\//],
  ['node:sqlite', /^engine\/bus\/sqlite\//],
  ['prom-client', /^engine\/observe\/metrics[^/]*\.ts$/],
  ['fastify', /^engine\/http\//],
  ['liquidjs', /^engine\/plugins\//],
  ['chokidar', /^engine\/config\//],
  ['@marcbachmann/cel-js', /^engine\/config\/cel\//],
  ['ajv', /^engine\/(config|testing)\//],
  ['commander', /^engine\/cli\//],
];

const inRoom = (file: string): string => file.replace(/^engine\//, '');
const roomOf = (file: string): string => inRoom(file).split('/')[0] ?? '';
const show = ({ from, line, to }: Import): string => `${from}:${line} imports ${to}`;

const isOurs = ({ to }: Import): boolean => to.startsWith('engine/') || to.startsWith('plugins/');

function mayImport(from: string, to: string): boolean {
  const room = roomOf(from);
  if (onTop.has(room) || room === roomOf(to)) return true;
  const allowed = arrows[room] ?? [];
  return allowed.includes(roomOf(to)) || allowed.includes(inRoom(to));
}

const engineSources = typescript('engine');
const engineImports = engineSources.flatMap(importsOf);

test('the reader of imports sees every form of them', () => {
  const found = importsOf('engine/bus/open.ts').map(({ to }) => to);
  assert.ok(found.includes('engine/errors.ts') && found.includes('engine/bus/redis/bus.ts'), found.join());
  assert.ok(engineImports.length > 200, `expected hundreds of imports, found ${engineImports.length}`);
});

test('every room of the engine has its arrows written down', () => {
  const rooms = new Set(engineSources.map(roomOf));
  const unknown = [...rooms].filter((room) => !(room in arrows) && !onTop.has(room) && room !== 'build.ts');
  assert.deepEqual(unknown, [], 'add the room to `arrows`');
});

test('rooms import only what lies further in', () => {
  const wrong = engineImports.filter((one) => isOurs(one) && !mayImport(one.from, one.to));
  assert.deepEqual(wrong.map(show), []);
});

/** The port is one door in two files. */
const port = ['engine/bus/bus.ts', 'engine/bus/order.ts'];

test('the implementations of the bus do not know each other, and the port knows none of them', () => {
  const wrong = engineImports.filter(
    ({ from, to }) =>
      (from.startsWith('engine/bus/redis/') && to.startsWith('engine/bus/sqlite/')) ||
      (from.startsWith('engine/bus/sqlite/') && to.startsWith('engine/bus/redis/')) ||
      (port.includes(from) && to.startsWith('engine/bus/') && !port.includes(to)),
  );
  assert.deepEqual(wrong.map(show), []);
});

test('each of these packages is known to one place', () => {
  const wrong = engineImports.filter(({ from, to }) =>
    owned.some(([name, home]) => (to === name || to.startsWith(`${name}/`)) && !home.test(from)),
  );
  assert.deepEqual(wrong.map(show), []);
});

/** Lines of code, not of comments, that say what `forbidden` matches. */
const saying = (room: string, forbidden: RegExp): string[] =>
  typescript(room).flatMap((file) =>
    textOf(file)
      .split('\n')
      .flatMap((line, at) =>
        forbidden.test(line) && !/^\s*(\*|\/[/*])/.test(line) ? [`${file}:${at + 1} ${line.trim()}`] : [],
      ),
  );

const clockOrDice =
  /\bDate\.now\b|\bnew Date\(\)|\bperformance\b|\bMath\.random\b|\b(set|clear)(Timeout|Interval|Immediate)\(|\bAbortSignal\.timeout\b|node:timers|\brandom(UUID|Bytes|Int)\b/;

test('the core waits for nothing', () => {
  assert.deepEqual(saying('engine/core', /\bawait\b/), []);
});

test('the core and the workers are given their clock, their timers and their dice', () => {
  assert.deepEqual([...saying('engine/core', clockOrDice), ...saying('engine/worker', clockOrDice)], []);
});

test('the embedded bus is given its time', () => {
  const said = saying('engine/bus/sqlite', clockOrDice).filter(
    (line) => !/sqlite\/(time|barrier|keys|journal)\.ts/.test(line),
  );
  assert.deepEqual(said, []);
});

test('a plugin imports eventflow/plugin, its own files and its own dependencies, and nothing else', () => {
  const sources = [...typescript('plugins'), ...typescript('examples/third-party-plugin')];
  const wrong = sources.flatMap(importsOf).filter(({ from, to }) => {
    const home = from.split('/').slice(0, 2).join('/');
    if (to.startsWith('eventflow')) return to !== 'eventflow/plugin' && !/\.test\.ts$/.test(from);
    if (to.startsWith(`${home}/`) || isBuiltin(to)) return false;
    const manifest = JSON.parse(textOf(`${home}/package.json`)) as { dependencies?: Record<string, string> };
    return !Object.keys(manifest.dependencies ?? {}).some((name) => to === name || to.startsWith(`${name}/`));
  });
  assert.deepEqual(wrong.map(show), []);
});

test('only the command line reads arguments and the environment', () => {
  const wrong = engineSources
    .filter((file) => !file.startsWith('engine/cli/'))
    .flatMap((file) =>
      textOf(file)
        .split('\n')
        .flatMap((line, at) => (/process\.(env|argv)\b/.test(line) ? [`${file}:${at + 1} ${line.trim()}`] : [])),
    );
  assert.deepEqual(wrong, []);
});
