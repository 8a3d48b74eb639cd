/**
 * Faults that can be put into the model on purpose, to see that the simulation notices. The first three are the ones that
 * make-shift queues on Redis have; the others are those that a new bus could have.
 */
export const bugs = [
  'ack before park',
  'no fence on retry',
  'MAXLEN on the stream',
  'forgets the dedupe key',
  'retries come early',
  'promotes twice',
  'reclaims before the lease ends',
  'trims what is pending',
  'a full DLQ takes more',
  'every engine wins the probe',
  'the heartbeat does nothing',
  'everybody has the turn',
  'gives permits to every engine',
  'lets a wait cost an attempt',
] as const;

export type Bug = (typeof bugs)[number];
