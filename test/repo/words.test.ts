/** One thing, one word: the words of engine/README.md have no synonyms in code and documents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { files, textOf } from './sources.ts';

/** What is not said, and what is said in its place. Whole words; only where it cannot be anything else. */
const instead: readonly (readonly [RegExp, string])[] = [
  [/\bdead[- ]?letter queues?\b/gi, 'dead letters (or DLQ)'],
  [/\bdead[- ]?letter topics?\b/gi, 'dead letters'],
  [/\bpoison (?:message|pill)s?\b/gi, 'suspect, or undecodable event'],
  [/\bevent ?handlers?\b/gi, 'handler'],
  [/\bconsumer-groups?\b/gi, 'consumer group'],
  [/\bcircuit-breakers?\b(?!["'`,\]])/gi, 'circuit breaker'],
  [/\bmessage (?:bus|broker|queue)\b/gi, 'bus'],
  [/\bhot-?swap(?:s|ping|ped)?\b/gi, 'reload'],
];

const readable = files.filter(
  (file) => /\.(ts|lua|md|yaml)$/.test(file) && file !== 'test/repo/words.test.ts' && !file.endsWith('.generated.ts'),
);

test('one thing has one word', () => {
  const wrong = readable.flatMap((file) =>
    textOf(file)
      .split('\n')
      .flatMap((line, at) =>
        instead.flatMap(([word, better]) =>
          [...line.matchAll(word)].map(([found]) => `${file}:${at + 1} says "${found}": say ${better}`),
        ),
      ),
  );
  assert.deepEqual(wrong, []);
});
