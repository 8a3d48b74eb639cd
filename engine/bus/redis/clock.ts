/** The server's clock, known from time to time: local time plus the difference measured last. */
import type { Connection } from './connection.ts';

const measureMs = 10_000;

export class ServerClock {
  readonly #commands: Connection;
  #offset = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(commands: Connection) {
    this.#commands = commands;
  }

  now(): number {
    return Date.now() + this.#offset;
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
    const asked = Date.now();
    const [seconds, micros] = (await this.#commands.call('TIME', [])) as [string, string];
    const heard = Date.now();
    this.#offset = Math.round(Number(seconds) * 1000 + Number(micros) / 1000 - (asked + heard) / 2);
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
