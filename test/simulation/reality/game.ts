/** The model and a real bus side by side: the same calls to both, and what each of them answered. */
import assert from 'node:assert/strict';
import type { Bus, Entry, Group, GroupSpec, GroupStats } from '../../../engine/bus/bus.ts';
import type { Bug } from '../model/bugs.ts';
import { BusModel } from '../model/bus-model.ts';

const hour = 3_600_000;
/** One stream for several types. */
export const rules = [{ name: 'mixed', types: ['m.*'] }] as const;
export const types = ['a', 'm.x', 'm.y'] as const;

const policy = (maxEntries: number, onFull: 'pause' | 'dropOldest'): GroupSpec['deadLetter'] => ({
  retention: hour,
  maxEntries,
  onFull,
});

const specs: readonly GroupSpec[] = [
  { group: 'p.r', patterns: ['a', 'm.*'], startFrom: 'beginning', deadLetter: policy(2, 'pause') },
  { group: 'p.s', patterns: ['a'], startFrom: 'beginning', deadLetter: policy(1, 'dropOldest') },
];

/** Two consumers share the first group. */
const consumers = [
  ['r1', 0],
  ['r2', 0],
  ['s1', 1],
] as const;

export interface Consumer {
  readonly name: string;
  readonly group: string;
  readonly real: Group;
}

/** The same entry as both handed it out; kept when it is settled or lost, since that is when it gets interesting. */
export interface HandOut {
  readonly consumer: Consumer;
  readonly eventId: string;
  readonly paper: Entry;
  readonly real: Entry;
}

export interface Game {
  readonly model: BusModel;
  readonly bus: Bus;
  readonly consumers: readonly Consumer[];
  readonly handOuts: HandOut[];
  /** Events published so far: their ids must differ. */
  events: number;
}

export async function openGame(bus: Bus, bug?: Bug): Promise<Game> {
  const model = new BusModel(rules, bug);
  const groups: Consumer[] = [];
  for (const [name, at] of consumers) {
    const spec = specs[at];
    model.open(spec as GroupSpec);
    groups.push({ name, group: (spec as GroupSpec).group, real: await bus.openGroup(spec as GroupSpec) });
  }
  return { model, bus, consumers: groups, handOuts: [], events: 0 };
}

export const idOf = ({ body }: { readonly body: string }): string => (JSON.parse(body) as { id: string }).id;

/** The model's clock is the machine's: what hangs on time is either due at once or in an hour. */
export const now = (): number => Date.now();

export const longWait = hour;

/** What both were asked for must be the same; `what` names the call. */
export const same = (what: string, paper: unknown, real: unknown): void =>
  assert.deepEqual(real, paper, `${what}: the model and the bus differ`);

/** What does not hang on how long calls took. */
export function comparable({ lag, pending, retrying, postponed, due, dead, totals }: GroupStats): unknown {
  const waiting = lag.reduce((sum, { entries }) => sum + entries, 0);
  return { waiting, pending, retrying, postponed, due, dead, totals };
}

/** Puts the same entries of both side by side. Fails when one has something that the other has not. */
export function pairUp(what: string, consumer: Consumer, paper: readonly Entry[], real: readonly Entry[]): HandOut[] {
  const byId = new Map(real.map((entry) => [idOf(entry), entry]));
  same(`${what}, events`, paper.map(idOf).sort(), real.map(idOf).sort());
  return paper.map((entry) => {
    const eventId = idOf(entry);
    const twin = byId.get(eventId) as Entry;
    same(
      `${what}, starts and state of ${eventId}`,
      [entry.starts, entry.state?.attempt],
      [twin.starts, twin.state?.attempt],
    );
    return { consumer, eventId, paper: entry, real: twin };
  });
}
