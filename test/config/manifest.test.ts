import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { composeSchema, findHandler, formatDiagnostic, readCatalog } from '../../engine/config/index.ts';
import { createValidator } from '../../engine/config/validator.ts';
import { catalog, fixtures } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'eventflow-plugins-'));
after(() => rmSync(root, { recursive: true }));

const crm = { entry: './index.js', schema: './crm.schema.json' };

interface Package {
  readonly manifest?: unknown;
  readonly json?: object;
  readonly files?: Record<string, string>;
}

/** A package below node_modules, or in a folder. */
function install(
  name: string,
  { manifest = { apiVersion: 1, handlers: { crm } }, json = {}, files = {} }: Package = {},
): void {
  const folder = name.startsWith('./') ? join(root, name) : join(root, 'node_modules', name);
  const all = {
    'package.json': JSON.stringify({ name: name.replace('./', ''), version: '1.0.0', eventflow: manifest, ...json }),
    'index.js': 'throw new Error("never run");',
    'crm.schema.json': '{ "type": "object" }',
    ...files,
  };
  for (const [file, text] of Object.entries(all)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
}

const faults = (...names: string[]): string =>
  readCatalog(names, root)
    .diagnostics.map((diagnostic) => formatDiagnostic(diagnostic))
    .join('\n');

test('a manifest is read without running the plugin', () => {
  const choice = findHandler(catalog, 'mailer');
  assert.ok(choice.kind === 'found');
  const { schema, ...manifest } = choice.manifest;
  assert.deepEqual(manifest, {
    handler: 'mailer',
    plugin: './plugins/mailer',
    version: '1.2.0',
    folder: join(fixtures, 'plugins/mailer'),
    entry: join(fixtures, 'plugins/mailer/index.js'),
    title: 'Mailer',
    description: 'Sends a mail.',
    status: 'beta',
    capabilities: { templates: ['to'], secrets: ['password'] },
  });
  assert.equal(schema['title'], 'Mailer');
});

test('a handler that two plugins have is found by its full name only', () => {
  assert.equal(findHandler(catalog, 'crm').kind, 'ambiguous');
  assert.equal(findHandler(catalog, './plugins/crm:crm').kind, 'found');
  assert.equal(findHandler(catalog, './plugins/mailer:crm').kind, 'unknown');
});

test('a plugin that is not installed is named with the command that installs it', () => {
  assert.equal(
    faults('@acme/eventflow-plugin-none'),
    'plugins:1:1: error EF3001 plugins[0]: the plugin @acme/eventflow-plugin-none is not installed\n   = help: npm install @acme/eventflow-plugin-none',
  );
  assert.match(faults('./nowhere'), /EF3001 .*expected a plugin in the folder \.\/nowhere, got no package\.json there/);
});

test('one plugin that cannot be used leaves the others', () => {
  install('eventflow-plugin-fine');
  const { catalog: read, diagnostics } = readCatalog(['nothing-here', 'eventflow-plugin-fine'], root);
  assert.equal(diagnostics.length, 1);
  assert.equal(findHandler(read, 'crm').kind, 'found');
});

test('a package that hides its package.json is found all the same', () => {
  install('eventflow-plugin-hidden', { json: { exports: { '.': './index.js' } } });
  assert.equal(faults('eventflow-plugin-hidden'), '');
});

test('the main export is found under import conditions only', () => {
  const handlers = { crm: { entry: '.', schema: './crm.schema.json' } };
  const json = { exports: { '.': { types: './index.d.ts', import: './lib/main.js' } } };
  install('eventflow-plugin-esm', { manifest: { apiVersion: 1, handlers }, json, files: { 'lib/main.js': '' } });
  const [manifest] = readCatalog(['eventflow-plugin-esm'], root).catalog.handlers.get('crm') ?? [];
  assert.equal(manifest?.entry, join(root, 'node_modules/eventflow-plugin-esm/lib/main.js'));
});

test('names that are no packages are refused', () => {
  for (const name of ['../up', './a/../../b', '/etc', 'file:///etc', 'https://example.org/x.tgz', '.', '', 'UPPER']) {
    assert.match(faults(name), /EF3006/, name);
  }
});

test('another plugin API is refused with what to do', () => {
  install('eventflow-plugin-new', { manifest: { apiVersion: 2, handlers: { crm } } });
  install('eventflow-plugin-old', { manifest: { handlers: { crm } } });
  assert.match(faults('eventflow-plugin-new'), /EF3002 .*expected apiVersion 1 .*, got 2\n.*update eventflow/);
  assert.match(faults('eventflow-plugin-old'), /EF3002 .*expected apiVersion 1 .*, got nothing\n.*update the plugin/);
});

test('a package without a manifest, or with a broken one, is refused', () => {
  install('eventflow-plugin-plain', { manifest: null });
  install('eventflow-plugin-idle', { manifest: { apiVersion: 1, handlers: {} } });
  install('eventflow-plugin-garbled', { files: { 'package.json': '{' } });
  install('eventflow-plugin-loud', { manifest: { apiVersion: 1, handlers: { 'Crm!': crm } } });
  assert.match(faults('eventflow-plugin-plain'), /EF3003 .*"eventflow" manifest/);
  assert.match(faults('eventflow-plugin-idle'), /EF3003 .*to list handlers, got none/);
  assert.match(faults('eventflow-plugin-garbled'), /EF3003/);
  assert.match(faults('eventflow-plugin-loud'), /EF3003 .*handler name .*"Crm!"/);
});

test('entries and schemas outside of the package are refused, also through links', () => {
  writeFileSync(join(root, 'outside.js'), '');
  const with_ = (entry: string): unknown => ({ apiVersion: 1, handlers: { crm: { ...crm, entry } } });
  install('eventflow-plugin-up', { manifest: with_('./../../outside.js') });
  install('eventflow-plugin-link', { manifest: with_('./link.js') });
  symlinkSync(join(root, 'outside.js'), join(root, 'node_modules/eventflow-plugin-link/link.js'));
  install('eventflow-plugin-unbuilt', { manifest: with_('./dist/index.js') });
  assert.match(faults('eventflow-plugin-up'), /EF3004 .*within the plugin's folder/);
  assert.match(faults('eventflow-plugin-link'), /EF3004 .*within the plugin's folder/);
  assert.match(faults('eventflow-plugin-unbuilt'), /EF3004 .*got no such file\n.*was the plugin built/);
});

test('a schema that describes no options, or is none, is refused', () => {
  install('eventflow-plugin-list', { files: { 'crm.schema.json': '{ "type": "array" }' } });
  install('eventflow-plugin-typo', { files: { 'crm.schema.json': '{ "type": "object", "requried": ["a"] }' } });
  install('eventflow-plugin-wrong', { files: { 'crm.schema.json': '{ "type": "object", "minProperties": "one" }' } });
  assert.match(faults('eventflow-plugin-list'), /EF3005 .*"type": "object"/);
  assert.match(faults('eventflow-plugin-typo'), /EF3005 .*requried/);
  assert.match(faults('eventflow-plugin-wrong'), /EF3005 .*\/minProperties/);
});

test('without a list the installed first-party plugins are taken and missing ones are no fault', () => {
  install('@eventflow/plugin-log');
  const { catalog: read, diagnostics } = readCatalog(undefined, root);
  assert.deepEqual(diagnostics, []);
  assert.equal(findHandler(read, '@eventflow/plugin-log:crm').kind, 'found');
});

test('the composed schema knows the handlers and the options of each', () => {
  const validate = createValidator(composeSchema(catalog));
  const pipeline = (handler: string, options: object | undefined): object => ({
    apiVersion: 'eventflow/v1',
    kind: 'Pipeline',
    name: 'a',
    routes: [{ id: 'r', on: ['x'], handler, ...(options === undefined ? {} : { with: options }) }],
  });
  const fits = (handler: string, options?: object): boolean => validate(pipeline(handler, options)).errors.length === 0;
  assert.ok(fits('mailer', { to: 'a@b.c', copies: ['d@e'] }));
  assert.ok(fits('./plugins/mailer:mailer', { to: 'a@b.c' }));
  assert.ok(fits('./plugins/other-crm:crm'));
  assert.ok(!fits('mailer', { to: 'a@b.c', copies: ['nobody'] }));
  assert.ok(!fits('mailer'));
  assert.ok(!fits('crm', {}), 'two plugins have it');
  assert.ok(!fits('telegraph', {}));
});
