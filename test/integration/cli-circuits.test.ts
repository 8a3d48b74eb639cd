/** `eventflow circuits`: of many, those that matter. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import { closedBreaker } from '../../engine/core/breaker.ts';
import { temporaryFolder } from '../support/children.ts';
import { eventflow } from '../support/cli.ts';

const folder = await temporaryFolder('eventflow-circuits-');
after(() => folder.remove());

test('of the circuits of many keys the open ones are shown first, and the others are counted', async () => {
  const url = `sqlite:${join(folder.path, 'bus.db')}`;
  const bus = await openSqliteBus(url);
  const open = {
    kind: 'open',
    period: 0,
    since: 0,
    until: 1,
    openFor: 1,
    why: 'ECONNREFUSED: nobody listens',
  } as const;
  for (let n = 0; n < 60; n += 1) {
    await bus.breakers.swap(`key:orders.hooks:tenant-${n}`, 0, n >= 55 ? open : closedBreaker(1));
  }
  await bus.close();
  const some = await eventflow(['circuits', '--bus', url]);
  const lines = some.stdout.trimEnd().split('\n');
  assert.equal(lines.length, 51, some.stdout);
  assert.ok(
    lines.slice(1, 6).every((line) => /tenant-5[5-9]\s+open/.test(line)),
    some.stdout,
  );
  assert.match(some.stderr + some.stdout, /and 10 more, 0 of them not closed: see them with --all/);
  const all = await eventflow(['circuits', '--bus', url, '--all']);
  assert.equal(all.stdout.trimEnd().split('\n').length, 61);
});
