/** The routes and events that a simulated world has: few, but with every policy among them. */
import type { Publication } from '../../engine/bus/bus.ts';
import type { StreamRule } from '../../engine/core/match.ts';
import type { EventKey, Generation, Route } from '../../engine/core/route.ts';
import { storeEnvelope } from '../../engine/event.ts';
import { breakerPolicy, retryPolicy, routeOf } from '../support/policies.ts';
import type { Dice } from './dice.ts';

export const leaseMs = 3_000;
export const drainMs = 1_500;
/** How long no engine has a route before its retries are dead-lettered. */
export const removedGraceMs = 2_000;

export const types = ['order.paid', 'order.sent', 'user.new', 'user.gone'] as const;
/** One stream for all users: a route that wants one type of it sees the others as unmatched. */
export const streamRules: readonly StreamRule[] = [{ name: 'users', types: ['user.*'] }];

const retry = retryPolicy({ maxAttempts: 3, initialInterval: 300, maxInterval: 1_000 });
const breaker = breakerPolicy({ rule: { kind: 'consecutive', failures: 3 }, openFor: 2_000, maxOpenFor: 6_000 });
const letters = (maxEntries: number, onFull: 'pause' | 'dropOldest'): Route['deadLetter'] => ({
  retention: 86_400_000,
  maxEntries,
  onFull,
});

/** Stands for a customer. */
const thirdOf: EventKey = { source: 'event.id', key: ({ id }) => String(Number(id.slice(1)) % 3) };

const common = { handler: 'sink', plugin: 'p', timeout: 1_000, retry } as const;

export const routes: readonly Route[] = [
  routeOf({
    ...common,
    pipeline: 'orders',
    id: 'receipt',
    on: ['order.paid'],
    handler: 'shop',
    concurrency: 3,
    breaker: { ...breaker, halfOpenProbes: 2 },
    deadLetter: letters(4, 'pause'),
  }),
  routeOf({
    ...common,
    pipeline: 'orders',
    id: 'ledger',
    on: ['order.*'],
    concurrency: 2,
    breaker: { ...breaker, scope: 'handler' },
    deadLetter: letters(3, 'dropOldest'),
  }),
  routeOf({
    ...common,
    pipeline: 'users',
    id: 'mail',
    on: ['user.new'],
    concurrency: 2,
    breaker: { ...breaker, scope: 'handler', onOpen: 'deadLetter', redriveOnClose: true },
    deadLetter: letters(60, 'pause'),
  }),
  routeOf({
    ...common,
    pipeline: 'users',
    id: 'audit',
    on: ['user.**'],
    handler: 'shop',
    concurrency: 4,
    startFrom: 'new',
    deadLetter: letters(5, 'pause'),
  }),
  routeOf({
    ...common,
    pipeline: 'users',
    id: 'history',
    on: ['user.**'],
    concurrency: 3,
    breaker,
    ordering: thirdOf,
    deadLetter: letters(6, 'dropOldest'),
  }),
  routeOf({
    ...common,
    pipeline: 'orders',
    id: 'notify',
    on: ['order.sent'],
    concurrency: 3,
    rateLimit: { limit: 3, per: 900, key: undefined },
    deadLetter: letters(60, 'pause'),
  }),
  routeOf({
    ...common,
    pipeline: 'orders',
    id: 'partners',
    on: ['order.paid'],
    concurrency: 3,
    rateLimit: { limit: 2, per: 700, key: thirdOf },
    breaker: { ...breaker, scope: thirdOf },
    deadLetter: letters(60, 'pause'),
  }),
];

export const routeByGroup: ReadonlyMap<string, Route> = new Map(routes.map((route) => [route.group, route]));

/**
 * Those of one world: each has other company, which finds more than all of them together in every world, and costs half
 * (Groce et al., "Swarm Testing", 2012).
 */
export function someRoutes(dice: Dice): readonly Route[] {
  const left = [...routes];
  const some = Array.from({ length: dice.chance(0.05) ? routes.length : dice.between(3, 4) }, () => {
    const [one] = left.splice(dice.between(0, left.length - 1), 1);
    return one as Route;
  });
  return routes.filter((route) => some.includes(route));
}

/** What the pipeline files say: which routes there are, and in which version. */
export type Files = ReadonlyMap<string, number>;

export function generationOf(files: Files): Generation {
  const present = routes.flatMap((route) => {
    const version = files.get(route.group);
    if (version === undefined) return [];
    return [{ ...route, concurrency: route.concurrency + (version % 2), hash: `${route.group} ${version}` }];
  });
  const byGroup = new Map(present.map((route) => [route.group, route]));
  return { hash: present.map(({ hash }) => hash).join(), pipelines: [], routes: byGroup, eventTypes: new Map() };
}

/** `edition` other than 0: the same id with another body. */
export function publicationOf(id: string, type: string, edition = 0): Publication {
  const time = '2026-01-01T00:00:00Z';
  const event = { specversion: '1.0', id, source: '/sim', type, time, data: { edition } } as const;
  return { type, event: storeEnvelope(event), dedupeKey: id, fingerprint: `${id} ${edition}`, eventId: id };
}
