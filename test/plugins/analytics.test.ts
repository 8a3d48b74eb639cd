import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import analytics from '@eventflow/plugin-analytics';
import { type DeliverySetup, handlerExam, openHandler, runHandler } from 'eventflow/testing';

const event = {
  id: 'o-1',
  source: '/shop',
  type: 'order.paid',
  time: '2026-03-01T12:34:56Z',
  data: { country: 'DE', total: 12.5, customer: { plan: 'pro' } },
};
const publishedAt = Date.UTC(2026, 2, 2, 13, 45, 30);

const count = (counter: object, delivery: DeliverySetup = {}) =>
  runHandler(analytics, 'analytics', {
    event,
    publishedAt,
    ...delivery,
    options: { counters: [{ name: 'orders', ...counter }] },
  });

async function onlyTally(counter: object, delivery: DeliverySetup = {}) {
  const { tallies, outcome } = await count(counter, delivery);
  assert.deepEqual(outcome, { kind: 'delivered' });
  const [tally, second] = tallies;
  assert.ok(tally !== undefined && second === undefined);
  return tally;
}

describe('a counter', () => {
  test('counts events per hour unless told otherwise', async () => {
    assert.deepEqual(await onlyTally({}), { name: 'orders', bucket: Date.UTC(2026, 2, 2, 13), key: '', by: 1 });
  });

  test('has buckets of a minute, an hour or a day in UTC', async () => {
    assert.equal((await onlyTally({ bucket: '1m' })).bucket, Date.UTC(2026, 2, 2, 13, 45));
    assert.equal((await onlyTally({ bucket: '1d' })).bucket, Date.UTC(2026, 2, 2));
  });

  test('can go by the time of the event, and falls back when that is none', async () => {
    assert.equal((await onlyTally({ time: 'event' })).bucket, Date.UTC(2026, 2, 1, 12));
    const odd = { event: { ...event, time: 'yesterday' } };
    assert.equal((await onlyTally({ time: 'event' }, odd)).bucket, Date.UTC(2026, 2, 2, 13));
  });

  test('counts by dimensions from paths and templates, in the order of their names', async () => {
    const dimensions = {
      plan: 'event.data.customer.plan',
      country: 'data.country',
      size: '{% if event.data.total > 10 %}big & fat{% endif %}',
    };
    const { key } = await onlyTally({ dimensions });
    assert.deepEqual(
      [...new URLSearchParams(key)],
      [
        ['country', 'DE'],
        ['plan', 'pro'],
        ['size', 'big & fat'],
      ],
    );
  });

  test('counts what is not there as none, and never looks at prototypes', async () => {
    for (const path of [
      'data.nope',
      'data.country.length',
      'data.constructor.name',
      'data.__proto__',
      'data.customer.toString',
    ]) {
      assert.equal((await onlyTally({ dimensions: { a: path } })).key, 'a=none');
    }
  });

  test('keeps keys within 400 characters and still apart', async () => {
    const dimensions = Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((name) => [name, `data.${name}`]));
    const wide = (last: string) => ({
      event: { ...event, data: { a: '東'.repeat(99), b: '東'.repeat(99), c: '東'.repeat(99), d: 'x', e: last } },
    });
    const [one, two] = [await onlyTally({ dimensions }, wide('1')), await onlyTally({ dimensions }, wide('2'))];
    assert.ok(one.key.length <= 400 && two.key.length <= 400);
    assert.notEqual(one.key, two.key);
  });

  test('adds up a number of the event', async () => {
    assert.equal((await onlyTally({ sum: 'data.total' })).by, 12.5);
  });

  test('that should add up what is no number is a permanent failure that names the path', async () => {
    for (const total of [undefined, '12', null]) {
      const { outcome, tallies } = await count({ sum: 'data.total' }, { event: { ...event, data: { total } } });
      assert.ok(outcome.kind === 'failed' && outcome.permanent);
      assert.match(outcome.fault.message, /data\.total/);
      assert.deepEqual(tallies, []);
    }
  });

  test('needs a name of its own', async () => {
    await assert.rejects(
      runHandler(analytics, 'analytics', { options: { counters: [{ name: 'a' }, { name: 'a' }] } }),
      /a twice/,
    );
  });
});

