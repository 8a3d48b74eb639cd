/**
 * Ends the process when its event loop is stuck. No timer fires while a handler spins, so the engine can neither time it
 * out nor renew a lease; a thread of its own can still count. It kills with SIGKILL, since nothing gentler would be
 * heard: whoever supervises the process starts it again, and the delivery that spun is found as after any crash.
 *
 * The thread counts its own ticks and not the time: a process that was stopped, or a machine that slept, is not stuck.
 */
import { Worker } from 'node:worker_threads';

export interface RunningWords {
  readonly route: string;
  readonly event: string;
}

export interface WatchdogOptions {
  /** How long the loop may not turn, ms. */
  readonly limitMs: number;
  /** The number of the route whose handler was started last, written by whoever starts them; shared with the thread. */
  readonly lastStarted: Int32Array;
  /** Names of the numbers that `lastStarted` can have. */
  readonly routes: () => ReadonlyMap<number, string>;
  /** Some of what runs now, for the last line of the log. */
  readonly running: () => readonly RunningWords[];
}

/** What the thread is started with. */
export interface Shared {
  readonly beats: Int32Array;
  readonly lastStarted: Int32Array;
  readonly limitMs: number;
  readonly tickMs: number;
}

/** What the thread is told at each beat. */
export interface Told {
  readonly routes: ReadonlyMap<number, string>;
  readonly running: readonly RunningWords[];
}

/** Ticks without a beat until the loop counts as stuck. */
const patience = 10;

/** For `WatchdogOptions.lastStarted`. */
export const sharedCell = (): Int32Array => new Int32Array(new SharedArrayBuffer(4));

/** Returns what stops it. */
export function startWatchdog({ limitMs, lastStarted, routes, running }: WatchdogOptions): () => void {
  const tickMs = Math.max(1, limitMs / patience);
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const file = import.meta.url.endsWith('.ts') ? './watchdog-thread.ts' : './watchdog-thread.js';
  const thread = new Worker(new URL(file, import.meta.url), {
    workerData: { beats, lastStarted, limitMs, tickMs } satisfies Shared,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
  });
  thread.unref();
  const beat = (): void => {
    Atomics.add(beats, 0, 1);
    thread.postMessage({ routes: routes(), running: running() } satisfies Told);
  };
  beat();
  const timer = setInterval(beat, tickMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    void thread.terminate();
  };
}
