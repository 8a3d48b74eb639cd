/** Publishing: each event once, found again by its key, stored byte for byte. */
import assert from 'node:assert/strict';
import { accepted, publication, read, readOne, type Scenario, sleep } from './room.ts';

export function publishScenarios(scenario: Scenario): void {
  scenario('results of a publish stand in the order of its items', async (room) => {
    const results = await room.bus.publish([publication('a'), publication('b'), publication('a')]);
    assert.deepEqual(
      results.map((result) => accepted(result).stream),
      ['a', 'b', 'a'],
    );
    assert.equal(new Set([results[0], results[2]].map((result) => accepted(result).entryId)).size, 2);
  });

  scenario('publishing nothing resolves to nothing', async (room) => {
    assert.deepEqual(await room.bus.publish([]), []);
  });

  scenario('publishing a key again gives the first event back and makes no second', async (room) => {
    const group = await room.group('p.r', ['order.paid']);
    const item = publication('order.paid', { dedupeKey: 'k', fingerprint: 'f', eventId: 'first' });
    const [first] = await room.bus.publish([item]);
    const [again] = await room.bus.publish([{ ...item, eventId: 'second' }]);
    const { stream, entryId } = accepted(first);
    assert.deepEqual(again, { kind: 'duplicate', stream, entryId, eventId: 'first' });
    await room.publish('order.paid');
    const entries = await read(group, 2);
    assert.equal(entries[0]?.origin, entryId);
    assert.equal((await room.stats('p.r')).totals.accepted, 2);
  });

  scenario('the same key twice in one publish is one event', async (room) => {
    const item = publication('order.paid');
    const [first, again] = await room.bus.publish([item, item]);
    assert.equal(again?.kind, 'duplicate');
    assert.equal(again.entryId, accepted(first).entryId);
  });

  scenario('the same key published from several places at once is one event', async (room) => {
    const item = publication('order.paid');
    const results = await Promise.all(Array.from({ length: 20 }, () => room.bus.publish([item])));
    assert.equal(results.filter(([result]) => result?.kind === 'accepted').length, 1);
    assert.equal(results.filter(([result]) => result?.kind === 'duplicate').length, 19);
  });

  scenario('the same key with another fingerprint is a conflict that names the first event', async (room) => {
    const item = publication('order.paid', { dedupeKey: 'k', fingerprint: 'f', eventId: 'first' });
    await room.bus.publish([item]);
    const results = await room.bus.publish([
      { ...item, fingerprint: 'g', eventId: 'other' },
      publication('order.paid'),
    ]);
    assert.deepEqual(results[0], { kind: 'conflict', eventId: 'first' });
    assert.equal(results[1]?.kind, 'accepted');
  });

  scenario('a key is remembered over a restart', async (room) => {
    const item = publication('order.paid');
    await room.bus.publish([item]);
    await room.restart();
    assert.equal((await room.bus.publish([item]))[0]?.kind, 'duplicate');
  });

  scenario(
    'a key is forgotten after the dedupe window',
    async (room) => {
      const item = publication('order.paid');
      const [first] = await room.bus.publish([item]);
      await sleep(400);
      const [again] = await room.bus.publish([item]);
      assert.notEqual(accepted(again).entryId, accepted(first).entryId);
    },
    { dedupeWindowMs: 150 },
  );

  scenario('keys of 400 characters of any kind are told apart', async (room) => {
    const long = 'ü '.repeat(199);
    const items = [`${long}1`, `${long}2`].map((dedupeKey) => publication('order.paid', { dedupeKey }));
    const results = await room.bus.publish(items);
    assert.deepEqual(
      results.map(({ kind }) => kind),
      ['accepted', 'accepted'],
    );
  });

  for (const [what, body] of Object.entries(bodies)) {
    scenario(`bytes out are bytes in, at once and after a restart: ${what}`, async (room) => {
      const items = [1, 2].map(() => publication('order.paid', { event: { body, meta: undefined } }));
      const group = await room.group('p.r', ['order.paid']);
      await room.bus.publish(items);
      const entries = [await readOne(group)];
      await room.restart();
      entries.push(await readOne(await room.group('p.r', ['order.paid'])));
      for (const entry of entries) {
        assert.equal(entry.body, body);
        assert.equal(entry.meta, undefined);
      }
    });
  }

  scenario('what the engine adds to an event travels beside its bytes', async (room) => {
    const group = await room.group('p.r', ['order.paid']);
    const meta = { form: 'data', attributes: { id: 'x', source: '/ü', n: 1.5 } } as const;
    await room.bus.publish([publication('order.paid', { event: { body: '{"n": 1.0}', meta } })]);
    const entry = await readOne(group);
    assert.equal(entry.body, '{"n": 1.0}');
    assert.deepEqual(JSON.parse(entry.meta ?? ''), meta);
  });

  scenario(
    'types of one declared stream rest there together, in their order',
    async (room) => {
      const group = await room.group('p.r', ['order.paid']);
      const results = await room.publish('order.paid', 'order.refunded', 'order.paid', 'user.new');
      assert.deepEqual(
        results.map(({ stream }) => stream),
        ['orders', 'orders', 'orders', 'user.new'],
      );
      const entries = await read(group, 3);
      assert.deepEqual(
        entries.map(({ origin }) => origin),
        results.slice(0, 3).map(({ entryId }) => entryId),
      );
    },
    { streams: [{ name: 'orders', types: ['order.*'] }] },
  );

  scenario('a closed bus says so to publishers, with a code', async (room) => {
    await room.bus.close();
    await assert.rejects(room.bus.publish([publication('order.paid')]), { code: /^EF5\d{3}$/ });
  });
}

const bodies: Readonly<Record<string, string>> = {
  'numbers that JSON cannot round-trip': '{"n":1.0, "big":12345678901234567890,"e":1E400}',
  'white space, escapes and a trailing line end': '{ "a" :\t"\\u00e9\\/" }\r\n',
  'characters beyond the basic plane, and a zero': '{"s":"𝄞 ☂ \u0000 é"}',
  'no JSON at all': '<order/>',
  nothing: '',
  'half a megabyte': JSON.stringify({ s: 'é'.repeat(250_000) }),
};
