/**
 * The model against reality: the same random calls to the model and to the real buses must get the same answers. What the
 * simulation proves of the workers then holds on those.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { Bus } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import { removeKeys, startRedis } from '../support/redis.ts';
import type { Bug } from './model/bugs.ts';
import { commands, compareStats } from './reality/commands.ts';
import { openGame, rules } from './reality/game.ts';

const redis = await startRedis();
console.log(`# Redis ${redis.version} (${redis.how})`);
after(() => redis.stop());

/** A bus that nobody has used, and the way to be rid of it. */
type Open = () => Promise<{ readonly bus: Bus; close(): Promise<void> }>;

async function onRedis(): ReturnType<Open> {
  const prefix = `exam-${randomBytes(6).toString('hex')}`;
  const bus = await openRedisBus(redis.url, { prefix, streams: rules });
  const close = async (): Promise<void> => {
    await bus.close();
    await removeKeys(redis.adminUrl, prefix);
  };
  return { bus, close };
}

async function embedded(): ReturnType<Open> {
  const bus = await openSqliteBus('sqlite::memory:', { streams: rules });
  return { bus, close: () => bus.close() };
}

const agreement = (open: Open, bug?: Bug) =>
  fc.asyncProperty(commands, async (list) => {
    const opened = await open();
    try {
      const game = await openGame(opened.bus, bug);
      await fc.asyncModelRun(() => ({ model: {}, real: game }), list);
      await compareStats(game);
    } finally {
      await opened.close();
    }
  });

for (const [name, open, runs] of [
  ['Redis', onRedis, 60],
  ['the embedded bus', embedded, 200],
] as const) {
  test(`the model and ${name} give the same answers to the same calls`, async () => {
    await fc.assert(agreement(open), { numRuns: runs });
  });
}

for (const bug of ['ack before park', 'no fence on retry', 'MAXLEN on the stream', 'promotes twice'] as const) {
  test(`a model with a fault differs from the buses: ${bug}`, async () => {
    const { failed, numRuns, errorInstance } = await fc.check(agreement(embedded, bug), {
      numRuns: 400,
      endOnFailure: true,
    });
    console.log(`# ${bug}: seen in run ${numRuns}: ${String(errorInstance).split('\n')[0]}`);
    assert.ok(failed, `expected a difference within ${numRuns} runs`);
  });
}
