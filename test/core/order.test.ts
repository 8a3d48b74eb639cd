import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { comparePlaces, Lines, type Next, type Place, placeOf, type Room } from '../../engine/core/order.ts';

const wide: Room = { entries: 1_000, size: 1_000_000, behindAway: 16 };
const place = (n: number, more: Partial<Place> = {}): Place => {
  const { stream = 's', origin = String(n), redriven = false } = more;
  return placeOf({ stream, origin, publishedAt: n }, redriven);
};

function arrive(lines: Lines<number>, key: string, n: number, more: Partial<Place> = {}): string | number {
  const how = lines.put(key, place(n, more), n, 1);
  return how === 'waits' ? (lines.next(key, 0).start ?? 'waits') : how;
}

const origins = ({ start, recall }: Next<number>): unknown => [start, recall.map(({ origin }) => Number(origin))];

test('the first of each line starts, and the others follow one by one', () => {
  const lines = new Lines<number>(wide);
  assert.deepEqual(
    [arrive(lines, 'a', 1), arrive(lines, 'a', 2), arrive(lines, 'b', 3), arrive(lines, 'a', 4)],
    [1, 'waits', 3, 'waits'],
  );
  assert.deepEqual(lines.ended(place(1), 0).start, 2);
  assert.deepEqual(lines.ended(place(3), 0).start, undefined);
  assert.deepEqual(lines.ended(place(2), 0).start, 4);
  assert.deepEqual(lines.ended(place(4), 0).start, undefined);
  assert.equal(lines.length, 0);
});

test('a line waits behind its first one for as long as that is away', () => {
  const lines = new Lines<number>(wide);
  arrive(lines, 'a', 1);
  arrive(lines, 'a', 2);
  assert.deepEqual(lines.left(place(1), 5_000), []);
  assert.equal(arrive(lines, 'a', 3), 'waits');
  assert.equal(arrive(lines, 'a', 1), 1, 'it comes back');
  assert.equal(lines.ended(place(1), 0).start, 2);
});

test('what has no room is set aside, and fetched in order when it is first', () => {
  const lines = new Lines<number>({ entries: 2, size: 100, behindAway: 2 });
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((n) => arrive(lines, 'a', n)),
    [1, 'waits', 'waits', 'aside', 'aside'],
  );
  assert.equal(arrive(lines, 'b', 6), 6, 'the first of a line always has room');
  assert.ok(lines.leftAside(place(4)));
  assert.ok(lines.leftAside(place(5)));
  assert.deepEqual(origins(lines.ended(place(1), 0)), [2, []]);
  assert.deepEqual(origins(lines.ended(place(2), 0)), [3, []]);
  assert.deepEqual(origins(lines.ended(place(3), 0)), [undefined, [4, 5]]);
  assert.equal(arrive(lines, 'a', 5), 'waits', 'they may come in any order');
  assert.equal(arrive(lines, 'a', 4), 4);
  assert.equal(lines.ended(place(4), 0).start, 5);
});

test('what was set aside is fetched, also when that was known before the bus had answered', () => {
  const lines = new Lines<number>({ entries: 100, size: 100, behindAway: 0 });
  arrive(lines, 'a', 1);
  arrive(lines, 'a', 2);
  assert.deepEqual(lines.left(place(1), 300), [2]);
  lines.lost(place(2));
  lines.doubt();
  lines.expect('a', place(1), 300);
  lines.expect('a', place(2), undefined);
  lines.dropDoubted();
  assert.ok(lines.leftAside(place(2)), 'the answer, late');
  assert.equal(arrive(lines, 'a', 1), 1);
  assert.ok(!lines.leftAside(place(1)), 'what runs was not set aside');
  assert.deepEqual(origins(lines.ended(place(1), 0)), [undefined, [2]]);
});

test('a large entry has no room where a small one has', () => {
  const lines = new Lines<string>({ entries: 10, size: 100, behindAway: 10 });
  lines.put('a', place(1), 'first', 1_000);
  assert.equal(lines.next('a', 0).start, 'first');
  assert.deepEqual(
    [
      lines.put('a', place(2), 'large', 90),
      lines.put('a', place(3), 'larger', 20),
      lines.put('a', place(4), 'small', 10),
    ],
    ['waits', 'aside', 'waits'],
  );
});

