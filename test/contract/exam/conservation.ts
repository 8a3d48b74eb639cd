/** The conservation law: whatever is done in whatever order, every accepted event is somewhere, once. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Entry, Group, GroupStats, SettleItem } from '../../../engine/bus/bus.ts';
import { ack, dead, postpone, type Room, readSoon, residue, retry, type Scenario, sleep } from './room.ts';

export function conservationScenarios(scenario: Scenario): void {
  for (const onFull of ['pause', 'dropOldest'] as const) {
    scenario(
      `nothing is lost or counted twice by any sequence of calls, with a DLQ that is full: ${onFull}`,
      async (room) => {
        let round = 0;
        const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
          round += 1;
          const game = await openGame(room, `p.r${round}`, `t${round}`, onFull);
          for (const next of steps) {
            await play(game, next);
            assertConserved(await game.one.stats());
          }
          await drain(game);
        });
        await fc.assert(property, { numRuns: 12 });
      },
    );
  }
}

type Step =
  | { readonly do: 'publish' | 'read' | 'reclaim' | 'release' | 'redrive' | 'discard'; readonly n: number }
  | { readonly do: 'settle'; readonly kinds: readonly SettleItem['kind'][] }
  | { readonly do: 'promote' | 'trim' | 'change hands' | 'settle again' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('publish' as const), n: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), n: fc.integer({ min: 1, max: 8 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      kinds: fc.array(fc.constantFrom('ack' as const, 'retry' as const, 'postpone' as const, 'dead' as const), {
        minLength: 1,
        maxLength: 8,
      }),
    }),
  },
  fc.record({
    do: fc.constantFrom('reclaim' as const, 'release' as const, 'redrive' as const, 'discard' as const),
    n: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({
    do: fc.constantFrom('promote' as const, 'trim' as const, 'change hands' as const, 'settle again' as const),
  }),
);

/** One group with two consumers, and what each of them was handed. */
interface Game {
  readonly room: Room;
  readonly type: string;
  one: Group;
  two: Group;
  held: Entry[];
  /** What was handed out before and may be settled, or somebody else's. */
  stale: Entry[];
}

async function openGame(room: Room, name: string, type: string, onFull: 'pause' | 'dropOldest'): Promise<Game> {
  const more = { deadLetter: { retention: 3_600_000, maxEntries: 4, onFull } };
  const [one, two] = [await room.group(name, [type], more), await room.group(name, [type], more)];
  return { room, type, one, two, held: [], stale: [] };
}

async function play(game: Game, next: Step): Promise<void> {
  const { room, one } = game;
  switch (next.do) {
    case 'publish':
      await room.publishMany(game.type, next.n);
      return;
    case 'read':
      if (await hasMore(one)) game.held.push(...(await one.read(next.n, AbortSignal.timeout(2000))));
      return;
    case 'reclaim':
      return reclaim(game, next.n);
    case 'release':
      return release(game, next.n);
    case 'settle':
      return settle(game, next.kinds);
    case 'settle again':
      await one.settle(
        game.stale.slice(-5).map((entry, at) => items[at % items.length]?.(entry) ?? ack(entry)),
        undefined,
      );
      return;
    case 'redrive':
    case 'discard': {
      const letters = await room.bus.deadLetters.list({ group: one.name, limit: next.n });
      await room.bus.deadLetters[next.do](letters.map(({ id }) => id));
      return;
    }
    case 'promote':
      await one.promote(5);
      return;
    case 'trim':
      await room.bus.trim();
      return;
    case 'change hands':
      [game.one, game.two] = [game.two, game.one];
      game.stale.push(...game.held.splice(0));
      return;
  }
}

const kinds = {
  ack,
  retry: (entry: Entry) => retry(entry, 0),
  postpone: (entry: Entry) => postpone(entry, 0),
  dead: (entry: Entry) => dead(entry),
} as const;
const items = Object.values(kinds);

async function hasMore(group: Group): Promise<boolean> {
  const { lag, due } = await group.stats();
  return due > 0 || lag.some(({ entries }) => entries > 0);
}

async function reclaim(game: Game, limit: number): Promise<void> {
  const held = new Set(game.held.map(({ id }) => id));
  const { entries, lost } = await game.one.reclaim(0, limit, (id) => held.has(id));
  assert.deepEqual(lost, []);
  game.held.push(...entries);
}

async function release(game: Game, count: number): Promise<void> {
  const released = game.held.splice(0, count);
  await game.one.release(released);
  game.stale.push(...released);
}

async function settle(game: Game, wanted: readonly SettleItem['kind'][]): Promise<void> {
  const entries = game.held.splice(0, wanted.length);
  const results = await game.one.settle(
    entries.map((entry, at) => kinds[wanted[at] ?? 'ack'](entry)),
    '[]',
  );
  for (const [at, entry] of entries.entries()) (results[at] === 'full' ? game.held : game.stale).push(entry);
}

/** Where the bus says that it does not know a lag exactly, what it does say must not be too much. */
function assertConserved(stats: GroupStats): void {
  const rest = residue(stats);
  if (stats.lag.every(({ known }) => known)) assert.equal(rest, 0, JSON.stringify(stats));
  else assert.ok(rest >= 0, JSON.stringify(stats));
  assert.equal(stats.dead, stats.totals.dead - stats.totals.redriven - stats.totals.discarded - stats.totals.dropped);
}

/** Delivers all that is left; at rest the law holds to the last event. */
async function drain(game: Game): Promise<void> {
  const { one } = game;
  for (let sweep = 0; sweep < 200; sweep += 1) {
    await one.promote(100);
    const { entries } = await one.reclaim(0, 100, () => false);
    const more = (await hasMore(one)) ? await readSoon(one, 500) : [];
    await one.settle([...entries, ...more].map(ack), undefined);
    const stats = await one.stats();
    if (stats.pending + stats.retrying + stats.due === 0 && !(await hasMore(one))) {
      assert.equal(residue(stats), 0, JSON.stringify(stats));
      return;
    }
    await sleep(2);
  }
  assert.fail(`the group does not come to rest: ${JSON.stringify(await one.stats())}`);
}
