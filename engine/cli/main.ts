#!/usr/bin/env node
/** The command line. Loads the one command that is asked for, and turns however it ends into an exit code. */
import { version } from '../version.ts';
import { describeFailure, exit } from './exit.ts';
import { paintError, print, tell } from './output.ts';

/** The value of `--env-file`, before anything else looks at the environment. */
function envFileOf(args: readonly string[]): string | undefined {
  const end = args.indexOf('--');
  const own = end === -1 ? args : args.slice(0, end);
  const at = own.lastIndexOf('--env-file');
  if (at !== -1) return own[at + 1];
  const joined = own.findLast((arg) => arg.startsWith('--env-file='));
  return joined?.slice('--env-file='.length) ?? process.env['EVENTFLOW_ENV_FILE'];
}

/** False when it cannot be read, which has been said then. */
function loadEnvFile(args: readonly string[]): boolean {
  const file = envFileOf(args);
  if (file === undefined || file === '') return true;
  try {
    process.loadEnvFile(file);
    return true;
  } catch (error) {
    tell(`${paintError('red', 'error:')} expected a file of variables for --env-file: ${(error as Error).message}`);
    return false;
  }
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
    print(version);
    return exit.ok;
  }
  if (!loadEnvFile(args)) return exit.usage;
  const { runProgram } = await import('./program.ts');
  return runProgram(args, version);
}

/** Whoever reads our output may stop early, as `head` does. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exit.ok);
  throw error;
});

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  const { exitCode, message } = describeFailure(error);
  if (message !== '') tell(`${paintError('red', 'error:')} ${message}`);
  return exitCode;
});
