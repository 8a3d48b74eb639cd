/** The story of one event, put together from the journal, the dead letters and the groups. Pure. */
import type { DeadLetter } from '../core/delivery.ts';
import type { JournalRow } from '../core/journal.ts';
import type { DeliveryStatus, Timeline, TimelineAttempt, TimelineDelivery } from './operations.ts';

/** A journal row with the group that wrote it and when. */
export interface Record {
  readonly group: string;
  readonly at: number;
  readonly row: JournalRow;
}

/** A group that wants the event's type; `busy`: it has something that is not settled yet. */
export interface Interested {
  readonly group: string;
  readonly busy: boolean;
}

const outcomes = { delivered: 'delivered', skipped: 'skipped', retry: 'failed', dead: 'failed' } as const;

function attemptOf({ attempt, startedAt, ms, status, fault, config }: JournalRow): TimelineAttempt {
  const stamp = config === undefined ? {} : { config };
  return { attempt, at: startedAt, ms, outcome: outcomes[status], fault, ...stamp };
}

/** The journal is capped, a dead letter keeps its whole history: each attempt once, whoever remembers it. */
function attemptsOf(records: readonly Record[], letter: DeadLetter | undefined): readonly TimelineAttempt[] {
  const attempts = new Map<string, TimelineAttempt>();
  for (const { n, at, ms, fault } of letter?.attempts ?? []) {
    attempts.set(`${n} ${at}`, { attempt: n, at, ms, outcome: 'failed', fault });
  }
  for (const { row } of records) {
    // A delivery can die without an attempt: too old, of a removed route, held off by its breaker.
    if (row.attempt > 0) attempts.set(`${row.attempt} ${row.startedAt}`, attemptOf(row));
  }
  return [...attempts.values()].sort((a, b) => a.at - b.at || a.attempt - b.attempt);
}

function statusOf(newest: JournalRow | undefined, letter: DeadLetter | undefined): DeliveryStatus {
  if (letter !== undefined) return 'dead';
  switch (newest?.status) {
    case 'delivered':
    case 'skipped':
      return newest.status;
    case 'retry':
      return 'retrying';
    case 'dead':
      // No letter is left: it was redriven and is on its way, or discarded.
      return 'waiting';
    case undefined:
      return 'unknown';
  }
}

function deliveryOf(group: string, records: readonly Record[], letter: DeadLetter | undefined): TimelineDelivery {
  const newest = records.reduce<Record | undefined>((a, b) => (a === undefined || b.at >= a.at ? b : a), undefined);
  const attempts = attemptsOf(records, letter);
  const status = statusOf(newest?.row, letter);
  return {
    group,
    status,
    attempts,
    lastFault: attempts.findLast((attempt) => attempt.fault !== undefined)?.fault ?? letter?.fault,
    nextAt: status === 'retrying' ? newest?.row.nextAt : undefined,
    deadReason: letter?.reason,
    deadLetterId: letter?.id,
    updatedAt: Math.max(newest?.at ?? 0, letter?.deadAt ?? 0) || undefined,
  };
}

const bare = ({ group, busy }: Interested): TimelineDelivery => ({
  ...deliveryOf(group, [], undefined),
  status: busy ? 'waiting' : 'unknown',
});

/** `records` newest first, as the journal has them; `letters` of this event only. */
export function tellTimeline(
  eventId: string,
  records: readonly Record[],
  letters: readonly DeadLetter[],
  interested: readonly Interested[],
): Timeline {
  const oldestFirst = [...records].reverse();
  const groups = new Set([...records, ...letters].map(({ group }) => group));
  const told = [...groups].map((group) =>
    deliveryOf(
      group,
      oldestFirst.filter((record) => record.group === group),
      letters.find((letter) => letter.group === group),
    ),
  );
  const silent = interested.filter(({ group }) => !groups.has(group)).map(bare);
  return {
    eventId,
    eventType: records[0]?.row.eventType ?? letters[0]?.eventType,
    publishedAt: records[0]?.row.publishedAt ?? letters[0]?.publishedAt,
    deliveries: [...told, ...silent].sort((a, b) => (a.group < b.group ? -1 : 1)),
  };
}
