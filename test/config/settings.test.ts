import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  formatDiagnostic,
  loadSettings,
  readSettingsSchema,
  type Settings,
  type SettingsResult,
  settingsVariables,
} from '../../engine/config/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'eventflow-settings-'));
after(() => rmSync(folder, { recursive: true }));

const load = (text: string, env: Record<string, string> = {}): Promise<SettingsResult> => {
  writeFileSync(join(folder, 'settings.yaml'), text);
  return loadSettings({ file: 'settings.yaml', env, cwd: folder });
};

async function settingsOf(text: string, env: Record<string, string> = {}): Promise<Settings> {
  const result = await load(text, env);
  assert.ok(result.ok, JSON.stringify(result));
  return result.settings;
}

async function faultsOf(text: string, env: Record<string, string> = {}): Promise<string> {
  const result = await load(text, env);
  assert.ok(!result.ok);
  return result.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic)).join('\n');
}

const defaults = {
  bus: 'sqlite:.eventflow/bus.db',
  prefix: 'ef',
  streams: [],
  plugins: undefined,
  http: {
    listen: '127.0.0.1:8787',
    adminListen: '127.0.0.1:8788',
    egress: { allowPrivateNetworks: false, allow: [] },
  },
  journal: { keep: 'all', retention: 86_400_000, maxEntries: 1_000_000 },
  delivery: { lease: 30_000, drain: 25_000, removedGrace: 300_000, watchdog: 60_000 },
  durability: { mode: 'fsync', replicas: 1 },
  overload: { refuseFrom: 90, acceptBelow: 80, maxLag: 0 },
  log: { level: 'info' },
};

test('without a file every setting has its default', async () => {
  const result = await loadSettings({ env: {}, cwd: folder });
  assert.ok(result.ok);
  const pipelines = [join(folder, 'pipelines')];
  assert.deepEqual(result.settings, { file: undefined, folder, pipelines, ...defaults });
});

test('a file in which everything is commented out means the defaults', async () => {
  assert.equal((await settingsOf('# bus: redis://127.0.0.1\n')).bus, defaults.bus);
});

test('a file that is asked for and missing is an error', async () => {
  const result = await loadSettings({ file: 'nowhere.yaml', env: {}, cwd: folder });
  assert.ok(!result.ok);
  assert.equal(result.diagnostics[0]?.code, 'EF1001');
});

test('variables win over the file, the file over the defaults', async () => {
  const text = 'log: { level: warn }\nhttp:\n  listen: ":1"\n  adminListen: ":2"\n';
  const settings = await settingsOf(text, { EVENTFLOW_HTTP_LISTEN: '[::1]:3', EVENTFLOW_JOURNAL_RETENTION: '2h' });
  assert.equal(settings.log.level, 'warn');
  assert.equal(settings.http.listen, '[::1]:3');
  assert.equal(settings.http.adminListen, ':2');
  assert.equal(settings.journal.retention, 7_200_000);
});

test('every setting has a variable that is named after its path and named in its description', () => {
  const schema = readSettingsSchema();
  const variables = settingsVariables(schema);
  for (const { path, variable } of variables) {
    const words = path.map((word) => word.replace(/[A-Z]/g, (upper) => `_${upper}`).toUpperCase());
    assert.equal(variable, `EVENTFLOW_${words.join('_')}`);
    assert.ok(JSON.stringify(schema).includes(`Variable: ${variable}`), variable);
  }
  assert.deepEqual([...new Set(variables.map(({ path }) => path[0] ?? ''))].toSorted(), [
    'bus',
    'delivery',
    'durability',
    'http',
    'journal',
    'log',
    'overload',
    'pipelines',
    'plugins',
    'prefix',
    'streams',
  ]);
});

test('every variable arrives at its setting', async () => {
  const settings = await settingsOf('', {
    EVENTFLOW_BUS: 'redis://u:p@127.0.0.1/1',
    EVENTFLOW_PREFIX: 'staging',
    EVENTFLOW_STREAMS: '[{"name":"orders","types":["order.*"]}]',
    EVENTFLOW_PIPELINES: 'a, b/{c,{d,e}}.yaml',
    EVENTFLOW_PLUGINS: '@acme/eventflow-plugin-crm,./mine',
    EVENTFLOW_HTTP_LISTEN: '0.0.0.0:0',
    EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:65535',
    EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
    EVENTFLOW_HTTP_EGRESS_ALLOW: '10.0.0.0/8,crm.internal',
    EVENTFLOW_JOURNAL_KEEP: 'off',
    EVENTFLOW_JOURNAL_RETENTION: '1d',
    EVENTFLOW_JOURNAL_MAX_ENTRIES: '7',
    EVENTFLOW_DELIVERY_LEASE: '5s',
    EVENTFLOW_DELIVERY_DRAIN: '1m',
    EVENTFLOW_DELIVERY_REMOVED_GRACE: '2h',
    EVENTFLOW_DELIVERY_WATCHDOG: 'off',
    EVENTFLOW_DURABILITY_MODE: 'replicated',
    EVENTFLOW_DURABILITY_REPLICAS: '2',
    EVENTFLOW_OVERLOAD_REFUSE_FROM: '70',
    EVENTFLOW_OVERLOAD_ACCEPT_BELOW: '60',
    EVENTFLOW_OVERLOAD_MAX_LAG: '5000',
    EVENTFLOW_LOG_LEVEL: 'debug',
  });
  assert.deepEqual(settings, {
    file: join(folder, 'settings.yaml'),
    folder,
    bus: 'redis://u:p@127.0.0.1/1',
    prefix: 'staging',
    streams: [{ name: 'orders', types: ['order.*'] }],
    pipelines: [join(folder, 'a'), join(folder, 'b/{c,{d,e}}.yaml')],
    plugins: ['@acme/eventflow-plugin-crm', './mine'],
    http: {
      listen: '0.0.0.0:0',
      adminListen: '127.0.0.1:65535',
      egress: { allowPrivateNetworks: true, allow: ['10.0.0.0/8', 'crm.internal'] },
    },
    journal: { keep: 'off', retention: 86_400_000, maxEntries: 7 },
    delivery: { lease: 5_000, drain: 60_000, removedGrace: 7_200_000, watchdog: undefined },
    durability: { mode: 'replicated', replicas: 2 },
    overload: { refuseFrom: 70, acceptBelow: 60, maxLag: 5_000 },
    log: { level: 'debug' },
  });
});

