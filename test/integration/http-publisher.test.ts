import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bus, Publication, PublishResult } from '../../engine/bus/bus.ts';
import { IngestFault, type RefusalWord } from '../../engine/core/ingest-fault.ts';
import { EventFlowError } from '../../engine/errors.ts';
import type { Signal } from '../../engine/observe/signals.ts';
import { createPublisher, type Publisher } from '../../engine/publisher.ts';
import { envelopeOf, openRoom, type Room, type RoomOptions } from './http-room.ts';

const word =
  (expected: RefusalWord) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof IngestFault, String(error));
    assert.equal(error.word, expected, error.message);
    return true;
  };

/** The same promises, whichever way the events take. */
async function withPublisher(
  way: 'bus' | 'url',
  options: RoomOptions,
  run: (publisher: Publisher, room: Room) => Promise<void>,
): Promise<void> {
  const room = await openRoom(options);
  const publish = options.publish ?? room.bus.publish.bind(room.bus);
  const limits = { source: 'test', deadlineMs: 2000 };
  const eventTypes = () => room.deps.generation().eventTypes;
  const publisher =
    way === 'bus'
      ? createPublisher({ bus: { publish } }, { ...limits, eventTypes, observer: room.deps.observer })
      : createPublisher({ url: room.address }, limits);
  try {
    await run(publisher, room);
  } finally {
    await publisher.close();
    await room.close();
  }
}

for (const way of ['bus', 'url'] as const) {
  test(`an event published by ${way} is stored with what it lacked`, () =>
    withPublisher(way, {}, async (publisher, room) => {
      const { id, duplicate } = await publisher.publish({ type: 'order.paid', data: { n: 1 }, tenant: 'x' });
      assert.equal(duplicate, false);
      const [event] = (await room.stored()).map(envelopeOf);
      assert.deepEqual(
        [event?.id, event?.source, event?.type, event?.data, event?.['tenant']],
        [id, 'test', 'order.paid', { n: 1 }, 'x'],
      );
      assert.ok(Math.abs(Date.parse(event?.time ?? '') - Date.now()) < 5000);
    }));

  test(`several events published by ${way} keep their order`, () =>
    withPublisher(way, {}, async (publisher, room) => {
      const events = Array.from({ length: 750 }, (_, at) => ({ type: 'a', id: `e${at}`, data: at }));
      const receipts = await publisher.publish(events);
      assert.deepEqual(
        receipts.map((receipt) => receipt.id),
        events.map((event) => event.id),
      );
      assert.deepEqual(
        (await room.stored()).map((entry) => envelopeOf(entry).id),
        events.map((event) => event.id),
      );
      assert.deepEqual(await publisher.publish([]), []);
    }));

  test(`a repeat by ${way} is recognised by its id, and by its key`, () =>
    withPublisher(way, {}, async (publisher, room) => {
      await publisher.publish({ type: 'a', id: 'same', time: new Date() });
      assert.equal((await publisher.publish({ type: 'a', id: 'other' })).duplicate, false);
      const first = await publisher.publish({ type: 'a', data: 1 }, { idempotencyKey: 'k' });
      const again = await publisher.publish({ type: 'a', data: 1 }, { idempotencyKey: 'k' });
      assert.deepEqual([first.duplicate, again.duplicate, again.id], [false, true, first.id]);
      await assert.rejects(
        publisher.publish({ type: 'a', data: 2 }, { idempotencyKey: 'k' }),
        word('idempotency_mismatch'),
      );
      assert.equal((await room.stored()).length, 3);
    }));

  test(`bad events are refused by ${way} with the same words as over HTTP`, () =>
    withPublisher(way, {}, async (publisher, room) => {
      const cyclic: Record<string, unknown> = {};
      cyclic['self'] = cyclic;
      let deep: unknown = 0;
      for (let at = 0; at < 20_000; at++) deep = [deep];
      await assert.rejects(publisher.publish({ type: 'No Type' }), word('invalid_type'));
      await assert.rejects(publisher.publish({ type: 'a', id: '' }), word('invalid_id'));
      await assert.rejects(publisher.publish({ type: 'a', data: 1n }), word('invalid_event'));
      await assert.rejects(publisher.publish({ type: 'a', data: cyclic }), word('invalid_event'));
      await assert.rejects(publisher.publish({ type: 'a', data: deep }), word('too_complex'));
      await assert.rejects(publisher.publish({ type: 'a', data: '\ud800' }), word('invalid_encoding'));
      await assert.rejects(publisher.publish({ type: 'a', data: 'x'.repeat(300_000) }), word('too_large'));
      await assert.rejects(publisher.publish({ type: 'a' }, { idempotencyKey: '' }), word('invalid_id'));
      await assert.rejects(publisher.publish([{ type: 'a' }, { type: 'B' }]), /event 1: type/);
      assert.deepEqual(await room.stored(), []);
    }));

  test(`data that its schema rejects is refused by ${way}`, () =>
    withPublisher(
      way,
      {
        rules: [
          { type: 'strict', check: () => ['wrong'], onInvalid: 'reject' },
          { type: 'lenient', check: () => ['odd'], onInvalid: 'warn' },
        ],
      },
      async (publisher, room) => {
        await assert.rejects(publisher.publish({ type: 'strict', data: 1 }), word('invalid_data'));
        const { id, warnings } = await publisher.publish({ type: 'lenient', data: 1 });
        assert.deepEqual(warnings, ['odd']);
        assert.deepEqual(
          room.signals.filter(({ kind }) => kind === 'data_warning'),
          [{ kind: 'data_warning', eventType: 'lenient', eventId: id, faults: ['odd'] }],
        );
      },
    ));

  test(`a store that has a bad moment is asked again by ${way}, and the event is stored once`, async () => {
    let failures = 0;
    let real: Bus['publish'] | undefined;
    const publish: Bus['publish'] = async (items) => {
      if (real === undefined) throw new Error('not open');
      const results = await real(items);
      if (failures++ < 2) throw new Error('Connection is closed.');
      return results;
    };
    await withPublisher(way, { publish }, async (publisher, room) => {
      real = room.bus.publish.bind(room.bus);
      const { duplicate } = await publisher.publish({ type: 'a', data: 1 });
      assert.equal(duplicate, false);
      assert.equal(failures, 3);
      assert.equal((await room.stored()).length, 1);
    });
  });
}

