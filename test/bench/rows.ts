/** The table of what must be fast: who competes with whom, and which number of theirs is compared. */
import { Redis } from 'ioredis';
import { compete } from './contestant.ts';
import { benchEmbedded } from './embedded.ts';
import { routePerType, routesForAll } from './engine.ts';
import { benchIngest } from './ingest.ts';
import { fill, type Production } from './producer.ts';
import { median, type Reading } from './reading.ts';
import { measureValidate, type ValidateReading } from './validate.ts';
import { benchWebhook } from './webhook.ts';

export interface Result {
  readonly row: string;
  readonly what: string;
  readonly unit: string;
  /** `least`: the ratio must reach them; `most`: it must stay under them. */
  readonly sense: 'least' | 'most';
  readonly bar: number;
  readonly goal: number;
  readonly ratio: number;
  readonly ours: number;
  /** NaN where there is no other side. */
  readonly theirs: number;
}

export interface Plan {
  readonly url: string;
  readonly rounds: number;
  /** Of a drain; other rows take their share of it. */
  readonly events: number;
}

export interface Group {
  /** Numbers in the table. */
  readonly rows: readonly string[];
  run(plan: Plan): Promise<readonly Result[]>;
}

type Side = (plan: Plan) => Promise<Reading>;
type Sides = Readonly<Record<string, Side>>;
type Readings<S extends Sides> = Readonly<Record<keyof S, readonly Reading[]>>;

/** Everybody once per round, on an empty server; who begins changes. */
async function interleave<S extends Sides>(plan: Plan, sides: S): Promise<Readings<S>> {
  const names: (keyof S & string)[] = Object.keys(sides);
  const readings = Object.fromEntries(names.map((name) => [name, [] as Reading[]])) as Record<keyof S, Reading[]>;
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      await flush(plan.url);
      readings[name].push(await (sides[name] as Side)(plan));
    }
  }
  return readings;
}

async function flush(url: string): Promise<void> {
  const client = new Redis(url);
  await client.flushall();
  client.disconnect();
}

/** For what differs by a few percent, which is less than two runs of one side do. */
const often = (plan: Plan): Plan => ({ ...plan, rounds: 3 * plan.rounds });

type Numbers = 'perSecond' | 'nodeUs' | 'redisUs' | 'rssMb' | 'p50' | 'p99';
const units = { perSecond: '/s', nodeUs: 'µs', redisUs: 'µs', rssMb: 'MB', p50: 'ms', p99: 'ms' } as const;

type Claim = Pick<Result, 'row' | 'what' | 'sense' | 'bar' | 'goal'>;

const least = (row: string, what: string, bar: number, goal: number): Claim => ({
  row,
  what,
  sense: 'least',
  bar,
  goal,
});
const most = (row: string, what: string, bar: number, goal: number): Claim => ({ row, what, sense: 'most', bar, goal });

/** Medians, and the median of the rounds' ratios. */
function compare(claim: Claim, number: Numbers, ours: readonly Reading[], theirs: readonly Reading[]): Result {
  const pick = (readings: readonly Reading[]): number[] => readings.map((reading) => reading[number]);
  const [mine, other] = [pick(ours), pick(theirs)];
  const ratio = median(mine.map((value, round) => value / (other[round] ?? Number.NaN)));
  return { ...claim, unit: units[number], ratio, ours: median(mine), theirs: median(other) };
}

/** `after` with a filled server. */
const filled =
  (kind: Production['kind'], n: number, after: Side, types = 1): Side =>
  async (plan) => {
    await fill({ kind, url: plan.url, n, types, rate: undefined });
    return await after(plan);
  };

const bareDrained = (n: number, loops = 1): Side => filled('bare', n, ({ url }) => compete(url, 'bareDrain', n, loops));

const engineDrained = (n: number, setting = {}, types = 1): Side =>
  filled('engine', n, ({ url }) => compete(url, 'engineDrain', n, setting), types);

const drain: Group = {
  rows: ['1', '9', '15'],
  async run(plan) {
    const n = plan.events;
    const { ours, bare } = await interleave(plan, { bare: bareDrained(n), ours: engineDrained(n) });
    const memory = compare(most('15', 'memory after this drain, MB', 180, 120), 'rssMb', ours, bare);
    return [
      compare(least('1', 'drain ÷ bare', 0.7, 1.05), 'perSecond', ours, bare),
      compare(most('9', 'Redis CPU per event ÷ bare', 1.5, 1.1), 'redisUs', ours, bare),
      compare(most('9', 'Node CPU per event ÷ bare', 1.8, 1), 'nodeUs', ours, bare),
      { ...memory, ratio: memory.ours },
    ];
  },
};

