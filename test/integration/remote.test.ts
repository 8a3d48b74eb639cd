/** An engine that takes a request of the command line and does not answer. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { EventFlowError } from '../../engine/errors.ts';
import { remoteGenerations, remoteReload, remoteRollback } from '../../engine/operations/index.ts';

test('a reload and a rollback have minutes, and an answer that does not come is told as one that takes too long', async (t) => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    silent.close();
    silent.closeAllConnections();
  });
  const address = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  const given: number[] = [];
  t.mock.method(AbortSignal, 'timeout', (ms: number) => {
    given.push(ms);
    return timeout(20);
  });
  const late = (seconds: number, what: string) => (error: unknown) => {
    assert.ok(error instanceof EventFlowError);
    assert.equal(error.code, 'EF6021');
    assert.ok(
      error.message.startsWith(`expected an answer of ${address} to ${what} within ${seconds} s`),
      error.message,
    );
    assert.equal(/may still be at it/.test(error.message), what.startsWith('POST'));
    return true;
  };
  await assert.rejects(remoteReload(address), late(300, 'POST /admin/reload'));
  await assert.rejects(remoteRollback(address, 1), late(300, 'POST /admin/rollback'));
  await assert.rejects(remoteGenerations(address), late(30, 'GET /admin/generations'));
  assert.deepEqual(given, [300_000, 300_000, 30_000]);
});
