/** The newcomer's session in examples/first-steps, typed again: what stands there is what comes. */
import assert from 'node:assert/strict';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../repo/sources.ts';
import { temporaryFolder } from '../support/children.ts';
import { play } from '../support/transcript.ts';

const document = join(root, 'examples/first-steps/transcript.md');

/** `npx` finds the command of this checkout, as it would find an installed one. */
const programs = {
  npx: 'exec "$@"',
  eventflow: `exec ${process.execPath} --conditions=eventflow-source ${join(root, 'engine/cli/main.ts')} "$@"`,
};

const git = {
  ...{ GIT_AUTHOR_NAME: 'You', GIT_AUTHOR_EMAIL: 'you@shop.example', GIT_COMMITTER_NAME: 'You' },
  ...{ GIT_COMMITTER_EMAIL: 'you@shop.example', GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
};

test('every command of the first steps prints what stands below it', async (t) => {
  const place = await temporaryFolder('eventflow-first-steps-');
  t.after(() => place.remove());
  const folder = join(place.path, 'shop');
  await mkdir(folder);
  // What `npm install` leaves behind.
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  const ports = { EVENTFLOW_HTTP_LISTEN: '127.0.0.1:0', EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:0' };
  const text = await readFile(document, 'utf8');
  const played = await play(text, { folder, programs, env: { ...git, ...ports } }, join(place.path, 'bin'));
  if (process.env['EVENTFLOW_UPDATE_GOLDEN'] === '1') await writeFile(document, played.text);
  else assert.deepEqual(played.differences, [], 'EVENTFLOW_UPDATE_GOLDEN=1 writes what comes; then read it');
});
