/** What expressions answer, what they refuse at load, and that no event makes them take long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileCondition, compileKey } from '../../engine/config/expressions.ts';
import type { EventEnvelope } from '../../engine/event.ts';

const event = {
  specversion: '1.0',
  id: 'e-1',
  source: 'shop',
  type: 'order.paid',
  time: '2026-01-31T12:00:00Z',
  tenant: 'acme',
  data: {
    total: 120,
    country: 'DE',
    nothing: null,
    name: 'order-17',
    constructor: 'Ferrari',
    items: [
      { price: 1, sku: 'a' },
      { price: 2.5, sku: 'b' },
    ],
    many: Array.from({ length: 10_000 }, (_, at) => at),
    same: Array.from({ length: 10_000 }, (_, at) => at),
  },
} as unknown as EventEnvelope;

function condition(source: string): (event: EventEnvelope) => boolean {
  const compiled = compileCondition(source);
  assert.ok(compiled.ok, `${source}: ${compiled.ok ? '' : compiled.fault.message}`);
  return compiled.test;
}

const answers: readonly (readonly [string, boolean])[] = [
  ['event.data.total >= 100 && event.data.country in ["DE", "FR"]', true],
  ['event.data.total / 100 > 1.1', true],
  ['event.data.total * 2 == 240', true],
  ['event.data.total % 7 == 1', true],
  ['100 - event.data.total < 0', true],
  ['event.data.total in [120, 5]', true],
  ['event.type.startsWith("order.") && event.source != "till"', true],
  ['event.tenant == "acme"', true],
  ['has(event.data.coupon)', false],
  ['event.data.?coupon.?code.orValue("") == "X"', false],
  ['event.data.nothing == null', true],
  ['event.data.items.exists(item, item.price > 2)', true],
  ['event.data.items.all(item, item.price > 2)', false],
  ['timestamp(event.time) > timestamp("2026-01-01T00:00:00Z")', true],
  ['event.data.name.matches("^order-\\\\d+$")', true],
  ['event.data.absent > 1 || event.data.total > 1', true],
  ['event.data.constructor == "Ferrari"', true],
];

for (const [source, answer] of answers) {
  test(`${source} is ${answer}`, () => assert.equal(condition(source)(event), answer));
}

const silent: readonly (readonly [string, RegExp])[] = [
  ['event.data.absent > 1', /^expected event\.data\.absent, got nothing; has\(…\) asks/],
  ['event.data.items[7].price > 1', /^expected event\.data\.items\[7\], got nothing/],
  ['(event.data.total + 1) > 3 && ((event.data.name) > 3)', /in \(event\.data\.name\) > 3, got string > int$/],
  ['event.data.name', /^expected true or false from event\.data\.name, got a string$/],
  ['event.data.name && true', /^expected true or false from event\.data\.name, got 'string'$/],
  ['1 / 0 == 1', /^division by zero in 1 \/ 0$/],
  ['bool(event.data.name)', /^bool conversion error in bool\(event\.data\.name\)$/],
];

for (const [source, message] of silent) {
  test(`${source} has no answer, and says why without a value of the event`, () => {
    assert.throws(() => condition(source)(event), { name: 'Error', message });
    assert.throws(
      () => condition(source)(event),
      (error: Error) => !error.message.includes('order-17'),
    );
  });
}

const endless: readonly string[] = [
  'event.data.many.exists(i, event.data.many.exists(j, i == j + 100000))',
  'event.data.many.all(i, i in event.data.same)',
  'event.data.many.exists(i, event.data.many.exists(j, event.absent == 1))',
  'event.data.many.all(i, event.data.many == event.data.same)',
  'event.data.many.map(i, event.data.many).exists(list, list.exists(i, i < 0))',
];

for (const source of endless) {
  test(`${source} ends at its budget`, () => {
    assert.throws(() => condition(source)(event), /^Error: expected at most 50000 steps for one event, got more$/);
  });
}

const letters = (count: number): string => 'a'.repeat(count);
const tags = (count: number, tag = 'aaaaaab'): string[] => Array.from({ length: count }, () => tag);

/** Each is within 256 KiB, and without a price for texts takes from half a second to minutes. */
const longTexts: readonly (readonly [string, Record<string, unknown>])[] = [
  ['event.data.tags.exists(t, event.data.body.contains(t))', { tags: tags(2_000), body: letters(130_000) }],
  [
    'event.data.tags.exists(t, event.data.body.contains(t))',
    { tags: tags(90, `${letters(500)}b${letters(500)}`), body: letters(130_000) },
  ],
  ['event.data.tags.exists(t, event.data.body.matches("b.*c"))', { tags: tags(100), body: letters(62_000) }],
  ['event.data.body.matches("(a?){80}b.*c")', { body: letters(200_000) }],
  ['event.data.tags.all(t, size(event.data.body) > 0)', { tags: tags(500), body: letters(102_000) }],
  ['event.data.tags.all(t, event.data.body.upperAscii() != t)', { tags: tags(500), body: letters(102_000) }],
  ['event.data.tags.all(t, event.data.body.split("") != [t])', { tags: tags(500), body: letters(102_000) }],
  ['event.data.tags.map(t, event.data.body).join("") == "x"', { tags: tags(4_000), body: letters(100_000) }],
  [
    'event.data.tags.all(t, event.data.body == event.data.copy)',
    { tags: tags(9_000), body: letters(80_000), copy: letters(80_000) },
  ],
  [
    'event.data.tags.all(t, event.data.body <= event.data.copy)',
    { tags: tags(9_000), body: letters(80_000), copy: letters(80_000) },
  ],
  ['event.data.tags.all(t, event.data.body + t != event.data.body)', { tags: tags(9_000), body: letters(100_000) }],
  ['event.data.tags.all(t, bytes(event.data.body).hex() != t)', { tags: tags(500), body: letters(200_000) }],
  ['event.data.body.lastIndexOf(event.data.part) == 3', { body: letters(100_000), part: `${letters(20_000)}b` }],
  ['duration(event.data.body) > duration("1s")', { body: '1'.repeat(400) }],
  ['event.data.tags.all(t, timestamp(event.time).getHours("Europe/Berlin") >= 0)', { tags: tags(1_000) }],
];

