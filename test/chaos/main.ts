/**
 * `npm run chaos -- [--seed N] [--fault T07] [--tier quick|full] [--durability fsync|replicated] [--json FILE]
 * [--markdown FILE]`: plays the faults one after another and prints one row for each: what was published, delivered, dead,
 * lost and repeated, and how long it took to recover. Exits 1 when a row is outside its bounds. A seed repeats the random
 * choices of a run; a fault's number picks its variants too.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { Fault } from './fault.ts';
import { faults } from './faults/index.ts';
import { play, playsIn, type Row } from './row.ts';
import type { Run } from './stage.ts';
import { headOf, headText, markdownOf, textHead, textOf } from './table.ts';

function oneOf<T extends string>(name: string, choices: readonly T[], given: string): T {
  const choice = choices.find((one) => one === given);
  if (choice === undefined) throw new Error(`expected --${name} to be one of ${choices.join(', ')}, got ${given}`);
  return choice;
}

const isOne = (id: string, wanted: string): boolean => id === wanted || id.replace(/[a-z]$/, '') === wanted;

function choose(run: Run, wanted: readonly string[] | undefined): readonly Fault[] {
  for (const one of wanted ?? []) {
    if (!faults.some(({ id }) => isOne(id, one)))
      throw new Error(`expected --fault to be one of ${faults.map(({ id }) => id).join(', ')}, got ${one}`);
  }
  return faults.filter(
    (fault) =>
      playsIn(fault, run) && (wanted?.some((one) => isOne(fault.id, one)) ?? (run.full || fault.tier === 'quick')),
  );
}

/** One after another where the speed of the machine matters; the others, most of which is waiting, two at a time. */
async function playAll(run: Run, seed: number, chosen: readonly Fault[]): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const lane = async (queue: Fault[]): Promise<void> => {
    for (let fault = queue.shift(); fault !== undefined; fault = queue.shift()) {
      const row = await play(fault, run, seed);
      console.log(textOf(row));
      rows.push(row);
    }
  };
  await lane(chosen.filter(({ shares }) => run.full && shares !== true));
  const shared = chosen.filter(({ shares }) => !run.full || shares === true);
  await Promise.all([lane(shared), lane(shared)]);
  return rows.sort((a, b) => a.fault.localeCompare(b.fault));
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      fault: { type: 'string', multiple: true },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      tier: { type: 'string', default: 'quick' },
      durability: { type: 'string', default: 'fsync' },
      json: { type: 'string' },
      markdown: { type: 'string' },
    },
  });
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error(`expected --seed to be a whole number, got ${values.seed}`);
  const run: Run = {
    full: oneOf('tier', ['quick', 'full'], values.tier) === 'full',
    durability: oneOf('durability', ['fsync', 'replicated'], values.durability),
  };
  const head = headOf(run, seed);
  console.log(`${headText(head)}\n${textHead()}`);
  const rows = await playAll(run, seed, choose(run, values.fault));
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify({ ...head, rows }, null, 2)}\n`);
  if (values.markdown !== undefined) await writeFile(values.markdown, markdownOf(head, rows));
  return rows.length > 0 && rows.every(({ wrong }) => wrong.length === 0) ? 0 : 1;
}

process.exitCode = await main().catch((error: Error) => {
  console.error(error.message);
  return 1;
});
