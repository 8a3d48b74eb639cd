/** Files that are fine, with what they are compiled to. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Generation } from '../../engine/core/route.ts';
import { catalog, fixtures, golden, load } from './support.ts';

const folder = join(fixtures, 'good');

async function generationOf(
  paths: readonly string[],
  cwd = folder,
  more: Record<string, string> = {},
): Promise<Generation> {
  const result = await load(paths, cwd, more);
  assert.ok(result.ok, JSON.stringify(result));
  return result.generation;
}

const asJson = (generation: Generation): string =>
  `${JSON.stringify({ ...generation, routes: [...generation.routes.keys()], eventTypes: [...generation.eventTypes.values()] }, null, 2)}\n`;

for (const name of readdirSync(folder).filter((file) => file.endsWith('.yaml'))) {
  test(`${name} is compiled to what stands beside it`, async () => {
    golden(join(folder, name.replace('.yaml', '.expected.json')), asJson(await generationOf([name])));
  });
}

test('no field of the language is missing in everything.yaml', () => {
  const schema: unknown = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../schemas/pipeline.schema.json'), 'utf8'),
  );
  const text = readFileSync(join(folder, 'everything.yaml'), 'utf8');
  const fieldsOf = (node: unknown): string[] => {
    if (typeof node !== 'object' || node === null) return [];
    const own = 'properties' in node && !Array.isArray(node) ? Object.keys(node.properties as object) : [];
    return [...own, ...Object.values(node).flatMap(fieldsOf)];
  };
  const fields = fieldsOf(schema);
  assert.ok(fields.includes('previousId'));
  assert.deepEqual(
    fields.filter((field) => !new RegExp(`\\b${field}:`).test(text)),
    [],
  );
});

const copy = mkdtempSync(join(tmpdir(), 'eventflow-config-'));
cpSync(folder, copy, { recursive: true });
after(() => rmSync(copy, { recursive: true }));

const hashes = async (more: Record<string, string> = {}): Promise<Record<string, string>> => {
  const generation = await generationOf(['everything.yaml'], copy, more);
  return Object.fromEntries([...generation.routes].map(([group, route]) => [group, route.hash]));
};

const changed = (before: Record<string, string>, now: Record<string, string>): string[] =>
  Object.keys(before).filter((group) => before[group] !== now[group]);

test('a folder with several pipelines becomes one generation, by group', async () => {
  const generation = await generationOf(['.']);
  assert.deepEqual(
    generation.pipelines.map(({ name }) => name),
    ['orders', 'expressions', 'minimal'],
  );
  assert.equal(generation.routes.get('minimal.hello')?.handler, 'mailer');
});

test('the hash of a route changes with a secret that it uses, and only there', async () => {
  assert.deepEqual(changed(await hashes(), await hashes({ TOKEN: 'another' })), ['orders.inherits']);
});

test('the hash of a route changes with the content of a file that its options name', async () => {
  const before = await hashes();
  writeFileSync(join(copy, 'mail.liquid'), 'Thanks.');
  assert.deepEqual(changed(before, await hashes()), ['orders.inherits']);
});

test('the hash of a route changes with its condition and its transform, and not with how they are written', async () => {
  const path = join(copy, 'expressions.yaml');
  const text = readFileSync(path, 'utf8');
  const after = async (from: string, to: string): Promise<string[]> => {
    writeFileSync(path, text.replace(from, to));
    const now = await generationOf(['expressions.yaml'], copy);
    return changed(before, Object.fromEntries([...now.routes].map(([group, { hash }]) => [group, hash])));
  };
  const first = await generationOf(['expressions.yaml'], copy);
  const before = Object.fromEntries([...first.routes].map(([group, { hash }]) => [group, hash]));
  assert.deepEqual(await after('&large event.data.total >= 100', '&large event.data.total >= 50'), [
    'expressions.aliased',
  ]);
  assert.deepEqual(await after('/ 100.0, version', '/ 10.0, version'), ['expressions.plain']);
  assert.deepEqual(
    await after(
      'when: event.data.total >= 100 && event.data.country in ["DE", "FR"]',
      'when: |\n      event.data.total >= 100 && event.data.country in ["DE", "FR"]',
    ),
    [],
  );
  writeFileSync(path, text);
});

test('the hash of a generation is the same when nothing changed and another when an event schema did', async () => {
  const before = (await generationOf(['everything.yaml'], copy)).hash;
  assert.equal((await generationOf(['everything.yaml'], copy)).hash, before);
  writeFileSync(join(copy, 'order.paid.schema.json'), '{ "type": "object" }');
  assert.notEqual((await generationOf(['everything.yaml'], copy)).hash, before);
});

test('comments and the order of fields change no hash', async () => {
  const text = (routes: string): string => `apiVersion: eventflow/v1\nkind: Pipeline\nname: a\nroutes:\n${routes}`;
  writeFileSync(
    join(copy, 'one.yaml'),
    text('  - id: x\n    on: [a]\n    handler: mailer\n    with: { to: a@b.c, port: 1 }\n'),
  );
  const [before] = (await generationOf(['one.yaml'], copy)).routes.values();
  writeFileSync(
    join(copy, 'one.yaml'),
    text('\n  # hi\n  - handler: mailer\n    with: { port: 1, to: a@b.c }\n    id: x\n    on: [a]\n'),
  );
  const [now] = (await generationOf(['one.yaml'], copy)).routes.values();
  assert.equal(now?.hash, before?.hash);
  assert.notDeepEqual(now?.position, before?.position);
});

test('every file that was read or referred to is told to the watcher', async () => {
  const result = await load(['everything.yaml'], folder);
  assert.deepEqual(result.files.map((file) => file.slice(folder.length + 1)).toSorted(), [
    'everything.yaml',
    'mail.liquid',
    'order.paid.schema.json',
  ]);
});

test('the values of secrets are told, so that they can be kept out of logs', async () => {
  const result = await load(['everything.yaml'], folder);
  assert.ok(result.ok);
  assert.deepEqual(result.secrets, ['tok-swordfish']);
});

test('a generation cannot be changed', async () => {
  const generation = await generationOf(['everything.yaml']);
  const route = generation.routes.get('orders.inherits');
  assert.ok(Object.isFrozen(generation) && Object.isFrozen(route?.retry.retryOn) && Object.isFrozen(route?.options));
  assert.throws(() => (generation.routes as Map<string, unknown>).clear(), /frozen/);
});

test('the check of an event type says what does not fit, without values', async () => {
  const rule = (await generationOf(['everything.yaml'])).eventTypes.get('order.paid');
  assert.deepEqual(rule?.check?.({ total: 3, currency: 'EUR' }), []);
  assert.deepEqual(rule?.check?.({ total: 'secret' }), ['/total: expected number, got string']);
  assert.deepEqual(rule?.check?.({ currency: 'secret' }).toSorted(), [
    '/: expected the field total, got nothing',
    '/currency: expected one of EUR, USD',
  ]);
});

test('an empty folder is fine when nothing is expected of it', async () => {
  const { loadGeneration } = await import('../../engine/config/index.ts');
  const paths = [join(fixtures, 'bad', 'folder-without-pipelines')];
  const result = await loadGeneration({ paths, catalog, env: {}, cwd: folder, allowEmpty: true });
  assert.ok(result.ok && result.generation.routes.size === 0);
});
