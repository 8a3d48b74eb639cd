/** Plays one fault and judges it: one row of the table. */
import { setTimeout as sleep } from 'node:timers/promises';
import { remoteOperations } from 'eventflow';
import type { Fault, Toll } from './fault.ts';
import { type Run, Stage } from './stage.ts';

export interface Row {
  readonly fault: string;
  readonly what: string;
  readonly mode: string;
  readonly published: number;
  readonly delivered: number;
  readonly dead: number;
  readonly lost: number;
  /** More than 0 only where the mode can lose. */
  readonly mayLose: number;
  readonly duplicates: number;
  readonly duplicatesBound: number;
  /** ms. */
  readonly recovery: number;
  readonly recoveryBound: number;
  /** From when it was to be published to the other route's service, ms. */
  readonly p95: number;
  readonly p95Bound: number | undefined;
  readonly notes: readonly string[];
  /** What is outside its bounds, in words. */
  readonly wrong: readonly string[];
}

const durable = ['--appendonly', 'yes', '--appendfsync', 'always'];
const patient = 'circuitBreaker: false\n    retry: { maxAttempts: 50, initialInterval: 50ms, maxInterval: 500ms }';
const full = { events: 30_000, perSecond: 1_000 };
const quick = { events: 3_000, perSecond: 600 };

const dice = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 4_294_967_296;
};

export const playsIn = ({ only, stage }: Fault, { durability }: Run): boolean =>
  only === undefined ? stage?.embedded !== true || durability === 'fsync' : only === durability;

/** Never throws: what went wrong is in the row. */
export async function play(fault: Fault, run: Run, seed: number): Promise<Row> {
  let stage: Stage | undefined;
  try {
    stage = await Stage.open(run, { engines: 1, proxied: false, redisArgs: durable, route: patient, ...fault.stage });
    const played = playOn(stage, fault, seed);
    played.catch(() => undefined); // It may still run when it is no longer waited for.
    return await Promise.race([played, hanging(fault)]);
  } catch (error) {
    return broken(fault, run, (error as Error).message);
  } finally {
    await stage?.close();
  }
}

async function hanging({ id, patience = 600_000 }: Fault): Promise<Row> {
  await sleep(patience, undefined, { ref: false });
  throw new Error(`expected ${id} to end within ${patience / 1_000} s, it still runs`);
}

async function playOn(stage: Stage, fault: Fault, seed: number): Promise<Row> {
  const { events, perSecond } = stage.full ? (fault.load ?? full) : (fault.quickLoad ?? quick);
  const publishing = stage.publisher.publish(events, perSecond);
  const toll = await fault.inject(stage, dice(seed), stage.full ? 3 : 1);
  const endedAt = Date.now();
  await publishing;
  await stage.settle(30_000);
  return await judge(fault, stage, toll, endedAt);
}

async function judge(fault: Fault, stage: Stage, toll: Toll, endedAt: number): Promise<Row> {
  const ids = [...stage.acknowledged.keys()];
  const dead = await stage.dead();
  const recovery = firstArrivalAfter(stage, endedAt);
  const p95 = p95Of(stage);
  const row = {
    fault: fault.id,
    what: fault.what,
    mode: modeOf(fault, stage),
    published: ids.length,
    delivered: stage.main.arrivals.size + stage.other.arrivals.size,
    dead,
    lost: lostOf(stage, ids, dead),
    mayLose: toll.mayLose?.atMost ?? 0,
    duplicates: repeatsOf(stage),
    duplicatesBound: toll.duplicates,
    recovery,
    recoveryBound: toll.recovery,
    p95,
    p95Bound: stage.full ? toll.p95 : undefined,
    notes: notesOf(stage, toll),
  };
  const wrong = [...(toll.wrong ?? []), ...((await toll.atRest?.()) ?? []), ...outside(row, toll)];
  return { ...row, wrong: [...wrong, ...(await miscounted(stage, toll, ids.length))] };
}