test('a line behind a retry keeps few entries here, whatever it had before', () => {
  const lines = new Lines<number>({ entries: 100, size: 1_000, behindAway: 2 });
  for (let n = 1; n <= 10; n += 1) arrive(lines, 'a', n);
  assert.deepEqual(lines.left(place(1), 60_000), [4, 5, 6, 7, 8, 9, 10]);
  assert.equal(arrive(lines, 'a', 11), 'aside');
  assert.equal(lines.kept, 2);
});

test('one that was redriven goes to the end of its line, and is not overtaken there', () => {
  const lines = new Lines<number>(wide);
  arrive(lines, 'a', 5);
  arrive(lines, 'a', 6);
  arrive(lines, 'a', 1, { redriven: true });
  arrive(lines, 'a', 7);
  assert.deepEqual(
    [5, 6, 1, 7].map((n) => lines.ended(place(n), 0).start),
    [6, 1, 7, undefined],
  );
});

test('one that comes late goes to its place, but never before one that runs', () => {
  const lines = new Lines<number>(wide);
  arrive(lines, 'a', 5);
  arrive(lines, 'a', 9);
  arrive(lines, 'a', 2);
  arrive(lines, 'a', 7);
  assert.deepEqual(
    [5, 2, 7, 9].map((n) => lines.ended(place(n), 0).start),
    [2, 7, 9, undefined],
  );
});

test('the same entry again changes nothing', () => {
  const lines = new Lines<number>(wide);
  arrive(lines, 'a', 1);
  arrive(lines, 'a', 2);
  assert.deepEqual([arrive(lines, 'a', 1), arrive(lines, 'a', 2)], ['known', 'known']);
  assert.deepEqual([lines.length, lines.kept], [2, 1]);
});

test('what the bus does not know any more when it is asked frees its line', () => {
  const lines = new Lines<number>(wide);
  for (let n = 1; n <= 4; n += 1) arrive(lines, 'a', n);
  lines.lost(place(1));
  lines.lost(place(2));
  lines.doubt();
  lines.expect('a', place(2), 700);
  lines.expect('a', place(3), 700);
  lines.dropDoubted();
  assert.deepEqual([...lines.nextOfAll(0)], [], '2 is away, and 3 is here, whatever the bus says');
  assert.equal(lines.overdue(600), false);
  assert.equal(lines.overdue(701), true);
  assert.equal(arrive(lines, 'a', 2), 2);
  assert.equal(lines.ended(place(2), 0).start, 3);
});

test('an answer that is older than an end does not bring it back', () => {
  const lines = new Lines<number>(wide);
  arrive(lines, 'a', 1);
  lines.doubt();
  lines.ended(place(1), 0);
  lines.expect('a', place(1), 700);
  assert.equal(arrive(lines, 'a', 1), 'known');
  lines.dropDoubted();
  assert.equal(lines.length, 0);
});

test('who loses the lines forgets all but what runs', () => {
  const lines = new Lines<number>(wide);
  for (const [key, n] of [
    ['a', 1],
    ['a', 2],
    ['b', 3],
    ['c', 4],
  ] as const)
    arrive(lines, key, n);
  lines.left(place(4), 100);
  lines.forget(({ origin }) => origin === '1');
  assert.equal(lines.length, 1);
  assert.equal(lines.kept, 0);
  assert.equal(lines.keyOf(place(1)), 'a');
});

test('origins are compared as the numbers that they are', () => {
  const sorted = ['1700000000000-2', '1700000000000-10', '1700000000001-0'].map((origin) => place(0, { origin }));
  assert.deepEqual([...sorted].reverse().sort(comparePlaces), sorted);
  assert.ok(comparePlaces(place(9), place(10)) < 0);
  assert.ok(comparePlaces(place(9, { stream: 'x' }), place(3)) > 0, 'between streams by time');
});

// ── a bus and a worker in a few lines, driven at random ──────────────────────────────────────────────────────────

type Where = 'stream' | 'here' | 'runs' | 'aside' | 'retry' | 'ended';

class Game {
  readonly lines: Lines<number>;
  readonly room: Room;
  readonly where: Where[] = [];
  readonly keys: string[] = [];
  readonly started: number[] = [];

  constructor(room: Room) {
    this.room = room;
    this.lines = new Lines(room);
  }

  publish(key: string): void {
    this.where.push('stream');
    this.keys.push(key);
  }

