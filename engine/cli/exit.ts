/** What a command's end says to the shell. */
import { EventFlowError } from '../errors.ts';

export const exit = {
  ok: 0,
  /** A finding, or what was asked for did not work. */
  failed: 1,
  usage: 2,
  /** `plan`: a reload would change something. */
  changes: 3,
  /** Neither the bus nor an engine answers. */
  unreachable: 69,
  /** A fault of EventFlow itself. */
  bug: 70,
  /** The settings or the pipelines are wrong: starting again does not help. */
  config: 78,
  /** A second signal did not wait for what was running. */
  forced: 130,
} as const;

export type ExitCode = (typeof exit)[keyof typeof exit];

/** The command line was wrong; shown in one line, with a pointer to `--help`. */
export class UsageError extends Error {}

/** A command that ends with a code of its own and has said everything there is to say, unless `message` is not empty. */
export class Failure extends Error {
  readonly exitCode: ExitCode;
  constructor(exitCode: ExitCode, message = '') {
    super(message);
    this.exitCode = exitCode;
  }
}

const unreachable: ReadonlySet<string> = new Set(['EF4030', 'EF4033', 'EF4034', 'EF4035', 'EF6021']);
const config: ReadonlySet<string> = new Set(['EF5003', 'EF5015', 'EF6001', 'EF6020']);

function codeOf(error: EventFlowError): ExitCode {
  if (config.has(error.code)) return exit.config;
  if (error.code.startsWith('EF50') || unreachable.has(error.code)) return exit.unreachable;
  return exit.failed;
}

const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';

const bugText = (error: unknown): string =>
  `this is a bug in EventFlow, please report it:\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;

/** What a thrown value means: the code to end with, and what to tell people (nothing, when it is empty). */
export function describeFailure(error: unknown): { readonly exitCode: ExitCode; readonly message: string } {
  if (error instanceof Failure) return { exitCode: error.exitCode, message: error.message };
  if (error instanceof UsageError) return { exitCode: exit.usage, message: error.message };
  if (error instanceof EventFlowError) {
    return { exitCode: codeOf(error), message: `${error.code} ${error.message}` };
  }
  if (isSystemError(error)) return { exitCode: exit.failed, message: error.message };
  return { exitCode: exit.bug, message: bugText(error) };
}