const live: Group = {
  rows: ['2'],
  async run(plan) {
    const n = plan.events;
    const { ours, bare } = await interleave(plan, {
      bare: ({ url }) => compete(url, 'bareLive', n),
      ours: ({ url }) => compete(url, 'engineLive', n),
    });
    return [compare(least('2', 'live (publish + consume) ÷ bare', 0.75, 1.3), 'perSecond', ours, bare)];
  },
};

const peers: Group = {
  rows: ['3'],
  async run(plan) {
    const n = Math.round(plan.events * 0.3);
    const { ours, bull, oursLive, bullLive } = await interleave(plan, {
      bull: filled('bullmq', n, ({ url }) => compete(url, 'bullDrain', n)),
      ours: engineDrained(n),
      bullLive: ({ url }) => compete(url, 'bullLive', n),
      oursLive: ({ url }) => compete(url, 'engineLive', n),
    });
    return [
      compare(least('3', 'drain ÷ BullMQ (concurrency 50)', 5, 8), 'perSecond', ours, bull),
      compare(least('3', 'live ÷ BullMQ (concurrency 50)', 5, 8), 'perSecond', oursLive, bullLive),
    ];
  },
};

const publish: Group = {
  rows: ['4'],
  async run(plan) {
    const { ours, bare } = await interleave(plan, {
      bare: ({ url }) => compete(url, 'barePublish', plan.events),
      ours: ({ url }) => compete(url, 'busPublish', plan.events),
    });
    return [compare(least('4', 'bulk publish ÷ ioredis pipelines of 100', 1, 1.5), 'perSecond', ours, bare)];
  },
};

const fanOut: Group = {
  rows: ['5'],
  async run(plan) {
    const n = Math.round(plan.events * 0.3);
    const { ours, bare } = await interleave(plan, {
      bare: bareDrained(n, 4),
      ours: engineDrained(n, routesForAll(4)),
    });
    return [compare(least('5', 'four routes want every event ÷ four bare loops', 0.7, 1.05), 'perSecond', ours, bare)];
  },
};

const manyRoutes: Group = {
  rows: ['6'],
  async run(plan) {
    // Long enough to show what an event costs: the start of 64 routes is no part of that, and takes its tenths of a second once.
    const n = plan.events * 3;
    const { many, one } = await interleave(plan, {
      one: engineDrained(n),
      many: engineDrained(n, routePerType(64), 64),
    });
    return [compare(least('6', '64 routes, one wants each event ÷ 1 route', 0.85, 1), 'perSecond', many, one)];
  },
};

const latency: Group = {
  rows: ['7', '8'],
  async run(plan) {
    const at = async (rate: number, n: number) =>
      await interleave(plan, {
        bare: ({ url }) => compete(url, 'bareLatency', n, rate),
        ours: ({ url }) => compete(url, 'engineLatency', n, rate),
      });
    const slow = await at(1_000, 4_000);
    const fast = await at(10_000, 40_000);
    return [
      compare(most('7', 'publish → handler p50 at 1,000/s ÷ bare', 1.5, 1.15), 'p50', slow.ours, slow.bare),
      compare(most('7', 'publish → handler p50 at 10,000/s ÷ bare', 1.5, 1.15), 'p50', fast.ours, fast.bare),
      compare(most('8', 'publish → handler p99 at 10,000/s ÷ bare', 2, 1), 'p99', fast.ours, fast.bare),
    ];
  },
};

const extras: Group = {
  rows: ['10'],
  async run(plan) {
    const n = plan.events;
    const { on, noMetrics, noJournal } = await interleave(often(plan), {
      on: engineDrained(n),
      noMetrics: engineDrained(n, { metrics: false }),
      noJournal: engineDrained(n, { journal: false }),
    });
    return [
      cheaper(least('10', 'metrics on ÷ off, by Node CPU per event', 0.95, 0.99), on, noMetrics),
      cheaper(least('10', 'journal on ÷ off, by Node CPU per event', 0.9, 0.97), on, noJournal),
    ];
  },
};

