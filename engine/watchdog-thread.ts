/** The thread of the watchdog: counts ticks in which the main thread's loop did not turn. */
import { write } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { Shared, Told } from './watchdog.ts';

const { beats, lastStarted, limitMs, tickMs } = workerData as Shared;
/** A log that nobody reads does not keep a stuck process alive, ms. */
const longestWrite = 500;

let told: Told = { routes: new Map(), running: [] };
let seen = -1;
let missed = 0;

function lastWords(): string {
  const route = told.routes.get(Atomics.load(lastStarted, 0));
  const msg = `the event loop has not turned for ${limitMs} ms: ending the process, which a supervisor should start again`;
  return JSON.stringify({
    level: 'fatal',
    time: new Date().toISOString(),
    lastStarted: route,
    running: told.running,
    msg,
  });
}

function end(): void {
  clearInterval(ticking);
  const kill = (): void => void process.kill(process.pid, 'SIGKILL');
  setTimeout(kill, longestWrite);
  write(1, `${lastWords()}\n`, kill);
}

function tick(): void {
  const now = Atomics.load(beats, 0);
  missed = now === seen ? missed + 1 : 0;
  seen = now;
  if (missed * tickMs >= limitMs) end();
}

const ticking = setInterval(tick, tickMs);
parentPort?.on('message', (message: Told) => {
  told = message;
});
