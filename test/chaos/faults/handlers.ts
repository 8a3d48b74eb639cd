/** Faults of the handlers themselves: a plugin that does everything wrong that a plugin can do. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { remoteOperations } from 'eventflow';
import type { EngineChild } from '../../support/engine-process.ts';
import type { PoisonKind } from '../../support/poison-plugin/index.ts';
import { calm, type Fault, perHit, type Toll, unless } from '../fault.ts';
import { recoveryBound, type Stage, type StageOptions } from '../stage.ts';

type Poison = Readonly<Record<string, PoisonKind>>;

const startsFile = 'starts.txt';
/** Of a delivery whose process dies each time; the first two count though they were handed out and never began. */
const [minStarts, maxStarts] = [3, 5];
const plugins = { EVENTFLOW_PLUGINS: './test/support/poison-plugin,@eventflow/plugin-webhook' };
/** Deaths are noticed, engines started again, and a suspect waits for a lease each time: on a busy machine this is long. */
const patienceMs = 200_000;

const pipeline = (poison: Poison, route: string) => (main: string, other: string) =>
  `
apiVersion: eventflow/v1
kind: Pipeline
name: chaos
routes:
  - id: main
    on: [chaos.event]
    handler: poison
    startFrom: beginning
    circuitBreaker: false
    ${route}
    with: { url: "${main}/main", starts: ${startsFile}, poison: ${JSON.stringify(poison)} }
  - id: other
    on: [chaos.event]
    handler: webhook
    startFrom: beginning
    circuitBreaker: false
    retry: { maxAttempts: 50, initialInterval: 50ms, maxInterval: 500ms }
    with: { url: "${other}/other" }
`;

const patient = 'retry: { maxAttempts: 50, initialInterval: 50ms, maxInterval: 500ms }';

const staged = (
  poison: Poison,
  more: Partial<StageOptions> & { readonly route?: string } = {},
): Partial<StageOptions> => ({
  pipeline: pipeline(poison, more.route ?? patient),
  ...more,
  env: { ...plugins, ...more.env },
});

const hasEnded = ({ child }: EngineChild): boolean => child.exitCode !== null || child.signalCode !== null;

/** Starts engines again that ended, as systemd or Kubernetes does; `end` resolves to how often that was. */
function supervise(stage: Stage): { end(): Promise<number> } {
  let deaths = 0;
  let over = false;
  const keep = async (at: number): Promise<void> => {
    while (!over) {
      const engine = stage.engines[at];
      if (engine !== undefined && !hasEnded(engine)) {
        await sleep(50);
        continue;
      }
      deaths += 1;
      stage.engines[at] = undefined;
      // One that ends before it is ready is a death as well.
      await stage.startEngine(at).catch(() => sleep(100));
    }
  };
  const keeping = stage.engines.map((_, at) => keep(at));
  return {
    async end() {
      over = true;
      await Promise.all(keeping);
      return deaths;
    },
  };
}

async function deadOf(
  stage: Stage,
): Promise<readonly { readonly eventId: string | undefined; readonly reason: string }[]> {
  const [engine] = stage.running;
  if (engine === undefined) return [];
  try {
    return await remoteOperations(engine.admin).deadLetters({ limit: 1_000, group: 'chaos.main' });
  } catch {
    return []; // It died under us.
  }
}

async function startsOf(stage: Stage): Promise<ReadonlyMap<string, number>> {
  const starts = new Map<string, number>();
  const text = await readFile(join(stage.folder, startsFile), 'utf8').catch(() => '');
  for (const id of text.split('\n').slice(0, -1)) starts.set(id, (starts.get(id) ?? 0) + 1);
  return starts;
}

async function untilDead(stage: Stage, count: number): Promise<void> {
  await until(async () => (await deadOf(stage)).length >= count);
}