const ordering: Group = {
  rows: ['16'],
  async run(plan) {
    const n = Math.round(plan.events * 0.3);
    const { off, one, hundred, many } = await interleave(plan, {
      off: engineDrained(n),
      one: engineDrained(n, { keys: 1 }),
      hundred: engineDrained(n, { keys: 100 }),
      many: engineDrained(n, { keys: 10_000 }),
    });
    const by = (keys: string, bar: number, goal: number): Claim =>
      least('16', `ordering by ${keys} ÷ the same route without`, bar, goal);
    return [
      compare(by('10,000 keys', 0.25, 0.5), 'perSecond', many, off),
      compare(by('100 keys', 0.2, 0.4), 'perSecond', hundred, off),
      compare(by('1 key (a trip to the bus for each)', 0.01, 0.03), 'perSecond', one, off),
    ];
  },
};

const expressions: Group = {
  rows: ['17'],
  async run(plan) {
    const n = plan.events;
    const { off, when, transform } = await interleave(often(plan), {
      off: engineDrained(n),
      when: engineDrained(n, { through: 'when' }),
      transform: engineDrained(n, { through: 'transform' }),
    });
    return [
      cheaper(least('17', 'a route with when ÷ one without, by Node CPU per event', 0.85, 0.95), when, off),
      cheaper(least('17', 'a route with transform ÷ one without, by Node CPU per event', 0.8, 0.9), transform, off),
    ];
  },
};

/** The drain is bound by Node's CPU, and that is steadier than the rate: what is compared differs by a few percent. */
function cheaper(claim: Claim, ours: readonly Reading[], theirs: readonly Reading[]): Result {
  const { ours: other, theirs: mine, ...rest } = compare(claim, 'nodeUs', theirs, ours);
  return { ...rest, ours: mine, theirs: other };
}

const ingest: Group = {
  rows: ['11'],
  async run({ url }) {
    const found = await benchIngest(url);
    return found.map((result) => ({ ...result, row: '11', what: `${result.name} ÷ fastify + XADD`, ...rate }));
  },
};

const webhook: Group = {
  rows: ['12'],
  async run() {
    const result = await benchWebhook();
    return [{ ...result, row: '12', what: result.name, ...rate }];
  },
};

const recovery: Group = {
  rows: ['13'],
  async run(plan) {
    const n = plan.events;
    const { promote, bareRetries, reclaim, bareReclaim } = await interleave(plan, {
      bareRetries: ({ url }) => compete(url, 'bareRetries', n),
      promote: ({ url }) => compete(url, 'busPromote', n),
      bareReclaim: ({ url }) => compete(url, 'bareReclaim', n),
      reclaim: ({ url }) => compete(url, 'busReclaim', n),
    });
    return [
      slower(most('13', 'time to promote due retries ÷ bare ZSET-and-hash loop', 2.5, 1.5), promote, bareRetries),
      slower(most('13', 'time to recover crashed deliveries ÷ bare XAUTOCLAIM loop', 2.5, 1.5), reclaim, bareReclaim),
    ];
  },
};

/** Seconds instead of rates. */
function slower(claim: Claim, ours: readonly Reading[], theirs: readonly Reading[]): Result {
  const { ratio, ours: mine, theirs: other } = compare(claim, 'perSecond', theirs, ours);
  const events = ours[0]?.events ?? 0;
  return { ...claim, unit: 's', ratio, ours: events / other, theirs: events / mine };
}

/** Four times as many files must not take more than four times as long. */
const validation: Group = {
  rows: ['18'],
  async run({ rounds }) {
    const small = await measureValidate(125, 20, rounds);
    const middle = await measureValidate(250, 20, rounds);
    const large = await measureValidate(500, 20, rounds);
    const claim = (
      what: string,
      unit: string,
      by: 'ms' | 'mib',
      from: ValidateReading,
      to: ValidateReading,
    ): Result => {
      const times = to.pipelines / from.pipelines;
      const ratio = to[by] / (times * from[by]);
      const whole = `validate, ${to.pipelines} × 20 routes ÷ ${times} × ${from.pipelines}: ${what}`;
      return { ...most('18', whole, 1.2, 1), unit, ratio, ours: to[by], theirs: times * from[by] };
    };
    return [
      claim('time', 'ms', 'ms', small, middle),
      claim('time', 'ms', 'ms', small, large),
      claim('memory', 'MiB', 'mib', small, large),
    ];
  },
};

const embedded: Group = {
  rows: ['14'],
  async run() {
    const result = await benchEmbedded();
    return [{ ...result, row: '14', what: result.name, ...rate }];
  },
};

const rate = { unit: '/s', sense: 'least' } as const;

export const groups: readonly Group[] = [
  drain,
  live,
  peers,
  publish,
  fanOut,
  manyRoutes,
  latency,
  extras,
  expressions,
  ordering,
  ingest,
  webhook,
  recovery,
  embedded,
  validation,
];
