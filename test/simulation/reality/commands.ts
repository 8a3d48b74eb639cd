/** What can be asked of a bus, as commands that fast-check strings together. */
import fc, { type AsyncCommand } from 'fast-check';
import type { Entry, Resting, SettleItem } from '../../../engine/bus/bus.ts';
import type { DeadLetter } from '../../../engine/core/delivery.ts';
import { ack, dead, postpone, publication, retry } from '../../contract/exam/room.ts';
import {
  type Consumer,
  comparable,
  type Game,
  type HandOut,
  idOf,
  longWait,
  now,
  pairUp,
  same,
  types,
} from './game.ts';

/** Fast-check keeps model and reality apart; here the game is both. */
type Command = AsyncCommand<object, Game>;

const command = (name: string, run: (game: Game) => Promise<void>): Command => ({
  check: () => true,
  run: (_, game) => run(game),
  toString: () => name,
});

const at = <T>(list: readonly T[], n: number): T => list[n % list.length] as T;
/** The newest of them: they are the ones that are not settled yet. */
const recent = (game: Game, n: number): HandOut | undefined => game.handOuts.at(-1 - (n % 12));

// ── publish ──────────────────────────────────────────────────────────────────────────────────────────────────────

const publish = (count: number, type: number): Command =>
  command(`publish ${count} ${at(types, type)}`, async (game) => {
    const items = Array.from({ length: count }, () => {
      game.events += 1;
      const id = `e${game.events}`;
      const body = JSON.stringify({ specversion: '1.0', id, source: '/g', type: at(types, type) });
      return publication(at(types, type), {
        event: { body, meta: undefined },
        dedupeKey: id,
        fingerprint: id,
        eventId: id,
      });
    });
    const paper = game.model.publish(items, now());
    const real = await game.bus.publish(items);
    same(
      'publish',
      paper.map(({ kind }) => kind),
      real.map(({ kind }) => kind),
    );
  });

/** `edition` other than 0: another body under the same key. */
const publishAgain = (n: number, edition: number): Command =>
  command(`publish again ${n}, edition ${edition}`, async (game) => {
    if (game.events === 0) return;
    const id = `e${1 + (n % game.events)}`;
    for (const type of types) {
      const item = publication(type, { dedupeKey: id, fingerprint: edition === 0 ? id : `other ${id}`, eventId: id });
      if (!game.model.streams.knows(item)) continue;
      const [paper] = game.model.publish([item], now());
      const [real] = await game.bus.publish([item]);
      const answer = (result: typeof paper): unknown => [result?.kind, result?.kind === 'accepted' || result?.eventId];
      same('publish again', answer(paper), answer(real));
    }
  });

// ── read and hold ────────────────────────────────────────────────────────────────────────────────────────────────

/** Reads all there is, since how much of it comes in which read is the bus's own business. */
const read = (which: number): Command =>
  command(`read by ${which % 3}`, async (game) => {
    const consumer = at(game.consumers, which);
    const { due, fresh } = game.model.readable(consumer.group);
    const paper = [...due, ...fresh].map(({ id }) => game.model.take(consumer.group, consumer.name, id, now()));
    const real: Entry[] = [];
    while (real.length < paper.length) {
      const some = await consumer.real.read(100, AbortSignal.timeout(5_000));
      if (some.length === 0) break;
      real.push(...some);
    }
    if (paper.length === 0) real.push(...(await consumer.real.read(100, AbortSignal.timeout(3))));
    same(`read by ${consumer.name}, order`, orderOf(paper), orderOf(real));
    game.handOuts.push(...pairUp(`read by ${consumer.name}`, consumer, paper, real));
  });

/** Of first attempts, per stream. */
const orderOf = (entries: readonly Entry[]): unknown =>
  ['a', 'mixed'].map((stream) =>
    entries.filter((entry) => entry.state === undefined && entry.stream === stream).map(idOf),
  );

const holderOf = ({ model }: Game, { consumer, paper }: HandOut): string | undefined =>
  model.group(consumer.group).pending.get(paper.id)?.holder;

/** `known`: how many of those that it holds the consumer knows of. `old`: every lease has run out. */
const reclaim = (which: number, known: number, old: boolean): Command =>
  command(`reclaim by ${which % 3}, knowing ${known}, ${old ? 'all' : 'released'}`, async (game) => {
    const consumer = at(game.consumers, which);
    const mine = game.handOuts.filter((one) => one.consumer === consumer && holderOf(game, one) === consumer.name);
    const owned = mine.slice(0, known);
    const [papers, reals] = [new Set(owned.map(({ paper }) => paper.id)), new Set(owned.map(({ real }) => real.id))];
    const idle = old ? 0 : longWait;
    const { name, group } = consumer;
    const paper = game.model.reclaim(group, name, idle, 1_000, (id) => papers.has(id), now());
    const real = await consumer.real.reclaim(idle, 1_000, (id) => reals.has(id));
    same('reclaim, lost', paper.lost.length, real.lost.length);
    game.handOuts.push(...pairUp(`reclaim by ${name}`, consumer, paper.entries, real.entries));
  });

