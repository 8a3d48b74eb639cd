/**
 * The exam of the bus port: every promise of `engine/bus/bus.ts` as a scenario. An implementation passes all of it, and
 * nothing outside the port is used, so that authors of another bus can sit it too.
 */
import { describe, test } from 'node:test';
import { bookScenarios } from './exam/books.ts';
import { claimScenarios } from './exam/claims.ts';
import { conservationScenarios } from './exam/conservation.ts';
import { deadLetterScenarios } from './exam/dead-letters.ts';
import { leaseScenarios } from './exam/lease.ts';
import { limitScenarios } from './exam/limits.ts';
import { orderScenarios } from './exam/order.ts';
import { positionScenarios } from './exam/positions.ts';
import { publishScenarios } from './exam/publish.ts';
import { readScenarios } from './exam/read.ts';
import { retryScenarios } from './exam/retry.ts';
import { type OpenBus, Room, type Scenario } from './exam/room.ts';
import { settleScenarios } from './exam/settle.ts';
import { trimScenarios } from './exam/trim.ts';

export type { ExamBus, OpenBus } from './exam/room.ts';

const parts = [
  publishScenarios,
  readScenarios,
  positionScenarios,
  settleScenarios,
  retryScenarios,
  orderScenarios,
  leaseScenarios,
  deadLetterScenarios,
  trimScenarios,
  bookScenarios,
  limitScenarios,
  conservationScenarios,
  claimScenarios,
];

/** Registers the exam with node:test. `open` gives a bus on a fresh store for each scenario. */
export function busExam(name: string, open: OpenBus): void {
  void describe(name, () => {
    const scenario: Scenario = (sentence, proof, options) => {
      void test(sentence, { timeout: 60_000 }, async () => {
        const fixture = await open(options);
        try {
          await proof(new Room(fixture));
        } finally {
          await fixture.close();
        }
      });
    };
    for (const part of parts) part(scenario);
  });
}
