/** BullMQ doing the same job, at concurrency 50. */
import { Worker } from 'bullmq';
import { startProducer } from './producer.ts';
import { Gauge, type Reading } from './reading.ts';

/** Works off `n` jobs that are there already. */
export const bullDrain = (url: string, n: number): Promise<Reading> => work(url, n, () => undefined);

/** Another process adds `n` jobs, in bulks of 100, while this one works them off. */
export async function bullLive(url: string, n: number): Promise<Reading> {
  const producer = await startProducer({ kind: 'bullmq', url, n, types: 1, rate: undefined });
  const reading = await work(url, n, () => producer.go());
  await producer.done;
  return reading;
}

async function work(url: string, n: number, begin: () => void): Promise<Reading> {
  let seen = 0;
  let finish: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const options = { connection: { url, maxRetriesPerRequest: null }, concurrency: 50, autorun: false };
  const worker = new Worker('bench', async () => undefined, options);
  worker.on('completed', () => {
    seen += 1;
    if (seen === n) finish();
  });
  await worker.waitUntilReady();
  const gauge = new Gauge(url);
  await gauge.start();
  void worker.run();
  begin();
  await done;
  const reading = await gauge.stop(n);
  await worker.close();
  return reading;
}
