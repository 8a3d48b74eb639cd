import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GroupStats } from '../../engine/bus/bus.ts';
import type { DeadLetter } from '../../engine/core/delivery.ts';
import type { JournalRow } from '../../engine/core/journal.ts';
import { tellTimeline } from '../../engine/operations/timeline.ts';
import { balanceOf, verificationOf } from '../../engine/operations/verify.ts';

const fault = { code: 'http_503', message: 'no', kind: 'status', status: 503 } as const;

const row = (attempt: number, status: JournalRow['status'], nextAt?: number): JournalRow => ({
  eventId: 'e',
  eventType: 'order.paid',
  publishedAt: 1000,
  attempt,
  status,
  startedAt: 1000 + attempt * 100,
  ms: 5,
  nextAt,
  reason: undefined,
  fault: status === 'retry' || status === 'dead' ? fault : undefined,
});

const record = (group: string, at: number, of: JournalRow) => ({ group, at, row: of });

const letter: DeadLetter = {
  id: 'd1',
  group: 'a.r',
  stream: 's',
  body: '{}',
  meta: undefined,
  publishedAt: 1000,
  deadAt: 1300,
  reason: 'exhausted',
  handler: 'webhook',
  eventId: 'e',
  eventType: 'order.paid',
  fault,
  fingerprint: 'f',
  attempts: [
    { n: 1, at: 1100, ms: 5, fault },
    { n: 2, at: 1200, ms: 5, fault },
  ],
  configHash: 'c',
};

test('a delivery that waits for its next attempt says when, and what went wrong last', () => {
  const { deliveries, eventType, publishedAt } = tellTimeline(
    'e',
    [record('a.r', 1105, row(1, 'retry', 2000))],
    [],
    [],
  );
  const [delivery] = deliveries;
  assert.deepEqual([eventType, publishedAt], ['order.paid', 1000]);
  assert.deepEqual(
    [delivery?.status, delivery?.nextAt, delivery?.lastFault, delivery?.updatedAt],
    ['retrying', 2000, fault, 1105],
  );
});

test('attempts come in order, with their outcomes, and a delivery that succeeded waits for nothing', () => {
  const records = [record('a.r', 1205, row(2, 'delivered')), record('a.r', 1105, row(1, 'retry', 1200))];
  const [delivery] = tellTimeline('e', records, [], []).deliveries;
  assert.deepEqual(
    delivery?.attempts.map(({ attempt, outcome }) => [attempt, outcome]),
    [
      [1, 'failed'],
      [2, 'delivered'],
    ],
  );
  assert.deepEqual([delivery?.status, delivery?.nextAt], ['delivered', undefined]);
});

test('a dead letter tells the attempts that the journal has forgotten, each once', () => {
  const [delivery] = tellTimeline('e', [record('a.r', 1205, row(2, 'dead'))], [letter], []).deliveries;
  assert.deepEqual(
    delivery?.attempts.map(({ attempt }) => attempt),
    [1, 2],
  );
  assert.deepEqual([delivery?.status, delivery?.deadReason, delivery?.deadLetterId], ['dead', 'exhausted', 'd1']);
});

test('a delivery that died and has no letter any more is on its way again', () => {
  const [delivery] = tellTimeline('e', [record('a.r', 1205, row(2, 'dead'))], [], []).deliveries;
  assert.equal(delivery?.status, 'waiting');
});

test('routes that want the event and have said nothing are shown too', () => {
  const interested = [
    { group: 'b.busy', busy: true },
    { group: 'b.idle', busy: false },
    { group: 'a.r', busy: true },
  ];
  const { deliveries } = tellTimeline('e', [record('a.r', 1105, row(1, 'skipped'))], [], interested);
  assert.deepEqual(
    deliveries.map(({ group, status }) => [group, status]),
    [
      ['a.r', 'skipped'],
      ['b.busy', 'waiting'],
      ['b.idle', 'unknown'],
    ],
  );
});

const stats: GroupStats = {
  lag: [{ stream: 's', entries: 3, known: true }],
  pending: 2,
  pendingOldestMs: 0,
  retrying: 4,
  postponed: 0,
  retryOverdueMs: 0,
  due: 1,
  dead: 5,
  deadOldestAt: 1,
  totals: {
    accepted: 100,
    delivered: 70,
    skipped: 5,
    unmatched: 6,
    dead: 20,
    redriven: 10,
    discarded: 3,
    dropped: 1,
    retries: 9,
  },
};

test('what was accepted is somewhere: the residue is 0', () => {
  const balance = balanceOf('a.r', stats);
  assert.deepEqual([balance.residue, balance.exact], [0, true]);
});

test('a loss shows, and no surplus elsewhere hides it', () => {
  const lost = balanceOf('a.r', { ...stats, totals: { ...stats.totals, delivered: 69 } });
  const extra = balanceOf('b.r', { ...stats, totals: { ...stats.totals, delivered: 71 } });
  assert.deepEqual([lost.residue, extra.residue], [1, -1]);
  const { total } = verificationOf([lost, extra]);
  assert.deepEqual([total.residue, total.accepted, total.delivered], [2, 200, 140]);
});

test('a lag that is only a lower bound makes the sums no proof', () => {
  const unsure = balanceOf('a.r', { ...stats, lag: [{ stream: 's', entries: 3, known: false }] });
  assert.equal(verificationOf([balanceOf('b.r', stats), unsure]).total.exact, false);
});
