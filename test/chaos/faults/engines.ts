/** Faults of the engine as a process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../support/eventually.ts';
import { calm, type Fault, perHit, pick, type Toll, times, unless } from '../fault.ts';
import { recoveryBound, type Stage } from '../stage.ts';

async function killAgainAndAgain(stage: Stage, random: () => number, scale: number, count: number): Promise<Toll> {
  const hits = 4 * scale;
  await times(hits, 900, random, async () => {
    const at = pick(count, random);
    await stage.killEngine(at);
    await stage.startEngine(at);
  });
  return { duplicates: hits * perHit, recovery: recoveryBound };
}

/** From the first delivery after `down` until what was to be published by then has come: its rate over that of publishing. */
async function drainRatio({ main, publisher }: Stage, down: number): Promise<number> {
  const drained = (): boolean => publisher.due.size - main.arrivals.size < publisher.perSecond / 10;
  await eventually('the backlog to be drained', drained, 120_000);
  const since = [...main.arrivals.values()].map(({ at }) => at).filter((at) => at > down);
  const ms = Date.now() - Math.min(...since);
  return (since.length * 1_000) / Math.max(1, ms) / publisher.perSecond;
}

async function allDown(stage: Stage): Promise<Toll> {
  await sleep(2_000);
  await Promise.all([stage.killEngine(0), stage.killEngine(1)]);
  const down = Date.now();
  await sleep(3_000);
  await Promise.all([stage.startEngine(0), stage.startEngine(1)]);
  const ratio = await drainRatio(stage, down);
  const fast = ratio >= 2 || !stage.full;
  return {
    duplicates: 2 * perHit,
    recovery: recoveryBound,
    notes: [`backlog drained at ${ratio.toFixed(1)} × the rate of publishing`],
    wrong: unless([fast, `expected the backlog to drain at 2 × the rate of publishing, got ${ratio.toFixed(1)} ×`]),
  };
}

/** The service has taken the event and its answer has not gone out when the engine that asked is killed. */
async function killBeforeAck(stage: Stage, random: () => number, scale: number): Promise<Toll> {
  const attempts = new Map<string, string[]>();
  const victims: string[] = [];
  stage.main.answer = (id, headers) => {
    const seen = attempts.get(id) ?? [];
    attempts.set(id, [...seen, String(headers['x-attempt'])]);
    return undefined;
  };
  await times(3 * scale, 700, random, async () => {
    await new Promise<void>((resolve) => {
      stage.main.taken = async (id) => {
        stage.main.taken = undefined;
        await stage.killEngine(0);
        victims.push(id);
        resolve();
      };
    });
    await stage.startEngine(0);
  });
  // What runs beside one victim is a victim of the next kill too, so that it may come more often than twice.
  const wrongly = (seen: readonly string[]): boolean => seen.length < 2 || seen.some((attempt) => attempt !== '1');
  return {
    duplicates: victims.length * perHit,
    recovery: recoveryBound,
    atRest: () =>
      victims.flatMap((id) => {
        const seen = attempts.get(id) ?? [];
        return unless([!wrongly(seen), `expected ${id} to come again as attempt 1, it came as ${seen.join(', ')}`]);
      }),
  };
}

/** Four deliveries take 60 s; the engine that runs them is asked to end and may drain for 2 s. */
async function stopWithLongHandlers(stage: Stage): Promise<Toll> {
  const asked = new Map<string, number[]>();
  stage.main.answer = (id) => {
    const times = asked.get(id) ?? [];
    if (times.length === 0 && asked.size === 4) return undefined;
    asked.set(id, [...times, Date.now()]);
    return times.length === 0 ? { status: 200, afterMs: 60_000 } : undefined;
  };
  await eventually('four deliveries to run', () => asked.size === 4);
  await stage.startEngine(1);
  const askedToEnd = Date.now();
  const code = await stage.stopEngine(0);
  const ended = Date.now();
  const again = (): readonly number[] => [...asked.values()].flatMap(([, second]) => second ?? []);
  await eventually('a peer to take all four', () => again().length === 4);
  const took = Math.max(...again()) - ended;
  return {
    duplicates: 4,
    recovery: recoveryBound,
    notes: [`exit ${code} after ${ended - askedToEnd} ms, taken by a peer ${took} ms later`],
    wrong: unless(
      [code === 0, `expected exit code 0, got ${code}`],
      [took < 1_000, `expected a peer to take what was handed back within 1 s, it took ${took} ms`],
    ),
  };
}

