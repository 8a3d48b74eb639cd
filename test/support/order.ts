/** Ordered routes in tests: events named `KEY-N`, ordered by the KEY; one that begins with `~` has none. */
import type { OrderingRule } from '../../engine/core/route.ts';

export const keyOf = (id: string): string => id.slice(0, id.lastIndexOf('-'));

export const byName: OrderingRule = {
  source: 'event.id',
  key({ id }) {
    if (id.startsWith('~')) throw new Error('expected event.subject, got nothing');
    return keyOf(id);
  },
};

/** `count` names of each key, one key after the other in turn. */
export const inTurn = (keys: readonly string[], count: number): string[] =>
  Array.from({ length: count }, (_, n) => keys.map((key) => `${key}-${n}`)).flat();

/** The names of one key, in their order. */
export const ofKey = (names: readonly string[], key: string): string[] => names.filter((name) => keyOf(name) === key);
