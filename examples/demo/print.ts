/** What the demo shows. Progress is redrawn in place on a terminal, and a line now and then elsewhere. */
import { styleText } from 'node:util';
import type { GroupBalance, Verification } from 'eventflow';

const began = Date.now();
const clock = (): string => `${((Date.now() - began) / 1_000).toFixed(1).padStart(5)} s`;
const live = process.stderr.isTTY === true;

export const say = (text: string): void => {
  process.stdout.write(`${live ? '\r\x1b[K' : ''}${styleText('dim', clock())}  ${text}\n`);
};

export const note = (text: string): void => say(styleText('cyan', text));

let shown = 0;
export function progress(what: string, done: number, total: number): void {
  if (live) process.stderr.write(`\r\x1b[K${clock()}  ${what} ${done} of ${total}`);
  else if (done === total || Date.now() - shown > 2_000) {
    shown = Date.now();
    say(`${what} ${done} of ${total}`);
  }
}

const columns = [
  'accepted',
  'delivered',
  'skipped',
  'dead',
  'waiting',
  'pending',
  'retrying',
  'due',
  'discarded',
  'dropped',
  'residue',
] as const;
const row = (name: string, cells: readonly (string | number)[]): string =>
  `${name.padEnd(22)}${cells.map((cell) => String(cell).padStart(10)).join('')}\n`;

export function table({ groups, total }: Verification): void {
  const cells = (balance: Omit<GroupBalance, 'group'>): number[] => columns.map((column) => balance[column]);
  process.stdout.write(`\n${row('route', columns)}`);
  for (const group of groups) process.stdout.write(row(group.group, cells(group)));
  process.stdout.write(`${row('all', cells(total))}\n`);
  const waiting = total.waiting + total.pending + total.retrying + total.due;
  const gone = total.discarded + total.dropped;
  process.stdout.write(
    `accepted ${total.accepted} = delivered ${total.delivered} + skipped ${total.skipped} + dead ${total.dead} + waiting ${waiting} + purged ${gone}, lost ${total.residue}\n\n`,
  );
}
