/** Many seeds on all cores: each thread takes the next one until there is none, or one has failed. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Bug } from './model/bugs.ts';
import type { Outcome } from './simulate.ts';

export interface SeedsRequest {
  readonly first: number;
  readonly count: number;
  readonly steps: number;
  readonly bug?: Bug | undefined;
}

export interface SeedsReport {
  readonly seeds: number;
  /** Of what happened in all of them. */
  readonly coverage: ReadonlyMap<string, number>;
  /** By seed. */
  readonly failures: readonly Outcome[];
  readonly seconds: number;
}

/** What a thread is given; `next` is shared: seeds taken so far. */
export interface ThreadRequest extends SeedsRequest {
  readonly next: Int32Array;
}

export async function runSeeds(request: SeedsRequest): Promise<SeedsReport> {
  const began = performance.now();
  const next = new Int32Array(new SharedArrayBuffer(4));
  const threads = Math.min(availableParallelism(), request.count);
  const outcomes = await Promise.all(Array.from({ length: threads }, () => runThread({ ...request, next })));
  const coverage = new Map<string, number>();
  const ended = outcomes.flat();
  for (const outcome of ended) {
    for (const [what, times] of outcome.coverage) coverage.set(what, (coverage.get(what) ?? 0) + times);
  }
  const failures = ended.filter(({ failedAt }) => failedAt !== undefined).sort((a, b) => a.seed - b.seed);
  return { seeds: ended.length, coverage, failures, seconds: (performance.now() - began) / 1_000 };
}

function runThread(request: ThreadRequest): Promise<readonly Outcome[]> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./thread.ts', import.meta.url), { workerData: request });
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`expected the thread to answer, it ended with ${code}`)));
  });
}

/** The command that does it again. */
export const replayCommand = ({ seed }: Outcome, { steps, bug }: SeedsRequest): string =>
  `npm run simulate -- --seed ${seed} --seeds 1 --steps ${steps}${bug === undefined ? '' : ` --bug '${bug}'`} --trace`;

/** Three lines and the end of the trace: what was broken, where, and how to see it again. */
export function failureText(outcome: Outcome, request: SeedsRequest): string {
  const { seed, failedAt, message, tail } = outcome;
  return [`seed=${seed} step=${failedAt} ${message}`, replayCommand(outcome, request), ...tail].join('\n');
}
