/** The catalogue: schemas that stand in several files, and what they say about data. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LoadResult } from '../../engine/config/index.ts';
import type { EventTypeRule } from '../../engine/core/route.ts';
import { load } from './support.ts';

const pipeline = `apiVersion: eventflow/v1
kind: Pipeline
name: orders
eventTypes:
  order.paid: { schema: order.json }
routes:
  - id: receipt
    on: [order.paid]
    handler: mailer
    with: { to: shop@example.org }
`;

const customer = {
  type: 'object',
  required: ['email'],
  properties: { email: { $ref: '#/$defs/email' }, address: { $ref: 'address.json#/$defs/postal' } },
  $defs: { email: { type: 'string', pattern: '@' } },
};
const address = { $defs: { postal: { type: 'object', required: ['city'] }, customer: { $ref: 'customer.json' } } };

async function withFiles(
  files: Readonly<Record<string, unknown>>,
  proof: (reload: () => Promise<LoadResult>, folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'eventflow-types-'));
  try {
    writeFileSync(join(folder, 'orders.yaml'), pipeline);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), JSON.stringify(content));
    await proof(() => load(['orders.yaml'], folder), folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function ruleOf(result: LoadResult): EventTypeRule {
  assert.ok(result.ok, JSON.stringify(result));
  const rule = result.generation.eventTypes.get('order.paid');
  assert.ok(rule);
  return rule;
}

const faultOf = (result: LoadResult): string => {
  assert.ok(!result.ok);
  return result.diagnostics.map(({ code, message }) => `${code} ${message}`).join('\n');
};

test('a $ref leads to a schema in another file, from there to others, and in circles', () =>
  withFiles(
    {
      'order.json': { properties: { customer: { $ref: 'customer.json' } } },
      'customer.json': customer,
      'address.json': address,
    },
    async (reload) => {
      const { check } = ruleOf(await reload());
      assert.deepEqual(check?.({ customer: { email: 'a@b', address: { city: 'Bonn' } } }), []);
      assert.deepEqual(check?.({ customer: { email: 'nobody', address: {} } }), [
        '/customer/email: expected a text like @',
        '/customer/address: expected the field city, got nothing',
      ]);
    },
  ));

test('a definition of the first file keeps its name beside a file of that name', () =>
  withFiles(
    {
      'order.json': {
        properties: { a: { $ref: '#/$defs/customer' }, b: { $ref: './customer.json' } },
        $defs: { customer: { type: 'number' } },
      },
      'customer.json': customer,
      'address.json': address,
    },
    async (reload) => {
      const { check } = ruleOf(await reload());
      assert.deepEqual(check?.({ a: 1, b: { email: 'a@b' } }), []);
      assert.deepEqual(check?.({ a: {}, b: 1 }), [
        '/a: expected number, got object',
        '/b: expected object, got integer',
      ]);
    },
  ));

test('schemas that name each other by address are found as neighbours', () =>
  withFiles(
    {
      'order.json': {
        $id: 'https://schemas.shop.example/events/order.json',
        properties: { customer: { $ref: 'https://schemas.shop.example/events/customer.json' } },
      },
      'customer.json': { $id: 'https://schemas.shop.example/events/customer.json', type: 'object' },
    },
    async (reload) => {
      const { check } = ruleOf(await reload());
      assert.deepEqual(check?.({ customer: 1 }), ['/customer: expected object, got integer']);
    },
  ));

test('a change of a file that a $ref leads to is a change of the event type, and the watcher is told of the file', () =>
  withFiles(
    {
      'order.json': { properties: { customer: { $ref: 'customer.json' } } },
      'customer.json': customer,
      'address.json': address,
    },
    async (reload, folder) => {
      const before = await reload();
      assert.ok(before.files.includes(join(folder, 'customer.json')), before.files.join());
      writeFileSync(join(folder, 'address.json'), JSON.stringify({ $defs: { postal: { type: 'string' } } }));
      const after = await reload();
      assert.notEqual(ruleOf(after).schemaHash, ruleOf(before).schemaHash);
      assert.ok(before.ok && after.ok && before.generation.hash !== after.generation.hash);
    },
  ));

const broken: readonly (readonly [string, Readonly<Record<string, unknown>>, RegExp])[] = [
  [
    'names no file',
    { 'order.json': { $ref: 'nope.json' } },
    /^EF2016 expected a readable JSON Schema nope\.json that a \$ref names, got: no such file$/,
  ],
  [
    'names an address',
    { 'order.json': { $ref: 'https://shop.example/order.json' } },
    /^EF2016 expected a \$ref to a file, got https:\/\/shop\.example\/order\.json: nothing is fetched from the network$/,
  ],
  [
    'names a place that is not there',
    { 'order.json': { $ref: 'other.json#/$defs/nope' }, 'other.json': {} },
    /^EF2016 expected a JSON Schema \(2020-12\), got: can't resolve reference #\/\$defs\/other\/\$defs\/nope/,
  ],
  [
    'is no address',
    { 'order.json': { $ref: 'https://[' } },
    /^EF2016 expected a JSON Schema \(2020-12\), got: Invalid URL$/,
  ],
  [
    'names a list',
    { 'order.json': { $ref: 'other.json' }, 'other.json': [] },
    /^EF2016 expected .* that is a map, as a \$ref needs it, in other\.json$/,
  ],
];

for (const [what, files, message] of broken) {
  test(`a $ref that ${what} is an error of the event type`, () =>
    withFiles(files, async (reload) => assert.match(faultOf(await reload()), message)));
}

const withRoute = (fields: string): string =>
  pipeline.replace('    handler: mailer', `    ${fields}\n    handler: mailer`);

async function warningsOf(fields: string, schema: unknown): Promise<string[]> {
  const found: string[] = [];
  await withFiles({ 'order.json': schema }, async (reload, folder) => {
    writeFileSync(join(folder, 'orders.yaml'), withRoute(fields));
    const result = await reload();
    assert.ok(result.ok, JSON.stringify(result));
    found.push(...result.warnings.map(({ code, message, help }) => `${code} ${message} ${help ?? ''}`.trim()));
  });
  return found;
}

const shape = {
  type: 'object',
  properties: {
    total: { type: 'number' },
    customer: { anyOf: [{ $ref: '#/$defs/person' }, { $ref: '#/$defs/company' }] },
    free: { type: 'object' },
    byName: { patternProperties: { '^x': {} }, properties: { one: {} } },
  },
  $defs: {
    person: { properties: { email: {} }, additionalProperties: false },
    company: {
      allOf: [{ $ref: '#' }, { $ref: '#/$defs/company' }],
      properties: { address: { properties: { city: {} } } },
    },
  },
};

test('fields that a schema has, or may have, are taken as they are', async () => {
  const when = 'event.data.total > 1 && event.data.customer.email != "" && event.data.customer.address.city != ""';
  const open = 'event.data.free.anything == 1 && event.data.byName.ones == 1 && event.data.quantity == 2';
  assert.deepEqual(await warningsOf(`when: ${when} && ${open}`, shape), []);
  assert.deepEqual(await warningsOf('transform: { pick: [total, customer.address, free.x] }', shape), []);
  assert.deepEqual(await warningsOf('when: event.data.totl > 1', {}), []);
});

test('a field that looks like a slip, or that a closed schema does not have, is told about', async () => {
  const expected = 'EF2035 expected a field that the schema of order.paid has, got';
  assert.deepEqual(await warningsOf('when: event.data.customer.adress.city == "Bonn"', shape), [
    `${expected} "adress" did you mean "address"?`,
  ]);
  assert.deepEqual(
    await warningsOf("transform: { set: { x: 'event.data.?quantity' } }", { ...shape, additionalProperties: false }),
    [`${expected} "quantity"`],
  );
});

test('a schema that is nested without end is an error of the event type', () =>
  withFiles({ 'order.json': {} }, async (reload, folder) => {
    writeFileSync(join(folder, 'order.json'), `{"enum":${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}}`);
    assert.match(faultOf(await reload()), /^EF2016 expected a JSON Schema \(2020-12\), got: /);
  }));
