/**
 * `npm run chaos [-- --fault T07] [--seed N] [--tier quick|full] [--json FILE]`: runs the faults one after another and
 * prints one row for each: what was published, delivered, dead, lost and repeated, and how long it took to recover. Exits
 * 1 when a row is outside its bounds. A seed repeats the random choices of a run.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { remoteOperations } from 'eventflow';
import type { Fault, Toll } from './fault.ts';
import { faults } from './faults/index.ts';
import { Stage } from './stage.ts';

export interface Row {
  readonly fault: string;
  readonly what: string;
  readonly published: number;
  readonly delivered: number;
  readonly dead: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly duplicatesBound: number;
  /** ms. */
  readonly recovery: number;
  readonly recoveryBound: number;
  /** From acknowledged to the other route's service, ms. */
  readonly p95: number;
  /** What is outside its bounds, in words. */
  readonly wrong: readonly string[];
}

const dice = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 4_294_967_296;
};

const durable = ['--appendonly', 'yes', '--appendfsync', 'always'];
const patient = 'circuitBreaker: false\n    retry: { maxAttempts: 50, initialInterval: 50ms, maxInterval: 500ms }';

async function deadOf(stage: Stage): Promise<number> {
  const engine = stage.engines.find((one) => one !== undefined);
  if (engine === undefined) return 0;
  try {
    const { groups } = await remoteOperations(engine.admin).verify();
    return groups.find(({ group }) => group === 'chaos.main')?.dead ?? 0;
  } catch {
    return 0; // The engine may be cut off from Redis just now.
  }
}

async function residueOf(stage: Stage): Promise<number> {
  const engine = stage.engines.find((one) => one !== undefined);
  return engine === undefined ? 0 : (await remoteOperations(engine.admin).verify()).total.residue;
}

const percentile = (values: number[], share: number): number =>
  values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;

function firstArrivalAfter(stage: Stage, at: number): number {
  const later = [stage.main, stage.other].map(({ arrivals }) =>
    Math.min(...[...arrivals.values()].map((arrival) => arrival.at).filter((time) => time >= at)),
  );
  const slowest = Math.max(...later);
  return Number.isFinite(slowest) ? slowest - at : 0;
}

async function judge(fault: Fault, stage: Stage, toll: Toll, endedAt: number): Promise<Row> {
  const ids = [...stage.acknowledged.keys()];
  const dead = await deadOf(stage);
  const missing = (arrivals: ReadonlyMap<string, unknown>): number => ids.filter((id) => !arrivals.has(id)).length;
  const repeats = [stage.main, stage.other].flatMap(({ arrivals }) =>
    [...arrivals.values()].map(({ times }) => times - 1),
  );
  const duplicates = repeats.reduce((sum, more) => sum + more, 0);
  const lost = missing(stage.other.arrivals) + Math.max(0, missing(stage.main.arrivals) - dead);
  const recovery = firstArrivalAfter(stage, endedAt);
  const residue = await residueOf(stage);
  const latencies = ids.map((id) => (stage.other.arrivals.get(id)?.at ?? 0) - (stage.acknowledged.get(id) ?? 0));
  return {
    fault: fault.id,
    what: fault.what,
    published: ids.length,
    delivered: stage.main.arrivals.size + stage.other.arrivals.size,
    dead,
    lost,
    duplicates,
    duplicatesBound: toll.duplicates,
    recovery,
    recoveryBound: toll.recovery,
    p95: Math.max(0, percentile(latencies, 0.95)),
    wrong: [
      ...(toll.wrong ?? []),
      ...(lost === 0 ? [] : [`lost ${lost}`]),
      ...(residue === 0 ? [] : [`the bus's own count is off by ${residue}`]),
      ...(duplicates <= toll.duplicates ? [] : [`repeated ${duplicates}, at most ${toll.duplicates} are allowed`]),
      ...(recovery <= toll.recovery ? [] : [`recovered after ${recovery} ms, at most ${toll.recovery} are allowed`]),
    ],
  };
}

async function run(fault: Fault, seed: number, events: number, scale: number): Promise<Row> {
  const stage = await Stage.open({ engines: 1, proxied: false, redisArgs: durable, route: patient, ...fault.stage });
  try {
    let endedAt = 0;
    const injecting = fault.inject(stage, dice(seed), scale).then((toll) => {
      endedAt = Date.now();
      return toll;
    });
    const [toll] = await Promise.all([injecting, stage.publish(events, 300)]);
    await stage.settle(60_000, () => deadOf(stage));
    return await judge(fault, stage, toll, endedAt);
  } finally {
    await stage.close();
  }
}

const columns = ['published', 'delivered', 'dead', 'lost', 'duplicates', 'bound', 'recovery', 'bound', 'p95'];

function print(row: Row): void {
  const cells = [
    row.published,
    row.delivered,
    row.dead,
    row.lost,
    row.duplicates,
    row.duplicatesBound,
    row.recovery,
    row.recoveryBound,
    row.p95,
  ];
  console.log(`${row.fault}  ${row.what.padEnd(48)}${cells.map((cell) => String(cell).padStart(11)).join('')}`);
  for (const wrong of row.wrong) console.log(`     WRONG: ${wrong}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      fault: { type: 'string', multiple: true },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      tier: { type: 'string', default: 'quick' },
      json: { type: 'string' },
    },
  });
  const full = values.tier === 'full';
  const wanted = faults.filter(({ id, tier }) => values.fault?.includes(id) ?? (full || tier === 'quick'));
  if (wanted.length === 0)
    throw new Error(`expected one of ${faults.map(({ id }) => id).join(', ')}, got ${values.fault?.join(', ')}`);
  console.log(
    `seed ${values.seed}, ${full ? 'full' : 'quick'} tier; times in ms\n${''.padEnd(53)}${columns.map((column) => column.padStart(11)).join('')}`,
  );
  const rows: Row[] = [];
  for (const fault of wanted) {
    const row = await run(fault, Number(values.seed), full ? 30_000 : 3_000, full ? 6 : 1);
    print(row);
    rows.push(row);
  }
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(rows, null, 2)}\n`);
  return rows.every(({ wrong }) => wrong.length === 0) ? 0 : 1;
}

process.exitCode = await main().catch((error: Error) => {
  console.error(error.message);
  return 1;
});
