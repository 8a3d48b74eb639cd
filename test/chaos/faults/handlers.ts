/** Faults of the handlers themselves: a plugin that does everything wrong that a plugin can do. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { remoteOperations } from 'eventflow';
import type { EngineChild } from '../../support/engine-process.ts';
import type { PoisonKind } from '../../support/poison-plugin/index.ts';
import { type Fault, perHit, type Toll, unless } from '../fault.ts';
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
  const end = Date.now() + patienceMs;
  while (Date.now() < end && (await deadOf(stage)).length < count) await sleep(200);
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

const killers: Poison = { c100: 'exit', c101: 'abort', c600: 'segfault', c900: 'memory' };
/** So little that it is full soon, and enough for the engine itself. */
const smallHeap = { NODE_OPTIONS: '--max-old-space-size=96' };

export const handlers: readonly Fault[] = [
  {
    id: 'T35',
    what: 'handlers that exit, abort, crash and fill the memory',
    tier: 'quick',
    quickLoad: { events: 1_500, perSecond: 300 },
    stage: staged(killers, { engines: 2, env: smallHeap }),
    inject: (stage) => isolated(stage, killers),
  },
  {
    id: 'T35e',
    what: 'the same on the embedded bus',
    tier: 'full',
    quickLoad: { events: 1_500, perSecond: 300 },
    stage: staged(killers, { embedded: true, env: smallHeap }),
    inject: (stage) => isolated(stage, killers),
  },
];
