import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { syntaxErrorAt } from '../../engine/core/json-syntax.ts';
import { findHazard, isArrayText, mayHideHazard, measure, splitArray } from '../../engine/core/json-text.ts';

const blank = fc.stringMatching(/^[ \n\r\t]{0,3}$/);

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Text that is nearly JSON: one character of a document is dropped, doubled or replaced. */
const nearlyJson = fc
  .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '\\', '{', '}', '[', ']', ',', ':', '0', '\n', 'é', '\u00a0'))
  .map(([text, at, by]) => {
    const place = text.length === 0 ? 0 : at % text.length;
    return text.slice(0, place) + by + text.slice(place + (at % 2));
  });

test('an array is cut into its items, each in its own bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.json(), blank, blank)), blank, (items, around) => {
      const text = `${around}[${items.map(([json, before, after]) => before + json + after).join(',')}]${around}`;
      const pieces = splitArray(text);
      assert.deepEqual(
        pieces?.map((piece) => piece.text),
        items.map(([json]) => json.trim()),
      );
    }),
  );
});

test('numbers, duplicate keys and escapes inside an item stay as they were sent', () => {
  const text = '[ {"a":1.0,"a":12345678901234567890} ,\n{"s":"],[\\"\\\\","t":"\\u00e9"}]';
  assert.deepEqual(
    splitArray(text)?.map((piece) => piece.text),
    ['{"a":1.0,"a":12345678901234567890}', '{"s":"],[\\"\\\\","t":"\\u00e9"}'],
  );
});

test('a text is a JSON array exactly when it can be cut and every piece parses', () => {
  fc.assert(
    fc.property(
      nearlyJson.map((text) => `[${text}]`),
      (text) => {
        const pieces = splitArray(text);
        const whole = pieces?.every((piece) => isJson(piece.text)) ?? false;
        assert.equal(whole, isJson(text), text);
      },
    ),
    { numRuns: 2000 },
  );
});

test('what is no array is not cut', () => {
  for (const text of ['', ' ', '{}', '[', '[}', '[1', '[1] 2', '["', '["\\', '1]', '[1,2}']) {
    assert.equal(splitArray(text), undefined, text);
  }
  assert.equal(isArrayText(' \n[1]'), true);
  assert.equal(isArrayText('{"a":[]}'), false);
});

test('depth and number of values are known without parsing', () => {
  assert.deepEqual(measure('{"a":[1,{"b":"[[[["}],"c":2}'), {
    text: '{"a":[1,{"b":"[[[["}],"c":2}',
    depth: 3,
    nodes: 6,
  });
  assert.equal(measure('['.repeat(5000)).depth, 5000);
});

test('the place where JSON ends being JSON is found exactly when JSON.parse throws', () => {
  fc.assert(
    fc.property(nearlyJson, (text) => {
      assert.equal(syntaxErrorAt(text) === undefined, isJson(text), text);
    }),
    { numRuns: 3000 },
  );
});

test('the place of a syntax error is the first character that cannot be there', () => {
  const places: readonly (readonly [string, number])[] = [
    ['', 0],
    ['{', 1],
    ['{"a":}', 5],
    ['{"a":1,}', 7],
    ['[1,]', 3],
    ['[1 2]', 3],
    ['{"a" 1}', 5],
    ['{a:1}', 1],
    ['"a\nb"', 2],
    ['"a\\x"', 2],
    ['"a', 2],
    ['nul', 0],
    ['01', 1],
    ['1 1', 2],
    ['{"a":[}', 6],
    ['\ufeff{}', 0],
  ];
  for (const [text, at] of places) assert.equal(syntaxErrorAt(text), at, text);
});

test('keys that attack careless readers are found at any place, however they are written', () => {
  const forbidden = [
    ['{"data":{"__proto__":{}}}', '#/data/__proto__'],
    ['{"data":[1,{"__pro\\u0074o__":1}]}', '#/data/1/__proto__'],
    ['{"constructor":{"prototype":{"x":1}}}', '#/constructor'],
  ] as const;
  for (const [text, pointer] of forbidden) {
    assert.equal(mayHideHazard(text), true);
    assert.deepEqual(findHazard(JSON.parse(text)), { kind: 'forbidden_key', pointer });
  }
  assert.equal(findHazard(JSON.parse('{"constructor":"a person","prototype":{}}')), undefined);
});

test('half a surrogate pair is found in values and in keys', () => {
  assert.deepEqual(findHazard(JSON.parse('{"a":"\\ud800"}')), { kind: 'lone_surrogate', pointer: '#/a' });
  assert.equal(findHazard(JSON.parse('{"a~/\\udc00":1}'))?.kind, 'lone_surrogate');
  assert.equal(findHazard(JSON.parse('{"a":"\\ud83d\\ude00"}')), undefined);
});