  /** The oldest unread one, or one of those that are back from the bus. */
  come(n: number): void {
    const key = this.keys[n];
    if (key === undefined) return;
    const how = this.lines.put(key, place(n), n, 1);
    assert.notEqual(how, 'known');
    if (how === 'aside') this.putAside(n);
    else {
      this.where[n] = 'here';
      this.do(this.lines.next(key, 0));
    }
  }

  putAside(n: number): void {
    this.where[n] = 'aside';
    assert.ok(this.lines.leftAside(place(n)));
    this.do(this.lines.next(this.keys[n] as string, 0));
  }

  do({ start, recall }: Next<number>): void {
    if (start !== undefined) {
      assert.equal(this.where[start], 'here');
      const older = this.where.some((state, n) => n < start && this.keys[n] === this.keys[start] && state !== 'ended');
      assert.ok(!older, `${start} starts before an older one of its key has ended`);
      this.where[start] = 'runs';
      this.started.push(start);
    }
    for (const { origin } of recall) {
      assert.equal(this.where[Number(origin)], 'aside');
      this.where[Number(origin)] = 'retry';
    }
  }

  end(n: number, how: 'ended' | 'retry'): void {
    this.where[n] = how;
    if (how === 'ended') this.do(this.lines.ended(place(n), 0));
    else for (const entry of this.lines.left(place(n), 0)) this.putAside(entry);
  }

  some(state: Where, at: number): number | undefined {
    const all = [...this.where.keys()].filter((n) => this.where[n] === state);
    return state === 'stream' ? all[0] : all[at % Math.max(1, all.length)];
  }

  /** As a holder does that has taken over: only the bus is known. */
  rebuild(): void {
    const { lines } = this;
    lines.forget(({ origin }) => this.where[Number(origin)] === 'runs');
    lines.doubt();
    for (const [n, state] of this.where.entries()) {
      const key = this.keys[n] as string;
      if (state === 'here' && lines.put(key, place(n), n, 1) === 'aside') {
        this.where[n] = 'aside';
        lines.leftAside(place(n));
      }
      if (state === 'retry') lines.expect(key, place(n), 0);
      if (state === 'aside') lines.expect(key, place(n), undefined);
    }
    lines.dropDoubted();
    for (const next of lines.nextOfAll(0)) this.do(next);
  }

  step(roll: number, at: number): void {
    if (roll < 3) return this.publish('abc'[at % 3] as string);
    if (roll < 6) return this.with('stream', at, (n) => this.come(n));
    if (roll < 8) return this.with('retry', at, (n) => this.come(n));
    if (roll < 11) return this.with('runs', at, (n) => this.end(n, 'ended'));
    if (roll < 13) return this.with('runs', at, (n) => this.end(n, 'retry'));
    this.rebuild();
  }

  with(state: Where, at: number, act: (n: number) => void): void {
    const n = this.some(state, at);
    if (n !== undefined) act(n);
  }

  check(): void {
    const here = this.where.filter((state) => state === 'here').length;
    assert.equal(this.lines.kept, here);
    assert.equal(this.lines.length, this.where.filter((state) => state !== 'stream' && state !== 'ended').length);
    assert.ok(here <= this.room.entries + 3, 'no more is kept than there is room for, and the first of each line');
  }

  finish(): void {
    for (let turns = 0; turns < 10_000 && this.where.some((state) => state !== 'ended'); turns += 1) {
      this.with('stream', 0, (n) => this.come(n));
      this.with('retry', turns, (n) => this.come(n));
      this.with('runs', turns, (n) => this.end(n, 'ended'));
    }
    assert.deepEqual(
      this.where.filter((state) => state !== 'ended'),
      [],
    );
    assert.equal(this.lines.length, 0);
  }
}

test('whatever comes, fails, is set aside or taken over: one key runs in its order, and nothing is left behind', () => {
  const steps = fc.array(fc.tuple(fc.nat({ max: 13 }), fc.nat({ max: 50 })), { maxLength: 200 });
  const rooms = fc.constantFrom<Room>(
    { entries: 3, size: 100, behindAway: 1 },
    { entries: 0, size: 0, behindAway: 0 },
    wide,
  );
  fc.assert(
    fc.property(rooms, steps, (room, list) => {
      const game = new Game(room);
      for (const [roll, at] of list) {
        game.step(roll, at);
        game.check();
      }
      game.finish();
    }),
    { numRuns: 400 },
  );
});
