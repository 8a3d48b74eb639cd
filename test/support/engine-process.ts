/** `eventflow run` as a child that can be killed, and started again on the same bus. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { endsWithUs } from './children.ts';

const cli = fileURLToPath(new URL('../../engine/cli/main.ts', import.meta.url));

export interface EngineChild {
  readonly ingest: string;
  readonly admin: string;
  readonly child: ChildProcess;
  readonly lines: Readonly<Record<string, unknown>>[];
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves to the exit code. */
  stop(): Promise<number | null>;
}

export interface Where {
  /** The command's entry [the sources of this checkout]. */
  readonly cli?: string;
  /** Of the child [that of this process]. */
  readonly cwd?: string;
}

/** Rejects with what was printed when the engine ends before it is ready. */
export async function spawnEngine(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  where: Where = {},
): Promise<EngineChild> {
  const entry = where.cli === undefined ? ['--conditions=eventflow-source', cli] : [where.cli];
  const child = spawn(process.execPath, [...entry, 'run', ...args], {
    ...(where.cwd === undefined ? {} : { cwd: where.cwd }),
    env: { ...process.env, EVENTFLOW_HTTP_LISTEN: '127.0.0.1:0', EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  endsWithUs(child);
  const lines: Record<string, unknown>[] = [];
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk).slice(-10_000);
  });
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  const end = (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    return exit;
  };
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = parse(text);
      lines.push(line);
      const { ingest, admin } = line;
      if (line['msg'] !== 'engine is ready' || typeof ingest !== 'string' || typeof admin !== 'string') return;
      const kill = async (): Promise<void> => void (await end('SIGKILL'));
      resolve({ ingest, admin, child, lines, kill, stop: () => end('SIGTERM') });
    });
    void exit.then((code) =>
      reject(
        new Error(
          `expected the engine to start, it ended with code ${code}: ${errors}${JSON.stringify(lines.slice(-5))}`,
        ),
      ),
    );
  });
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { msg: text };
  }
}
