/**
 * `npm run fuzz -- [--files 50000] [--seed 1]`: mutated pipeline files, one after the other. Each must become a generation or
 * diagnostics with places inside of the file, in bounded time. Exits 1 at the first that does not, with its seed and text.
 *
 * `npm run fuzz -- --engine [--files 50000] [--seed 1]`: the same files in a running engine, as a plan of what a reload would do,
 * while it delivers 250 events a second: each of them must come once.
 *
 * `npm run fuzz -- --worst`: how long the known hostile texts keep the thread that reads them busy, where they are short
 * enough to be read in the engine's own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { parseText } from '../../../engine/config/parse.ts';
import { longestInline } from '../../../engine/config/parser.ts';
import { remotePlan } from '../../../engine/operations/index.ts';
import { besideDeliveries } from '../../support/deliveries.ts';
import { hostileTexts } from '../hostile.ts';
import { fileOf, fuzzOne, prepare, type Verdict } from './fuzz.ts';

interface Slice {
  readonly first: number;
  readonly files: number;
  readonly folder: string;
}

type Told = { readonly seed: number; readonly verdict: Verdict } | { readonly seed: number; readonly fault: string };

/** No file may keep the reader for longer, whatever the machine has to do besides. */
const patienceMs = 120_000;

async function work({ first, files, folder }: Slice): Promise<void> {
  for (let seed = first; seed < first + files; seed++) {
    try {
      parentPort?.postMessage({ seed, verdict: await fuzzOne(seed, folder) } satisfies Told);
    } catch (error) {
      parentPort?.postMessage({ seed, fault: (error as Error).stack ?? String(error) } satisfies Told);
      return;
    }
  }
}

function fail(seed: number, why: string): never {
  console.error(`✖ seed ${seed}: ${why}\n--- the file\n${fileOf(seed).toString('utf8').slice(0, 4_000)}`);
  process.exit(1);
}

async function watch(slice: Slice): Promise<void> {
  const counts = { generation: 0, diagnostics: 0 };
  const slowest = { seed: slice.first, ms: 0 };
  let next = slice.first;
  const thread = new Worker(new URL(import.meta.url), { workerData: slice });
  let timer = setTimeout(() => fail(next, `no answer within ${patienceMs} ms`), patienceMs);
  thread.on('message', (told: Told) => {
    clearTimeout(timer);
    if ('fault' in told) fail(told.seed, told.fault);
    counts[told.verdict.kind]++;
    if (told.verdict.ms > slowest.ms) Object.assign(slowest, { seed: told.seed, ms: told.verdict.ms });
    next = told.seed + 1;
    const done = next - slice.first;
    if (done % 5_000 === 0) console.log(`${done} files`);
    timer = setTimeout(() => fail(next, `no answer within ${patienceMs} ms`), patienceMs);
  });
  thread.on('error', (error) => fail(next, `the process would have died: ${error.stack}`));
  await new Promise((resolve) => thread.on('exit', resolve));
  clearTimeout(timer);
  const done = next - slice.first;
  if (done !== slice.files) fail(next, 'the thread ended early');
  console.log(
    `${done} files from seed ${slice.first}: ${counts.generation} became a generation, ${counts.diagnostics} diagnostics; the slowest took ${Math.round(slowest.ms)} ms (seed ${slowest.seed})`,
  );
}

/** CPU time, since the machine may have more to do; the best of a few rounds, since the first ones compile. */
function busyMs(text: string): number {
  const rounds = Array.from({ length: 5 }, () => {
    const before = process.cpuUsage();
    parseText(text);
    return process.cpuUsage(before).user / 1_000;
  });
  return Math.min(...rounds);
}

function tellWorst(): void {
  const readings = Object.entries(hostileTexts).map(([name, text]) => ({
    name,
    ms: busyMs(text.slice(0, longestInline)),
  }));
  for (const { name, ms } of readings.toSorted((a, b) => b.ms - a.ms).slice(0, 10)) {
    console.log(`${ms.toFixed(1).padStart(6)} ms  the first ${longestInline} characters of: ${name}`);
  }
}

/** A plan reads, checks and compares as a reload does, and starts nothing of what a mutated file asks for. */
async function inEngine(first: number, files: number): Promise<void> {
  const counts = { fine: 0, refused: 0 };
  const { published, stoodMs } = await besideDeliveries(async (engine) => {
    for (let seed = first; seed < first + files; seed++) {
      const posted = { path: 'pipelines/mutated.yaml', text: fileOf(seed).toString('utf8'), pipeline: true };
      const { ok } = await remotePlan(engine.addresses.admin ?? '', [posted]);
      counts[ok ? 'fine' : 'refused']++;
      if ((seed - first + 1) % 5_000 === 0) console.log(`${seed - first + 1} files`);
    }
  });
  console.log(
    `${files} files from seed ${first}: ${counts.fine} plans, ${counts.refused} refused; ${published} events beside them, each delivered once; the event loop stood for ${stoodMs} ms at most`,
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      files: { type: 'string', default: '50000' },
      seed: { type: 'string', default: '1' },
      engine: { type: 'boolean', default: false },
      worst: { type: 'boolean', default: false },
    },
  });
  if (values.worst) return tellWorst();
  if (values.engine) return inEngine(Number(values.seed), Number(values.files));
  const folder = mkdtempSync(join(tmpdir(), 'eventflow-fuzz-'));
  prepare(folder);
  await watch({ first: Number(values.seed), files: Number(values.files), folder });
  rmSync(folder, { recursive: true });
}

await (isMainThread ? main() : work(workerData as Slice));
