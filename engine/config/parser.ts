/**
 * Where texts are parsed. The parser takes time that grows with the square of some texts (a closing bracket 100,000 times
 * is seconds), so only short ones are parsed in this thread; the others in one of their own, with a deadline and little
 * memory, so that what is delivered meanwhile is not held up.
 */
import { Worker } from 'node:worker_threads';
import { parseText } from './parse.ts';
import type { ReadTree } from './read-tree.ts';

/** UTF-16 units; `npm run fuzz -- --worst` measures what the worst texts of this length take. */
export const longestInline = 4 * 1024;
/** Wide, for machines that have more to do: the worst text takes a second or two where nothing else runs. */
const deadlineMs = 30_000;
/** How long the thread waits for a next text. */
const idleMs = 1_000;

const threadFile = import.meta.url.endsWith('.ts') ? './parse-thread.ts' : './parse-thread.js';

const gaveUp = (why: string): ReadTree => ({
  tree: undefined,
  faults: [
    {
      place: { start: 0, end: 1 },
      code: 'EF1017',
      path: [],
      message: `expected a text that can be read with little work, got one that ${why}`,
      help: 'look for long runs of brackets, colons, anchors or blank lines',
    },
  ],
});

let thread: Worker | undefined;
let idle: NodeJS.Timeout | undefined;

function openThread(): Worker {
  clearTimeout(idle);
  thread ??= new Worker(new URL(threadFile, import.meta.url), {
    execArgv: process.execArgv.filter((argument) => argument.startsWith('--conditions')),
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
    stdin: false,
  });
  return thread;
}

function closeThread(): void {
  void thread?.terminate();
  thread = undefined;
}

/** A thread that has nothing to do neither keeps the process alive nor stays for long. */
function rest(used: Worker): void {
  used.removeAllListeners('message').removeAllListeners('error');
  used.unref();
  idle = setTimeout(closeThread, idleMs);
  idle.unref();
}

/** A thread that cannot begin, as where there may be no more of them, is no fault of the next text. */
function parseInThread(text: string, limitMs: number): Promise<ReadTree> {
  try {
    return parseWith(openThread(), text, limitMs);
  } catch (error) {
    return Promise.resolve(gaveUp(`needs a thread that does not start (${(error as Error).message})`));
  }
}

function parseWith(used: Worker, text: string, limitMs: number): Promise<ReadTree> {
  used.ref();
  return new Promise((resolve) => {
    const fail = (why: string): void => {
      clearTimeout(timer);
      used.removeAllListeners('message');
      closeThread();
      resolve(gaveUp(why));
    };
    const expectWord = (): NodeJS.Timeout => setTimeout(() => fail(`takes longer than ${limitMs} ms`), limitMs);
    let timer = expectWord();
    used.on('message', (told: ReadTree | 'ready') => {
      clearTimeout(timer);
      if (told === 'ready') {
        timer = expectWord();
        return;
      }
      rest(used);
      resolve(told);
    });
    used.once('error', (error: NodeJS.ErrnoException) =>
      fail(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'takes too much memory' : `stops the parser (${error.message})`),
    );
    used.postMessage(text);
  });
}

let last: Promise<unknown> = Promise.resolve();

/** One text after the other; never rejects. `limitMs` is for tests. */
export function parse(text: string, limitMs = deadlineMs): Promise<ReadTree> {
  if (text.length <= longestInline) return Promise.resolve(parseText(text));
  const parsed = last.then(() => parseInThread(text, limitMs));
  last = parsed.catch(() => undefined);
  return parsed;
}
