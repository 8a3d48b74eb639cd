/** A thread of its own that asks Redis for a sign of life: how long an answer takes, whatever else this process does. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Redis } from 'ioredis';

/** ms of each answer while `work` runs. */
export async function pingedDuring(url: string, work: () => Promise<unknown>): Promise<readonly number[]> {
  const thread = new Worker(new URL(import.meta.url), { workerData: url });
  try {
    await new Promise((resolve) => thread.once('message', resolve));
    await work();
    const took = new Promise<readonly number[]>((resolve) => thread.once('message', resolve));
    thread.postMessage('enough');
    return await took;
  } finally {
    await thread.terminate();
  }
}

async function ping(url: string): Promise<void> {
  const took: number[] = [];
  let enough = false;
  parentPort?.once('message', () => {
    enough = true;
  });
  const client = new Redis(url);
  await client.ping();
  parentPort?.postMessage('ready');
  while (!enough) {
    const asked = performance.now();
    await client.ping();
    took.push(performance.now() - asked);
    await sleep(2);
  }
  client.disconnect();
  parentPort?.postMessage(took);
}

if (!isMainThread && typeof workerData === 'string') await ping(workerData);
