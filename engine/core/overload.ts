/** When new events are refused because what there is cannot be kept or worked off. Pure. */

export interface OverloadPolicy {
  /** Per cent of the store's memory from which on events are refused. */
  readonly refuseFrom: number;
  /** Per cent below which they are accepted again; more than `refuseFrom` counts as that. */
  readonly acceptBelow: number;
  /** Events that may wait for the route that is furthest behind; 0: any number. */
  readonly maxLag: number;
}

/**
 * Closed from `closeAt` on, open again below `openBelow`; in between it stays as it is, so that a level that trembles
 * around one mark does not open and close with it.
 */
export const closedAt = (closed: boolean, level: number, closeAt: number, openBelow: number): boolean =>
  level >= closeAt || (closed && level >= Math.min(openBelow, closeAt));
