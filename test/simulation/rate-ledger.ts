/** What rate limits let start, over all engines. */
import type { Route } from '../../engine/core/route.ts';
import type { EventEnvelope } from '../../engine/plugin.ts';
import type { Run } from './run.ts';
import type { FakeTime } from './time.ts';

export class RateLedger {
  readonly #run: Run;
  readonly #time: FakeTime;
  /** When deliveries started, by route and key. */
  readonly #starts = new Map<string, number[]>();

  constructor(run: Run, time: FakeTime) {
    this.#run = run;
    this.#time = time;
  }

  started({ group, rateLimit }: Route, event: EventEnvelope): void {
    if (rateLimit === undefined) return;
    const { limit, per, key } = rateLimit;
    const name = `${group} ${key?.key(event) ?? ''}`;
    const { now } = this.#time;
    const within = [...(this.#starts.get(name) ?? []).filter((at) => now - at < per), now];
    this.#starts.set(name, within);
    if (within.length > 1)
      this.#run.cover(key === undefined ? 'start under a limit' : 'start under the limit of a key');
    if (within.length <= limit) return;
    const detail = `${name}: ${within.length} within ${per} ms, at ${within.join(' ')}`;
    this.#run.fail('no span has more starts than the limit says', detail);
  }

  /** The store has forgotten what it gave last. */
  rolledBack(): void {
    this.#starts.clear();
  }
}