test('an empty variable is one that is not set', async () => {
  assert.equal((await settingsOf('', { EVENTFLOW_BUS: '' })).bus, defaults.bus);
});

test('a bad variable is named, and its value is not shown', async () => {
  assert.equal(
    await faultsOf('', { EVENTFLOW_HTTP_LISTEN: 'hunter2', EVENTFLOW_STREAMS: 'orders' }),
    [
      'environment:1:1: error EF2004 EVENTFLOW_STREAMS: expected a list, got the value of EVENTFLOW_STREAMS',
      'environment:1:1: error EF2006 EVENTFLOW_HTTP_LISTEN: expected HOST:PORT such as 127.0.0.1:8787 or [::1]:8787 (port 0 picks a free one), got the value of EVENTFLOW_HTTP_LISTEN',
    ].join('\n'),
  );
});

test('a bad setting is shown at its place, all of them at once', async () => {
  assert.equal(
    await faultsOf(
      'bus: postgres://x\nhttp:\n  lisen: 127.0.0.1:1\nlog: { level: loud }\ndurability: { replicas: 0 }\n',
    ),
    [
      'settings.yaml:1:6: error EF2006 bus: expected sqlite:PATH, sqlite::memory:, redis://HOST:PORT, rediss://…, redis+sentinel://… or redis+cluster://…, got "postgres://x"',
      'settings.yaml:3:3: error EF2001 http.lisen: unknown field\n   = help: did you mean "listen"?',
      'settings.yaml:4:15: error EF2003 log.level: expected one of debug, info, warn, error, silent, got "loud"',
      'settings.yaml:5:25: error EF2005 durability.replicas: expected at least 1, got 0',
    ].join('\n'),
  );
});

test('credentials in a URL are not repeated', async () => {
  assert.match(await faultsOf('bus: redys://user:hunter2@host\n'), /got "redys:\/\/\[secret\]@host"/);
  assert.match(
    await faultsOf('bus: redys://host/m?sentinelPassword=hunter2&x=1\n'),
    /\?sentinelPassword=\[secret\]&x=1"/,
  );
});

test('references are filled in', async () => {
  const settings = await settingsOf('bus: ${URL}\njournal: { maxEntries: "${MANY:-12}" }\n', {
    URL: 'sqlite::memory:',
  });
  assert.deepEqual([settings.bus, settings.journal.maxEntries], ['sqlite::memory:', 12]);
});

test('paths in the file start at the file', async () => {
  writeFileSync(join(folder, 'settings.yaml'), 'pipelines: [flows]\n');
  const result = await loadSettings({ file: join(folder, 'settings.yaml'), env: {}, cwd: tmpdir() });
  assert.ok(result.ok);
  assert.deepEqual(result.settings.pipelines, [join(folder, 'flows')]);
});

test('a password in plain text is warned of, and one from a reference or a variable is not', async () => {
  const result = await load('bus: redis://shop:hunter2@cache:6379/0\n');
  assert.ok(result.ok);
  assert.deepEqual(
    result.warnings.map(({ code, line, column, path }) => `${code} ${line}:${column} ${path}`),
    ['EF2022 1:6 bus'],
  );
  for (const [text, env] of [
    ['bus: redis://shop:${PASSWORD}@cache:6379/0\n', { PASSWORD: 'hunter2' }],
    ['', { EVENTFLOW_BUS: 'redis://shop:hunter2@cache:6379/0' }],
  ] as const) {
    const fine = await load(text, env);
    assert.ok(fine.ok && fine.warnings.length === 0, text);
  }
});

test('a hostile settings file is refused as a pipeline is', async () => {
  const table: [string, string][] = [
    ['['.repeat(40_000), 'settings.yaml:1:34: error EF1004 expected at most 32 levels of nesting'],
    ['bus: "a\0b"\n', 'settings.yaml:1:8: error EF1003 expected text, got a NUL byte'],
    [
      'bus: sqlite:a\n---\nbus: sqlite:b\n',
      'settings.yaml:2:1: error EF1007 expected one document, got a second one after `---`',
    ],
    ['bus: ${NONE}\n', 'settings.yaml:1:6: error EF1013 bus: the environment variable NONE is not set'],
    [
      'log: { level: debug }\nlog: { level: info }\n',
      'settings.yaml:2:1: error EF1006 the key "log" stands here twice',
    ],
  ];
  for (const [text, said] of table) assert.equal((await faultsOf(text)).split('\n')[0], said);
});
