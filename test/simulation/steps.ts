/** What can happen in one step, and how often. Everything is thrown from the world's dice. */
import type { Dice } from './dice.ts';
import type { World } from './world.ts';

interface Step {
  readonly name: string;
  readonly weight: number;
  act(world: World): void;
}

const steps: readonly Step[] = [
  { name: 'publish', weight: 26, act: (world) => world.publish(world.dice.between(1, 5)) },
  {
    name: 'publish again',
    weight: 6,
    act: (world) => {
      const again = world.dice.some(world.published);
      if (again !== undefined) world.send([again]);
    },
  },
  {
    name: 'publish another body',
    weight: 2,
    act: (world) => {
      const again = world.dice.some(world.published);
      if (again !== undefined) world.sendConflict(again);
    },
  },
  { name: 'nothing', weight: 30, act: () => undefined },
  { name: 'crash', weight: 1.2, act: (world) => world.some()?.crash() },
  { name: 'freeze', weight: 1.5, act: freeze },
  { name: 'lose answers', weight: 5, act: loseAnswers },
  { name: 'outage', weight: 0.8, act: outage },
  { name: 'slow network', weight: 1, act: slowNetwork },
  { name: 'failover', weight: 0.8, act: failOver },
  { name: 'reload', weight: 4, act: changeFiles },
  { name: 'stop', weight: 1, act: (world) => void world.some()?.stop() },
  { name: 'endpoint down', weight: 0.7, act: endpointDown },
  { name: 'redrive', weight: 2.5, act: redrive },
  { name: 'discard', weight: 2.5, act: discard },
  { name: 'trim', weight: 2, act: (world) => void world.people.trim().catch(() => undefined) },
  { name: 'promote together', weight: 1, act: promoteTogether },
];

const total = steps.reduce((sum, { weight }) => sum + weight, 0);

/** One step: something happens, and some time passes. */
export async function step(world: World): Promise<void> {
  const { dice, run } = world;
  const chosen = thrown(dice);
  run.note(() => `── ${chosen.name}`);
  chosen.act(world);
  await world.pass(pauseOf(world));
}

function thrown(dice: Dice): Step {
  let roll = dice.next() * total;
  for (const one of steps) {
    roll -= one.weight;
    if (roll < 0) return one;
  }
  return steps[0] as Step;
}

function pauseOf({ dice }: World): number {
  const roll = dice.next();
  if (roll < 0.6) return dice.between(0, 30);
  return roll < 0.98 ? dice.between(40, 280) : dice.between(1_000, 3_500);
}

function freeze(world: World): void {
  const engine = world.some();
  if (engine === undefined) return;
  const { host } = engine;
  const ms = world.dice.between(100, 7_000);
  world.run.cover('freeze');
  world.run.note(() => `${host.name} freezes for ${ms} ms`);
  world.time.freeze(host);
  host.trouble(world.time.now + ms);
  world.time.after(ms, undefined, () => {
    world.run.note(() => `${host.name} thaws`);
    world.time.thaw(host);
  });
}

function loseAnswers(world: World): void {
  const host = world.dice.chance(0.2) ? world.peopleHost : world.some()?.host;
  if (host !== undefined) world.network.loseAnswers(host, world.dice.between(1, 3));
}

function trouble(world: World): void {
  for (const { host } of world.engines) host.trouble(world.time.now);
}

function outage(world: World): void {
  if (!world.store.up) return;
  world.run.cover('outage');
  trouble(world);
  world.store.goDown();
  world.time.after(world.dice.between(100, 4_000), undefined, () => comeUp(world));
}

function comeUp(world: World): void {
  world.store.up = true;
  trouble(world);
  world.store.wake();
}

function slowNetwork(world: World): void {
  world.run.cover('slow network');
  trouble(world);
  world.network.slowness = world.dice.between(5, 60);
  world.time.after(world.dice.between(500, 3_000), undefined, () => {
    world.network.slowness = 0;
    trouble(world);
  });
}

function failOver(world: World): void {
  const { store, dice, run, ledger } = world;
  if (!store.replicated || !store.up) return;
  trouble(world);
  store.goDown();
  world.time.after(dice.between(50, 1_500), undefined, () => {
    const gone = store.failOver(dice.next());
    run.cover('failover');
    run.cover('operation undone by a failover', gone);
    run.note(() => `failover, ${gone} operations are gone`);
    ledger.rolledBack(store.model);
    comeUp(world);
  });
}

function changeFiles(world: World): void {
  const { dice } = world;
  const files = new Map(world.files);
  const group = dice.pick(world.routes).group;
  const version = files.get(group);
  if (version === undefined) files.set(group, world.nextVersion());
  else if (dice.chance(0.35) && files.size > 1) files.delete(group);
  else files.set(group, world.nextVersion());
  world.files = files;
  for (const engine of world.engines) if (dice.chance(0.7)) void engine.reload();
}

function endpointDown(world: World): void {
  const handler = world.dice.pick(['shop', 'sink']);
  world.run.cover('endpoint down');
  world.endpoints.down.add(handler);
  world.time.after(world.dice.between(1_000, 9_000), undefined, () => world.endpoints.down.delete(handler));
}

function someLetters(world: World): readonly string[] {
  const letters = world.store.model.letters().map(({ id }) => id);
  const first = world.dice.some(letters);
  return first === undefined ? [] : [...new Set([first, ...letters.filter(() => world.dice.chance(0.2))])];
}

function redrive(world: World): void {
  const ids = someLetters(world);
  if (ids.length > 0) void world.people.deadLetters.redrive(ids).catch(() => undefined);
}

function discard(world: World): void {
  const ids = someLetters(world);
  if (ids.length > 0) void world.people.deadLetters.discard(ids).catch(() => undefined);
}

/** Several engines promote what is due at the same moment. */
function promoteTogether(world: World): void {
  const { store, time, ledger } = world;
  for (const group of store.model.groups.keys()) {
    for (let times = 0; times < 2; times += 1) {
      const { now } = time;
      if (store.up) ledger.promoted(store.apply((model) => model.promote(group, 100, now)));
    }
  }
  store.wake();
}
