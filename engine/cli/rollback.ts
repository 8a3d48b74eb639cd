/** `eventflow rollback`: a running engine goes back to a generation that it keeps. */
import type { Command } from 'commander';
import { type TargetFlags, wholeNumber, withTarget } from './options.ts';
import { tellReport } from './reload.ts';

async function rollback(number: number | undefined, flags: TargetFlags): Promise<void> {
  const [{ adminAddress }, { remoteRollback }] = await Promise.all([
    import('./target.ts'),
    import('../operations/index.ts'),
  ]);
  tellReport(await remoteRollback(await adminAddress(flags), number), flags);
}

export function define(program: Command): void {
  withTarget(
    program
      .command('rollback')
      .description(
        'lets a running engine go back to an earlier generation [the one before], without touching the files',
      )
      .argument('[generation]', 'its number, as `generations` lists it', wholeNumber(1)),
  )
    .addHelpText('after', '\nThe files count again when they change, or at the next `eventflow reload`.')
    .action(rollback);
}
