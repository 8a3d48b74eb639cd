/** Faults of the services that handlers call. */
import { setTimeout as sleep } from 'node:timers/promises';
import { calm, type Fault } from '../fault.ts';
import { recoveryBound } from '../stage.ts';

export const endpoints: readonly Fault[] = [
  {
    id: 'T26',
    what: 'slow endpoint (2 s), the other route beside it',
    tier: 'quick',
    async inject(stage) {
      stage.main.answer = () => ({ status: 200, afterMs: 2_000 });
      await sleep(6_000);
      stage.main.answer = () => undefined;
      return { ...calm, recovery: 3_000 };
    },
  },
  {
    id: 'T27',
    what: 'hanging endpoint',
    tier: 'quick',
    stage: {
      route:
        'timeout: 1s\n    circuitBreaker: { openFor: 1s, maxOpenFor: 1s }\n    retry: { maxAttempts: 50, initialInterval: 50ms, maxInterval: 500ms }',
    },
    async inject(stage) {
      await sleep(1_000);
      stage.main.answer = () => 'hang';
      await sleep(5_000);
      stage.main.answer = () => undefined;
      return { ...calm, recovery: recoveryBound };
    },
  },
  {
    id: 'T30',
    what: 'endpoint down for 8 s, four engines',
    tier: 'quick',
    stage: {
      engines: 4,
      route:
        'circuitBreaker: { consecutiveFailures: 5, openFor: 2s, maxOpenFor: 2s }\n    retry: { maxAttempts: 50, initialInterval: 100ms, maxInterval: 1s }',
    },
    async inject(stage) {
      await sleep(1_000);
      stage.main.answer = () => ({ status: 503 });
      await sleep(2_500);
      const before = stage.main.requests;
      await sleep(5_500);
      const probes = stage.main.requests - before;
      stage.main.answer = () => undefined;
      // One probe for each window of 2 s, over all engines; a window may begin and end inside the time that was watched.
      const wrong = probes <= 4 ? [] : [`expected at most 4 probes of all engines together in 5.5 s, got ${probes}`];
      return { ...calm, recovery: 4_000, wrong };
    },
  },
  {
    id: 'T31',
    what: '429 with Retry-After: 2',
    tier: 'quick',
    stage: { route: 'circuitBreaker: false' },
    async inject(stage) {
      const asked = new Map<string, number>();
      const wrong: string[] = [];
      stage.main.answer = (id) => {
        const first = asked.get(id);
        asked.set(id, first ?? Date.now());
        if (first === undefined) return { status: 429, headers: { 'retry-after': '2' } };
        if (Date.now() - first < 1_990) wrong.push(`${id} came again after ${Date.now() - first} ms`);
        return undefined;
      };
      await sleep(4_000);
      stage.main.answer = () => undefined;
      return { ...calm, recovery: 4_000, wrong };
    },
  },
];
