/** An open loop of publications: each is repeated with its id until some engine has acknowledged it. */
import { setTimeout as sleep } from 'node:timers/promises';

/** What was published and what came of it; times are of `Date.now()`. */
export class Publisher {
  /** When each event should have been sent first, by id. */
  readonly due = new Map<string, number>();
  /** When each event was acknowledged, by id: what must never be lost. */
  readonly acknowledged = new Map<string, number>();
  /** Answers other than 202, by status; 0: none at all. */
  readonly refusals = new Map<number, number>();
  /** The longest that an engine took for an answer, ms. */
  slowestAnswer = 0;
  /** How many events it was asked to publish so far. */
  asked = 0;
  /** The rate asked for last. */
  perSecond = 0;
  readonly #ingests: () => readonly string[];
  #ended = false;

  /** `ingests`: the base addresses of the engines that run now. */
  constructor(ingests: () => readonly string[]) {
    this.#ingests = ingests;
  }

  /** Publishes `count` more events at `perSecond`; resolves when all are acknowledged, or after `end`. */
  async publish(count: number, perSecond: number): Promise<void> {
    const first = this.due.size;
    this.perSecond = perSecond;
    this.asked += count;
    const began = Date.now();
    const size = Math.max(1, Math.round(perSecond / 50));
    const open: Promise<void>[] = [];
    for (let at = 0; at < count && !this.#ended; at += size) {
      const due = began + (at / perSecond) * 1_000;
      await sleep(Math.max(0, due - Date.now()));
      const ids = Array.from({ length: Math.min(size, count - at) }, (_, n) => `c${first + at + n}`);
      for (const id of ids) this.due.set(id, due);
      open.push(this.#publishUntilTaken(ids));
    }
    await Promise.all(open);
  }

  /** True when everything it was asked for is acknowledged. */
  get done(): boolean {
    return this.acknowledged.size >= this.asked;
  }

  /** Gives up what is not acknowledged yet. */
  end(): void {
    this.#ended = true;
  }

  async #publishUntilTaken(ids: readonly string[]): Promise<void> {
    const body = JSON.stringify(ids.map((id) => ({ id, type: 'chaos.event', source: '/chaos', data: { id } })));
    for (let turn = 0; !this.#ended; turn += 1) {
      const ingests = this.#ingests();
      const asked = performance.now();
      const status = await post(ingests[turn % Math.max(ingests.length, 1)], body);
      this.slowestAnswer = Math.max(this.slowestAnswer, performance.now() - asked);
      if (status === 202) {
        for (const id of ids) this.acknowledged.set(id, Date.now());
        return;
      }
      this.refusals.set(status, (this.refusals.get(status) ?? 0) + 1);
      await sleep(100);
    }
  }
}

/** The status, or 0 when nobody answered: then it is unknown whether it was stored, and the ids make a repeat harmless. */
async function post(ingest: string | undefined, body: string): Promise<number> {
  if (ingest === undefined) return 0;
  try {
    const signal = AbortSignal.timeout(5_000);
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${ingest}/v1/events`, { method: 'POST', headers, body, signal });
    await response.text();
    return response.status;
  } catch {
    return 0;
  }
}
