/**
 * Deliveries that were handed out before and never settled may have killed their process. They run one at a time in this
 * process, so that one that kills again takes no innocent start count with it.
 */
export class SuspectLane {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs `task` after every task given before it. A task that rejects does not stop the lane. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(task, task);
    this.#tail = done.catch(() => undefined);
    return done;
  }
}

/** Entries handed out this often are suspects; their starts are counted one by one, just before they run. */
export const suspectAfter = 3;

/** Started this often without an end: the delivery itself is what kills its process. */
export const maxCrashes = 5;
