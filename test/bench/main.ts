/**
 * The benchmark: ratios against a bare Redis loop, BullMQ and others, from one interleaved run. It starts a Redis of its
 * own and prints a table; it judges nothing. Absolute numbers are the machine's, so only the ratios can be compared.
 *
 * `npm run bench -- [--only 1,7] [--rounds 3] [--events 100000] [--json FILE]`
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startRedisProcess } from '../support/redis.ts';
import { groups, type Plan, type Result } from './rows.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    events: { type: 'string', default: '100000' },
    json: { type: 'string' },
  },
});

function met({ sense, ratio, bar, goal }: Result): string {
  const holds = (limit: number): boolean => (sense === 'least' ? ratio >= limit : ratio <= limit);
  return holds(goal) ? 'goal' : holds(bar) ? 'bar' : 'no';
}

function figure(value: number, unit: string): string {
  if (Number.isNaN(value)) return '';
  const digits = value >= 100 ? 0 : 2;
  return `${value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits })} ${unit}`;
}

const titles = ['#', 'what', 'bar', 'goal', 'ratio', 'ours', 'theirs', 'met'];

function cellsOf(result: Result): string[] {
  const { row, what, sense, bar, goal, ratio, ours, theirs, unit } = result;
  const sign = sense === 'least' ? '≥' : '≤';
  const limits = [`${sign} ${bar}`, `${sign} ${goal}`, ratio.toFixed(2)];
  return [row, what, ...limits, figure(ours, unit), figure(theirs, unit), met(result)];
}

const widths = [3, 66, 7, 7, 7, 16, 16, 4];
const line = (cells: readonly string[]): string =>
  cells
    .map((cell, at) => (at === 1 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
    .join('  ')
    .trimEnd();

async function main(): Promise<void> {
  const only = values.only?.split(',');
  const redis = await startRedisProcess();
  const plan: Plan = { url: redis.adminUrl, rounds: Number(values.rounds), events: Number(values.events) };
  const results: Result[] = [];
  try {
    console.log(line(titles));
    for (const group of groups.filter(({ rows }) => only === undefined || rows.some((row) => only.includes(row)))) {
      const found = await group.run(plan);
      for (const result of found) console.log(line(cellsOf(result)));
      results.push(...found);
    }
  } finally {
    await redis.stop();
  }
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(results, undefined, 2)}\n`);
}

await main();
