/** The program: which commands there are, and how the one that is asked for is loaded and run. */
import { Command, CommanderError } from 'commander';
import { exit } from './exit.ts';
import { readSwitches } from './options.ts';
import { paint, paintError, tell } from './output.ts';

/** Describes itself under `program`; what a command works with is imported by its action. */
export type DefineCommand = (program: Command) => void;

const commands: Readonly<Record<string, () => Promise<{ readonly define: DefineCommand }>>> = {
  init: () => import('./init.ts'),
  run: () => import('./run.ts'),
  validate: () => import('./validate.ts'),
  fmt: () => import('./fmt.ts'),
  plan: () => import('./plan.ts'),
  test: () => import('./test.ts'),
  reload: () => import('./reload.ts'),
  generations: () => import('./generations.ts'),
  rollback: () => import('./rollback.ts'),
  publish: () => import('./publish.ts'),
  dlq: () => import('./dlq.ts'),
  events: () => import('./events.ts'),
  routes: () => import('./routes.ts'),
  circuits: () => import('./circuits.ts'),
  verify: () => import('./verify.ts'),
  doctor: () => import('./doctor.ts'),
  schema: () => import('./schema.ts'),
  generate: () => import('./generate.ts'),
  plugins: () => import('./plugins.ts'),
  redis: () => import('./redis.ts'),
  explain: () => import('./explain.ts'),
  'explain-event': () => import('./explain-event.ts'),
  graph: () => import('./graph.ts'),
};

function createProgram(version: string): Command {
  return new Command('eventflow')
    .description('Delivers events from YAML pipelines to handlers, with retries, circuit breakers and dead letters.')
    .version(version, '-V, --version', 'prints the version')
    .helpOption('-h, --help', 'shows this help')
    .showHelpAfterError('(see --help)')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error:/, paintError('red', 'error:'))) })
    .configureHelp({
      styleTitle: (text) => paint('bold', text),
      styleCommandText: (text) => paint('cyan', text),
      styleOptionText: (text) => paint('cyan', text),
    })
    .hook('preAction', (_program, action) => readSwitches(action));
}

/** Only the command that is asked for; all of them for the help, and to guess what a misspelt one was meant to be. */
async function addCommands(program: Command, asked: string | undefined): Promise<void> {
  const one = asked === undefined ? undefined : commands[asked];
  for (const load of one === undefined ? Object.values(commands) : [one]) (await load()).define(program);
}

/** The program with every command, for tests and documents. */
export async function describeProgram(version: string): Promise<Command> {
  const program = createProgram(version);
  await addCommands(program, undefined);
  return program;
}

/** Resolves to the exit code; rejects with what the command threw. */
export async function runProgram(args: readonly string[], version: string): Promise<number> {
  const asked = args.find((arg) => !arg.startsWith('-'));
  const program = createProgram(version);
  await addCommands(program, asked !== undefined && Object.hasOwn(commands, asked) ? asked : undefined);
  if (args.length === 0) {
    tell(program.helpInformation());
    return exit.usage;
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return exit.ok;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exit.ok : exit.usage;
  }
}
