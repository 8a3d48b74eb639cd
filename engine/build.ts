/** The second half of `npm run build`: what tsc does not copy. */
import { copyFile, cp, glob, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

process.chdir(import.meta.dirname);

// Scripts for Redis, the console's page: files that the code reads beside itself.
for await (const file of glob('*/**/*.{lua,sql,html,css,js,svg,json}', {
  exclude: ['dist', 'bin', 'schemas', 'node_modules'],
})) {
  await mkdir(dirname(join('dist', file)), { recursive: true });
  await copyFile(file, join('dist', file));
}

// What `eventflow init` writes.
await cp('cli/templates', 'dist/cli/templates', { recursive: true });

await rm('schemas', { recursive: true, force: true });
await cp('../schemas', 'schemas', { recursive: true });
for (const file of ['LICENSE', 'CHANGELOG.md']) await copyFile(join('..', file), file);
