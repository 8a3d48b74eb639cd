/**
 * The door for new events: shut before the store is so full that it refuses them itself, since then the last of its
 * room is left to what is being delivered, retried and dead-lettered.
 */
import type { Bus } from '../bus/bus.ts';
import { IngestFault } from '../core/ingest-fault.ts';
import { closedAt, type OverloadPolicy } from '../core/overload.ts';
import type { Observer } from '../observe/signals.ts';

export interface DoorDeps {
  readonly bus: Pick<Bus, 'fill' | 'groupStats'>;
  readonly policy: OverloadPolicy;
  /** Of the routes that run. */
  readonly groups: () => Iterable<string>;
  readonly observer: Observer;
  /** Between two looks, ms [1000]. */
  readonly everyMs?: number;
}

type Reason = 'memory' | 'lag';

export class Door {
  readonly #deps: DoorDeps;
  readonly #closed: Record<Reason, boolean> = { memory: false, lag: false };
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(deps: DoorDeps) {
    this.#deps = deps;
    this.#later();
  }

  /** Why events are refused now; undefined while they are welcome. */
  refusal(): IngestFault | undefined {
    if (this.#closed.memory) {
      return new IngestFault('store_full', 'the store is nearly full: nothing was stored, repeat later');
    }
    if (!this.#closed.lag) return undefined;
    return new IngestFault('overloaded', 'too many events wait to be delivered: nothing was stored, repeat later');
  }

  close(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Rejects when the bus does not answer; the door then stays as it is. */
  async look(): Promise<void> {
    await this.#lookAtMemory();
    await this.#lookAtLag();
  }

  #later(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.look().then(
        () => this.#later(),
        () => this.#later(),
      );
    }, this.#deps.everyMs ?? 1_000).unref();
  }

  async #lookAtMemory(): Promise<void> {
    const { bus, policy } = this.#deps;
    const fill = await bus.fill?.();
    const percent = fill === undefined ? 0 : (fill.used / fill.limit) * 100;
    const closed = closedAt(this.#closed.memory, percent, policy.refuseFrom, policy.acceptBelow);
    this.#turn('memory', closed, `the store is ${Math.floor(percent)} % full`);
  }

  async #lookAtLag(): Promise<void> {
    const { maxLag, acceptBelow } = this.#deps.policy;
    if (maxLag === 0) return;
    const [group, lag] = await this.#furthestBehind();
    const closed = closedAt(this.#closed.lag, lag, maxLag, (maxLag * acceptBelow) / 100);
    this.#turn('lag', closed, `${lag} events wait for ${group}`);
  }

  async #furthestBehind(): Promise<readonly [group: string, lag: number]> {
    let worst: readonly [string, number] = ['no route', 0];
    for (const group of this.#deps.groups()) {
      const stats = await this.#deps.bus.groupStats(group);
      const lag = stats?.lag.reduce((sum, { entries }) => sum + entries, 0) ?? 0;
      if (lag > worst[1]) worst = [group, lag];
    }
    return worst;
  }

  #turn(reason: Reason, closed: boolean, detail: string): void {
    if (this.#closed[reason] === closed) return;
    this.#closed[reason] = closed;
    this.#deps.observer({ kind: 'ingest', reason, closed, detail });
  }
}
