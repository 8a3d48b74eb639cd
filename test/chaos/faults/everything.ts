/** All cheap faults together, in random order, for a long time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { remoteOperations, type Verification } from 'eventflow';
import { type Fault, perHit, pick, type Toll, unless } from '../fault.ts';
import { recoveryBound, type Stage } from '../stage.ts';

type Blow = (stage: Stage, random: () => number) => Promise<void>;

/** An engine refuses to start on a broken file, and whoever deploys one has seen it valid. */
async function start(stage: Stage, at: number): Promise<void> {
  await stage.edit(0, false);
  await stage.startEngine(at);
}

const blows: Readonly<Record<string, Blow>> = {
  'engine kill -9': async (stage, random) => {
    const at = pick(2, random);
    await stage.killEngine(at);
    await start(stage, at);
  },
  'engine stopped past its lease': async (stage, random) => {
    const { child } = stage.engine(pick(2, random));
    child.kill('SIGSTOP');
    await sleep(4_000);
    child.kill('SIGCONT');
  },
  'rolling deploy': async (stage, random) => {
    const at = pick(2, random);
    await stage.stopEngine(at);
    await start(stage, at);
  },
  'Redis kill -9': async (stage) => {
    await stage.redis.kill();
    await sleep(400);
    await stage.redis.restart();
  },
  'half-open link': async (stage, random) => {
    stage.proxy.mode = 'black';
    await sleep(500 + random() * 1_500);
    stage.proxy.cut();
    stage.proxy.mode = 'pass';
  },
  'replies lost': async (stage) => {
    stage.proxy.mode = 'dropReplies';
    await sleep(50);
    stage.proxy.cut();
    stage.proxy.mode = 'pass';
  },
  'service fails': async (stage) => {
    stage.main.answer = () => ({ status: 503 });
    await sleep(1_000);
    stage.main.answer = () => undefined;
  },
  reload: (stage, random) => stage.edit(pick(1_000, random), random() < 0.25),
};

/** Blows every few seconds, while `work` goes on. */
async function strikeDuring(
  stage: Stage,
  random: () => number,
  counts: Map<string, number>,
  work: Promise<void>,
): Promise<void> {
  let done = false;
  const names = Object.keys(blows);
  const working = work.then(() => {
    done = true;
  });
  while (!done) {
    await sleep(500 + random() * 1_500);
    const name = names[pick(names.length, random)] as string;
    await blows[name]?.(stage, random);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  await stage.edit(0, false);
  await working;
}

/** The books when nothing is open any more, or after 30 s. */
async function atRest(stage: Stage): Promise<Verification['total']> {
  const end = Date.now() + 30_000;
  for (;;) {
    const { total } = await remoteOperations(stage.engine(0).admin).verify();
    const { waiting, pending, retrying, due } = total;
    if (waiting + pending + retrying + due === 0 || Date.now() > end) return total;
    await sleep(100);
  }
}

/** Everything is settled and the bus's own count agrees with ours, to the event. */
async function quiet(stage: Stage): Promise<readonly string[]> {
  await stage.settle(30_000);
  const published = stage.acknowledged.size;
  const total = await atRest(stage);
  const open = total.waiting + total.pending + total.retrying + total.due;
  return unless(
    [open === 0, `after ${published} events nothing comes to rest: ${JSON.stringify(total)}`],
    [total.residue === 0, `after ${published} events the bus's own count is off by ${total.residue}`],
    [total.accepted === 2 * published, `acknowledged ${published} for two routes, the bus accepted ${total.accepted}`],
  );
}

async function everything(stage: Stage, random: () => number): Promise<Toll> {
  const parts = stage.full ? 10 : 2;
  const [events, perSecond] = stage.full ? [30_000, 1_500] : [3_000, 600];
  const counts = new Map<string, number>();
  const wrong: string[] = [];
  for (let part = 0; part < parts; part += 1) {
    await strikeDuring(stage, random, counts, stage.publisher.publish(events, perSecond));
    wrong.push(...(await quiet(stage)));
  }
  const hits = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return {
    duplicates: hits * perHit,
    recovery: recoveryBound,
    notes: [`${parts} quiet points`, ...[...counts].map(([name, count]) => `${name} ${count} ×`)],
    wrong,
  };
}

export const together: readonly Fault[] = [
  {
    id: 'T51',
    what: 'all of these at random, residue 0 at each quiet point',
    tier: 'full',
    stage: { engines: 2, proxied: true },
    load: { events: 0, perSecond: 1_500 },
    quickLoad: { events: 0, perSecond: 600 },
    patience: 1_200_000,
    inject: everything,
  },
];
