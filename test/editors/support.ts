/** The catalogue that the tests of schemas and editors share, and what validators make of a file. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { parse } from 'yaml';
import { readCatalog } from '../../engine/config/index.ts';
import { root } from '../repo/sources.ts';

const fixtures = join(root, 'test/config/fixtures');

/** Handlers of a plugin with every trick that the project's own do not use, of two with one name, and of a third party. */
export const { catalog } = readCatalog(
  [
    './plugins/mailer',
    './plugins/crm',
    './plugins/other-crm',
    './plugins/every-word',
    ...['webhook', 'email', 'notification', 'analytics', 'log'].map((name) => `@eventflow/plugin-${name}`),
    'eventflow-plugin-crm',
  ],
  fixtures,
);

/** Throws when the text is no schema by the meta-schema of its draft. */
export function validatorOf(text: string): (value: unknown) => boolean {
  const schema = JSON.parse(text) as { readonly $schema: string };
  const options = { strict: false, allErrors: true, logger: false } as const;
  const ajv = schema.$schema.includes('2020-12') ? new Ajv2020(options) : new Ajv(options);
  formats.default(ajv);
  if (ajv.validateSchema(schema) !== true) throw new Error(ajv.errorsText(ajv.errors));
  const validate = ajv.compile(schema);
  return (value) => validate(value);
}

export interface Fixture {
  readonly name: string;
  readonly value: unknown;
}

/** What a file says, references not followed. */
export const typedIn = (text: string): unknown => parse(text, { merge: true, logLevel: 'silent' }) as unknown;

/** The pipelines among the good and the broken fixtures that are YAML at all and no circles, as they are typed. */
export const pipelineFixtures: readonly Fixture[] = ['good', 'bad'].flatMap((kind) =>
  readdirSync(join(fixtures, kind))
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => {
      try {
        const value = typedIn(readFileSync(join(fixtures, kind, file), 'utf8'));
        JSON.stringify(value);
        return [{ name: `${kind}/${file}`, value }];
      } catch {
        return [];
      }
    }),
);
