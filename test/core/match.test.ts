import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compilePattern, matchAny, readsStream, streamOf } from '../../engine/core/match.ts';

const takes: Readonly<Record<string, { readonly yes: readonly string[]; readonly no: readonly string[] }>> = {
  'order.paid': { yes: ['order.paid'], no: ['order', 'order.paid.late', 'xorder.paid', 'order-paid', 'order.paid.'] },
  'order.*': { yes: ['order.paid', 'order.x-1', 'order.'], no: ['order', 'order.a.b', 'orders.paid', 'x.order.paid'] },
  '*.paid': { yes: ['order.paid', 'x.paid'], no: ['paid', 'a.b.paid', 'order.paid.x'] },
  'a.*.z': { yes: ['a.b.z'], no: ['a.z', 'a.b.c.z', 'a.b.zz'] },
  '*': { yes: ['order', 'a-b_c'], no: ['order.paid'] },
  'order.**': { yes: ['order', 'order.paid', 'order.a.b.c'], no: ['orders', 'orders.paid', 'x.order', 'x.order.paid'] },
  '**.paid': { yes: ['paid', 'order.paid', 'a.b.paid'], no: ['unpaid', 'order.unpaid', 'paid.late', 'order.paid.x'] },
  'a.**.z': { yes: ['a.z', 'a.b.z', 'a.b.c.z'], no: ['a', 'z', 'az', 'a.zz', 'aa.z', 'a.b.z.c', 'x.a.z'] },
  '**': { yes: ['order', 'order.paid', 'a.b.c.d', 'a..b'], no: [] },
  '**.**': { yes: ['order', 'order.paid'], no: [] },
  '**.*': { yes: ['order', 'a.b.c'], no: [] },
  '*.**': { yes: ['order', 'a.b.c'], no: [] },
  '**.b.**': { yes: ['b', 'a.b', 'b.c', 'a.a.b.c.c'], no: ['a', 'a.bb', 'ab.c', 'a.c'] },
  'a.**.**.z': { yes: ['a.z', 'a.b.c.z'], no: ['a', 'az'] },
  'order.p*': { yes: ['order.paid', 'order.p'], no: ['order.unpaid', 'order.p.x'] },
  'order.*-eu': { yes: ['order.paid-eu', 'order.-eu'], no: ['order.paid', 'order.a.b-eu'] },
  'x.a*b*c.y': { yes: ['x.abc.y', 'x.a1b2c.y', 'x.abbc.y'], no: ['x.ac.y', 'x.acb.y', 'x.abcd.y', 'x.a.bc.y'] },
  'x.ab*ba': { yes: ['x.abba', 'x.ab-ba'], no: ['x.aba', 'x.ab'] },
  'a+b.(c)': { yes: ['a+b.(c)'], no: ['aab.c', 'a+b.c'] },
};

describe('a pattern', () => {
  for (const [pattern, { yes, no }] of Object.entries(takes)) {
    test(`${pattern} takes ${yes.join(', ')}`, () => {
      for (const type of yes) assert.ok(compilePattern(pattern)(type), type);
    });
    if (no.length === 0) continue;
    test(`${pattern} does not take ${no.join(', ')}`, () => {
      for (const type of no) assert.ok(!compilePattern(pattern)(type), type);
    });
  }

  test('with many wildcards answers at once, also where it does not match', () => {
    const matches = compilePattern('**.a.**.a.**.a.**.a.**.a.**.a.**.b');
    const from = performance.now();
    assert.ok(!matches('a.'.repeat(60).slice(0, -1)));
    assert.ok(performance.now() - from < 200, `took ${performance.now() - from} ms`);
  });
});

test('one of several patterns is enough, asked the first time or again', () => {
  const matches = matchAny(['order.*', '**.paid']);
  for (const _ of [1, 2]) {
    assert.deepEqual(['order.new', 'a.b.paid', 'user.new'].map(matches), [true, true, false]);
  }
  assert.ok(!matchAny([])('order.new'));
});

test('more types than are remembered are still answered', () => {
  const matches = matchAny(['t.*5']);
  for (let n = 0; n < 12_000; n += 1) assert.equal(matches(`t.${n}`), n % 10 === 5);
});

const rules = [
  { name: 'orders', types: ['order.*'] },
  { name: 'money', types: ['**.paid', 'refund'] },
];

test('a type rests in the first declared stream that takes it, else in a stream of its own', () => {
  assert.deepEqual(['order.new', 'order.paid', 'a.b.paid', 'refund', 'user.new', 'order.a.b'].map(streamOf(rules)), [
    'orders',
    'orders',
    'money',
    'money',
    'user.new',
    'order.a.b',
  ]);
});

describe('a route', () => {
  const reads = (patterns: readonly string[], stream: string): boolean => readsStream(patterns, rules, stream);

  test('reads the streams whose type it wants', () => {
    assert.ok(reads(['user.*'], 'user.new'));
    assert.ok(!reads(['user.*'], 'client.new'));
  });

  test('reads a declared stream when one of its types may be wanted', () => {
    assert.ok(reads(['order.paid'], 'orders'));
    assert.ok(reads(['**'], 'orders'));
    assert.ok(reads(['**.new'], 'orders'));
    assert.ok(reads(['refund'], 'money'));
    assert.ok(reads(['shop.**'], 'money'));
    assert.ok(reads(['shop.*.paid'], 'money'));
  });

  test('does not read a declared stream that holds nothing for it', () => {
    assert.ok(!reads(['order.a.b'], 'orders'));
    assert.ok(!reads(['user.*'], 'orders'));
    assert.ok(!reads(['orders'], 'orders'));
    assert.ok(!reads(['refund.*.late'], 'money'));
    assert.ok(!reads(['user.new'], 'money'));
  });

  test('with wildcards reads a declared stream with wildcards unless the two cannot meet', () => {
    const pairs = { 'a.*': 'a.**', '**.z': 'a.*', 'a.*.c': '*.b.*', 'a.x*': 'a.xy*', 'a.*x': '*.yx' };
    for (const [pattern, type] of Object.entries(pairs)) {
      assert.ok(readsStream([pattern], [{ name: 's', types: [type] }], 's'), `${pattern} and ${type}`);
      assert.ok(readsStream([type], [{ name: 's', types: [pattern] }], 's'), `${type} and ${pattern}`);
    }
    const strangers = {
      'a.*': 'b.**',
      '**.z': '**.y',
      'a.b.*': 'a.*',
      'a.x*': 'a.y*',
      'a.*x': '*.*y',
      'a.**.b': 'b.**',
    };
    for (const [pattern, type] of Object.entries(strangers)) {
      assert.ok(!readsStream([pattern], [{ name: 's', types: [type] }], 's'), `${pattern} and ${type}`);
      assert.ok(!readsStream([type], [{ name: 's', types: [pattern] }], 's'), `${type} and ${pattern}`);
    }
  });

  test('that wants a type of a declared stream reads what still rests under the type', () => {
    assert.ok(reads(['order.paid'], 'order.paid'));
  });
});
