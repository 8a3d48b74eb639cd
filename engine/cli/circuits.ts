/** `eventflow circuits list`: the circuit breakers and why they are as they are. */
import type { Command } from 'commander';
import type { Circuit } from '../operations/operations.ts';
import { switched, type TargetFlags, withTarget } from './options.ts';
import { inert, paint, print, printJson, shorten, table, tell, time } from './output.ts';

/** There may be one for each tenant: more than this are for --all and --json. */
const mostShown = 50;
const order = ['open', 'half_open', 'closed'] as const;

const colours = { closed: 'green', half_open: 'yellow', open: 'red' } as const;

const row = ({ key, state, failures, since, nextProbeAt, why }: Circuit): string[] => [
  shorten(inert(key), 80),
  paint(colours[state], state),
  String(failures),
  time(since),
  time(nextProbeAt),
  shorten(inert(why ?? '–'), 80),
];

async function list(flags: TargetFlags & { readonly all?: boolean }): Promise<void> {
  const { withOperations } = await import('./target.ts');
  const circuits = await withOperations(flags, (operations) => operations.circuits());
  if (flags.json) return printJson(circuits);
  if (circuits.length === 0) return tell('no circuit has ever changed');
  const sorted = [...circuits].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const shown = flags.all === true ? sorted : sorted.slice(0, mostShown);
  print(table(['CIRCUIT', 'STATE', 'FAILURES', 'SINCE', 'NEXT PROBE', 'WHY'], shown.map(row)));
  const rest = sorted.slice(shown.length);
  const open = rest.filter(({ state }) => state !== 'closed').length;
  if (rest.length > 0) tell(`and ${rest.length} more, ${open} of them not closed: see them with --all`);
}

export function define(program: Command): void {
  const circuits = program.command('circuits').description('the circuit breakers');
  withTarget(circuits.command('list', { isDefault: true }).description('lists the circuits, and why they are open'))
    .addOption(
      switched(
        '--all',
        'EVENTFLOW_CIRCUITS_ALL',
        `all of them, and not the first ${mostShown}, the open ones before the closed`,
      ),
    )
    .action(list);
}