describe('a file', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'eventflow-analytics-'));
  });
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(() => {
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  });

  const open = (file: object) =>
    openHandler(analytics, 'analytics', { folder, options: { file: { path: './out/events.ndjson', ...file } } });
  const read = (name = 'events.ndjson') => readFileSync(join(folder, 'out', name), 'utf8');
  const ids = (text: string) =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { id: string }).id);

  test('gets one line for each event, in the original bytes where they are one line', async () => {
    const handler = await open({});
    const original = '{"id":"o-2", "n":12345678901234567890}';
    await handler.deliver({ event });
    await handler.deliver({ event, original });
    await handler.deliver({ event, original: '{\n"id":"o-1"}' });
    await handler.close();
    const lines = read().split('\n');
    assert.equal(lines.length, 4);
    assert.equal(lines[1], original);
    assert.deepEqual(ids(read()), ['o-1', 'o-2', 'o-1']);
  });

  test('takes many deliveries at once without mixing them up', async () => {
    const handler = await open({});
    const wanted = Array.from({ length: 500 }, (_, n) => `o-${n}`);
    await Promise.all(wanted.map((id) => handler.deliver({ event: { ...event, id } })));
    await handler.close();
    assert.deepEqual(ids(read()).toSorted(), wanted.toSorted());
  });

  test('is set aside when it has grown, and old ones go', async () => {
    const handler = await open({ maxBytes: 1024, keep: 2 });
    for (let n = 0; n < 40; n += 1) await handler.deliver({ event: { ...event, id: `o-${n}` } });
    await handler.close();
    assert.deepEqual(readdirSync(join(folder, 'out')).toSorted(), [
      'events.ndjson',
      'events.ndjson.1',
      'events.ndjson.2',
    ]);
    for (const name of ['events.ndjson', 'events.ndjson.1', 'events.ndjson.2']) assert.ok(read(name).length <= 1024);
    assert.equal(ids(read()).at(-1), 'o-39');
  });

  test('shared by two handlers loses no line when both set it aside', async () => {
    const handlers = [await open({ maxBytes: 1024, keep: 100 }), await open({ maxBytes: 1024, keep: 100 })];
    const wanted = Array.from({ length: 80 }, (_, n) => `o-${n}`);
    for (const [n, id] of wanted.entries()) await handlers[n % 2]?.deliver({ event: { ...event, id } });
    for (const handler of handlers) await handler.close();
    const all = readdirSync(join(folder, 'out')).flatMap((name) => ids(read(name)));
    assert.deepEqual(all.toSorted(), wanted.toSorted());
  });

  test('that ends in half a line after a crash gets the next one on a line of its own', async () => {
    mkdirSync(join(folder, 'out'));
    writeFileSync(join(folder, 'out', 'events.ndjson'), '{"id":"half');
    const handler = await open({});
    await handler.deliver({ event });
    await handler.close();
    assert.deepEqual(read().split('\n').slice(0, 1), ['{"id":"half']);
    assert.equal((JSON.parse(read().split('\n')[1] ?? '') as { id: string }).id, 'o-1');
  });

  for (const path of ['../out.ndjson', '/etc/out.ndjson', 'a/../../out.ndjson', '.', './link/out.ndjson']) {
    test(`cannot leave the folder of the pipeline: ${path}`, async () => {
      symlinkSync(tmpdir(), join(folder, 'link'));
      await assert.rejects(open({ path }), /below the folder/);
    });
  }

  test('that turns out to be a link is not written through, and counts as a target that is down', async () => {
    mkdirSync(join(folder, 'out'));
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'out', 'events.ndjson'));
    const handler = await open({});
    const { outcome } = await handler.deliver({ event });
    await handler.close();
    assert.ok(outcome.kind === 'failed');
    assert.equal(outcome.permanent, false);
    assert.equal(outcome.fault.unavailable, true);
    assert.ok(!readdirSync(folder).includes('elsewhere'));
  });

  test('goes together with counters', async () => {
    const options = { file: { path: 'a.ndjson' }, counters: [{ name: 'orders' }] };
    const { tallies } = await runHandler(analytics, 'analytics', { event, folder, options });
    assert.equal(tallies.length, 1);
    assert.equal(ids(readFileSync(join(folder, 'a.ndjson'), 'utf8')).length, 1);
  });
});

describe('the exam', () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventflow-exam-'));
  after(() => rmSync(folder, { recursive: true }));
  const options = {
    counters: [{ name: 'orders', dimensions: { country: 'data.country' }, sum: 'data.total' }],
    file: { path: 'exam.ndjson' },
  };
  const exam = handlerExam({
    plugin: analytics,
    handler: 'analytics',
    packageFolder: 'plugins/analytics',
    event,
    setup: { folder },
    peers: {
      async ok() {
        rmSync(join(folder, 'exam.ndjson'), { force: true });
        const received = () => readFileSync(join(folder, 'exam.ndjson'), 'utf8').split('\n').filter(Boolean);
        return { options, received, close: async () => undefined };
      },
    },
    keyOf: (received) => (JSON.parse(received) as { id: string }).id,
  });
  for (const { name, run } of exam) test(name, run);
});
