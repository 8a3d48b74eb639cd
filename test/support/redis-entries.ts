/** What the tests of the Redis bus publish and read. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Entry, Group, GroupSpec, Publication } from '../../engine/bus/bus.ts';
import { decodeEvent } from '../../engine/event.ts';

export const spec: GroupSpec = {
  group: 'p.r',
  patterns: ['order.paid'],
  startFrom: 'new',
  deadLetter: { retention: 3_600_000, maxEntries: 100, onFull: 'pause' },
};
export const events = 'ef:{order.paid:0}:events';
export const never = new AbortController().signal;

export function publication(id: string = randomUUID()): Publication {
  const body = JSON.stringify({ specversion: '1.0', id, source: '/test', type: 'order.paid', data: {} });
  return { type: 'order.paid', event: { body, meta: undefined }, dedupeKey: id, fingerprint: id, eventId: id };
}

export async function readAll(group: Group, count: number, patienceMs = 15_000): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  const end = Date.now() + patienceMs;
  while (entries.length < count && Date.now() < end) entries.push(...(await group.read(count - entries.length, never)));
  assert.equal(entries.length, count, `read within ${patienceMs} ms`);
  return entries;
}

export const ids = (entries: readonly Entry[]): readonly string[] =>
  entries.map(({ body, meta }) => decodeEvent(body, meta).id).sort();

export const ack = (entry: Entry) => ({ kind: 'ack', entry, status: 'delivered' }) as const;
