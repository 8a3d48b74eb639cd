/** Operations on a bus that is open in this process. */
import type { Bus, DeadLetterFilter, GroupInfo } from '../bus/bus.ts';
import type { BreakerState } from '../core/breaker.ts';
import type { DeadLetter } from '../core/delivery.ts';
import { decodeLine } from '../core/journal.ts';
import { matchAny } from '../core/match.ts';
import type { Observer } from '../observe/signals.ts';
import type { Circuit, Operations, RedriveReport, RedriveRequest, RouteStatus, Timeline } from './operations.ts';
import { type Interested, type Record as JournalRecord, tellTimeline } from './timeline.ts';
import { balanceOf, verificationOf } from './verify.ts';

/** Letters sent again in one call of the bus. */
const redriveStep = 200;

function circuitOf(key: string, state: BreakerState): Circuit {
  const blank = { key, state: state.kind, why: undefined, since: undefined, nextProbeAt: undefined, failures: 0 };
  switch (state.kind) {
    case 'closed':
      return { ...blank, failures: state.failures };
    case 'open':
      return { ...blank, why: state.why, since: state.since, nextProbeAt: state.until };
    case 'half_open':
      return { ...blank, why: state.why };
  }
}

/** Breakers go by the storage of their route; people know it by its name. */
async function circuitsOf(bus: Bus): Promise<readonly Circuit[]> {
  const [stored, groups] = await Promise.all([bus.breakers.list(), bus.groups()]);
  const names = new Map(groups.map(({ storage, group }) => [storage, group]));
  const named = (key: string): string =>
    key.replace(
      /^(route|key):([^:]+)/,
      (_, scope: string, storage: string) => `${scope}:${names.get(storage) ?? storage}`,
    );
  return stored.map(({ key, state }) => circuitOf(named(key), state));
}

async function routesOf(bus: Bus): Promise<readonly RouteStatus[]> {
  const groups = await bus.groups();
  const routes = await Promise.all(
    groups.map(async (info) => {
      const stats = await bus.groupStats(info.group);
      return stats === undefined ? [] : [{ ...info, stats }];
    }),
  );
  return routes.flat().sort((a, b) => (a.group < b.group ? -1 : 1));
}

async function recordsOf(bus: Bus, eventId: string): Promise<readonly JournalRecord[]> {
  const records: JournalRecord[] = [];
  const needle = JSON.stringify(eventId);
  for await (const { at, group, line } of bus.journal()) {
    if (!line.includes(needle)) continue;
    // Newest first, also within a line.
    for (const row of [...decodeLine(line)].reverse()) if (row.eventId === eventId) records.push({ group, at, row });
  }
  return records;
}

async function isBusy(bus: Bus, { group }: GroupInfo): Promise<boolean> {
  const stats = await bus.groupStats(group);
  if (stats === undefined) return false;
  return stats.pending + stats.retrying + stats.due > 0 || stats.lag.some(({ entries }) => entries > 0);
}

/** Groups that want the type and were there when the event was published, or have not yet read all that they want. */
async function interestedIn(bus: Bus, type: string | undefined, at: number): Promise<readonly Interested[]> {
  if (type === undefined) return [];
  const wanting = (await bus.groups()).filter(({ patterns }) => matchAny(patterns)(type));
  const interested = await Promise.all(wanting.map(async (info) => ({ ...info, busy: await isBusy(bus, info) })));
  return interested.filter(({ activatedAt, busy }) => busy || activatedAt <= at);
}

async function timelineOf(bus: Bus, eventId: string): Promise<Timeline> {
  const [records, letters] = await Promise.all([
    recordsOf(bus, eventId),
    bus.deadLetters.list({ eventId, limit: 1000 }),
  ]);
  const told = tellTimeline(eventId, records, letters, []);
  const interested = await interestedIn(bus, told.eventType, told.publishedAt ?? 0);
  return tellTimeline(eventId, records, letters, interested);
}

type Found = Pick<DeadLetter, 'id' | 'group'>;

async function findLetters(bus: Bus, request: RedriveRequest): Promise<readonly Found[]> {
  if ('filter' in request) return [...(await bus.deadLetters.list(request.filter))].reverse();
  const letters = await Promise.all([...new Set(request.ids)].map((id) => bus.deadLetters.get(id)));
  return letters.filter((letter) => letter !== undefined);
}

function countByGroup(letters: readonly Found[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { group } of letters) counts.set(group, (counts.get(group) ?? 0) + 1);
  return Object.fromEntries(counts);
}

async function redriveAll(
  bus: Bus,
  letters: readonly Found[],
  observer: Observer | undefined,
): Promise<readonly string[]> {
  const redriven: string[] = [];
  for (let at = 0; at < letters.length; at += redriveStep) {
    const step = letters.slice(at, at + redriveStep);
    const done = new Set(await bus.deadLetters.redrive(step.map(({ id }) => id)));
    redriven.push(...done);
    const counts = countByGroup(step.filter(({ id }) => done.has(id)));
    for (const [group, count] of Object.entries(counts)) observer?.({ kind: 'redriven', group, count });
  }
  return redriven;
}

async function redrive(bus: Bus, request: RedriveRequest, observer: Observer | undefined): Promise<RedriveReport> {
  const letters = await findLetters(bus, request);
  const found = new Set(letters.map(({ id }) => id));
  const redriven = request.dryRun ? [] : await redriveAll(bus, letters, observer);
  return {
    dryRun: request.dryRun,
    matched: letters.length,
    byGroup: countByGroup(letters),
    redriven,
    missing: 'ids' in request ? request.ids.filter((id) => !found.has(id)) : [],
  };
}

/** `observer` hears of what is redriven. */
export function localOperations(bus: Bus, observer?: Observer): Operations {
  return {
    deadLetters: (filter: DeadLetterFilter) => bus.deadLetters.list(filter),
    deadLetter: (id) => bus.deadLetters.get(id),
    redrive: (request) => redrive(bus, request, observer),
    timeline: (eventId) => timelineOf(bus, eventId),
    circuits: () => circuitsOf(bus),
    routes: () => routesOf(bus),
    purge: async ({ group, by, reason }) => {
      const purged = await bus.purge(group, { by, reason });
      if (purged !== undefined) observer?.({ kind: 'purged', ...purged });
      return purged;
    },
    verify: async () => {
      const [routes, purges] = [await routesOf(bus), await bus.purges()];
      return { ...verificationOf(routes.map(({ group, stats }) => balanceOf(group, stats))), purges };
    },
  };
}
