/** The test kit itself: what it says about a bad handler, and that its peers do what they promise. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { definePlugin, type Handler, permanent, skip } from 'eventflow/plugin';
import { fakeClock, handlerExam, httpSink, memoryBus, openHandler, type Peer, runHandler } from 'eventflow/testing';

const pluginOf = (handler: Handler) =>
  definePlugin({ name: 'sample', apiVersion: 1, handlers: { log: { create: () => handler } } });

/** Sits the exam with the manifest of the log plugin; gives back the questions it failed. */
async function failedQuestions(handler: Handler, keys: readonly string[] = []): Promise<string[]> {
  const peer = async (): Promise<Peer> => ({ options: {}, received: () => keys, close: async () => undefined });
  const exam = handlerExam({
    plugin: pluginOf(handler),
    handler: 'log',
    packageFolder: 'plugins/log',
    peers: { ok: peer, hang: peer, down: peer, busy: peer, rejects: peer },
    keyOf: (received) => received,
  });
  const failed: string[] = [];
  for (const { name, run } of exam) await run().catch(() => failed.push(name));
  return failed;
}

test('the exam fails a handler that misjudges its target, forwards no key or ignores its signal', async () => {
  const hangs: Handler = { handle: () => new Promise(() => {}) };
  const controlled = await Promise.race([
    failedQuestions({
      handle() {
        throw permanent(new Error('always'));
      },
    }),
    new Promise<string[]>((resolve) => setTimeout(resolve, 5_000, []).unref()),
  ]);
  assert.deepEqual(controlled, [
    'log delivers a frozen event',
    'log serves many deliveries at once',
    'log forwards the idempotency key',
    'log tells a target that is down from a bad event',
    'log lets a busy target be tried again',
    'log leaves nothing open',
  ]);
  const [abort] = handlerExam({
    plugin: pluginOf(hangs),
    handler: 'log',
    packageFolder: 'plugins/log',
    peers: {
      ok: async () => ({ options: {}, received: () => [], close: async () => undefined }),
      hang: async () => ({ options: {}, received: () => [], close: async () => undefined }),
    },
  }).filter(({ name }) => name.includes('abort'));
  await assert.rejects(async () => abort?.run(), /within 1000 ms of the abort/);
});

test('the exam fails a handler that changes the event', async () => {
  const failed = await failedQuestions({
    handle(event) {
      (event as { id: string }).id = 'changed';
    },
  });
  assert.ok(failed.includes('log delivers a frozen event'));
});

test('a run tells delivered, skipped and failed apart as the engine does, and drops the tallies of what failed', async () => {
  const outcomes: Handler['handle'][] = [
    () => undefined,
    () => skip('not mine'),
    () => Promise.reject(new Error('no')),
  ];
  const kinds: string[] = [];
  for (const handle of outcomes) {
    const counting: Handler = {
      handle(event, delivery) {
        delivery.tally('sample', 0, '', 1);
        return handle(event, delivery);
      },
    };
    const { outcome, tallies } = await runHandler(pluginOf(counting), 'log');
    kinds.push(`${outcome.kind} ${tallies.length}`);
  }
  assert.deepEqual(kinds, ['delivered 1', 'skipped 0', 'failed 0']);
});

test('a handler that the plugin does not have is named', async () => {
  await assert.rejects(openHandler(pluginOf({ handle() {} }), 'lgo'), /one of the handlers log, got lgo/);
});

test('the clock stands still until it is moved', () => {
  const clock = fakeClock(1_000);
  assert.equal(clock.now(), 1_000);
  clock.advance(500);
  assert.equal(clock.now(), 1_500);
});

test('the sink follows its script, then answers as usual', async () => {
  const sink = await httpSink();
  sink.script(503, { status: 201, body: 'made', headers: { 'x-a': '1' } });
  sink.usually(({ path }) => (path === '/no' ? 404 : 204));
  const statuses: number[] = [];
  for (const path of ['/', '/', '/', '/no']) statuses.push((await fetch(sink.url + path)).status);
  assert.deepEqual(statuses, [503, 201, 204, 404]);
  assert.deepEqual(
    sink.requests.map(({ path }) => path),
    ['/', '/', '/', '/no'],
  );
  await sink.close();
});

test('the bus in memory takes an event and gives it to a group', async () => {
  const bus = await memoryBus();
  const deadLetter = { retention: 1_000, maxEntries: 10, onFull: 'pause' } as const;
  const group = await bus.openGroup({ group: 'a.b', patterns: ['test.happened'], startFrom: 'new', deadLetter });
  const body = JSON.stringify({
    specversion: '1.0',
    id: '1',
    source: '/t',
    type: 'test.happened',
    time: '2026-01-01T00:00:00Z',
  });
  const [result] = await bus.publish([
    { type: 'test.happened', event: { body, meta: undefined }, dedupeKey: '/t 1', fingerprint: 'f', eventId: '1' },
  ]);
  assert.equal(result?.kind, 'accepted');
  const [entry] = await group.read(1, AbortSignal.timeout(2_000));
  assert.equal(entry?.body, body);
  await group.close();
  await bus.close();
});
