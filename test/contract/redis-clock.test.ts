/** The bus's clock is the server's, whatever happens to the one of this machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { BusFault } from '../../engine/bus/bus.ts';
import { ServerClock } from '../../engine/bus/redis/clock.ts';
import { FaultLog } from '../../engine/bus/redis/faults.ts';

const hour = 3_600_000;

/** A server whose clock shows `now()`. */
const server = (now: () => number) => ({
  ask: async () => [[String(Math.floor(now() / 1_000)), String(Math.round((now() % 1_000) * 1_000))]],
});

const steady = (): number => performance.timeOrigin + performance.now();

test('a step of the clock of this machine does not move the clock of the bus', async ({ mock }) => {
  const clock = new ServerClock(server(steady), new FaultLog(undefined));
  await clock.start();
  const before = clock.now();
  for (const step of [hour, -hour]) {
    mock.timers.enable({ apis: ['Date'], now: Date.now() + step });
    const passed = clock.now() - before;
    mock.timers.reset();
    assert.ok(passed >= 0 && passed < hour / 2, `expected a moment, got ${passed} ms`);
  }
  clock.close();
});

test('a step of the clock of the server is followed and told, with its direction and its length', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const faults: BusFault[] = [];
  let step = 0;
  const clock = new ServerClock(
    server(() => steady() + step),
    new FaultLog((fault) => faults.push(fault)),
  );
  await clock.start();
  for (const to of [500, -600_000, 0]) {
    step = to;
    mock.timers.tick(10_000);
    await turn();
    const off = Math.abs(clock.now() - steady() - step);
    assert.ok(off < 1_000, `expected the server's clock, got one that is ${off} ms off`);
  }
  clock.close();
  const told = faults.map(({ kind, message }) => [kind, /stepped (\w+) by (\d+)/.exec(message)?.slice(1).join(' ')]);
  assert.deepEqual(told, [
    ['clock', 'back 600'],
    ['clock', 'forward 600'],
  ]);
});
