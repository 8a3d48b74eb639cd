/** The command line as a child process, to its end. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../../engine/cli/main.ts', import.meta.url));

export interface CliEnded {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliSetting {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads [nothing]. */
  readonly input?: string;
}

/** Without colours and without the EVENTFLOW_* variables of the one who runs the tests. */
const cleanEnv = (): Record<string, string | undefined> => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('EVENTFLOW_'))),
  NO_COLOR: '1',
});

export function eventflow(args: readonly string[], { cwd, env, input = '' }: CliSetting = {}): Promise<CliEnded> {
  const child = spawn(process.execPath, ['--conditions=eventflow-source', cli, ...args], {
    env: { ...cleanEnv(), ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
