/** `eventflow circuits list`: the circuit breakers and why they are as they are. */
import type { Command } from 'commander';
import type { Circuit } from '../operations/operations.ts';
import { type TargetFlags, withTarget } from './options.ts';
import { inert, paint, print, printJson, shorten, table, tell, time } from './output.ts';

const colours = { closed: 'green', half_open: 'yellow', open: 'red' } as const;

const row = ({ key, state, failures, since, nextProbeAt, why }: Circuit): string[] => [
  key,
  paint(colours[state], state),
  String(failures),
  time(since),
  time(nextProbeAt),
  shorten(inert(why ?? '–'), 80),
];

async function list(flags: TargetFlags): Promise<void> {
  const { withOperations } = await import('./target.ts');
  const circuits = await withOperations(flags, (operations) => operations.circuits());
  if (flags.json) return printJson(circuits);
  if (circuits.length === 0) return tell('no circuit has ever changed');
  print(table(['CIRCUIT', 'STATE', 'FAILURES', 'SINCE', 'NEXT PROBE', 'WHY'], circuits.map(row)));
}

export function define(program: Command): void {
  const circuits = program.command('circuits').description('the circuit breakers');
  withTarget(
    circuits.command('list', { isDefault: true }).description('lists the circuits, and why they are open'),
  ).action(list);
}
