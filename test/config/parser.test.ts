/** A parser whose thread does not start. */
import assert from 'node:assert/strict';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import threads from 'node:worker_threads';

test('a thread that does not start costs one text, and the next one is read', async () => {
  const { Worker } = threads;
  threads.Worker = class {
    constructor() {
      throw new Error('Worker initialization failure: EAGAIN');
    }
  } as unknown as typeof Worker;
  syncBuiltinESMExports();
  const { parse } = await import('../../engine/config/parser.ts');
  const text = `name: orders\n${'# a comment\n'.repeat(1_000)}`;
  const { tree, faults } = await parse(text);
  assert.equal(tree, undefined);
  assert.deepEqual(
    faults.map(({ code, message }) => [code, message]),
    [
      [
        'EF1017',
        'expected a text that can be read with little work, got one that needs a thread that does not start (Worker initialization failure: EAGAIN)',
      ],
    ],
  );
  threads.Worker = Worker;
  syncBuiltinESMExports();
  assert.equal((await parse(text)).tree?.kind, 'fields');
});
