/** One seed from its start to its end. */

import { fateOf, timesOutFirst } from './handlers.ts';
import type { Bug } from './model/bugs.ts';
import { step } from './steps.ts';
import { World } from './world.ts';

export interface Outcome {
  readonly seed: number;
  /** The step at which something did not hold any more; undefined: all of it held. */
  readonly failedAt: number | undefined;
  readonly invariant: string | undefined;
  readonly message: string | undefined;
  /** The newest lines of the trace, when it failed. */
  readonly tail: readonly string[];
  /** Of everything that happened. */
  readonly hash: string;
  readonly coverage: ReadonlyMap<string, number>;
}

/** Simulated time in which a world without faults must come to rest, ms. */
const healingMs = 240_000;

export async function simulate(
  seed: number,
  steps: number,
  more: { readonly bug?: Bug | undefined; readonly print?: ((line: string) => void) | undefined } = {},
): Promise<Outcome> {
  const world = new World({ seed, ...more });
  let at = 0;
  try {
    for (at = 1; at <= steps; at += 1) {
      await step(world);
      if (world.run.violation !== undefined) return outcomeOf(world, at);
    }
    await heal(world);
  } catch (error) {
    world.run.fail('the simulation itself goes through', (error as Error).stack ?? String(error));
  }
  return outcomeOf(world, world.run.violation === undefined ? undefined : at);
}

const outcomeOf = ({ seed, run }: World, failedAt: number | undefined): Outcome => ({
  seed,
  failedAt,
  invariant: run.violation?.invariant,
  message: run.violation?.message,
  tail: failedAt === undefined ? [] : run.tail.slice(-40),
  hash: run.hash,
  coverage: run.coverage,
});

/** The weather clears, every route is there again, and the world must come to rest with everything accounted for. */
async function heal(world: World): Promise<void> {
  const { time, network, store, endpoints, run } = world;
  run.note(() => '── healing');
  network.loseNothing();
  endpoints.down.clear();
  world.files = new Map(world.routes.map(({ group }) => [group, world.nextVersion()]));
  for (const end = time.now + healingMs; time.now < end; ) {
    for (const { host } of world.engines) time.thaw(host);
    await world.pass(1_000);
    if (run.violation !== undefined) return;
    if (atRest(world)) break;
    await redriveRemoved(world);
    await makeRoom(world, end - time.now < healingMs / 2);
  }
  if (!atRest(world)) {
    const rest = [...store.model.groups.keys()].map((group) => JSON.stringify(store.model.stats(group, time.now)));
    run.fail('a world without faults comes to rest', rest.join('\n'));
  }
  judge(world);
}

const comesBack: ReadonlySet<string> = new Set(['breaker_open', 'route_removed']);

function atRest({ store, time }: World): boolean {
  return [...store.model.groups.keys()].every((group) => {
    const { lag, pending, retrying, due } = store.model.stats(group, time.now);
    // They come back when the breaker closes, and by hand when the route is there again.
    if (store.model.letters().some((letter) => letter.group === group && comesBack.has(letter.reason))) return false;
    return pending + retrying + due + lag.reduce((sum, { entries }) => sum + entries, 0) === 0;
  });
}

/** The routes are back, and a person sees to what was dead-lettered while they were not. */
async function redriveRemoved({ store, people, time }: World): Promise<void> {
  const removed = store.model.letters().filter(({ reason }) => reason === 'route_removed');
  if (removed.length === 0) return;
  people.deadLetters.redrive(removed.map(({ id }) => id)).catch(() => undefined);
  await time.pass(50);
}

/** A person keeps the DLQs from being full. */
async function makeRoom({ seed, store, people, time }: World, late: boolean): Promise<void> {
  const full = [...store.model.groups.values()].filter(({ dead, policy }) => dead.size >= policy.maxEntries);
  const ids = full.flatMap(({ dead }) => [...dead.keys()].slice(0, 2));
  // Letters that time out whenever they are the probe keep their breaker open when there is nothing else to probe with:
  // only a person can tell them from an outage.
  const open = store.model.letters().filter(({ reason }) => reason === 'breaker_open');
  const stuck = open.every(({ group, eventId = '' }) => timesOutFirst(seed, group, eventId));
  if (late && stuck) ids.push(...open.map(({ id }) => id));
  if (ids.length === 0) return;
  people.deadLetters.discard(ids).catch(() => undefined);
  await time.pass(50);
}

/** Every event was delivered or is dead, as its handler's script says. */
function judge({ seed, ledger, run, store }: World): void {
  const reasons = new Map(store.model.letters().map((letter) => [`${letter.group} ${letter.eventId}`, letter.reason]));
  for (const pairs of ledger.pairs.values()) {
    for (const pair of pairs.values()) {
      const actual = pair.state === 'open' ? reasons.get(`${pair.group} ${pair.event.eventId}`) : pair.state;
      if (pair.touched || actual === 'gone' || actual === 'crash_loop' || pair.unmatched) continue;
      run.cover('fate as scripted');
      if (actual !== fateOf(seed, pair)) {
        const detail = `${pair.event.eventId} for ${pair.group}: ${actual}, its script says ${fateOf(seed, pair)}`;
        run.fail('every event ends as its handler says', detail);
      }
    }
  }
}
