/** The error catalogue and the code agree: stable codes are a promise to whoever searches for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogue, retiredCodes } from '../../engine/errors.ts';
import { textOf, typescript } from './sources.ts';

const codes = Object.keys(catalogue);
const code = /\bEF\d{4}\b/g;

const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');

/** Code → a place outside the catalogue where it is used. */
const uses = new Map(
  typescript('engine', 'plugins')
    .filter((file) => file !== 'engine/errors.ts')
    .flatMap((file) =>
      [...withoutComments(textOf(file)).matchAll(/'(EF\d{4})'/g)].map(([, found = '']) => [found, file] as const),
    ),
);

test('every code that is used stands in the catalogue', () => {
  const unknown = [...uses].filter(([used]) => !codes.includes(used));
  assert.deepEqual(unknown, []);
});

test('every code of the catalogue is used', () => {
  assert.deepEqual(
    codes.filter((one) => !uses.has(one)),
    [],
  );
});

test('every code says what is wrong and what to do', () => {
  const empty = Object.entries(catalogue).filter(([, { title, help }]) => title.length < 5 || help.length < 20);
  assert.deepEqual(
    empty.map(([one]) => one),
    [],
  );
  const shouting = Object.entries(catalogue).filter(
    ([, { title }]) => /[.!]$/.test(title) || /^[A-Z][a-z]/.test(title),
  );
  assert.deepEqual(
    shouting.map(([one]) => one),
    [],
    'titles start small and have no full stop',
  );
});

test('no two codes have one title', () => {
  const titles = Object.values(catalogue).map(({ title }) => title);
  assert.deepEqual(
    titles.filter((title, at) => titles.indexOf(title) !== at),
    [],
  );
});

test('codes are in order and of a known family', () => {
  assert.deepEqual(
    codes.filter((one) => !/^EF[1-6]\d{3}$/.test(one)),
    [],
  );
});

test('retired codes are not used again', () => {
  assert.deepEqual(
    Object.keys(retiredCodes).filter((one) => codes.includes(one) || uses.has(one)),
    [],
  );
});

test('comments and documents name only codes that exist', () => {
  const texts = [...typescript('engine', 'plugins'), 'README.md', 'engine/README.md'];
  const wrong = texts.flatMap((file) =>
    [...textOf(file).matchAll(code)].filter(([found]) => !codes.includes(found)).map(([found]) => `${file}: ${found}`),
  );
  assert.deepEqual(wrong, []);
});
