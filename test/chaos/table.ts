/** The table as text and as Markdown, under what it was measured on. */
import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import type { Row } from './row.ts';
import type { Run } from './stage.ts';

/** In which every figure was measured. */
export interface Head {
  readonly machine: string;
  readonly node: string;
  readonly redis: string;
  readonly commit: string;
  readonly seed: number;
  readonly tier: 'quick' | 'full';
  readonly durability: string;
}

export function headOf({ full, durability }: Run, seed: number): Head {
  const cores = cpus();
  return {
    machine: `${cores.length} cores (${cores[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
    redis: said('redis-server', '--version').match(/v=(\S+)/)?.[1] ?? 'none',
    commit: said('git', 'rev-parse', '--short=12', 'HEAD').trim() || 'unknown',
    seed,
    tier: full ? 'full' : 'quick',
    durability,
  };
}

function said(command: string, ...args: readonly string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}

export const headText = ({ machine, node, redis, commit, seed, tier, durability }: Head): string =>
  `${machine}; Node ${node}, Redis ${redis}; commit ${commit}, seed ${seed}, ${tier} tier, durability ${durability}; times in ms`;

const number = (value: number): string => value.toLocaleString('en-US');
const within = (value: number, bound: number | undefined): string =>
  bound === undefined ? number(value) : `${number(value)} (${number(bound)})`;

const columns = ['published', 'delivered', 'dead', 'lost', 'repeated (bound)', 'recovery (bound)', 'p95 (bound)'];

const cells = (row: Row): readonly string[] => [
  number(row.published),
  number(row.delivered),
  number(row.dead),
  row.mayLose === 0 ? number(row.lost) : within(row.lost, row.mayLose),
  within(row.duplicates, row.duplicatesBound),
  within(row.recovery, row.recoveryBound),
  within(row.p95, row.p95Bound),
];

const widths = [11, 11, 8, 17, 18, 18, 15];
const line = (lead: string, rest: readonly string[]): string =>
  lead + rest.map((cell, at) => cell.padStart(widths[at] ?? 0)).join('');
const lead = (fault: string, what: string, mode: string): string =>
  `${fault.padEnd(6)}${what.padEnd(62)}${mode.padEnd(12)}`;

export const textHead = (): string => line(lead('', '', 'mode'), columns);

export const textOf = (row: Row): string =>
  [
    line(lead(row.fault, row.what, row.mode), cells(row)),
    ...row.notes.map((note) => `      ${note}`),
    ...row.wrong.map((wrong) => `      WRONG: ${wrong}`),
  ].join('\n');

const escaped = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** As it goes into the README. */
export function markdownOf(head: Head, rows: readonly Row[]): string {
  const titles = ['#', 'fault', 'mode', ...columns, 'notes'];
  const bodies = rows.map((row) => {
    const notes = [...row.notes, ...row.wrong.map((wrong) => `**wrong**: ${wrong}`)];
    return [row.fault, escaped(row.what), row.mode, ...cells(row), escaped(notes.join('; '))];
  });
  const table = [titles, titles.map(() => '---'), ...bodies].map((row) => `| ${row.join(' | ')} |`);
  return `${headText(head)}\n\n${table.join('\n')}\n`;
}
