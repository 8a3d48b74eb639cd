/** `eventflow run`: the engine, until a signal ends it. */
import type { Command } from 'commander';
import type { Engine } from '../engine.ts';
import { exit } from './exit.ts';
import { busOption, pipelinesOption, type SettingsFlags, switched, withSettings } from './options.ts';

interface RunFlags extends SettingsFlags {
  readonly watch: boolean;
  readonly allowEmpty?: boolean;
}

/** How long what runs may go on after the first signal. */
const graceMs = 25_000;

/** Resolves when the engine has stopped; a second signal does not wait. */
function untilSignalled(engine: Engine): Promise<void> {
  return new Promise((resolve, reject) => {
    let stopping = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (stopping) process.exit(exit.forced);
      stopping = true;
      engine.log.info({ signal, graceMs }, `${signal}: finishing what runs; a second signal ends it at once`);
      engine.stop(graceMs).then(() => resolve(), reject);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGHUP', () => void engine.reload());
  });
}

/** Signals that come before the engine is up end it at once, by Node's own default. */
async function run(flags: RunFlags): Promise<void> {
  const { readSettings } = await import('./settings.ts');
  const settings = await readSettings(flags);
  const { createEngine } = await import('../engine.ts');
  const engine = await createEngine({
    settings,
    cwd: process.cwd(),
    env: process.env,
    watch: flags.watch,
    allowEmpty: flags.allowEmpty ?? false,
  });
  await untilSignalled(engine);
}

export function define(program: Command): void {
  const command = program
    .command('run')
    .description('runs the pipelines: takes events in, delivers them, reloads on every change')
    .addOption(busOption())
    .addOption(pipelinesOption())
    .addOption(switched('--watch', 'EVENTFLOW_WATCH', 'reload when a file changes').default(true))
    .option('--no-watch', 'reload on SIGHUP and on request only')
    .addOption(switched('--allow-empty', 'EVENTFLOW_ALLOW_EMPTY', 'also run without any route'));
  withSettings(command).action(run);
}
