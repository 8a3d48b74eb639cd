/**
 * What was promised of routes with ordering: when a delivery of a key starts, every earlier one of its key has been settled
 * for good, whichever engine ran it, however it ended. Settlements keep the same order then.
 *
 * A failover may break it: it undoes settlements whose followers have run since, and two engines may believe that they have
 * the turn until the older of them has to renew it. So nothing is asked of events that were published before a turn has
 * passed since then. A letter that was redriven stands at the end of its line, and is asked nothing either.
 */
import type { Pair } from './pairs.ts';
import { leaseMs, routeByGroup } from './routes.ts';
import type { Run } from './run.ts';
import type { FakeTime } from './time.ts';

interface Standing {
  readonly pair: Pair;
  /** In the DLQ. */
  dead: boolean;
  redriven: boolean;
}

export class OrderLedger {
  readonly #lines = new Map<string, Standing[]>();
  readonly #run: Run;
  readonly #time: FakeTime;
  /** Events with a lower number are asked nothing: numbers are made of the time. */
  #from = 0;

  constructor(run: Run, time: FakeTime) {
    this.#run = run;
    this.#time = time;
  }

  expect(pair: Pair): void {
    const line = this.#lineOf(pair);
    if (line === undefined) return;
    let at = line.length;
    while (at > 0 && (line[at - 1] as Standing).pair.event.n > pair.event.n) at -= 1;
    line.splice(at, 0, { pair, dead: false, redriven: false });
  }

  started(pair: Pair): void {
    this.#mustBeFirst(pair, 'one key after another');
  }

  ended(pair: Pair): void {
    this.#mustBeFirst(pair, 'a key is settled in its order');
  }

  buried(pair: Pair): void {
    this.ended(pair);
    this.removed(pair);
  }

  /** Dead for want of a route, whatever its turn: retries before it may not be due yet. */
  removed(pair: Pair): void {
    const standing = this.#lineOf(pair)?.find((one) => one.pair === pair);
    if (standing !== undefined) standing.dead = true;
  }

  redriven(pair: Pair): void {
    const standing = this.#lineOf(pair)?.find((one) => one.pair === pair);
    if (standing === undefined) return;
    standing.dead = false;
    standing.redriven = true;
  }

  /** Of engines that believe it is their turn the last one hears otherwise within a turn. */
  failedOver(): void {
    this.#from = (this.#time.now + 2 * leaseMs) * 1_000;
  }

  #mustBeFirst(pair: Pair, promise: string): void {
    const { event, group } = pair;
    if (event.n < this.#from) return;
    for (const { pair: before, dead, redriven } of this.#lineOf(pair) ?? []) {
      if (before === pair) break;
      if (redriven || dead || before.state !== 'open' || before.event.n < this.#from) continue;
      if (this.#isRedriven(pair)) return;
      this.#run.fail(promise, `${event.eventId} for ${group} before ${before.event.eventId}`);
    }
    this.#run.cover('in the order of its key');
  }

  #isRedriven(pair: Pair): boolean {
    return this.#lineOf(pair)?.some((one) => one.pair === pair && one.redriven) === true;
  }

  /** Undefined: its route has no ordering. */
  #lineOf({ group, event: { eventId: id, type } }: Pair): Standing[] | undefined {
    const key = routeByGroup
      .get(group)
      ?.ordering?.key({ specversion: '1.0', id, source: '/sim', type, time: '', data: {} });
    if (key === undefined) return undefined;
    const name = `${group} ${key}`;
    const line = this.#lines.get(name) ?? [];
    this.#lines.set(name, line);
    return line;
  }
}
