/** Whether a route runs its handler for an event, and with what; before the breaker and everything else is asked. Pure. */
import type { EventEnvelope } from '../event.ts';
import type { DeadReason } from './delivery.ts';
import { formatDuration } from './duration.ts';
import type { Fault } from './outcome.ts';
import type { EventTypeRule, Route, Transform } from './route.ts';

export type Admitted =
  | {
      readonly kind: 'run';
      /** As the handler gets it. */
      readonly event: EventEnvelope;
      /** As it was published: what expressions see. */
      readonly published: EventEnvelope;
    }
  /** Settled at once, without a trace in the journal. */
  | { readonly kind: 'unmatched' }
  | {
      readonly kind: 'dead';
      readonly reason: DeadReason;
      readonly event: EventEnvelope | undefined;
      readonly fault: Fault;
    };

export const deadUnrun = (
  reason: DeadReason,
  event: EventEnvelope | undefined,
  code: string,
  message: string,
): Admitted => ({ kind: 'dead', reason, event, fault: { code, message: message.slice(0, 300), kind: 'error' } });

/**
 * Judges an event of a type that the route wants. `age`: ms since its publication; `rule`: what the catalogue in force
 * says of its type. An expression that has no answer drops nothing: the event is dead-lettered, and somebody looks.
 */
export function admitEvent(
  { when, maxAge, transform }: Pick<Route, 'when' | 'maxAge' | 'transform'>,
  event: EventEnvelope,
  age: number,
  rule: EventTypeRule | undefined,
): Admitted {
  if (when !== undefined) {
    try {
      if (!when.test(event)) return { kind: 'unmatched' };
    } catch (error) {
      return deadUnrun('invalid', event, 'when_failed', (error as Error).message);
    }
  }
  if (maxAge !== undefined && age > maxAge) {
    const message = `expected to be delivered within ${formatDuration(maxAge)} of its publication`;
    return deadUnrun('expired', event, 'expired', message);
  }
  if (rule?.onInvalid === 'deadLetter' && rule.check !== undefined) {
    const faults = rule.check(event.data);
    if (faults.length > 0) return deadUnrun('invalid', event, 'invalid', faults.join('; '));
  }
  return transform === undefined ? { kind: 'run', event, published: event } : transformed(transform, event);
}

function transformed(transform: Transform, event: EventEnvelope): Admitted {
  try {
    return { kind: 'run', event: transform.apply(event), published: event };
  } catch (error) {
    return deadUnrun('invalid', event, 'transform_failed', (error as Error).message);
  }
}
