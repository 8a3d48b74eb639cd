/** A time of day that can be stepped under one process. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '../support/children.ts';
import { withShim } from './places.ts';
import type { Surroundings } from './stage.ts';

export interface FakeClock extends Surroundings {
  /** For the process whose clock it is to be. */
  readonly variables: Readonly<Record<string, string>>;
  /** From now on that clock is off by so many seconds. */
  step(seconds: number): Promise<void>;
}

/** Around the Redis of a stage; an engine gets it by its `variables`. */
export async function fakeClock(): Promise<FakeClock> {
  const folder = await temporaryFolder('eventflow-clock-');
  const path = join(folder.path, 'step');
  const file = await open(path, 'w');
  const step = async (seconds: number): Promise<void> => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds * 1_000));
    await file.write(bytes, 0, bytes.length, 0);
  };
  await step(0);
  const shim = await withShim('stepped-clock', { CLOCK_STEP: path });
  return {
    ...shim,
    variables: shim.redis?.env ?? {},
    step,
    async end() {
      await file.close();
      await folder.remove();
      await shim.end();
    },
  };
}
