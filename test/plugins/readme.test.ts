/** The READMEs of the plugins, against their schemas: every option is there, and every example is valid. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { createValidator, type JsonSchema } from '../../engine/config/validator.ts';

const root = join(import.meta.dirname, '../..');
const read = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8');

interface Manifest {
  readonly handlers: Readonly<Record<string, { readonly schema: string }>>;
}

interface Example {
  readonly routes: readonly { readonly handler: string; readonly with?: object }[];
}

const examplesIn = (readme: string): Example[] =>
  [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => parse(text ?? '') as Example);

for (const folder of [
  'plugins/webhook',
  'plugins/email',
  'plugins/notification',
  'plugins/analytics',
  'plugins/log',
  'examples/third-party-plugin',
]) {
  describe(`the README of ${folder}`, () => {
    const readme = read(folder, 'README.md');
    const { eventflow } = JSON.parse(read(folder, 'package.json')) as { eventflow: Manifest };
    const schemas = Object.entries(eventflow.handlers).map(([handler, { schema }]) => ({
      handler,
      schema: JSON.parse(read(folder, schema)) as JsonSchema & { properties: Record<string, JsonSchema> },
    }));

    test('tells every option as its schema does', () => {
      for (const { schema } of schemas) {
        for (const [name, option] of Object.entries(schema.properties)) {
          assert.match(readme, new RegExp(`^\\| \`${name}\` +\\|`, 'm'), `expected a row for ${name}`);
          assert.ok(
            readme.includes(String(option['description']).replaceAll('|', '\\|')),
            `expected the text of ${name}`,
          );
        }
      }
    });

    test('has an example for every handler, with options that fit', () => {
      const routes = examplesIn(readme).flatMap((example) => example.routes);
      for (const { handler, schema } of schemas) {
        const ours = routes.filter((route) => route.handler === handler);
        assert.ok(ours.length > 0, `expected an example of ${handler}`);
        for (const route of ours) assert.deepEqual(createValidator(schema)(route.with ?? {}).errors, []);
      }
    });
  });
}
