/** What `transform` makes of an event, and what of CEL becomes what in JSON. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventEnvelope } from '../../engine/event.ts';
import { conditionOf, transformOf } from '../support/expressions.ts';

const data = {
  order_id: 7,
  total: 250,
  customer: { name: 'Ada', email: 'ada@mail.example', address: { city: 'Bonn' } },
  items: [
    { sku: 'a', price: 1 },
    { sku: 'b', price: 2 },
  ],
  nothing: null,
};
const event = {
  ...{ specversion: '1.0', id: 'e-1', source: 'shop', type: 'order.paid', time: '2026-01-31T12:00:00Z' },
  ...{ dataschema: 'https://shop.example/order.json', tenant: 'acme', data },
} as EventEnvelope;

const made = (fields: Parameters<typeof transformOf>[0], given = event): unknown =>
  transformOf(fields).apply(given).data;

test('pick keeps fields and the maps around them, and leaves out what is not there', () => {
  assert.deepEqual(
    made({ pick: ['order_id', 'customer.email', 'customer.address.zip', 'items.sku', 'nothing', 'toString'] }),
    {
      order_id: 7,
      customer: { email: 'ada@mail.example' },
      nothing: null,
    },
  );
  assert.deepEqual(made({ pick: ['customer.name', 'customer'] }), { customer: data.customer });
});

test('set adds to what is kept, at any depth, and sees the event as it was', () => {
  assert.deepEqual(
    made({
      pick: ['customer.name'],
      set: { 'customer.tier': '"gold"', total: 'event.data.total + 1', who: 'event.tenant' },
    }),
    {
      customer: { name: 'Ada', tier: 'gold' },
      total: 251,
      who: 'acme',
    },
  );
  assert.deepEqual(made({ set: { total: 'event.data.total / 100', copy: 'event.data.total' } }), {
    ...data,
    total: 2.5,
    copy: 250,
  });
});

test('the event itself stays as it was, and the new one does not name a schema that was not its own', () => {
  const before = structuredClone(event);
  const after = transformOf({ set: { 'customer.tier': '1', 'customer.address.city': '"Köln"' } }).apply(event);
  assert.deepEqual(event, before);
  assert.deepEqual([after.id, after['tenant'], after.dataschema], ['e-1', 'acme', undefined]);
});

const values: readonly (readonly [string | number | boolean, unknown])[] = [
  [2, 2],
  [false, false],
  ['"text"', 'text'],
  ['7 / 2', 3],
  ['event.data.total / 7 > 35.0', true],
  ['event.data.nothing', null],
  ['event.data.items.map(item, item.sku)', ['a', 'b']],
  ['event.data.items.filter(item, item.price > 1)', [{ sku: 'b', price: 2 }]],
  ['{"n": size(event.data.items), "list": [1, "x", null]}', { n: 2, list: [1, 'x', null] }],
  ['event.data.customer', data.customer],
  ['event.data.?coupon.orValue("none")', 'none'],
  ['event.data.?customer.?email', 'ada@mail.example'],
  ['timestamp(event.time)', '2026-01-31T12:00:00.000Z'],
  ['timestamp(event.time) - timestamp("2026-01-31T11:00:00Z")', '3600s'],
  ['string(event.data.total) + " EUR"', '250 EUR'],
  ['bytes("hi")', 'aGk='],
  ['5u', 5],
];

for (const [source, value] of values) {
  test(`${source} becomes ${JSON.stringify(value)}`, () => {
    assert.deepEqual(made({ pick: ['none'], set: { value: source } }), { value });
  });
}

test('an empty optional leaves its field out', () => {
  assert.deepEqual(
    made({ pick: ['order_id'], set: { coupon: 'event.data.?coupon', inner: '{"x": event.data.?coupon}' } }),
    {
      order_id: 7,
      inner: {},
    },
  );
});

const without: readonly (readonly [string, RegExp])[] = [
  ['event.data.coupon', /^set\.value: expected event\.data\.coupon, got nothing/],
  ['9007199254740993', /^set\.value: expected a whole number of at most 2\^53/],
  ['event.data.total / 0', /^set\.value: expected a number that JSON has, got infinity or NaN$/],
  ['type(event.data.total)', /^set\.value: expected a value that JSON has, got a type$/],
];

for (const [source, message] of without) {
  test(`${source} has no value in JSON`, () => {
    assert.throws(() => made({ set: { value: source } }), { message });
  });
}

test('data that is no map cannot be transformed, and no data counts as an empty one', () => {
  const fields = { set: { value: '1' } };
  for (const [given, got] of [
    [[1], 'a list'],
    ['text', 'string'],
    [null, 'null'],
  ] as const) {
    assert.throws(() => made(fields, { ...event, data: given }), { message: `expected data to be a map, got ${got}` });
  }
  const { data: _, ...bare } = event;
  assert.deepEqual(made(fields, bare), { value: 1 });
  assert.throws(() => made(fields, { ...bare, data_base64: 'aGk=' }), {
    message: 'expected data to be a map, got data_base64',
  });
  assert.throws(() => made({ set: { 'total.cents': '1' } }), { message: 'expected total to be a map, got number' });
});

test('why a condition came to its answer goes down to the values that decided', () => {
  const why = (source: string): readonly string[] => conditionOf(source).why(event);
  assert.deepEqual(why('event.data.total > 1000 && event.data.nope == 1'), [
    'event.data.total > 1000 && event.data.nope == 1: false',
    'event.data.total > 1000: false',
    'event.data.total: 250',
  ]);
  assert.deepEqual(why('!(event.type.startsWith("order."))'), [
    '!(event.type.startsWith("order.")): false',
    'event.type.startsWith("order."): true',
  ]);
  assert.deepEqual(why('event.data.items.exists(item, item.price > 5)'), [
    'event.data.items.exists(item, item.price > 5): false',
  ]);
  assert.match(why('event.data.nope == 1').at(-1) ?? '', /^event\.data\.nope: expected event\.data\.nope, got nothing/);
});
