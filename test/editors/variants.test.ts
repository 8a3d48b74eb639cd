/** The forms of the schemas say the same, as far as they can: both drafts, strict and for editors. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { publishSchema, readPublished } from '../../engine/config/published-schema.ts';
import { type SchemaForm, schemaDrafts, schemaKinds, schemaVariants } from '../../engine/config/schema-form.ts';
import { files, root } from '../repo/sources.ts';
import { catalog, pipelineFixtures, typedIn, validatorOf } from './support.ts';

const schema = (form: Partial<SchemaForm>): string =>
  publishSchema({ kind: 'pipeline', draft: '2020-12', variant: 'strict', ...form }, catalog).text;

interface Forms {
  readonly strict: (value: unknown) => boolean;
  readonly editor: (value: unknown) => boolean;
  readonly strict07: (value: unknown) => boolean;
  readonly editor07: (value: unknown) => boolean;
}

const formsOf = (kind: SchemaForm['kind']): Forms => ({
  strict: validatorOf(schema({ kind })),
  editor: validatorOf(schema({ kind, variant: 'editor' })),
  strict07: validatorOf(schema({ kind, draft: '07' })),
  editor07: validatorOf(schema({ kind, draft: '07', variant: 'editor' })),
});

const pipelines = formsOf('pipeline');
const { strict, editor, editor07 } = pipelines;

const hasReference = (value: unknown): boolean => JSON.stringify(value).includes('${');

/** Says in which forms, if any, the value is judged otherwise than in the strict one. */
function disagreements(value: unknown, forms = pipelines): readonly string[] {
  const expected = forms.strict(value);
  const typed = forms.editor(value);
  const loose = hasReference(value);
  return [
    ...(forms.strict07(value) === expected ? [] : ['strict in draft-07']),
    ...(typed === expected || (loose && !expected) ? [] : ['for editors']),
    ...(forms.editor07(value) === typed ? [] : ['for editors in draft-07']),
  ];
}

for (const kind of schemaKinds) {
  for (const draft of schemaDrafts) {
    for (const variant of schemaVariants) {
      test(`the ${variant} ${kind} schema in ${draft} is a valid schema of that draft`, () => {
        const text = schema({ kind, draft, variant });
        validatorOf(text);
        assert.equal(text.includes('"$defs"') || text.includes('#/$defs/'), draft === '2020-12');
        assert.equal(text.includes('"definitions"'), draft === '07');
      });
    }
  }
}

test('both drafts and both variants judge every fixture alike', () => {
  assert.ok(pipelineFixtures.length > 60);
  const [good, bad] = [
    pipelineFixtures.filter(({ value }) => strict(value)),
    pipelineFixtures.filter(({ value }) => !strict(value)),
  ];
  assert.ok(good.length > 5 && bad.length > 30);
  for (const { name, value } of pipelineFixtures) assert.deepEqual(disagreements(value), [], name);
});

const shipped = files.filter((file) => /^(pipelines|test\/config\/fixtures\/good)\/[^/]*(?<!\.test)\.yaml$/.test(file));

for (const file of shipped) {
  test(`an editor takes ${file} as it is typed`, () => {
    assert.ok(editor(typedIn(readFileSync(join(root, file), 'utf8'))));
  });
}

const route = (options: object, more: object = {}): unknown => ({
  apiVersion: 'eventflow/v1',
  kind: 'Pipeline',
  name: 'words',
  routes: [{ id: 'a', on: ['a'], handler: 'every-word', with: options, ...more }],
});

const accepted: readonly object[] = [
  {},
  { pair: [1, 'up'] },
  { pair: [1] },
  { size: 3 },
  { size: 'small' },
  { user: 'a', password: 'b' },
  { ratio: 0.5, mode: 'safe' },
  { tree: { boxes: [{ boxes: [] }, {}] } },
  { site: 'https://a.example', code: 'abcd' },
];
const refused: readonly object[] = [
  { pair: ['1', 'up'] },
  { pair: [1, 'left'] },
  { pair: [1, 'up', 2] },
  { size: 0 },
  { size: 'medium' },
  { password: 'b' },
  { user: 'a', password: '' },
  { ratio: 0.6, mode: 'safe' },
  { ratio: 0.5 },
  { mode: 'fast', pair: [1, 'up'] },
  { tree: { boxes: [{ bxes: [] }] } },
  { site: 'nowhere' },
  { code: 'abcde' },
];

test('every word of 2020-12 that draft-07 calls otherwise means the same there', () => {
  for (const options of accepted) {
    assert.ok(strict(route(options)), JSON.stringify(options));
    assert.deepEqual(disagreements(route(options)), [], JSON.stringify(options));
  }
  for (const options of refused) {
    assert.ok(!strict(route(options)), JSON.stringify(options));
    assert.deepEqual(disagreements(route(options)), [], JSON.stringify(options));
  }
});

