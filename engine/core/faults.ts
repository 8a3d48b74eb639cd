/** What a fault means to a route's policies. Pure. */
import type { Fault } from './outcome.ts';
import type { FaultName } from './route.ts';

/** How exactly `name` names the fault: 0 not at all, 1 its class, 2 the thing itself. */
function precision(name: FaultName, fault: Fault): 0 | 1 | 2 {
  if (fault.kind !== 'status' || fault.status === undefined) return name === fault.kind ? 2 : 0;
  if (name === String(fault.status)) return 2;
  return name === `${Math.floor(fault.status / 100)}xx` ? 1 : 0;
}

const best = (names: readonly FaultName[], fault: Fault): number =>
  names.reduce((most, name) => Math.max(most, precision(name, fault)), 0);

/** Whether another attempt may help. The most specific entry wins; what nobody names is retried. */
export const isRetryable = (
  fault: Fault,
  policy: { retryOn: readonly FaultName[]; failOn: readonly FaultName[] },
): boolean => best(policy.retryOn, fault) >= best(policy.failOn, fault);

/** Whether the fault speaks about the target's health, not about this one piece of work. */
export const countsAgainstTarget = (fault: Fault, countOn: readonly FaultName[]): boolean =>
  fault.unavailable === true || best(countOn, fault) > 0;

/**
 * Faults that look alike get one text: ids, numbers and quoted values are taken out, so that "user 17 not found" and
 * "user 18 not found" are one group of dead letters.
 */
export function faultShape(fault: Fault): string {
  const message = fault.message
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27,}|\b[0-9a-f]{16,}\b/gi, '#')
    .replace(/"[^"]*"|'[^']*'/g, '#')
    .replace(/\d+/g, '#')
    .slice(0, 200);
  return `${fault.code} ${message}`;
}