/** All that kill end as `crash_loop` after five hand-outs, and nobody beside them. */
async function isolated(stage: Stage, poison: Poison): Promise<Toll> {
  const supervisor = supervise(stage);
  const ids = Object.keys(poison).sort();
  await untilDead(stage, ids.length);
  const deaths = await supervisor.end();
  const letters = await deadOf(stage);
  const starts = await startsOf(stage);
  const dead = letters.map(({ eventId }) => eventId ?? '').sort();
  const counts = ids.map((id) => starts.get(id) ?? 0);
  return {
    duplicates: deaths * perHit,
    dead: ids.length,
    recovery: recoveryBound,
    notes: [`${deaths} deaths, each poison started ${Math.min(...counts)} to ${Math.max(...counts)} times`],
    wrong: unless(
      [dead.join() === ids.join(), `expected the letters of ${ids.join()}, got those of ${dead.join()}`],
      [letters.every(({ reason }) => reason === 'crash_loop'), 'expected the reason crash_loop for every letter'],
      [
        counts.every((count) => count >= minStarts && count <= maxStarts),
        `expected ${minStarts} to ${maxStarts} starts of each, got ${counts.join()}`,
      ],
    ),
  };
}

/** One poison among these ids does each of the kinds; c<n> is the n-th event that is published. */
const mixed = (kinds: readonly PoisonKind[], every: number): Poison =>
  Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`c${50 + n * every}`, kinds[n % kinds.length] ?? 'throw']));

const published = (stage: Stage, ids: readonly string[]): boolean => ids.every((id) => stage.acknowledged.has(id));

async function until(holds: () => Promise<boolean>): Promise<boolean> {
  const end = Date.now() + patienceMs;
  while (Date.now() < end) {
    if (await holds()) return true;
    await sleep(200);
  }
  return false;
}

/** The sum of a metric over its series, and over the engines that run. */
async function metricOf(stage: Stage, name: string): Promise<number> {
  const pages = await Promise.all(stage.running.map(async ({ admin }) => (await fetch(`${admin}/metrics`)).text()));
  const values = pages.flatMap((page) => [...page.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))]);
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}

const alive = (stage: Stage): boolean => stage.running.every((engine) => !hasEnded(engine));

/** Every attempt fails: the policy's number of them, then a letter, and the process never notices. */
async function exhausted(stage: Stage, poison: Poison, attempts: number): Promise<Toll> {
  const ids = Object.keys(poison).sort();
  await untilDead(stage, ids.length);
  const letters = await deadOf(stage);
  const starts = await startsOf(stage);
  return {
    ...calm,
    dead: ids.length,
    wrong: unless(
      [alive(stage), 'expected the engine to live on'],
      [
        letters
          .map(({ eventId }) => eventId ?? '')
          .toSorted()
          .join() === ids.join(),
        'expected the letters of the poison alone',
      ],
      [letters.every(({ reason }) => reason === 'exhausted'), 'expected the reason exhausted for every letter'],
      [ids.every((id) => starts.get(id) === attempts), `expected ${attempts} attempts of each`],
    ),
  };
}

async function told(stage: Stage, poison: Poison): Promise<Toll> {
  const ids = Object.keys(poison);
  const count = (): Promise<number> => metricOf(stage, 'eventflow_late_errors_total');
  const counted = await until(async () => published(stage, ids) && (await count()) === ids.length);
  return {
    ...calm,
    wrong: unless(
      [alive(stage), 'expected the engine to live on'],
      [counted, `expected ${ids.length} late errors to be counted for the plugin, got ${await count()}`],
    ),
  };
}

/** Costs memory, handles and log, and nothing else. */
async function borne(stage: Stage, poison: Poison): Promise<Toll> {
  const ids = Object.keys(poison);
  const delivered = await until(async () => ids.every((id) => stage.main.arrivals.has(id)));
  // Lines are written at once, so that the last ones before a crash are there: a flood of them costs everybody time.
  return {
    duplicates: 0,
    recovery: recoveryBound,
    wrong: unless(
      [alive(stage), 'expected the engine to live on'],
      [delivered, 'expected all of it to be delivered'],
      [(await stage.dead()) === 0, 'expected no dead letters'],
    ),
  };
}

