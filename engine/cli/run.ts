/** `eventflow run`: the engine, until a signal ends it. */
import type { Command } from 'commander';
import type { Engine } from '../engine.ts';
import { exit } from './exit.ts';
import { busOption, pipelinesOption, type SettingsFlags, switched, withSettings } from './options.ts';

interface RunFlags extends SettingsFlags {
  readonly watch: boolean;
  readonly allowEmpty?: boolean;
  readonly allowUnsafeStore?: boolean;
}

/**
 * Listens to signals from before the engine is up, so that none is lost. Resolves when the engine has stopped; a second
 * signal does not wait for that.
 */
function untilSignalled(starting: Promise<Engine>): Promise<void> {
  return new Promise((resolve, reject) => {
    let stopping = false;
    const stop = async (signal: NodeJS.Signals): Promise<void> => {
      if (stopping) process.exit(exit.forced);
      stopping = true;
      const engine = await starting;
      engine.log.info({ signal }, `${signal}: finishing what runs; a second signal ends it at once`);
      await engine.stop();
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => void stop(signal).then(resolve, reject));
    process.on('SIGHUP', () => void starting.then((engine) => engine.reload(), reject));
    starting.catch(reject);
  });
}

async function run(flags: RunFlags): Promise<void> {
  const { readSettings } = await import('./settings.ts');
  const settings = await readSettings(flags);
  const { createEngine } = await import('../engine.ts');
  const starting = createEngine({
    settings,
    cwd: process.cwd(),
    env: process.env,
    watch: flags.watch,
    allowEmpty: flags.allowEmpty ?? false,
    allowUnsafeStore: flags.allowUnsafeStore ?? false,
  });
  await untilSignalled(starting);
}

export function define(program: Command): void {
  const command = program
    .command('run')
    .description('runs the pipelines: takes events in, delivers them, reloads on every change')
    .addOption(busOption())
    .addOption(pipelinesOption())
    .addOption(switched('--watch', 'EVENTFLOW_WATCH', 'reload when a file changes').default(true))
    .option('--no-watch', 'reload on SIGHUP and on request only')
    .addOption(switched('--allow-empty', 'EVENTFLOW_ALLOW_EMPTY', 'also run without any route'))
    .addOption(
      switched(
        '--allow-unsafe-store',
        'EVENTFLOW_ALLOW_UNSAFE_STORE',
        'also run on a Redis that may evict events (maxmemory-policy)',
      ),
    );
  withSettings(command).action(run);
}
