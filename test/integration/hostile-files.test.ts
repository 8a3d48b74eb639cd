/** Files that are made to do harm, beside an engine that has work to do. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostileTexts } from '../config/hostile.ts';
import { besideDeliveries } from '../support/deliveries.ts';

/** The ones that kept a parser in the engine's own thread busy for seconds. */
const worst = [
  'flow-close',
  'flow-colon2',
  'aliases-2400',
  'block-blank',
  'docs',
  'props',
  'types-stars',
  'policies-use',
];

test('deliveries go on, each once, while hostile files are reloaded one after the other', async (t) => {
  const { published, stoodMs } = await besideDeliveries(async (engine, folder) => {
    const { hash } = engine.generation().generation;
    for (const name of worst) {
      await writeFile(join(folder, 'pipelines/hostile.yaml'), hostileTexts[name] ?? '');
      const report = await engine.reload();
      assert.equal(report.result, 'rejected', name);
    }
    assert.equal(engine.generation().generation.hash, hash);
  });
  t.diagnostic(`${published} events; the event loop stood for ${stoodMs} ms at most`);
  // Wide, for a machine that has more to do: in the engine's own thread each of these took seconds.
  assert.ok(stoodMs < 2_000, `the event loop stood for ${stoodMs} ms`);
});