/** Taken back by its own consumer, which did not know of it: what the older of the two may do is left open by the port. */
const isStaleOfOwn = (game: Game, one: HandOut): boolean =>
  game.handOuts.some(
    (other, place) =>
      other.consumer === one.consumer && other.paper.id === one.paper.id && place > game.handOuts.indexOf(one),
  );

const withOne = (name: string, n: number, run: (game: Game, one: HandOut) => Promise<void>): Command =>
  command(`${name} ${n % 12}`, async (game) => {
    const one = recent(game, n);
    if (one !== undefined && !isStaleOfOwn(game, one)) await run(game, one);
  });

const extend = (n: number): Command =>
  withOne('extend', n, async (game, { consumer, paper, real }) => {
    const lost = game.model.extend(consumer.group, consumer.name, [paper], now());
    same('extend', lost.length, (await consumer.real.extend([real])).length);
  });

const release = (n: number): Command =>
  withOne('release', n, async (game, { consumer, paper, real }) => {
    game.model.release(consumer.group, consumer.name, [paper]);
    await consumer.real.release([real]);
  });

const countStart = (n: number): Command =>
  withOne('count the start of', n, async (game, { consumer, paper, real }) => {
    const starts = game.model.countStart(consumer.group, consumer.name, paper, now());
    same('count a start', starts, await consumer.real.countStart(real));
  });

// ── settle ───────────────────────────────────────────────────────────────────────────────────────────────────────

type Kind = 'ack' | 'retry now' | 'retry later' | 'postpone' | 'postpone for long' | 'dead';

function itemOf(kind: Kind, entry: HandOut['paper'], eventId: string): SettleItem {
  switch (kind) {
    case 'ack':
      return ack(entry);
    case 'retry now':
      return retry(entry, 0);
    case 'retry later':
      return retry(entry, longWait);
    case 'postpone':
      return postpone(entry, 0);
    case 'postpone for long':
      return postpone(entry, longWait);
    case 'dead':
      return dead(entry, { eventId });
  }
}

const settle = (n: number, kind: Kind): Command =>
  withOne(`settle, ${kind},`, n, async (game, { consumer, eventId, paper, real }) => {
    const { group, name } = consumer;
    const { results } = game.model.settle(group, name, [itemOf(kind, paper, eventId)], now());
    same(`settle ${kind}`, results, await consumer.real.settle([itemOf(kind, real, eventId)], undefined));
  });

const ask = (which: number, what: 'hold' | 'give back' | 'elsewhere'): Command =>
  command(`${what} by ${which % 3}`, async (game) => {
    const { group, name, real } = at(game.consumers, which);
    if (what === 'elsewhere') {
      same(what, game.model.elsewhere(group, name), await real.order.elsewhere());
    } else if (what === 'hold') {
      same(what, game.model.hold(group, name, longWait, now()).held, (await real.order.hold(longWait)).held);
    } else {
      game.model.giveBack(group, name);
      await real.order.giveBack();
    }
  });

/** What rests must be the same, and what is called back of it too; a read finds it. */
const recall = (which: number, count: number): Command =>
  command(`recall ${count} by ${which % 3}`, async (game) => {
    const { group, real } = at(game.consumers, which);
    const paper = game.model.resting(group);
    const rests: Resting[] = [];
    for await (const some of real.order.resting()) rests.push(...some);
    const tell = (all: readonly Resting[]): unknown =>
      all.map(({ body, state, dueAt }) => `${idOf({ body })} ${state?.attempt} ${dueAt === undefined}`).sort();
    same('resting', tell(paper), tell(rests));
    const byId = (all: readonly Resting[]): readonly Resting[] =>
      all.toSorted((a, b) => (idOf(a) < idOf(b) ? -1 : 1)).slice(0, count);
    game.model.recall(group, byId(paper), now());
    await real.order.recall(byId(rests));
  });

const promote = (which: number): Command =>
  command(`promote by ${which % 3}`, async (game) => {
    const consumer = at(game.consumers, which);
    same('promote', game.model.promote(consumer.group, 1_000, now()), await consumer.real.promote(1_000));
  });

// ── dead letters, trim, breakers, stats ──────────────────────────────────────────────────────────────────────────

