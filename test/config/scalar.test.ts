/** Places inside of scalars: every character of a value is found where the file has it, whatever the style. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDocument, Scalar, stringify } from 'yaml';
import { placeWithin } from '../../engine/config/scalar.ts';
import { dice } from '../../engine/pipeline-test/dice.ts';

const pieces = [
  ...[
    'event.data.total',
    '>= 100',
    '&&',
    '||',
    "'it'",
    '"DE"',
    "''",
    '\\n',
    '\\u00e9',
    'é',
    '😀',
    '#x',
    ': y',
    '(',
    ')',
  ],
  ...['[1, 2]', '{a: 1}', '  ', '\n', '\n\n', '\n  ', 'in', '%', '`', '// why\n'],
] as const;

const styles = ['PLAIN', 'QUOTE_SINGLE', 'QUOTE_DOUBLE', 'BLOCK_FOLDED', 'BLOCK_LITERAL'] as const;

function fileWith(value: string, style: (typeof styles)[number], lineWidth: number): string {
  const scalar = new Scalar(value);
  scalar.type = style;
  return stringify({ before: 1, routes: [{ id: 'a', when: scalar, after: [] }] }, { lineWidth });
}

function scalarIn(text: string): { value: string; start: number; end: number } {
  const node = parseDocument(text).getIn(['routes', 0, 'when'], true) as Scalar<string>;
  const [start, end] = node.range ?? [0, 0];
  return { value: node.value, start, end };
}

test('each character of a value has its place in the text', () => {
  const seed = Number(process.env['EVENTFLOW_TEST_SEED'] ?? Date.now() % 1_000_000);
  console.log(`# EVENTFLOW_TEST_SEED=${seed}`);
  const random = dice(seed);
  let checked = 0;
  for (let round = 0; round < 800; round++) {
    const length = 1 + Math.floor(random() * 12);
    const written = Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)] ?? '').join(' ');
    const text = fileWith(written, styles[round % styles.length] ?? 'PLAIN', round % 3 === 0 ? 20 : 80);
    const { value, ...place } = scalarIn(text);
    for (let at = 0; at < value.length; at++) {
      const character = value[at] ?? '';
      if (/\s/.test(character)) continue;
      const found = placeWithin(text, place, value, { start: at, end: at + 1 });
      assert.ok(found !== undefined, `${JSON.stringify(text)} at ${at}`);
      const shown = text.slice(found.start, found.end);
      const same = shown === character || shown === "''" || (shown.startsWith('\\') && text[place.start] === '"');
      assert.ok(
        same,
        `${JSON.stringify(text)} at ${at}: expected ${JSON.stringify(character)}, got ${JSON.stringify(shown)}`,
      );
      checked += 1;
    }
  }
  assert.ok(checked > 5_000, `${checked} characters`);
});

test('a value that was not made from the text alone has no place in it', () => {
  const text = 'when: ${WORD} > 1\n';
  assert.equal(placeWithin(text, { start: 6, end: 17 }, 'swordfish > 1', { start: 0, end: 9 }), undefined);
});

test('what follows the last character is just behind it', () => {
  const text = fileWith('event.data.total >', 'BLOCK_FOLDED', 12);
  const { value, ...place } = scalarIn(text);
  const found = placeWithin(text, place, value, { start: value.length, end: value.length + 1 });
  assert.equal(found?.start, text.lastIndexOf('>') + 1);
});
