/** `eventflow verify`: the conservation law, group by group. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { terms } from '../observe/conservation.ts';
import type { Operations, Verification } from '../operations/operations.ts';
import { exit, Failure } from './exit.ts';
import { type TargetFlags, withTarget } from './options.ts';
import { inert, paint, plural, print, printJson, table, time } from './output.ts';

const columns = ['accepted', ...terms, 'residue'] as const;

type Balance = Verification['total'];

const cells = (balance: Balance): string[] =>
  columns.map((column) => {
    const text = String(balance[column]);
    return column === 'residue' && balance.residue !== 0 ? paint('red', text) : text;
  });

const balanceText = ({ groups, total }: Verification): string =>
  table(
    ['GROUP', ...columns.map((column) => column.toUpperCase())],
    [
      ...groups.map((group) => [group.group + (group.exact ? '' : ' (inexact)'), ...cells(group)]),
      ['total', ...cells(total)],
    ],
  );

const purgedColumns = ['accepted', 'settled', 'waiting', 'pending', 'retrying', 'due', 'dead'] as const;

const purgesText = (purges: Verification['purges']): string =>
  table(
    ['THROWN AWAY', ...purgedColumns.map((column) => column.toUpperCase()), 'WHEN', 'BY', 'REASON'],
    purges.map((purge) => [
      purge.group,
      ...purgedColumns.map((column) => String(purge[column])),
      ...[time(purge.at), inert(purge.by), inert(purge.reason)],
    ]),
  );

const isBalanced = ({ groups }: Verification): boolean => groups.every((group) => group.residue === 0 || !group.exact);

/** The numbers are read one after another, so work under way can look like a residue: a real one stays. */
async function settled(operations: Operations): Promise<Verification> {
  let found = await operations.verify();
  for (let again = 0; again < 4 && !isBalanced(found); again += 1) {
    await sleep(500);
    found = await operations.verify();
  }
  return found;
}

async function verify(flags: TargetFlags): Promise<void> {
  const { withOperations } = await import('./target.ts');
  const verification = await withOperations(flags, settled);
  if (flags.json) printJson(verification);
  else print(balanceText(verification));
  if (!flags.json && verification.purges.length > 0) print(purgesText(verification.purges));
  if (isBalanced(verification)) return;
  const off = verification.groups.filter((group) => group.exact && group.residue !== 0);
  throw new Failure(
    exit.failed,
    `the balance of ${plural(off.length, 'group')} does not add up: ${off.map(({ group }) => group).join(', ')}`,
  );
}

export function define(program: Command): void {
  withTarget(
    program.command('verify').description('proves that nothing is lost: accepted = delivered + skipped + dead + …'),
  ).action(verify);
}
