/** `eventflow run`: the engine, until a signal ends it. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Engine } from '../engine.ts';
import { exit, Failure } from './exit.ts';
import { busOption, duration, pipelinesOption, type SettingsFlags, switched, valued, withSettings } from './options.ts';

interface RunFlags extends SettingsFlags {
  readonly watch: boolean;
  readonly watchPoll?: number;
  readonly state: string;
  readonly lastGood?: boolean;
  readonly allowEmpty?: boolean;
  readonly allowUnsafeStore?: boolean;
}

/** What a plugin leaves running does not keep the process for longer than this after the engine has stopped, ms. */
const longestRest = 1_000;

/**
 * Listens to signals from before the engine is up, so that none is lost. Resolves when the engine has stopped; a second
 * signal does not wait for that. Rejects when it stopped because of `failing`, an error that nobody caught.
 */
function untilSignalled(starting: Promise<Engine>, failing: Promise<unknown>): Promise<void> {
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
    void failing.then((error) => endAfter(error, starting)).then(reject, reject);
    process.on('SIGHUP', () => void starting.then((engine) => engine.reload('signal'), reject));
    starting.catch(reject);
  });
}

/** Finishes what runs and hands back the rest; resolves to what to end with. */
async function endAfter(error: unknown, starting: Promise<Engine>): Promise<Failure> {
  const engine = await starting;
  const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
  engine.log.fatal(
    { error: words },
    'nobody caught an error, and no plugin is to blame: finishing what runs, then ending',
  );
  await engine.stop();
  return new Failure(exit.bug, `nobody caught this error, and no plugin is to blame: ${words}`);
}

/** The kernel shields PID 1, as a container's only process is, from every signal that comes from inside. */
function warnAsInit(engine: Engine): void {
  if (process.pid !== 1) return;
  engine.log.warn(
    'the watchdog cannot end PID 1: run the container with an init (docker run --init), or with a liveness probe on /livez',
  );
}

async function run(flags: RunFlags): Promise<void> {
  const { readSettings } = await import('./settings.ts');
  const settings = await readSettings(flags);
  const { createEngine } = await import('../engine.ts');
  const failure = Promise.withResolvers<unknown>();
  const starting = createEngine({
    settings,
    cwd: process.cwd(),
    env: process.env,
    readSettings: () => readSettings(flags).catch(() => undefined),
    watch: flags.watch,
    ...(flags.watchPoll === undefined ? {} : { watchPollMs: flags.watchPoll }),
    stateFolder: resolve(flags.state),
    lastGood: flags.lastGood ?? false,
    allowEmpty: flags.allowEmpty ?? false,
    allowUnsafeStore: flags.allowUnsafeStore ?? false,
    ownProcess: { onFailure: failure.resolve },
  });
  if (settings.delivery.watchdog !== undefined) void starting.then(warnAsInit, () => undefined);
  try {
    await untilSignalled(starting, failure.promise);
  } finally {
    setTimeout(() => process.exit(), longestRest).unref();
  }
}

export function define(program: Command): void {
  const command = program
    .command('run')
    .description('runs the pipelines: takes events in, delivers them, reloads on every change')
    .addOption(busOption())
    .addOption(pipelinesOption())
    .addOption(switched('--watch', 'EVENTFLOW_WATCH', 'reload when a file changes').default(true))
    .option('--no-watch', 'reload on SIGHUP and on request only')
    .addOption(
      valued(
        '--watch-poll <duration>',
        'EVENTFLOW_WATCH_POLL',
        'look for changes this often instead of being told by the system, as on network file systems: 2s',
      ).argParser(duration),
    )
    .addOption(
      switched(
        '--last-good',
        'EVENTFLOW_LAST_GOOD',
        'when the pipelines are refused at the start, begin with the last good ones',
      ),
    )
    .addOption(
      valued(
        '--state <folder>',
        'EVENTFLOW_STATE',
        'where the last good pipelines are kept, without their secrets',
      ).default('.eventflow'),
    )
    .addOption(switched('--allow-empty', 'EVENTFLOW_ALLOW_EMPTY', 'also run without any route'))
    .addOption(
      switched(
        '--allow-unsafe-store',
        'EVENTFLOW_ALLOW_UNSAFE_STORE',
        'also run on a Redis that may evict events (maxmemory-policy)',
      ),
    );
  command.addHelpText(
    'after',
    '\nEnds with 0 after a signal, 78 when settings or pipelines are wrong, 69 without a bus, 70 after an error that nobody\ncaught, and by SIGKILL when a handler blocks the event loop (delivery.watchdog): let a supervisor start it again.',
  );
  withSettings(command).action(run);
}
