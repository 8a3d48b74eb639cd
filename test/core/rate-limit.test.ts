/** Rate limits: never more starts in a span than the limit says, nearly as many, and a time for everybody who waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  endOf,
  noPermits,
  type PermitRequest,
  type PermitState,
  type Permits,
  take,
} from '../../engine/core/rate-limit.ts';

const t0 = 1_800_000_000_000;

const request = (more: Partial<PermitRequest> = {}): PermitRequest => ({
  ...{ limit: 5, per: 1_000, wanted: 1, returning: 0, line: true, leadMs: 20 },
  ...more,
});

/** A bus with one key. */
class Counter {
  state: PermitState = noPermits;

  take(now: number, more: Partial<PermitRequest> = {}): Permits {
    const { state, permits } = take(this.state, request(more), now);
    this.state = state;
    return permits;
  }
}

/** The most starts in any span of `per`, which begins with one of them. */
function most(starts: readonly number[], per: number): number {
  const sorted = [...starts].sort((a, b) => a - b);
  return Math.max(0, ...sorted.map((from, at) => sorted.slice(at).filter((start) => start < from + per).length));
}

test('a burst of the whole limit is granted at once, and nothing more until a span is over', () => {
  const counter = new Counter();
  assert.equal(counter.take(t0, { wanted: 8, line: false }).granted, 5);
  const { granted, nextInMs } = counter.take(t0 + 500, { line: false });
  assert.equal(granted, 0);
  assert.ok(nextInMs >= 520 && nextInMs <= 540, `next in ${nextInMs} ms`);
  assert.equal(counter.take(t0 + 500 + nextInMs - 1, { line: false }).granted, 0);
  assert.equal(counter.take(t0 + 500 + nextInMs, { line: false, wanted: 9 }).granted, 5);
});

test('whoever gets no permit gets a time of its own, in order, at the pace of the limit', () => {
  const counter = new Counter();
  const { granted, waits } = counter.take(t0, { wanted: 25 });
  assert.equal(granted, 5);
  assert.equal(waits.length, 20);
  assert.ok((waits[0] ?? 0) >= 1_020);
  for (const [at, wait] of waits.slice(1).entries()) assert.ok(wait - (waits[at] ?? 0) >= 200, `${waits}`);
  assert.ok((waits.at(-1) ?? 0) < 6_000, `the twentieth comes back in ${waits.at(-1)} ms`);
});

test('what is new does not get past a line, also when there are permits', () => {
  const counter = new Counter();
  const { waits } = counter.take(t0, { wanted: 30 });
  const later = t0 + 2_500;
  assert.equal(counter.take(later, { wanted: 2 }).granted, 0);
  assert.equal(counter.take(later, { wanted: 2, returning: 1 }).granted, 1);
  const [last] = counter.take(later, { wanted: 1 }).waits;
  assert.ok(later + (last ?? 0) > t0 + (waits.at(-1) ?? 0), 'it stands at the end of the line');
});

test('who returns in time finds a permit, however long the line', () => {
  const counter = new Counter();
  const places = counter.take(t0, { wanted: 300 }).waits;
  for (const wait of places) assert.equal(counter.take(t0 + wait, { returning: 1 }).granted, 1, `after ${wait} ms`);
});

test('a thousand that return late, together, are spread again, and none of them twice to the same time', () => {
  const counter = new Counter();
  counter.take(t0, { wanted: 1_000 });
  const { granted, waits } = counter.take(t0 + 3_600_000, { wanted: 995, returning: 995 });
  assert.equal(granted, 5);
  assert.equal(new Set(waits).size, 990);
});

test('another limit is in force at once, and what waits does not keep what comes from it', () => {
  const counter = new Counter();
  counter.take(t0, { wanted: 1_000 });
  assert.equal(counter.take(t0 + 10, { limit: 50, wanted: 100 }).granted, 45);
  assert.equal(counter.take(t0 + 20, { limit: 2, wanted: 1 }).granted, 0);
});

test('a permit counts until its lead and a whole span are over', () => {
  const counter = new Counter();
  counter.take(t0, { wanted: 5, leadMs: 400, line: false });
  assert.equal(counter.take(t0 + 1_399, { line: false }).granted, 0);
  assert.equal(counter.take(t0 + 1_440, { line: false }).granted, 1);
});

test('the state of a key is small, however it is used, and ends', () => {
  const counter = new Counter();
  for (let at = 0; at < 5_000; at += 1) counter.take(t0 + at, { limit: 100_000, wanted: 7 });
  assert.ok(counter.state.held.length <= 68, `${counter.state.held.length} slots`);
  assert.ok(endOf(counter.state) < t0 + 5_000 + 1_100);
});

interface Ask {
  readonly after: number;
  readonly wanted: number;
  readonly lead: number;
  /** When in its lead each permit is used, as a share of it. */
  readonly used: number;
}

const asks: fc.Arbitrary<readonly Ask[]> = fc.array(
  fc.record({
    after: fc.nat({ max: 400 }),
    wanted: fc.integer({ min: 1, max: 12 }),
    lead: fc.nat({ max: 300 }),
    used: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  { minLength: 1, maxLength: 80 },
);

test('no span of `per` ever holds more than `limit` starts, whenever in its lead a permit is used', () => {
  fc.assert(
    fc.property(
      asks,
      fc.integer({ min: 1, max: 9 }),
      fc.boolean(),
      fc.integer({ min: 100, max: 1_500 }),
      (all, limit, line, per) => {
        const counter = new Counter();
        const starts: number[] = [];
        let now = t0;
        for (const { after, wanted, lead, used } of all) {
          now += after;
          const { granted } = counter.take(now, { limit, per, wanted, line, returning: wanted % 3, leadMs: lead });
          for (let at = 0; at < granted; at += 1) starts.push(now + used * lead);
        }
        assert.ok(most(starts, per) <= limit, `${most(starts, per)} starts in ${per} ms`);
      },
    ),
    { numRuns: 400 },
  );
});

test('whoever waits and returns as told gets its turn, at the pace of the limit but for 4 % and for how late it returns', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1_000, max: 60_000 }),
      fc.nat({ max: 300 }),
      (limit, per, late) => {
        const counter = new Counter();
        const count = limit * 12;
        let tries = 0;
        const due = Array.from({ length: count }, () => ({ at: t0, back: 0 }));
        const starts: number[] = [];
        while (due.length > 0) {
          due.sort((a, b) => a.at - b.at);
          const next = due.shift() as { at: number; back: number };
          tries += 1;
          const lead = Math.min(20, per / 50);
          const { granted, waits } = counter.take(next.at, { limit, per, leadMs: lead, returning: next.back });
          if (granted === 1) starts.push(next.at);
          else due.push({ at: next.at + (waits[0] ?? 0) + ((tries * 7_919) % (late + 1)), back: 1 });
        }
        assert.ok(most(starts, per) <= limit);
        assert.ok(tries <= count * 4, `${tries} tries for ${count}`);
        const took = Math.max(...starts) - t0;
        const most12 = 12 * (per * 1.04 + late);
        assert.ok(took <= most12, `${took} ms for ${count} permits, expected ${most12} at most`);
      },
    ),
    { numRuns: 60 },
  );
});