for (const [source, data] of longTexts) {
  const size = JSON.stringify(data).length;
  test(`${source} ends at its budget over ${size} bytes`, () => {
    assert.ok(size <= 256 * 1024);
    const long = { ...event, data } as EventEnvelope;
    assert.throws(() => condition(source)(long), /^Error: expected at most 50000 steps for one event, got more$/);
  });
}

const body = `${letters(200_000)} END`;
const oneLook: readonly string[] = [
  'event.data.body.contains("END")',
  'event.data.body.matches("END|STOP")',
  'event.data.body.matches("[[:upper:]]{3}$")',
  'size(event.data.body) == 200004',
  'event.data.body.split(" ").size() == 2',
  'event.data.body.lowerAscii().endsWith("end")',
  'event.data.body.lastIndexOf("END") == 200001',
  'event.data.tags.all(t, !event.data.body.startsWith(t) && event.data.body != "")',
];

for (const source of oneLook) {
  test(`${source} has an answer for a text of 200,000 characters`, () => {
    assert.equal(condition(source)({ ...event, data: { body, tags: tags(100) } } as EventEnvelope), true);
  });
}

test('a loop over everything that an event can hold is within the budget', () => {
  assert.equal(condition('event.data.many.all(i, i >= 0 && i < 10000)')(event), true);
});

test('a pattern that would take a backtracking reader for ever takes no longer than another', () => {
  const text = { ...event, data: { text: `${'a'.repeat(60_000)}!` } };
  assert.equal(condition('event.data.text.matches("^(a+)+$")')(text), false);
  assert.equal(condition('event.data.text.matches("^(a|a)*!$")')(text), true);
});

test('a named class of a pattern fits, and one that nobody knows is refused', () => {
  assert.equal(condition('event.data.country.matches("^[[:alpha:]]+$")')(event), true);
  const compiled = compileCondition('event.data.country.matches("[[:letter:]]")');
  assert.ok(!compiled.ok);
  assert.match(compiled.fault.message, /^expected alnum, alpha, .* got letter, at its character 2$/);
});

test('a key is a text, and numbers and booleans become one', () => {
  const key = (source: string): string => {
    const compiled = compileKey(source);
    assert.ok(compiled.ok);
    return compiled.key(event);
  };
  assert.equal(key('event.data.country'), 'DE');
  assert.equal(key('event.data.total'), '120');
  assert.equal(key('event.tenant + "/" + string(event.data.total > 1)'), 'acme/true');
  assert.throws(() => key('event.data.items'), /^Error: expected a text from event\.data\.items, got a list$/);
  assert.throws(() => key('event.data.nothing'), /got null$/);
  assert.equal(compileKey('[event.id]').ok, false);
});
