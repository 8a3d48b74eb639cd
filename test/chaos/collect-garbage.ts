/** Preloaded into an engine whose memory is measured: SIGUSR2 collects its garbage, and gives what is free to the system. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (how: { execution: 'sync'; flavor: 'last-resort' }) => void;
process.on('SIGUSR2', () => collect({ execution: 'sync', flavor: 'last-resort' }));