/** Given up at timeout and grace, each attempt; their slots go on, and what still runs is counted. */
async function givenUp(stage: Stage, poison: Poison, attempts: number): Promise<Toll> {
  const toll = await exhausted(stage, poison, attempts);
  const deaf = Object.values(poison).filter((kind) => kind === 'deaf').length * attempts;
  const leaked = await metricOf(stage, 'eventflow_leaked_handlers');
  const loud = stage.lines.some(({ level, count }) => level === 'error' && count === 10);
  return {
    ...toll,
    notes: [`${leaked} handlers still run`],
    wrong: [
      ...(toll.wrong ?? []),
      ...unless(
        [leaked === deaf, `expected ${deaf} handlers that still run, got ${leaked}`],
        [loud, 'expected the log to tell of ten handlers that still run'],
      ),
    ],
  };
}

const throwers = mixed(['throw', 'reject', 'throwText', 'throwNothing'], 60);
const hangers = mixed(['hang', 'deaf'], 60);
const latecomers = mixed(['rejectAfter', 'throwAfter'], 60);
const wasters = mixed(['leak', 'flood'], 60);
const killers: Poison = { c100: 'exit', c101: 'abort', c600: 'segfault' };
const eaters: Poison = { c300: 'memory' };
const spinners: Poison = { c200: 'loop', c700: 'loop' };
/** So little that it is full soon, and enough for the engine itself. */
const smallHeap = { NODE_OPTIONS: '--max-old-space-size=128' };
const twice = 'retry: { maxAttempts: 2, initialInterval: 50ms, maxInterval: 500ms }';
const few = { events: 1_500, perSecond: 300 };

export const handlers: readonly Fault[] = [
  {
    id: 'T32',
    what: 'handlers that throw, at once, later, and no Error',
    tier: 'quick',
    quickLoad: few,
    stage: staged(throwers, { route: twice }),
    inject: (stage) => exhausted(stage, throwers, 2),
  },
  {
    id: 'T33',
    what: 'handlers that hang and ignore their abort',
    tier: 'quick',
    quickLoad: few,
    stage: staged(hangers, { route: `timeout: 3s\n    ${twice}` }),
    inject: (stage) => givenUp(stage, hangers, 2),
  },
  {
    id: 'T34',
    what: 'handlers that block the event loop for ever',
    shares: true,
    tier: 'full',
    quickLoad: few,
    stage: staged(spinners, { engines: 2 }),
    inject: (stage) => isolated(stage, spinners),
  },
  {
    id: 'T35',
    what: 'handlers that exit, abort and crash',
    shares: true,
    tier: 'quick',
    quickLoad: few,
    stage: staged(killers, { engines: 2 }),
    inject: (stage) => isolated(stage, killers),
  },
  {
    id: 'T35e',
    what: 'the same on the embedded bus',
    shares: true,
    tier: 'full',
    quickLoad: few,
    stage: staged(killers, { embedded: true }),
    inject: (stage) => isolated(stage, killers),
  },
  {
    id: 'T35m',
    what: 'handlers that fill the memory',
    shares: true,
    tier: 'full',
    quickLoad: few,
    stage: staged(eaters, { engines: 2, env: smallHeap }),
    inject: (stage) => isolated(stage, eaters),
  },
  {
    id: 'T36',
    what: 'errors that nobody catches, after the delivery',
    tier: 'quick',
    quickLoad: few,
    stage: staged(latecomers),
    inject: (stage) => told(stage, latecomers),
  },
  {
    id: 'T36w',
    what: 'handlers that leak, and flood the log',
    tier: 'full',
    quickLoad: few,
    stage: staged(wasters),
    inject: (stage) => borne(stage, wasters),
  },
];