/** Acknowledged events that some route never got. Which ones are dead letters is not asked, only how many. */
function lostOf({ main, other }: Stage, ids: readonly string[], dead: number): number {
  const missing = (...services: readonly Stage['main'][]): number =>
    ids.filter((id) => services.some(({ arrivals }) => !arrivals.has(id))).length;
  return dead === 0 ? missing(main, other) : Math.max(missing(other), missing(main) - dead);
}

function modeOf(fault: Fault, { durability }: Run): string {
  return fault.mode ?? (fault.stage?.embedded === true ? 'embedded' : durability);
}

const notesOf = (stage: Stage, { notes = [], mayLose }: Toll): readonly string[] => [
  ...(stage.surroundings?.note === undefined ? [] : [stage.surroundings.note]),
  ...(mayLose === undefined ? [] : [`may lose: ${mayLose.why}`]),
  ...notes,
];

function outside(row: Omit<Row, 'wrong'>, { dead: letters = 0 }: Toll): readonly string[] {
  const { dead, lost, mayLose, duplicates, duplicatesBound, recovery, recoveryBound, p95, p95Bound = Infinity } = row;
  return [
    ...(dead === letters ? [] : [`${dead} dead letters at the end, expected ${letters}`]),
    ...(lost <= mayLose ? [] : [`lost ${lost}, at most ${mayLose} are allowed`]),
    ...(duplicates <= duplicatesBound ? [] : [`repeated ${duplicates}, at most ${duplicatesBound} are allowed`]),
    ...(recovery <= recoveryBound ? [] : [`recovered after ${recovery} ms, at most ${recoveryBound} are allowed`]),
    ...(p95 <= p95Bound ? [] : [`the other route's p95 was ${p95} ms, at most ${p95Bound} are allowed`]),
  ];
}

/** The bus's own books against ours. Where events can be lost the books may be gone with them. */
async function miscounted(stage: Stage, toll: Toll, published: number): Promise<readonly string[]> {
  const [engine] = stage.running;
  if (engine === undefined || toll.mayLose !== undefined) return [];
  const { total, groups } = await remoteOperations(engine.admin).verify();
  const twice = groups.filter(({ group, accepted }) => /^chaos\.(main|other)$/.test(group) && accepted !== published);
  return [
    ...(total.residue === 0 ? [] : [`the bus's own count is off by ${total.residue}`]),
    ...twice.map(({ group, accepted }) => `${group}: acknowledged ${published}, the bus accepted ${accepted}`),
  ];
}

const repeatsOf = (stage: Stage): number =>
  [stage.main, stage.other]
    .flatMap(({ arrivals }) => [...arrivals.values()])
    .reduce((sum, { times }) => sum + times - 1, 0);

/** Of the slower route; 0 when everything had come by then. */
function firstArrivalAfter(stage: Stage, at: number): number {
  const firsts = [stage.main, stage.other].map(({ arrivals }) => {
    let first = Infinity;
    for (const arrival of arrivals.values()) if (arrival.at >= at && arrival.at < first) first = arrival.at;
    return first === Infinity ? 0 : first - at;
  });
  return Math.max(...firsts);
}

function p95Of({ publisher, other }: Stage): number {
  const waits: number[] = [];
  for (const [id, { at }] of other.arrivals) waits.push(at - (publisher.due.get(id) ?? at));
  waits.sort((a, b) => a - b);
  return Math.round(waits[Math.min(waits.length - 1, Math.floor(waits.length * 0.95))] ?? 0);
}

const broken = (fault: Fault, run: Run, why: string): Row => ({
  fault: fault.id,
  what: fault.what,
  mode: modeOf(fault, run),
  published: 0,
  delivered: 0,
  dead: 0,
  lost: 0,
  mayLose: 0,
  duplicates: 0,
  duplicatesBound: 0,
  recovery: 0,
  recoveryBound: 0,
  p95: 0,
  p95Bound: undefined,
  notes: [],
  wrong: [why],
});
