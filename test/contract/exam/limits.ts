/** Permits of rate limits: shared by everybody, given in one step, and kept as long as they count. */
import assert from 'node:assert/strict';
import type { PermitRequest } from '../../../engine/core/rate-limit.ts';
import { eventually, type Scenario, sleep } from './room.ts';

const request = (more: Partial<PermitRequest> = {}): PermitRequest => ({
  ...{ limit: 5, per: 3_600_000, wanted: 1, returning: 0, line: false, leadMs: 0 },
  ...more,
});

export function limitScenarios(scenario: Scenario): void {
  scenario('no more permits are given than the limit says, to however many that ask at once', async (room) => {
    const asked = Array.from({ length: 12 }, () => room.bus.limits.take('p.r', request({ wanted: 2 })));
    const answers = await Promise.all(asked);
    assert.equal(
      answers.reduce((sum, { granted }) => sum + granted, 0),
      5,
    );
    const { granted, nextInMs } = await room.bus.limits.take('p.r', request());
    assert.equal(granted, 0);
    assert.ok(nextInMs > 3_500_000 && nextInMs <= 3_600_000 * 1.02, `next in ${nextInMs} ms`);
    assert.equal((await room.bus.limits.take('p.other', request())).granted, 1);
  });

  scenario('a permit is free again when its lead and its span are over, and not before', async (room) => {
    const short = request({ per: 200, leadMs: 100, limit: 1 });
    const from = performance.now();
    assert.equal((await room.bus.limits.take('p.r', short)).granted, 1);
    await eventually(
      () => room.bus.limits.take('p.r', short),
      ({ granted }) => granted === 1,
      'there is a permit again',
    );
    // The bus may have given the first a moment after it was asked for, and counts whole milliseconds.
    assert.ok(performance.now() - from >= 298, `after ${performance.now() - from} ms`);
  });

  scenario('who gets no permit gets a time of its own, in the order of asking', async (room) => {
    const first = await room.bus.limits.take('p.r', request({ wanted: 8, line: true }));
    const second = await room.bus.limits.take('p.r', request({ wanted: 2, line: true }));
    assert.deepEqual([first.granted, first.waits.length, second.granted, second.waits.length], [5, 3, 0, 2]);
    const waits = [...first.waits, ...second.waits];
    for (const [at, wait] of waits.slice(1).entries()) {
      assert.ok(wait - (waits[at] ?? 0) > 600_000, `a fifth of an hour apart, got ${waits.join(', ')}`);
    }
    const back = await room.bus.limits.take('p.r', request({ wanted: 1, returning: 1, line: true }));
    assert.ok((back.waits[0] ?? 0) < (waits[1] ?? 0), 'who was there before does not go to the end of the line');
  });

  scenario('another limit counts what was given under the one before', async (room) => {
    await room.bus.limits.take('p.r', request({ wanted: 5 }));
    assert.equal((await room.bus.limits.take('p.r', request({ limit: 7, wanted: 5 }))).granted, 2);
    assert.equal((await room.bus.limits.take('p.r', request({ limit: 3 }))).granted, 0);
  });

  scenario('limits survive a restart', async (room) => {
    await room.bus.limits.take('p.r', request({ wanted: 3 }));
    await room.restart();
    assert.equal((await room.bus.limits.take('p.r', request({ wanted: 5 }))).granted, 2);
  });

  scenario('any text can name a limit', async (room) => {
    for (const key of ['{a}:{b}', 'ä ☂', 'x'.repeat(400), "it's"]) {
      assert.equal((await room.bus.limits.take(key, request({ limit: 1 }))).granted, 1);
      assert.equal((await room.bus.limits.take(key, request({ limit: 1 }))).granted, 0);
    }
  });

  scenario('a limit that is over is not kept', async (room) => {
    await room.bus.limits.take('p.r', request({ per: 100, limit: 1 }));
    await sleep(150);
    await room.bus.trim();
    assert.equal((await room.bus.limits.take('p.r', request({ per: 100, limit: 1 }))).granted, 1);
  });
}
