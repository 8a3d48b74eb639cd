/** A plugin of somebody else's, in versions: it stamps each request with the version of its code, taken from two files. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const index = (version: string): string => `
import { version } from './lib/version.js';
export default {
  name: 'stamp',
  apiVersion: 1,
  handlers: {
    stamp: {
      create: ({ url }, context) => ({
        version: '${version} ' + version,
        async handle(event, delivery) {
          const body = JSON.stringify({ id: event.id });
          const headers = { 'x-version': '${version} ' + version };
          await context.http.request(url, { method: 'POST', headers, body, signal: delivery.signal });
        },
      }),
    },
  },
};
`;

const schema = { type: 'object', required: ['url'], properties: { url: { type: 'string' } } };

const manifest = (version: string) => ({
  name: 'eventflow-plugin-stamp',
  version,
  type: 'module',
  exports: './index.js',
  eventflow: { apiVersion: 1, handlers: { stamp: { entry: '.', schema: './stamp.schema.json' } } },
});

/** Writes `version` over what is in `folder`, as npm does: package.json last. */
export async function writeStampPlugin(folder: string, version: string, code = index(version)): Promise<void> {
  await mkdir(join(folder, 'lib'), { recursive: true });
  await writeFile(join(folder, 'lib/version.js'), `export const version = '${version}';\n`);
  await writeFile(join(folder, 'stamp.schema.json'), JSON.stringify(schema));
  await writeFile(join(folder, 'index.js'), code);
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest(version)));
}
