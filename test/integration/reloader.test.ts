/** When a reload that the store refused is tried again, when it is not any more, and how the reloads of an engine end. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { EventFlowError } from '../../engine/errors.ts';
import type { Signal } from '../../engine/observe/signals.ts';
import { Reloader } from '../../engine/reload.ts';
import { generation } from '../observe/world.ts';

const retryMs = 5_000;

interface Stage {
  readonly reloader: Reloader;
  readonly signals: Signal[];
  /** What the files say: any text, which becomes the hash. */
  files: string;
  /** What a preparation waits for, or fails of. */
  store: Promise<unknown>;
  loads: number;
  /** Lets the time pass after which a refused reload is tried again, and waits for whatever came of it. */
  readonly later: () => Promise<void>;
}

/** A reloader that runs the first generation of three; the store refused the third. */
async function stage(t: TestContext): Promise<Stage> {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const signals: Signal[] = [];
  const reloader = new Reloader({
    load: async () => {
      it.loads += 1;
      const loaded = { generation: generation([], { hash: it.files }), files: [], sources: new Map(), warnings: [] };
      return { ok: true, ...loaded, secrets: [], shownFiles: [], eventSchemas: new Map() };
    },
    table: {
      prepare: async () => {
        await it.store;
        return () => undefined;
      },
    },
    observer: (signal) => void signals.push(signal),
    ...{ drainMs: 0, allowEmpty: true, retryMs },
    onSwap: () => undefined,
    onFiles: () => undefined,
  });
  const it: Stage = {
    ...{ reloader, signals, files: 'first', store: Promise.resolve(), loads: 0 },
    later: async () => {
      t.mock.timers.tick(retryMs);
      // Its turn is after that of whatever is tried again.
      await reloader.rollback(99);
    },
  };
  await reloader.reload('start');
  it.files = 'second';
  await reloader.reload('files');
  it.files = 'third';
  it.store = Promise.reject(new EventFlowError('EF5001', 'nobody answers'));
  assert.equal((await reloader.reload('files')).result, 'rejected');
  it.store = Promise.resolve();
  return it;
}

const hashOf = ({ reloader }: Stage): string => reloader.generation.hash;

test('what the store refused is in force at the next try', async (t) => {
  const it = await stage(t);
  await it.later();
  assert.equal(hashOf(it), 'third');
});

test('a rollback is not undone by what the store refused before', async (t) => {
  const it = await stage(t);
  assert.deepEqual([(await it.reloader.rollback(1)).result, hashOf(it)], ['changed', 'first']);
  await it.later();
  assert.equal(hashOf(it), 'first');
  assert.match(it.reloader.status.pinned ?? '', /rolled back to generation 1/);
});

test('a rollback to what runs keeps it, too', async (t) => {
  const it = await stage(t);
  assert.equal((await it.reloader.rollback(2)).result, 'unchanged');
  await it.later();
  assert.equal(hashOf(it), 'second');
});

test('a rollback is not undone by a try whose time came while it was under way', async (t) => {
  const it = await stage(t);
  const store = Promise.withResolvers<void>();
  it.store = store.promise;
  const back = it.reloader.rollback(1);
  const later = it.later();
  store.resolve();
  assert.equal((await back).result, 'changed');
  await later;
  assert.equal(hashOf(it), 'first');
});

test('a rollback that fails leaves the next try as it was', async (t) => {
  const it = await stage(t);
  it.store = Promise.reject(new EventFlowError('EF5001', 'nobody answers'));
  assert.equal((await it.reloader.rollback(1)).result, 'rejected');
  it.store = Promise.resolve();
  await it.later();
  assert.equal(hashOf(it), 'third');
});

test('after the end nothing is tried again, and a reload is refused without a word to the metrics', async (t) => {
  const it = await stage(t);
  const { loads } = it;
  await it.reloader.close(0);
  it.signals.length = 0;
  await it.later();
  for (const asked of [it.reloader.reload(), it.reloader.rollback(1)]) {
    const { result, problems } = await asked;
    assert.deepEqual([result, it.loads], ['rejected', loads]);
    assert.match(problems.join(), /the engine is stopping/);
  }
  assert.deepEqual([it.signals, hashOf(it)], [[], 'second']);
});

test('the end waits for the reload under way, which may still fail, and refuses those that wait for it', async (t) => {
  const it = await stage(t);
  const store = Promise.withResolvers<void>();
  it.store = store.promise;
  const asked = [it.reloader.rollback(1), it.reloader.rollback(2)];
  await Promise.resolve();
  it.signals.length = 0;
  const ended: string[] = [];
  const reloads = Promise.all(asked).finally(() => ended.push('reloads'));
  const close = it.reloader.close(60_000).then(() => ended.push('close'));
  store.reject(new EventFlowError('EF5024', 'the bus is closed'));
  const [first, second] = await reloads;
  await close;
  assert.deepEqual(ended, ['reloads', 'close']);
  assert.match(first?.problems.join() ?? '', /the bus is closed/);
  assert.match(second?.problems.join() ?? '', /the engine is stopping/);
  await it.later();
  assert.deepEqual([it.signals, hashOf(it)], [[], 'second']);
});

test('the end does not wait for longer than it was given', async (t) => {
  const it = await stage(t);
  const store = Promise.withResolvers<void>();
  it.store = store.promise;
  const back = it.reloader.rollback(1);
  await it.reloader.close(10);
  assert.equal(hashOf(it), 'second');
  store.resolve();
  await back;
});

test('what is told of the files stays as it was through rollbacks, made or refused', async (t) => {
  const it = await stage(t);
  const { last } = it.reloader.status;
  assert.deepEqual([last.why, last.result], ['files', 'rejected']);
  await it.reloader.rollback(1);
  assert.deepEqual(it.reloader.status.last, last);
  await it.reloader.reload();
  assert.equal(it.reloader.status.last.result, 'changed');
  it.store = Promise.reject(new Error('its certificate is gone'));
  assert.match((await it.reloader.rollback(1)).problems.join(), /certificate/);
  assert.equal(it.reloader.status.last.result, 'changed');
});
