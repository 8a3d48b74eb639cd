/** Children and folders that end with this process, however it ends; only SIGKILL of it leaves them behind. */
import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const children = new Set<ChildProcess>();
const undone = new Set<() => void>();

function endAll(): void {
  for (const child of children) child.kill('SIGKILL');
  for (const undo of undone) {
    try {
      undo();
    } catch {
      // The rest must go too.
    }
  }
}

let armed = false;

/** A signal would end the process without its `exit` event. */
function arm(): void {
  if (armed) return;
  armed = true;
  process.once('exit', endAll);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.once(signal, () => {
      endAll();
      process.kill(process.pid, signal);
    });
  }
}

/** Kills the child when this process ends. */
export function endsWithUs(child: ChildProcess): void {
  arm();
  children.add(child);
  child.once('exit', () => children.delete(child));
}

/** Runs `undo`, which must be synchronous, when this process ends before the returned function was called. */
export function undoneWithUs(undo: () => void): () => void {
  arm();
  undone.add(undo);
  return () => void undone.delete(undo);
}

/** A folder of our own under the system's temporary one; `remove` removes it, as does the end of this process. */
export async function temporaryFolder(prefix: string): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  const gone = { recursive: true, force: true, maxRetries: 3 };
  const forget = undoneWithUs(() => rmSync(path, gone));
  return {
    path,
    remove: async () => {
      forget();
      await rm(path, gone);
    },
  };
}
