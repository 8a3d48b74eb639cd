/**
 * The server's clock, known from time to time: this process's own clock, which never goes back, plus the difference
 * measured last. A step of this machine's clock does not touch it, so nothing expires or times out because of one.
 */
import type { Connection } from './connection.ts';
import type { FaultLog } from './faults.ts';

const measureMs = 10_000;
/** Clocks drift by less than this between two measurements; whatever is more was a step. */
const stepMs = 1_000;

export class ServerClock {
  readonly #commands: Pick<Connection, 'ask'>;
  readonly #faults: FaultLog;
  #offset: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(commands: Pick<Connection, 'ask'>, faults: FaultLog) {
    this.#commands = commands;
    this.#faults = faults;
  }

  now(): number {
    return Math.round(performance.now() + (this.#offset ?? performance.timeOrigin));
  }

  async start(): Promise<void> {
    await this.#measure();
    this.#later();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** The server answered somewhere between asking and hearing: the middle errs by half the trip at most. */
  async #measure(): Promise<void> {
    const asked = performance.now();
    const answers = (await this.#commands.ask('TIME', [])) as readonly (readonly [string, string])[];
    const heard = performance.now();
    const offset =
      middle(answers.map(([seconds, micros]) => Number(seconds) * 1000 + Number(micros) / 1000)) - (asked + heard) / 2;
    const step = offset - (this.#offset ?? offset);
    this.#offset = offset;
    if (Math.abs(step) - (heard - asked) > stepMs) this.#stepped(step);
  }

  /** What is due is decided by the server's clock alone, so a step of it moves every retry that waits. */
  #stepped(ms: number): void {
    const by = `${(Math.abs(ms) / 1000).toFixed(1)} s`;
    const [where, when] = ms < 0 ? ['back', 'later'] : ['forward', 'sooner'];
    this.#faults.event(
      'clock',
      `expected the clock of Redis to go on evenly, it stepped ${where} by ${by}: retries that wait come by so much ${when}; let the server's clock be slewed, not stepped`,
    );
  }

  #later(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      // While the server is away the last difference is the best there is; the poller reports the outage.
      this.#measure().then(
        () => this.#later(),
        () => this.#later(),
      );
    }, measureMs);
    this.#timer.unref();
  }
}

/** The masters of a cluster do not agree to the millisecond; one whose clock is wrong must not decide. */
const middle = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[times.length >> 1] ?? Date.now();