const accept = (items: readonly Publication[]): PublishResult[] =>
  items.map((_, at) => ({ kind: 'accepted', stream: 's', entryId: String(at) }));

/** A bus that takes everything, and remembers the ids of each call. */
function recordingBus() {
  const calls: string[][] = [];
  const publish = async (items: readonly Publication[]): Promise<readonly PublishResult[]> => {
    calls.push(items.map((item) => item.eventId));
    return accept(items);
  };
  return { publish, calls };
}

test('calls of the same moment travel in one call of the bus', async () => {
  const bus = recordingBus();
  const publisher = createPublisher({ bus });
  const ids = Array.from({ length: 50 }, (_, at) => `g${at}`);
  await Promise.all(ids.map((id) => publisher.publish({ type: 'a', id })));
  assert.deepEqual(bus.calls, [ids]);
  await publisher.close();
});

test('more events than may wait are refused, and none of the call is stored', async () => {
  const bus = recordingBus();
  const publisher = createPublisher({ bus }, { maxWaiting: 3, deadlineMs: 0 });
  const fits = publisher.publish(['1', '2'].map((id) => ({ type: 'a', id })));
  await assert.rejects(publisher.publish(['3', '4'].map((id) => ({ type: 'a', id }))), word('overloaded'));
  await fits;
  assert.deepEqual(bus.calls, [['1', '2']]);
  await publisher.close();
});

test('a store that stays away is given up at the deadline', async () => {
  const bus = { publish: () => Promise.reject(new EventFlowError('EF5001', 'gone')) };
  const publisher = createPublisher({ bus }, { deadlineMs: 200 });
  const began = Date.now();
  await assert.rejects(publisher.publish({ type: 'a' }), word('store_unavailable'));
  assert.ok(Date.now() - began < 2000);
  await publisher.close();
});

test('an engine that is not there is named with its address', async () => {
  const publisher = createPublisher({ url: 'http://127.0.0.1:9' }, { deadlineMs: 100 });
  await assert.rejects(publisher.publish({ type: 'a' }), /127\.0\.0\.1:9.*ECONNREFUSED/);
  await publisher.close();
});

test('a closed publisher takes nothing, and closing waits for what is under way', async () => {
  const order: string[] = [];
  const bus = {
    publish: async (items: readonly Publication[]) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      order.push('stored');
      return accept(items);
    },
  };
  const publisher = createPublisher({ bus });
  const underWay = publisher.publish({ type: 'a' });
  await publisher.close().then(() => order.push('closed'));
  await underWay;
  assert.deepEqual(order, ['stored', 'closed']);
  await assert.rejects(publisher.publish({ type: 'a' }), word('shutting_down'));
});

test('the observer hears of every event once', async () => {
  const signals: Signal[] = [];
  const publisher = createPublisher(
    { bus: { publish: async (items) => accept(items) } },
    { observer: (signal) => signals.push(signal) },
  );
  await publisher.publish({ type: 'a', source: '/s' });
  assert.deepEqual(signals, [{ kind: 'published', eventType: 'a', source: '/s', count: 1 }]);
  await publisher.close();
});

test('a publisher takes the address of an engine, and says so to anything else without repeating it', () => {
  for (const [url, got] of [
    ['shop.example', 'a text that is no URL'],
    ['redis://:hushhush@127.0.0.1:6379/0', 'one of redis:'],
    ['sqlite:bus.db', 'one of sqlite:'],
  ] as const) {
    assert.throws(() => createPublisher({ url }), {
      name: 'TypeError',
      message: `expected url to be the ingest address of an engine, such as http://127.0.0.1:8787, got ${got}: for a bus, give { bus: await openBus(URL) }`,
    });
  }
});
