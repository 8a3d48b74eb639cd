/** A quick part of `npm run fuzz`: other files each time, and their seed is in the message of a failure. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fuzzOne, prepare } from './fuzz/fuzz.ts';

test('each mutated file becomes a generation, or diagnostics with places inside of it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'eventflow-fuzz-'));
  t.after(() => rmSync(folder, { recursive: true }));
  prepare(folder);
  const first = Math.floor(Math.random() * 1_000_000_000);
  const end = Date.now() + 12_000;
  let seed = first;
  for (; seed < first + 600 && Date.now() < end; seed++) {
    await fuzzOne(seed, folder).catch((error: Error) => {
      throw new Error(`npm run fuzz -- --files 1 --seed ${seed}: ${error.message}`, { cause: error });
    });
  }
  t.diagnostic(`${seed - first} files from seed ${first}`);
});
