/** Faults of the clocks: an engine's, and that of Redis, by which everything is due. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type DeadLetter, remoteOperations } from 'eventflow';
import { eventually } from '../../support/eventually.ts';
import { type FakeClock, fakeClock } from '../fake-clock.ts';
import { type Fault, perHit, type Toll, unless } from '../fault.ts';
import { recoveryBound, type Stage } from '../stage.ts';

const numberOf = (id: string): number => Number(id.slice(1));
const hour = 3_600;
const waitMs = 2_000;
const maxAgeMs = 10_000;
const isDoomed = (n: number): boolean => n % 100 === 50;

/** How long after its first, failed attempt each event came again, less what its route says, ms. */
class Retries {
  readonly late: number[] = [];
  readonly #failedAt = new Map<string, number>();

  /** Every fourth event fails at first, and with `doomed` every hundredth for ever. */
  constructor(stage: Stage, doomed: boolean) {
    stage.main.answer = (id) => {
      const n = numberOf(id);
      if (doomed && isDoomed(n)) return { status: 503 };
      if (n % 4 !== 0) return undefined;
      const failedAt = this.#failedAt.get(id);
      if (failedAt !== undefined) {
        this.late.push(Date.now() - failedAt - waitMs);
        return undefined;
      }
      this.#failedAt.set(id, Date.now());
      return { status: 503 };
    };
  }

  get failed(): number {
    return this.#failedAt.size;
  }

  get earliest(): number {
    return Math.min(...this.late);
  }

  get latest(): number {
    return Math.max(...this.late);
  }
}

/** Waits until everything is settled; resolves to the dead letters. */
async function lettersOf(stage: Stage): Promise<readonly DeadLetter[]> {
  await eventually('all to be published', () => stage.publisher.done, 120_000);
  await stage.settle(60_000);
  return await remoteOperations(stage.engine(0).admin).deadLetters({ limit: 10_000 });
}

/** Who can never be delivered expires, and nobody does before its time: by the clock of Redis, in both. */
function expiries(letters: readonly DeadLetter[], doomed: number) {
  const others = letters.filter(({ reason }) => reason !== 'expired').length;
  const youngest = Math.min(...letters.map(({ deadAt, publishedAt }) => deadAt - publishedAt));
  const expired = letters.filter(({ eventId = '' }) => isDoomed(numberOf(eventId))).length;
  return [
    [others === 0, `expected nothing to die but by its age, ${others} did`],
    // An engine knows the clock of Redis as well as half a round trip tells it.
    [youngest >= maxAgeMs - 1_000, `expected nobody to expire before ${maxAgeMs} ms, one did after ${youngest}`],
    [expired === doomed, `expected the ${doomed} events that always fail to expire, ${expired} did`],
  ] as const;
}

async function stepped(stage: Stage, random: () => number, scale: number): Promise<Toll> {
  // Before anything else: the publisher has begun.
  const retries = new Retries(stage, true);
  const clock = await fakeClock();
  try {
    return await underSteps(stage, retries, clock, random, scale);
  } finally {
    await clock.end();
  }
}

async function underSteps(
  stage: Stage,
  retries: Retries,
  clock: FakeClock,
  random: () => number,
  scale: number,
): Promise<Toll> {
  await clock.step(hour);
  await stage.startEngine(1, clock.variables);
  for (const seconds of [hour, -hour]) {
    await clock.step(seconds);
    await sleep(1_500 * scale);
  }
  for (let at = 0; at < 10 * scale; at += 1) {
    await clock.step(Math.round((random() - 0.5) * 2 * hour));
    await sleep(200);
  }
  const letters = await lettersOf(stage);
  const inOther = (line: Readonly<Record<string, unknown>>): boolean =>
    Math.abs(Date.parse(String(line['time'])) - Date.now()) > hour * 500;
  const { failed, late, earliest, latest } = retries;
  return {
    duplicates: 0,
    dead: letters.length,
    recovery: recoveryBound,
    notes: [`${late.length} retries, ${earliest} to ${latest} ms after they were due`],
    wrong: unless(
      ...expiries(letters, Math.round(stage.publisher.asked / 100)),
      [late.length > 0, `expected ${failed} to come again, none did`],
      [earliest >= -10, `expected no retry before it is due, one came ${-earliest} ms early`],
      [!stage.full || latest <= 1_000, `expected retries within 1,000 ms, one came after ${latest}`],
      [
        stage.everStarted[1]?.lines.some(inOther) === true,
        'expected the other engine to live in another time, it did not',
      ],
    ),
  };
}

/** The longest that a step of the clock of Redis is left as it is: so long is a retry late at most. */
const steppedBackMs = 12_000;
const stepBack = 600;

async function redisBack(stage: Stage): Promise<Toll> {
  const clock = stage.surroundings as FakeClock;
  const retries = new Retries(stage, false);
  await sleep(1_500);
  await clock.step(-stepBack);
  await sleep(steppedBackMs);
  await clock.step(0);
  const letters = await lettersOf(stage);
  const told = stage.lines.filter(({ kind }) => kind === 'clock').map(({ msg }) => String(msg));
  const { failed, late, earliest, latest } = retries;
  const repeats = stage.running.length * perHit;
  return {
    duplicates: repeats,
    recovery: recoveryBound,
    notes: [`${late.length} retries, ${earliest} to ${latest} ms after they were due; ${told.length} steps told`],
    wrong: unless(
      [letters.length === 0, `expected nobody to expire, ${letters.length} did`],
      [
        late.length >= failed && late.length <= failed + repeats,
        `expected each of ${failed} to come again, and ${repeats} more at most, ${late.length} came`,
      ],
      [latest <= steppedBackMs + 2_000, `expected retries late by the step at most, one came after ${latest} ms`],
      [
        told.some((text) => /stepped back by (599|600)/.test(text)),
        `expected the step to be told, got ${told.join('; ')}`,
      ],
      [stage.publisher.refusals.size === 0, 'expected publishing to go on, some were refused'],
    ),
  };
}

const route = (maxAge: string): string => `circuitBreaker: false
    maxAge: ${maxAge}
    retry: { maxAttempts: 50, backoff: fixed, initialInterval: ${waitMs}ms, jitter: none }`;

export const clock: readonly Fault[] = [
  {
    id: 'T44',
    what: 'clock of one of two engines an hour off, stepping',
    tier: 'full', // It needs a compiler, which the tests do not.
    stage: { route: route(`${maxAgeMs}ms`) },
    inject: stepped,
  },
  {
    id: 'T45',
    what: 'clock of Redis 10 min back for 12 s',
    shares: true,
    tier: 'full',
    quickLoad: { events: 3_000, perSecond: 200 },
    stage: { engines: 2, route: route('60s'), around: fakeClock },
    inject: redisBack,
  },
];
