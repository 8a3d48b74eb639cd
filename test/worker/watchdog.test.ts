import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { endsWithUs } from '../support/children.ts';
import { eventually } from '../support/eventually.ts';

const script = fileURLToPath(new URL('./fixtures/watched.ts', import.meta.url));

interface Watched {
  readonly child: ChildProcess;
  readonly ended: Promise<readonly [number | null, NodeJS.Signals | null]>;
  readonly said: () => string;
  readonly spin: (ms: number) => void;
}

async function watched(limitMs: number): Promise<Watched> {
  const child = spawn(process.execPath, ['--conditions=eventflow-source', script, String(limitMs)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  endsWithUs(child);
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  await eventually('it is up', () => said.includes('up'), 20_000);
  return { child, ended, said: () => said, spin: (ms) => void child.stdin.write(String(ms)) };
}

test('a loop that is stuck ends its process, and the last line names what was started last and what ran', async () => {
  const { ended, said, spin } = await watched(500);
  spin(600_000);
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  const last = JSON.parse(said().trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
  assert.equal(last['level'], 'fatal');
  assert.equal(last['lastStarted'], 'orders.receipt');
  assert.deepEqual(last['running'], [{ route: 'orders.ship', event: 'e1' }]);
  assert.match(String(last['msg']), /has not turned for 500 ms/);
});

test('a loop that is busy for less than the limit goes on', async () => {
  const { child, ended, said, spin } = await watched(20_000);
  spin(500);
  await eventually('it is over', () => said().includes('over'), 20_000);
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [null, 'SIGTERM']);
});

test('a process that was stopped for longer than the limit is not stuck', async () => {
  const { child, ended, said, spin } = await watched(1_000);
  child.kill('SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  child.kill('SIGCONT');
  spin(1);
  await eventually('it goes on', () => said().includes('over'), 20_000);
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [null, 'SIGTERM']);
});
