/** `eventflow run` as a child process, and the addresses that it prints. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface EngineProcess {
  readonly ingest: string;
  readonly admin: string;
  readonly child: ChildProcess;
  /** Log lines so far, parsed; the newest last. */
  readonly lines: Readonly<Record<string, unknown>>[];
  /** SIGTERM, then waits for the exit code. */
  stop(): Promise<number | null>;
}

const cli = fileURLToPath(new URL('../../engine/cli/main.ts', import.meta.url));

/** Rejects with what the engine printed when it ends before it is ready. */
export function startEngine(args: readonly string[], env: Readonly<Record<string, string>>): Promise<EngineProcess> {
  const child = spawn(process.execPath, ['--conditions=eventflow-source', cli, 'run', ...args], {
    env: { ...process.env, EVENTFLOW_HTTP_LISTEN: '127.0.0.1:0', EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: Record<string, unknown>[] = [];
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk).slice(-10_000);
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = parse(text);
      lines.push(line);
      const { ingest, admin } = line;
      if (line['msg'] !== 'engine is ready' || typeof ingest !== 'string' || typeof admin !== 'string') return;
      const stop = (): Promise<number | null> => {
        child.kill('SIGTERM');
        return ended;
      };
      resolve({ ingest, admin, child, lines, stop });
    });
    void ended.then((code) =>
      reject(
        new Error(
          `expected the engine to start, it ended with code ${code}:\n${errors}${lines.map((line) => `${line['msg']}\n`).join('')}`,
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
