/** What a run of the tests or of the faults starts ends with it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';

const run = `
import { startRedisProcess } from ${JSON.stringify(new URL('../support/redis.ts', import.meta.url).href)};
const { port, dir } = await startRedisProcess();
console.log(JSON.stringify({ port, dir }));
setInterval(() => undefined, 1_000);
`;

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(`no server and no folder outlives a run that is ended by ${signal}`, async () => {
    const flags = ['--conditions=eventflow-source', '--input-type=module', '--eval', run];
    const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const { port, dir } = JSON.parse(line) as { port: number; dir: string };
    assert.equal(await answers(port), true);
    child.kill(signal);
    const [, endedBy] = await once(child, 'exit');
    assert.equal(endedBy, signal);
    await eventually('the server to end', async () => !(await answers(port)));
    assert.equal(existsSync(dir), false);
  });
}
