/** What travels with a delivery that has failed at least once, and what a dead letter holds. Plain JSON values. */
import type { Fault } from './outcome.ts';

export interface Attempt {
  /** From 1. */
  readonly n: number;
  /** Start, ms since the epoch. */
  readonly at: number;
  /** Duration in ms. */
  readonly ms: number;
  readonly fault: Fault;
}

/** Carried through the retry set and the due stream. */
export interface DeliveryState {
  /** The number of the attempt that comes next. */
  readonly attempt: number;
  /** Failed attempts so far, in order. */
  readonly attempts: readonly Attempt[];
  /** The dead letter that this delivery was redriven from. */
  readonly redrivenFrom?: string;
}

/**
 * From this start on a delivery is a suspect: twice it was handed out and never settled, so it may be what ended its
 * process. A suspect's starts are counted one by one, when it runs, and not when it is handed out.
 */
export const firstSuspectStart = 3;

/** `handler_removed` does not exist: a route without its handler never compiles. */
export const deadReasons = [
  'exhausted',
  'permanent',
  'expired',
  'invalid',
  'undecodable',
  'crash_loop',
  'route_removed',
  'breaker_open',
] as const;

export type DeadReason = (typeof deadReasons)[number];

/** What the worker hands over when a delivery gives up; the bus adds the event's bytes and the identity. */
export interface LastWords {
  readonly reason: DeadReason;
  readonly handler: string;
  /** Id of the event, or undefined when its bytes are no event. */
  readonly eventId: string | undefined;
  readonly eventType: string | undefined;
  readonly fault: Fault;
  /** Groups letters that failed alike: a hash of reason, code and message with numbers and ids taken out. */
  readonly fingerprint: string;
  readonly attempts: readonly Attempt[];
  /** The route's hash at that time. */
  readonly configHash: string;
  readonly traceparent?: string;
  readonly redrivenFrom?: string;
}

/** A dead letter at rest. */
export interface DeadLetter extends LastWords {
  /** Unique over the bus; opaque. */
  readonly id: string;
  readonly group: string;
  readonly stream: string;
  /** The event's bytes and what was added to them, as stored. */
  readonly body: string;
  readonly meta: string | undefined;
  /** ms since the epoch. */
  readonly publishedAt: number;
  readonly deadAt: number;
}
