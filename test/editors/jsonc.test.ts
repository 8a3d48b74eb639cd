/** Settings of VS Code keep everything that we did not put there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NotJson, setInJson } from '../../engine/cli/jsonc.ts';

const set = (text: string): string => setInJson(text, ['yaml.schemas', './a.json'], ['*.yaml']);

test('an empty file becomes an object with the field', () => {
  const made = '{\n  "yaml.schemas": {\n    "./a.json": [\n      "*.yaml"\n    ]\n  }\n}\n';
  for (const text of ['', '\n', '{}\n']) assert.equal(set(text), made);
});

test('comments, indentation and trailing commas stay as they are', () => {
  const text = `// ours
{
    /* tabs are spaces */
    "editor.tabSize": 4, // four
    "yaml.schemas": {
        // the first
        "./b.json": "b.yaml", // and the last
    },
}
`;
  const made = set(text);
  assert.equal(
    made,
    text.replace('// and the last\n', '// and the last\n        "./a.json": [\n          "*.yaml"\n        ]\n'),
  );
  assert.equal(set(made), made);
  assert.equal(
    set(made.replace('*.yaml', '*.yml')),
    made.replace(/\[\s+"\*\.yaml"\s+\]/, '["*.yaml"]'),
    'replaced in its place',
  );
});

test('what is said about the last field on its line stays with it', () => {
  assert.equal(setInJson('{\n  "a": 1 // one\n}', ['b'], 2), '{\n  "a": 1, // one\n  "b": 2\n}');
  assert.equal(
    setInJson('{ "a": { } }', ['a', 'b'], 2),
    '{ "a": {\n    "b": 2\n  } }'.replace(/ {4}"b": 2\n {2}/, '  "b": 2\n'),
  );
  assert.equal(setInJson('{\n  // nothing yet\n}', ['b'], 2), '{\n  // nothing yet\n  "b": 2\n}');
});

test('what is no JSON is refused with its line, and so is a value where an object belongs', () => {
  const refused = (text: string, message: RegExp): void => {
    assert.throws(
      () => set(text),
      (error) => error instanceof NotJson && message.test(error.message),
      text,
    );
  };
  refused('{\n  "a": 1\n  "b": 2\n}', /line 3/);
  refused('{ "a": nul }', /line 1/);
  refused('{ "a": 1 } {}', /line 1/);
  refused('{ "a": [1, }', /line 1/);
  refused('{', /line 1/);
  refused('[]', /"yaml\.schemas" belongs/);
  refused('{ "yaml.schemas": "x" }', /"\.\/a\.json" belongs/);
});

test('whatever JSON stands there, the field is set and nothing else changes', () => {
  const key = fc.constantFrom('a', 'b', 'yaml.schemas', 'x y', '\\"');
  const object = fc.dictionary(
    key,
    fc.jsonValue({ maxDepth: 2 }).filter((value) => value !== undefined),
  );
  const path = fc.constantFrom<readonly string[]>(['new'], ['a'], ['new', 'inner']);
  fc.assert(
    fc.property(object, path, fc.constantFrom(undefined, 2, '\t'), (value, at, indent) => {
      const [name = '', inner] = at;
      const expected = { ...value, [name]: inner === undefined ? 7 : { [inner]: 7 } };
      assert.deepEqual(
        JSON.parse(setInJson(JSON.stringify(value, null, indent), at, 7)),
        JSON.parse(JSON.stringify(expected)),
      );
    }),
  );
});
