/** The schemas that editors show to people. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTestSchema } from '../../engine/config/compose.ts';
import { composeSchema, readSettingsSchema } from '../../engine/config/index.ts';
import { createValidator, type JsonSchema } from '../../engine/config/validator.ts';
import { catalogue, retiredCodes } from '../../engine/errors.ts';

const schemas: Record<string, JsonSchema> = {
  pipeline: composeSchema({ handlers: new Map() }),
  settings: readSettingsSchema(),
  test: readTestSchema(),
};

/** Every property of every map, with its path. */
function* properties(schema: unknown, path = ''): Generator<[string, Record<string, unknown>]> {
  if (typeof schema !== 'object' || schema === null) return;
  for (const [key, inner] of Object.entries(schema)) {
    if (key === 'properties') {
      for (const [name, property] of Object.entries(inner as object)) yield [`${path}.${name}`, property];
    }
    yield* properties(inner, `${path}/${key}`);
  }
}

for (const [name, schema] of Object.entries(schemas)) {
  test(`every property of the ${name} schema has a title, a description and an example or a default`, () => {
    for (const [path, property] of properties(schema)) {
      if (property['$ref'] === '#/$defs/noUse') continue;
      assert.ok(typeof property['title'] === 'string' && typeof property['description'] === 'string', path);
      assert.ok('examples' in property || 'default' in property, path);
    }
  });

  test(`the examples and defaults in the ${name} schema fit it`, () => {
    const definitions = schema['$defs'];
    for (const [path, { default: fallback, examples = [], ...property }] of properties(schema)) {
      const validate = createValidator({ $defs: definitions, ...property });
      const values = [...(examples as unknown[]), ...(fallback === undefined ? [] : [fallback])];
      for (const value of values.filter((one) => !String(one).startsWith('${'))) {
        assert.deepEqual(validate(value).errors, [], `${path}: ${JSON.stringify(value)}`);
      }
    }
  });

  test(`every map in the ${name} schema says whether it takes other fields`, () => {
    for (const [path, property] of properties({ properties: { top: schema } })) {
      if (property['properties'] === undefined) continue;
      assert.equal(property['additionalProperties'], false, path);
    }
  });
}

test('every code of configuration and plugins is explained, and no retired one is in use', () => {
  for (const [code, { title, help }] of Object.entries(catalogue)) {
    assert.match(code, /^EF[1-6]\d{3}$/);
    assert.ok(title.length > 5 && help.length > 20, code);
    assert.ok(!(code in retiredCodes), code);
  }
});