const nameOf = ({ group, eventId, reason, attempts }: DeadLetter): string =>
  `${group} ${eventId} ${reason} ${attempts.length}`;

const letters = (what: 'look' | 'redrive' | 'discard', n: number): Command =>
  command(`${what} at letters ${n}`, async (game) => {
    const paper = game.model.letters();
    const real = await game.bus.deadLetters.list({ limit: 1_000 });
    same('letters', paper.map(nameOf).sort(), real.map(nameOf).sort());
    const one = paper[n % Math.max(1, paper.length)];
    const twin = real.find((letter) => one !== undefined && nameOf(letter) === nameOf(one));
    if (what === 'look' || one === undefined || twin === undefined) return;
    const ids = what === 'redrive' ? game.model.redrive([one.id], now()) : game.model.discard([one.id]);
    same(what, ids.length, (await game.bus.deadLetters[what]([twin.id])).length);
    same(`${what} again`, 0, (await game.bus.deadLetters[what]([twin.id])).length);
  });

const trim = command('trim', async (game) => same('trim', game.model.streams.trim(), await game.bus.trim()));

const swap = (expected: number): Command =>
  command(`swap a breaker at version ${expected}`, async (game) => {
    const state = { kind: 'closed', period: 0, windowStart: 0, calls: 0, failures: expected, lastOpenFor: 0 } as const;
    const paper = game.model.swap('b', expected, state);
    const real = await game.bus.breakers.swap('b', expected, state);
    same('swap', [paper.won, paper.stored.version], [real.won, real.stored.version]);
  });

const forget = (expected: number): Command =>
  command(`forget a breaker at version ${expected}`, async (game) => {
    game.model.forget('b', expected);
    await game.bus.breakers.forget('b', expected);
    same('breakers', game.model.breakers(), await game.bus.breakers.list());
  });

/** No permit ends while the game is played. */
const takePermits = (key: number, wanted: number, returning: number): Command =>
  command(`take ${wanted} permits of ${key}, ${returning} returning`, async (game) => {
    const request = {
      limit: 6,
      per: longWait,
      wanted,
      returning: Math.min(wanted, returning),
      line: key > 0,
      leadMs: 5_000,
    };
    const paper = game.model.permits(`k${key}`, request, now());
    const real = await game.bus.limits.take(`k${key}`, request);
    same('permits', [paper.granted, paper.waits.length], [real.granted, real.waits.length]);
    const drift = [paper.nextInMs - real.nextInMs, ...paper.waits.map((wait, at) => wait - (real.waits[at] ?? 0))];
    same(
      'when permits come, within a minute',
      [],
      drift.filter((ms) => Math.abs(ms) > 60_000),
    );
  });

export async function compareStats(game: Game): Promise<void> {
  for (const { group, real } of new Map(game.consumers.map((one): [string, Consumer] => [one.group, one])).values()) {
    same(`stats of ${group}`, comparable(game.model.stats(group, now())), comparable(await real.stats()));
  }
}

const n = fc.nat({ max: 60 });

export const commands = fc.commands(
  [
    fc.tuple(fc.integer({ min: 1, max: 6 }), n).map(([count, type]) => publish(count, type)),
    fc.tuple(n, fc.nat({ max: 1 })).map(([which, edition]) => publishAgain(which, edition)),
    n.map(read),
    n.map(read),
    fc.tuple(n, fc.nat({ max: 5 }), fc.boolean()).map(([which, known, old]) => reclaim(which, known, old)),
    n.map(extend),
    n.map(release),
    n.map(countStart),
    ...(['ack', 'retry now', 'retry later', 'postpone', 'postpone for long', 'dead'] as const).map((kind) =>
      n.map((which) => settle(which, kind)),
    ),
    ...(['ack', 'retry now', 'dead'] as const).map((kind) => n.map((which) => settle(which, kind))),
    n.map(promote),
    ...(['hold', 'give back', 'elsewhere'] as const).map((what) => n.map((which) => ask(which, what))),
    fc.tuple(n, fc.nat({ max: 4 })).map(([which, count]) => recall(which, count)),
    fc
      .tuple(fc.constantFrom('look' as const, 'redrive' as const, 'discard' as const), n)
      .map(([what, which]) => letters(what, which)),
    fc.constant(trim),
    fc.nat({ max: 3 }).map(swap),
    fc.nat({ max: 3 }).map(forget),
    fc.tuple(fc.nat({ max: 1 }), n, n).map(([key, wanted, back]) => takePermits(key, wanted % 9, back % 5)),
    fc.constant(command('stats', compareStats)),
  ],
  { maxCommands: 60, size: '+1' },
);