/** One engine after the other is replaced, and nobody but the one that ends may refuse events. */
async function deploy(stage: Stage, random: () => number, scale: number): Promise<Toll> {
  const wrong: string[] = [];
  await times(4 * scale, 600, random, async (at) => {
    const code = await stage.stopEngine(at % 2);
    if (code !== 0) wrong.push(`an engine ended with ${code}`);
    await stage.startEngine(at % 2);
  });
  const strange = [...stage.publisher.refusals.keys()].filter((status) => status !== 503 && status !== 0);
  wrong.push(...unless([strange.length === 0, `expected no answer but 202 and 503, got ${strange.join(', ')}`]));
  return { duplicates: 0, recovery: recoveryBound, p95: 100, wrong };
}

/** An engine that is stopped while it runs deliveries: peers take them over, and what it settles late is refused. */
async function freeze(stage: Stage, random: () => number, scale: number): Promise<Toll> {
  stage.main.answer = () => ({ status: 200, afterMs: 20 });
  await times(scale, 1_500, random, async (at) => {
    const { child } = stage.engine(at % 2);
    child.kill('SIGSTOP');
    await sleep(5_000);
    child.kill('SIGCONT');
  });
  return { duplicates: scale * perHit, recovery: recoveryBound };
}

export const engines: readonly Fault[] = [
  {
    id: 'T00',
    what: 'nothing (the yardstick)',
    tier: 'quick',
    inject: async () => calm,
  },
  {
    id: 'T00e',
    what: 'nothing (the yardstick)',
    tier: 'full',
    stage: { embedded: true },
    inject: async () => calm,
  },
  {
    id: 'T01',
    what: 'engine kill -9, again and again',
    tier: 'quick',
    stage: { engines: 2 },
    inject: (stage, random, scale) => killAgainAndAgain(stage, random, scale, 2),
  },
  {
    id: 'T01e',
    what: 'engine kill -9, again and again',
    tier: 'quick',
    stage: { embedded: true },
    inject: (stage, random, scale) => killAgainAndAgain(stage, random, scale, 1),
  },
  {
    id: 'T02',
    what: 'all engines kill -9, down for 3 s',
    tier: 'quick',
    stage: { engines: 2 },
    inject: allDown,
  },
  {
    id: 'T03',
    what: 'engine kill -9 between effect and ack',
    tier: 'quick',
    shares: true,
    inject: killBeforeAck,
  },
  {
    id: 'T03e',
    what: 'engine kill -9 between effect and ack',
    tier: 'full',
    shares: true,
    stage: { embedded: true },
    inject: killBeforeAck,
  },
  {
    id: 'T04',
    what: 'rolling deploy',
    tier: 'quick',
    stage: { engines: 2 },
    inject: deploy,
  },
  {
    id: 'T05',
    what: 'SIGTERM while deliveries take 60 s',
    tier: 'quick',
    shares: true,
    stage: {
      env: { EVENTFLOW_DELIVERY_DRAIN: '2s' },
      route:
        'timeout: 90s\n    circuitBreaker: false\n    retry: { maxAttempts: 50, initialInterval: 50ms, maxInterval: 500ms }',
    },
    inject: stopWithLongHandlers,
  },
  {
    id: 'T06',
    what: 'engine SIGSTOP past its lease',
    tier: 'quick',
    shares: true,
    stage: { engines: 2 },
    inject: freeze,
  },
];