test('a reference fits wherever a value can come from one, for editors alone', () => {
  const reference = '${ANY:-thing}';
  const places = [
    ...[{ concurrency: reference }, { enabled: reference }, { timeout: reference }, { startFrom: reference }],
    ...[{ retry: { maxAttempts: reference, jitter: reference, multiplier: reference } }, { handler: reference }],
    { circuitBreaker: { failureRatio: reference, openFor: reference } },
  ].map((more) => route({}, more));
  const options = [
    { pair: [reference, reference] },
    { size: reference },
    { mode: reference },
    { site: reference },
    { code: reference },
  ];
  for (const value of [...places, ...options.map((one) => route(one)), route({ ratio: reference, mode: 'safe' })]) {
    assert.deepEqual([editor(value), editor07(value)], [true, true], JSON.stringify(value));
  }
  for (const value of places)
    assert.ok(!strict(value) || JSON.stringify(value).includes('"handler":"$'), JSON.stringify(value));
});

test('a text that is no reference does not fit where a number is wanted, and keys are no place for one', () => {
  for (const value of [
    route({}, { concurrency: 'three' }),
    route({}, { concurrency: '$three' }),
    route({}, { enabled: '${}' }),
    { ...(route({}) as object), policies: { retry: { '${NAME}': {} } } },
    { ...(route({}) as object), apiVersion: 2 },
  ]) {
    assert.deepEqual([editor(value), editor07(value)], [false, false], JSON.stringify(value));
  }
});

/** Every path to a leaf of `value`. */
function leaves(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

function replaced(value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown {
  if (key === undefined) return by;
  const copy: Record<string, unknown> = Array.isArray(value) ? ([...value] as never) : { ...(value as object) };
  copy[key] = replaced(copy[key], rest, by);
  return copy;
}

const textsOf = (pattern: RegExp): readonly unknown[] =>
  files.filter((file) => pattern.test(file)).map((file) => typedIn(readFileSync(join(root, file), 'utf8')));

/** Files of each kind that are good as they are typed. */
const good: Readonly<Record<SchemaForm['kind'], readonly unknown[]>> = {
  pipeline: pipelineFixtures.filter(({ value }) => strict(value)).map(({ value }) => value),
  settings: textsOf(/(^|\/)eventflow\.yaml$/),
  test: textsOf(/^(pipelines|engine|examples)\/.*\.test\.yaml$/),
};

for (const kind of schemaKinds) {
  test(`any value at any place of a good ${kind} file is judged alike by all forms`, () => {
    const forms = kind === 'pipeline' ? pipelines : formsOf(kind);
    assert.ok(good[kind].length >= 4);
    for (const value of good[kind]) assert.ok(forms.editor(value), JSON.stringify(value));
    const word = fc.constantFrom(
      '',
      'a',
      'A B',
      '5s',
      'fixed',
      'high',
      '5xx',
      '$x',
      '{{ event.id }}',
      'new',
      'log',
      'any',
    );
    const scalar = fc.oneof(
      word,
      fc.integer({ min: -1, max: 600 }),
      fc.boolean(),
      fc.constant(null),
      fc.constant([]),
      fc.constant({}),
    );
    const mutation = fc
      .constantFrom(...good[kind])
      .chain((value) => fc.tuple(fc.constant(value), fc.constantFrom(...leaves(value)), scalar));
    fc.assert(
      fc.property(mutation, ([value, path, by]) => {
        assert.deepEqual(disagreements(replaced(value, path, by), forms), []);
      }),
      { numRuns: 400 },
    );
  });
}

test('what draft-07 cannot say is told', () => {
  const [mailer = []] = [catalog.handlers.get('every-word')];
  const [manifest] = mailer;
  assert.ok(manifest !== undefined);
  const closed = { ...manifest, schema: { ...manifest.schema, unevaluatedProperties: false } };
  const odd = { handlers: new Map([['every-word', [closed]]]) };
  const form = { kind: 'pipeline', variant: 'strict' } as const;
  assert.deepEqual(publishSchema({ ...form, draft: '07' }, odd).lost, ['unevaluatedProperties']);
  assert.deepEqual(publishSchema({ ...form, draft: '2020-12' }, odd).lost, []);
});

test('a schema says how it was made, and whether it would be made so again', () => {
  const only = ['./one', 'two'];
  const form = { kind: 'pipeline', draft: '07', variant: 'editor' } as const;
  const found = readPublished(publishSchema(form, catalog, only).text);
  assert.deepEqual([found?.form, found?.only], [form, only]);
  assert.equal(found?.isCurrent(catalog), true);
  assert.equal(found?.isCurrent({ handlers: new Map() }), false);
  const plain = readPublished(schema({ kind: 'settings' }));
  assert.deepEqual([plain?.form.kind, plain?.only, plain?.isCurrent({ handlers: new Map() })], ['settings', [], true]);
  for (const text of ['', '[]', 'null', '{"$comment": 3}', '{"$comment": "Made by hand"}']) {
    assert.equal(readPublished(text), undefined, text);
  }
});
