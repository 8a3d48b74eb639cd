/** The words of tests, one by one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { readTestSchema } from '../../engine/config/compose.ts';
import { createValidator } from '../../engine/config/validator.ts';
import { deadReasons } from '../../engine/core/delivery.ts';
import type { Route } from '../../engine/core/route.ts';
import { type Answer, script } from '../../engine/pipeline-test/answers.ts';
import { compare } from '../../engine/pipeline-test/compare.ts';
import { planEvents } from '../../engine/pipeline-test/events.ts';
import { letterFailures } from '../../engine/pipeline-test/letters.ts';
import { compileOptions } from '../../engine/pipeline-test/render.ts';
import { type Letter, Timeline } from '../../engine/pipeline-test/timeline.ts';
import { formatTime, isWithin, parseSpan, parseTime } from '../../engine/pipeline-test/words.ts';
import { hintOf } from '../../engine/plugin.ts';
import { createTemplates } from '../../engine/plugins/templates.ts';
import { failedOutcome } from '../../engine/worker/fault.ts';

test('a time that is written is the time that is read', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 400 * 86_400_000 }), (ms) => {
      assert.equal(parseTime(formatTime(ms)), ms);
    }),
  );
  assert.deepEqual([0, 999, 1_500, 90_000, 93_784_005].map(formatTime), [
    '0s',
    '999ms',
    '1500ms',
    '1m30s',
    '1d2h3m4s5ms',
  ]);
  assert.deepEqual(parseSpan('1m30s'), { from: 90_000, to: 90_000 });
  assert.deepEqual(parseSpan('1s..2s'), { from: 1_000, to: 2_000 });
  assert.ok(isWithin(2_000, parseSpan('1s..2s')) && !isWithin(2_001, parseSpan('1s..2s')));
});

const outcomeOf = ({ ending, after }: Answer): unknown => {
  const tail = after === 0 ? '' : ` after ${after}`;
  if (ending.kind === 'skipped') return `skipped ${ending.reason}${tail}`;
  if (ending.kind !== 'throws') return `${ending.kind}${tail}`;
  const { fault, permanent, retryAfter } = failedOutcome(ending.error);
  const words = [
    fault.kind,
    fault.code,
    fault.message,
    permanent ? 'permanent' : '',
    fault.unavailable ? 'unavailable' : '',
  ];
  return [...words, retryAfter === undefined ? '' : `in ${retryAfter}`].filter(Boolean).join(' | ') + tail;
};

const texts: readonly (readonly [answer: string | number, outcome: string])[] = [
  [200, 'delivered'],
  ['ok', 'delivered'],
  ['204 after 2s', 'delivered after 2000'],
  [503, 'status | http_503 | expected a 2xx, got 503'],
  ['429 retryAfter 30s', 'status | http_429 | expected a 2xx, got 429 | in 30000'],
  ['503 retryAfter 1m30s after 250ms', 'status | http_503 | expected a 2xx, got 503 | in 90000 after 250'],
  ['timeout', 'hangs'],
  ['connection', 'connection | ECONNREFUSED | the connection was refused'],
  ['dns after 1s', 'dns | ENOTFOUND | the name cannot be resolved after 1000'],
  ['error', 'error | error | the handler failed'],
  ['error the lamp is dark', 'error | error | the lamp is dark'],
  ['permanent no such customer', 'error | error | no such customer | permanent'],
  ['unavailable over the limit retryAfter 5s', 'error | error | over the limit | unavailable | in 5000'],
  ['skip nothing to do', 'skipped nothing to do'],
];

const schema = readTestSchema() as { readonly $defs: Record<string, object> };
const answerText = createValidator({ $defs: schema.$defs, $ref: '#/$defs/answerText' });

test('an answer means what its words say', () => {
  for (const [written, outcome] of texts) {
    assert.deepEqual(outcomeOf(script(written)('e1')), outcome, String(written));
    if (typeof written === 'string') assert.deepEqual(answerText(written).errors, [], written);
  }
});

test('words that mean nothing are no answer', () => {
  for (const text of [
    '600',
    'okay',
    '503 afer 2s',
    '200 after',
    'timeout x 0',
    'connection refused',
    'retryAfter 3s',
    '503 after 2s retryAfter 3s',
  ]) {
    assert.notDeepEqual(answerText(text).errors, [], text);
  }
});

test('answers are given one for each attempt, one for all, or to some events', () => {
  const statuses = (answers: Parameters<typeof script>[0], events: string): unknown[] => {
    const next = script(answers);
    return events.split('').map((event) => {
      const { ending } = next(event);
      return ending.kind === 'throws' ? hintOf(ending.error).status : ending.kind;
    });
  };
  assert.deepEqual(statuses(undefined, 'aa'), ['delivered', 'delivered']);
  assert.deepEqual(statuses(503, 'aaa'), [503, 503, 503]);
  assert.deepEqual(statuses([503, 500], 'aaa'), [503, 500, 'delivered']);
  assert.deepEqual(statuses('503 x 2', 'aaa'), [503, 503, 'delivered']);
  assert.deepEqual(statuses(['503 x 2', { status: 404, times: 2 }], 'aaaaa'), [503, 503, 404, 404, 'delivered']);
  const some = { events: { a: [503], b: 404 }, others: [500] } as const;
  assert.deepEqual(statuses(some as never, 'abcbac'), [503, 404, 500, 404, 'delivered', 'delivered']);
});

test('fields say more than words', () => {
  const fields = { status: 410, code: 'gone', message: 'it left', body: '{}', permanent: true, after: '1s' };
  assert.deepEqual(outcomeOf(script(fields)('e1')), 'status | gone | it left | permanent after 1000');
});

test('what a template marks is rendered and escaped, and nothing else', () => {
  const options = {
    to: '{{ event.data.name }}',
    html: '<b>{{ event.data.name }}</b>',
    url: 'https://x.example/{{ event.data.name }}',
    plain: '{{ event.data.name }}',
    headers: { a: '{{ event.type }}', b: 1 },
    list: ['{{ event.type }}', { deep: '{{ delivery.attempt }}' }],
    either: '{{ event.type }}',
  };
  const text = { type: 'string', 'x-template': true };
  const render = compileOptions(
    options,
    {
      type: 'object',
      properties: {
        to: text,
        html: { ...text, 'x-escape': 'html' },
        url: { ...text, 'x-escape': 'url' },
        plain: { type: 'string' },
        headers: { type: 'object', additionalProperties: text },
        list: {
          type: 'array',
          items: { anyOf: [text, { type: 'object', properties: { deep: { $ref: '#/$defs/text' } } }] },
        },
        either: { oneOf: [{ type: 'number' }, text] },
      },
      $defs: { text },
    },
    createTemplates(),
  );
  assert.deepEqual(render({ event: { type: 'x.y', data: { name: '<A b>' } }, delivery: { attempt: 2 } }), {
    to: '<A b>',
    html: '<b>&lt;A b&gt;</b>',
    url: 'https://x.example/%3CA%20b%3E',
    plain: '{{ event.data.name }}',
    headers: { a: 'x.y', b: 1 },
    list: ['x.y', { deep: '2' }],
    either: 'x.y',
  });
  assert.throws(() => render({ event: { type: 'x.y', data: {} } }), /expected the event to have event\.data\.name/);
});

test('maps may have more than is expected, lists may not', () => {
  const faults = (expected: unknown, got: unknown): string[] =>
    compare(expected, got, ['at']).map(({ path, message }) => `${path.join('.')}: ${message}`);
  assert.deepEqual(faults({ a: 1, b: { c: [1, { d: 2 }] } }, { a: 1, b: { c: [1, { d: 2, e: 3 }], f: 4 }, g: 5 }), []);
  assert.deepEqual(faults({ a: 1 }, { a: '1' }), ['at.a: expected 1, got "1"']);
  assert.deepEqual(faults([1], [1, 2]), ['at: expected a list of 1, got 2: [1,2]']);
  assert.deepEqual(faults({ a: { b: 1 } }, { a: null }), ['at.a: expected a map, got null']);
  assert.deepEqual(faults({ $contains: 'b' }, 'abc'), []);
  assert.deepEqual(faults({ $matches: '^a.c$' }, 'abc'), []);
  assert.deepEqual(faults({ a: { $absent: true } }, {}), []);
  assert.deepEqual(faults({ a: { $absent: false } }, {}), ['at.a: expected a value, got nothing']);
  assert.deepEqual(faults({ $contains: 'x' }, undefined), ['at: expected a text with "x" in it, got nothing']);
});

test('events get ids and times of their own, and files may hold them', () => {
  const folder = join(import.meta.dirname, 'fixtures');
  const planned = planEvents(
    [
      { type: 'a.b' },
      { type: 'a.b', at: '5s', repeat: 3, every: '2s', id: 'n' },
      { type: 'c.d' },
      { file: 'event.json', subject: 's' },
    ],
    folder,
  );
  assert.deepEqual(
    planned.map(({ id, at }) => `${id} ${at}`),
    ['e1 0', 'n-1 5000', 'n-2 7000', 'n-3 9000', 'e3 9000', 'stored 9000'],
  );
  const stored = JSON.parse(readFileSync(join(folder, 'event.json'), 'utf8')) as object;
  assert.deepEqual(planned.at(-1)?.envelope, { ...stored, subject: 's' });
});

test('the reasons of dead letters that can be expected are those that there are', () => {
  const letter = schema.$defs['deadLetter'] as { properties: { reason: { enum: readonly string[] } } };
  assert.deepEqual(letter.properties.reason.enum, [...deadReasons]);
});

test('expected dead letters find theirs in any order', () => {
  const letter = (event: string): Letter => ({
    ...{ kind: 'dead', route: 'p.hook', event, reason: 'permanent', attempts: 1, at: 0 },
    fault: { kind: 'error', code: 'x', message: 'm', unavailable: true },
  });
  const timeline = new Timeline(['a', 'b', 'c'].map(letter));
  const faults = (...expected: object[]): string[] =>
    letterFailures(
      { timeline },
      expected.map((one) => ({ route: 'hook', ...one })),
      [],
      () => ({ group: 'p.hook' }) as Route,
    ).map(({ path, message }) => `${path.join('.')}: ${message}`);
  const chain = [{ reason: 'permanent' }, { code: 'x', event: 'a' }, { event: 'b' }] as const;
  assert.deepEqual(faults(...chain), []);
  assert.deepEqual(faults(...chain.toReversed()), []);
  assert.deepEqual(faults({}, { event: 'a' }, { event: 'a' }), ['2.event: expected a, got c']);
  assert.deepEqual(faults({ event: 'b' }, { event: 'a', attempts: 2 }, { event: 'c' }), [
    '1.attempts: expected 2, got 1',
  ]);
});
