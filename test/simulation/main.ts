/**
 * `npm run simulate -- [--seeds 2000] [--seed 1] [--steps 500] [--bug NAME] [--trace]`: the workers of several engines on a
 * fake clock, seeded dice and a model of the bus, with every promise checked after each step. Exits 1 when one is broken,
 * or when something that should have happened never did. `--trace` prints everything that happens.
 */
import { parseArgs } from 'node:util';
import { missing } from './coverage.ts';
import { type Bug, bugs } from './model/bugs.ts';
import { failureText, runSeeds, type SeedsReport, type SeedsRequest } from './seeds.ts';
import { simulate } from './simulate.ts';

function wholeNumber(name: string, given: string): number {
  const number = Number(given);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new Error(`expected --${name} to be a whole number, got ${given}`);
}

function bugOf(given: string | undefined): Bug | undefined {
  const bug = bugs.find((one) => one === given);
  if (bug !== undefined || given === undefined) return bug;
  throw new Error(`expected --bug to be one of ${bugs.map((one) => `'${one}'`).join(', ')}, got ${given}`);
}

function request(): SeedsRequest & { readonly trace: boolean } {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '2000' },
      seed: { type: 'string', default: '1' },
      steps: { type: 'string', default: '500' },
      bug: { type: 'string' },
      trace: { type: 'boolean', default: false },
    },
  });
  return {
    first: wholeNumber('seed', values.seed),
    count: wholeNumber('seeds', values.seeds),
    steps: wholeNumber('steps', values.steps),
    bug: bugOf(values.bug),
    trace: values.trace,
  };
}

function print({ seeds, seconds, coverage }: SeedsReport, steps: number): void {
  for (const [what, times] of [...coverage].sort(([a], [b]) => (a < b ? -1 : 1))) console.log(`${times}\t${what}`);
  const rate = Math.round((seeds * steps) / seconds);
  console.log(`${seeds} seeds × ${steps} steps in ${seconds.toFixed(1)} s: ${rate} steps/s`);
}

async function main(): Promise<number> {
  const { trace, ...asked } = request();
  if (trace) {
    const outcome = await simulate(asked.first, asked.steps, { bug: asked.bug, print: (line) => console.log(line) });
    console.log(`seed=${outcome.seed} trace=${outcome.hash} ${outcome.message ?? 'all held'}`);
    return outcome.failedAt === undefined ? 0 : 1;
  }
  const report = await runSeeds(asked);
  print(report, asked.steps);
  for (const outcome of report.failures) console.log(`\n${failureText(outcome, asked)}`);
  const never = missing(report.coverage);
  if (report.failures.length > 0) return 1;
  if (never.length > 0) console.log(`expected each of these to happen, none did: ${never.join(', ')}`);
  return never.length > 0 ? 1 : 0;
}

process.exitCode = await main();
