/**
 * How far a consumer reads ahead of its free slots. Reading far ahead makes batches big and throughput high, but an
 * entry that waits in this process cannot be taken by a peer; so the window follows how fast it drains. Pure.
 */
export const largestWindow = 256;
const quick = 50;
const slow = 250;

/** The next window after one of `window` entries took `drainMs` to leave the queue. Never under the route's concurrency. */
export function nextWindow(window: number, concurrency: number, drainMs: number): number {
  const least = Math.min(concurrency, largestWindow);
  if (drainMs < quick) return Math.min(window * 2, largestWindow);
  if (drainMs > slow) return Math.max(window >> 1, least);
  return window;
}
