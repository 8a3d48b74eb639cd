/** `eventflow schema --types`: what the catalogue refuses does not compile, and what it accepts does. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { eventTypesInTypeScript } from '../../engine/config/event-types-in-typescript.ts';
import { createValidator } from '../../engine/config/validator.ts';
import { root } from '../repo/sources.ts';
import { temporaryFolder } from '../support/children.ts';

const run = promisify(execFile);
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

before(async () => {
  folder = await temporaryFolder('eventflow-types-');
  await mkdir(join(folder.path, 'node_modules/@types'), { recursive: true });
  await symlink(join(root, 'engine'), join(folder.path, 'node_modules/eventflow'));
  await symlink(join(root, 'node_modules/@types/node'), join(folder.path, 'node_modules/@types/node'));
});
after(() => folder.remove());

const order = {
  title: 'Paid order',
  type: 'object',
  required: ['id', 'total', 'kind', 'lines'],
  additionalProperties: false,
  properties: {
    id: { description: 'The number */ of the order.', type: 'string' },
    total: { type: 'number', minimum: 0 },
    kind: { enum: ["it's", 'new "one"', 3, null] },
    lines: { type: 'array', items: { $ref: '#/$defs/line' } },
    'ship-to': { type: ['string', 'null'] },
    parent: { $ref: '#' },
    size: { oneOf: [{ type: 'integer' }, { const: 'all' }] },
    place: { type: 'array', prefixItems: [{ type: 'number' }, { type: 'string' }], items: false },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    both: { allOf: [{ type: 'object', required: ['a'], properties: { a: { type: 'string' } } }, { required: ['b'] }] },
  },
  $defs: {
    line: {
      type: 'object',
      required: ['sku'],
      properties: { sku: { type: 'string' }, next: { $ref: '#/$defs/line' } },
    },
  },
};

const types = eventTypesInTypeScript(
  new Map<string, typeof order | Record<string, unknown> | undefined>([
    ['order.paid', order],
    ['order-paid', { type: 'string' }],
    ['3d.printed', undefined],
    ['anything', {}],
    ['nothing', { type: 'object', additionalProperties: false }],
  ]),
);

const base = { id: 'a', total: 1, kind: 3, lines: [] };
const accepted: readonly object[] = [
  base,
  { ...base, kind: "it's", lines: [{ sku: 'a', next: { sku: 'b', colour: 'red' } }] },
  { ...base, kind: null, 'ship-to': null, parent: base, size: 'all', place: [1], labels: { a: 'b' } },
  { ...base, kind: 'new "one"', size: 4, place: [1, 'x'], both: { a: 'x', b: 1 } },
];
const refused: readonly object[] = [
  { id: 'a', total: 1, kind: 3 },
  { ...base, total: '1' },
  { ...base, kind: 'old' },
  { ...base, lines: [{ name: 'a' }] },
  { ...base, lines: [{ sku: 'a', next: {} }] },
  { ...base, 'ship-to': 3 },
  { ...base, parent: {} },
  { ...base, size: 'some' },
  { ...base, place: ['x'] },
  { ...base, place: [1, 'x', 2] },
  { ...base, labels: { a: 1 } },
  { ...base, both: { a: 'x' } },
  { ...base, totl: 1 },
];

/** What tsc says about a program beside the types; nothing when it compiles. */
async function compile(program: string): Promise<string> {
  await writeFile(join(folder.path, 'event-types.ts'), types);
  await writeFile(join(folder.path, 'program.ts'), program);
  await writeFile(join(folder.path, 'package.json'), '{ "type": "module" }');
  const compilerOptions = {
    ...{ strict: true, noEmit: true, module: 'nodenext', target: 'es2024', skipLibCheck: true, types: ['node'] },
    ...{ customConditions: ['eventflow-source'], allowImportingTsExtensions: true, lib: ['es2024'] },
  };
  await writeFile(join(folder.path, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }));
  try {
    await run(join(root, 'node_modules/.bin/tsc'), ['-p', folder.path]);
    return '';
  } catch (error) {
    const { stdout } = error as { stdout: string };
    return (
      stdout
        .split('\n')
        // Of the engine's own sources, which are compiled too, other checks speak.
        .filter((line) => line !== '' && !/^(?:\s|.*\bengine\/)/.test(line))
        .join('\n')
    );
  }
}

test('a type takes what its schema takes, and refuses what it refuses', async () => {
  const validate = createValidator(order);
  for (const value of accepted) assert.deepEqual(validate(value).errors, [], JSON.stringify(value));
  for (const value of refused) assert.notDeepEqual(validate(value).errors, [], JSON.stringify(value));
  const lines = [
    "import type { EventTypes } from './event-types.ts';",
    "type Data = EventTypes['order.paid'];",
    ...accepted.map((value, at) => `export const good${at}: Data = ${JSON.stringify(value)};`),
    // One line each: an error is expected anywhere in it, and none is an error too.
    ...refused.map((value, at) => `// @ts-expect-error\nexport const bad${at}: Data = ${JSON.stringify(value)};`),
  ];
  assert.equal(await compile(lines.join('\n')), '');
});

test('a publisher with these types takes events of declared types alone, with their data', async () => {
  const publish = (event: object): string => `await publisher.publish(${JSON.stringify(event)});`;
  const program = [
    "import { createPublisher } from 'eventflow';",
    "import type { EventTypes } from './event-types.ts';",
    "const publisher = createPublisher<EventTypes>({ url: 'http://127.0.0.1:8787' });",
    publish({ type: 'order.paid', id: '1', subject: 'x', tenant: 'a', data: base }),
    publish({ type: 'order-paid', data: 'a text' }),
    publish({ type: '3d.printed' }),
    publish({ type: 'anything', data: [1] }),
    `await publisher.publish([{ type: 'nothing', data: {} }, { type: '3d.printed' }]);`,
    ...[
      ...[{ type: 'order.piad', data: base }, { type: 'order.paid', data: 'a text' }, { type: 'order.paid' }],
      { type: 'nothing', data: { some: 1 } },
    ].map((event) => `// @ts-expect-error\n${publish(event)}`),
    "await createPublisher({ url: 'http://127.0.0.1:8787' }).publish({ type: 'any', data: 1 });",
  ];
  assert.equal(await compile(program.join('\n')), '');
});

test('descriptions are kept, and cannot end their comment', () => {
  assert.match(types, /^\/\*\* Paid order \*\/\nexport type OrderPaid2? = \{$/m);
  assert.match(types, /^ {2}\/\*\* The number \* \/ of the order\. \*\/\n {2}id: string;$/m);
});
