/** The thread that `parser.ts` starts: one text in, one tree or its faults out. */
import { parentPort } from 'node:worker_threads';
import { parseText } from './parse.ts';

parentPort?.on('message', (text: string) => parentPort?.postMessage(parseText(text)));
// On a machine that is busy, starting takes longer than any text does: the deadline begins here.
parentPort?.postMessage('ready');
