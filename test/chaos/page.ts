/** What an engine of the stage says about itself. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sampleOf } from '../observe/world.ts';
import type { EngineChild } from '../support/engine-process.ts';

/** Its metrics, to be read with `sampleOf`. */
export const pageOf = async ({ admin }: EngineChild): Promise<string> => (await fetch(`${admin}/metrics`)).text();

/** For an engine whose memory is asked for: it collects its garbage on SIGUSR2. */
export const tidy = { NODE_OPTIONS: `--import=${new URL('collect-garbage.ts', import.meta.url).href}` };

/** Bytes that an engine with the variables of `tidy` holds when its garbage is collected. */
export async function memoryOf(engine: EngineChild): Promise<number> {
  engine.child.kill('SIGUSR2');
  await sleep(500);
  return sampleOf(await pageOf(engine), 'process_resident_memory_bytes');
}
