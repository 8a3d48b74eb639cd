/**
 * The quick tier of `npm run chaos`: each fault on real processes, 3,000 events on two routes, nothing lost. The seed is
 * printed; EVENTFLOW_TEST_SEED repeats a run. Times that depend on the machine are printed and bound nothing here.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { faults } from './faults/index.ts';
import { play, playsIn, type Row } from './row.ts';
import type { Run } from './stage.ts';
import { headOf, headText, textHead, textOf } from './table.ts';

const seed = Number(process.env['EVENTFLOW_TEST_SEED'] ?? Date.now() % 1_000_000);
const run: Run = { full: false, durability: 'fsync' };
const rows: Row[] = [];

// Most of a row is waiting.
describe('nothing is lost', { concurrency: 3 }, () => {
  before(() => console.log(`# seed ${seed}`));
  after(() => {
    const lines = rows.sort((a, b) => a.fault.localeCompare(b.fault)).map(textOf);
    console.log([headText(headOf(run, seed)), textHead(), ...lines].join('\n'));
  });
  for (const fault of faults.filter((one) => one.tier === 'quick' && playsIn(one, run))) {
    const where = fault.stage?.embedded === true ? ' on the embedded bus' : '';
    test(`${fault.id}: ${fault.what}${where}`, async () => {
      const row = await play(fault, run, seed);
      rows.push(row);
      assert.deepEqual(row.wrong, []);
      assert.equal(row.mayLose, 0);
    });
  }
});
