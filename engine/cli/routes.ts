/** `eventflow routes`: the consumer groups on the bus, those without a route among them, and throwing one of those away. */
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import type { PurgeRecord } from '../core/purge.ts';
import type { RouteStatus } from '../operations/operations.ts';
import { exit, Failure, UsageError } from './exit.ts';
import { switched, type TargetFlags, valued, withTarget } from './options.ts';
import { paint, plural, print, printJson, table, tell, time } from './output.ts';

const waitingOf = ({ stats }: RouteStatus): number => stats.lag.reduce((sum, { entries }) => sum + entries, 0);

function stateOf({ engines, disabled, removedAt }: RouteStatus): string {
  if (engines.length > 0) return plural(engines.length, 'engine') + (disabled ? paint('yellow', ', disabled') : '');
  return paint('yellow', removedAt === undefined ? 'detached' : `removed ${time(removedAt)}`);
}

const row = (route: RouteStatus): string[] => [
  route.group,
  stateOf(route),
  ...[waitingOf(route), route.stats.pending, route.stats.retrying + route.stats.due, route.stats.dead].map(String),
  route.former.join(', ') || '–',
];

async function list(flags: TargetFlags & { readonly detached?: boolean }): Promise<void> {
  const { withOperations } = await import('./target.ts');
  const all = await withOperations(flags, (operations) => operations.routes());
  const routes = flags.detached === true ? all.filter(({ engines }) => engines.length === 0) : all;
  if (flags.json) return printJson(routes);
  if (routes.length === 0) return tell(flags.detached === true ? 'every group has a route' : 'no group was ever made');
  print(table(['ROUTE', 'STATE', 'WAITING', 'PENDING', 'RETRYING', 'DEAD', 'FORMERLY'], routes.map(row)));
}

interface PurgeFlags extends TargetFlags {
  readonly yes?: boolean;
  readonly reason?: string;
  readonly by?: string;
}

type Rest = Pick<PurgeRecord, 'waiting' | 'pending' | 'retrying' | 'due' | 'dead'>;

const restText = ({ waiting, pending, retrying, due, dead }: Rest): string =>
  `${waiting} waiting, ${pending} pending, ${retrying + due} retrying, ${plural(dead, 'dead letter')}`;

/** Without `--yes` it tells what would go. */
async function purge(group: string, flags: PurgeFlags): Promise<void> {
  const { withOperations } = await import('./target.ts');
  const { reason, by = userInfo().username } = flags;
  if (flags.yes === true && reason === undefined) throw new UsageError('expected --reason with --yes, got none');
  await withOperations(flags, async (operations) => {
    const route = (await operations.routes()).find((one) => one.group === group);
    if (route === undefined)
      throw new Failure(exit.failed, `expected a group, got ${group}, which the bus does not know`);
    const { pending, retrying, due, dead } = route.stats;
    if (flags.yes !== true || reason === undefined) {
      const would = { group, by, reason: '', waiting: waitingOf(route), pending, retrying, due, dead };
      if (flags.json) printJson({ dryRun: true, ...would });
      return tell(`would throw away ${group}: ${restText(would)}; do it with --yes --reason TEXT`);
    }
    const report = await operations.purge({ group, by, reason });
    if (report === undefined) throw new Failure(exit.failed, `expected a group, got ${group}, which has just gone`);
    if (flags.json) printJson(report);
    tell(`${by} threw away ${group}: ${restText(report)}`);
  });
}

export function define(program: Command): void {
  const routes = program.command('routes').description('the consumer groups of the routes, also those without a route');
  withTarget(
    routes
      .command('list', { isDefault: true })
      .description('lists the groups, who has their routes, and what rests in them'),
  )
    .addOption(switched('--detached', 'EVENTFLOW_DETACHED', 'only groups that no live engine has a route for'))
    .action(list);
  withTarget(
    routes
      .command('purge')
      .description('removes a group whose route is gone, with everything that waits in it, for good')
      .argument('<group>', 'PIPELINE.ROUTE, as `routes list` names it'),
  )
    .addOption(switched('--yes', 'EVENTFLOW_YES', 'do it; without this it tells what would go'))
    .addOption(valued('--reason <text>', 'EVENTFLOW_REASON', 'why nobody needs it'))
    .addOption(valued('--by <name>', 'EVENTFLOW_BY', 'who throws it away (default: the name of this user)'))
    .action(purge);
}
