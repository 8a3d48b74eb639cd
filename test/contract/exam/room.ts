/** What a scenario of the bus exam works with: one fresh bus, short ways to publish and to read, and the clean-up. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  Bus,
  BusOptions,
  Entry,
  Group,
  GroupSpec,
  GroupStats,
  Publication,
  PublishResult,
  SettleItem,
} from '../../../engine/bus/bus.ts';
import type { LastWords } from '../../../engine/core/delivery.ts';
import type { Fault } from '../../../engine/core/outcome.ts';

export interface ExamBus {
  readonly bus: Bus;
  /** Closes the bus and opens the same store again. Absent when the store dies with its bus. */
  reopen?(): Promise<Bus>;
  /** Ends everything, also what `reopen` opened, and removes the data. */
  close(): Promise<void>;
}

/** Opens a bus on a store that nobody has used before. */
export type OpenBus = (options?: BusOptions) => Promise<ExamBus>;

/** One promise of the port, as a sentence, and its proof. */
export type Scenario = (sentence: string, proof: (room: Room) => Promise<void>, options?: BusOptions) => void;

/** No lease in the exam runs out by itself before this, ms. */
export const longLease = 60_000;
const patience = 10_000;

export class Room {
  #fixture: ExamBus;
  bus: Bus;

  constructor(fixture: ExamBus) {
    this.#fixture = fixture;
    this.bus = fixture.bus;
  }

  /** The process starts again on the same store; where the store dies with its bus, time just goes on. */
  async restart(): Promise<void> {
    if (this.#fixture.reopen !== undefined) this.bus = await this.#fixture.reopen();
  }

  /** Opens a consumer. Each call is a consumer of its own, also for a group that is open already. */
  group(name: string, patterns: readonly string[], more: Partial<GroupSpec> = {}): Promise<Group> {
    const deadLetter = { retention: 3_600_000, maxEntries: 100, onFull: 'pause' } as const;
    return this.bus.openGroup({ group: name, patterns, startFrom: 'new', deadLetter, ...more });
  }

  /** Publishes one event of each type; all must be accepted. */
  async publish(...types: readonly string[]): Promise<readonly Accepted[]> {
    const results = await this.bus.publish(types.map((type) => publication(type)));
    return results.map(accepted);
  }

  publishMany(type: string, count: number): Promise<readonly Accepted[]> {
    return this.publish(...Array.from({ length: count }, () => type));
  }

  async stats(group: string): Promise<GroupStats> {
    const stats = await this.bus.groupStats(group);
    assert.ok(stats, `the bus knows ${group}`);
    return stats;
  }
}

type Accepted = Extract<PublishResult, { kind: 'accepted' }>;

export function accepted(result: PublishResult | undefined): Accepted {
  assert.equal(result?.kind, 'accepted');
  return result;
}

export function publication(type: string, more: Partial<Publication> = {}): Publication {
  const id = randomUUID();
  const body = JSON.stringify({ specversion: '1.0', id, source: '/exam', type, data: { n: 1 } });
  return { type, event: { body, meta: undefined }, dedupeKey: `/exam ${id}`, fingerprint: id, eventId: id, ...more };
}

/** Reads until `count` entries are there, in as many reads as it takes. */
export async function read(group: Group, count: number): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  const end = Date.now() + patience;
  while (entries.length < count && Date.now() < end) {
    entries.push(...(await group.read(count - entries.length, AbortSignal.timeout(patience))));
  }
  assert.equal(entries.length, count, `${group.name} reads ${count} entries within ${patience} ms`);
  return entries;
}

export async function readOne(group: Group): Promise<Entry> {
  const [entry] = await read(group, 1);
  assert.ok(entry);
  return entry;
}

/** What comes within a moment; for proofs that nothing does. */
export const readSoon = (group: Group, ms = 200): Promise<readonly Entry[]> => group.read(100, AbortSignal.timeout(ms));

/** Waits for entries that were handed back: by reading or by reclaiming, as the bus likes, with every lease still good. */
export async function takeOver(group: Group, count: number): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  const owned = (id: string): boolean => entries.some((entry) => entry.id === id);
  const end = Date.now() + patience;
  while (entries.length < count && Date.now() < end) {
    entries.push(...(await group.reclaim(longLease, count - entries.length, owned)).entries);
    if (entries.length < count) entries.push(...(await readSoon(group, 20)));
  }
  assert.equal(entries.length, count, `${group.name} takes over ${count} entries within ${patience} ms`);
  return entries;
}

export const ack = (entry: Entry): Extract<SettleItem, { kind: 'ack' }> => ({
  kind: 'ack',
  entry,
  status: 'delivered',
});

export const retry = (entry: Entry, delayMs: number, attempt = 2): SettleItem => ({
  kind: 'retry',
  entry,
  delayMs,
  state: { attempt, attempts: [{ n: attempt - 1, at: 1_700_000_000_000, ms: 12, fault }] },
});

export const postpone = (entry: Entry, delayMs: number): SettleItem => ({ kind: 'postpone', entry, delayMs });

export const dead = (entry: Entry, more: Partial<LastWords> = {}): SettleItem => ({
  kind: 'dead',
  entry,
  words: { ...words, ...more },
});

export const fault: Fault = {
  code: 'http_503',
  message: 'answered "503" ☂',
  kind: 'status',
  status: 503,
  body: 'busy',
};

export const words: LastWords = {
  reason: 'exhausted',
  handler: 'webhook',
  eventId: 'e-1',
  eventType: 'order.paid',
  fault,
  fingerprint: 'f00d',
  attempts: [{ n: 1, at: 1_700_000_000_000, ms: 7, fault }],
  configHash: 'c0ffee',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
};

export const origins = (entries: readonly Entry[]): readonly string[] => entries.map((entry) => entry.origin);

/** 0 when nothing was lost or counted twice. */
export function residue(stats: GroupStats): number {
  const { totals } = stats;
  const waiting = stats.lag.reduce((sum, stream) => sum + stream.entries, 0);
  const resting = waiting + stats.pending + stats.retrying + stats.due + stats.dead;
  const settled = totals.delivered + totals.skipped + totals.unmatched + totals.discarded + totals.dropped;
  return totals.accepted - resting - settled;
}

/** Tries again every few ms until `probe` holds; the last answer is what the assertion shows. */
export async function eventually<T>(probe: () => Promise<T>, holds: (value: T) => boolean, what: string): Promise<T> {
  const end = Date.now() + patience;
  for (;;) {
    const value = await probe();
    if (holds(value)) return value;
    assert.ok(Date.now() < end, `${what} within ${patience} ms, got ${JSON.stringify(value)}`);
    await sleep(10);
  }
}

export { sleep };
